# Worker VMs run as this service account, and tasks in their containers can take its rights: it has no others than these.
resource "google_service_account" "worker" {
  account_id   = "fireworker"
  display_name = "Borealis worker VMs"
  depends_on   = [google_project_service.used]
}

locals {
  worker = "serviceAccount:${google_service_account.worker.email}"
}

resource "google_project_iam_member" "worker" {
  for_each = toset(["roles/logging.logWriter", "roles/monitoring.metricWriter"])

  project = var.project
  role    = each.key
  member  = local.worker
}

# A worker without work deletes its VM. IAM cannot say "its own": a fleet's project should have no other VMs that matter, but
# for MongoDB's, which is protected.
resource "google_project_iam_custom_role" "leaver" {
  role_id     = "borealisLeaver"
  title       = "Borealis worker that leaves"
  permissions = ["compute.instances.delete"]
  depends_on  = [google_project_service.used]
}

resource "google_project_iam_member" "leaver" {
  project = var.project
  role    = google_project_iam_custom_role.leaver.id
  member  = local.worker
}

resource "google_storage_bucket_iam_member" "worker" {
  bucket = google_storage_bucket.results.name
  role   = "roles/storage.objectUser"
  member = local.worker
}

resource "google_artifact_registry_repository_iam_member" "worker" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = local.worker
}

resource "google_secret_manager_secret_iam_member" "worker" {
  for_each = toset(var.secrets)

  secret_id = each.key
  role      = "roles/secretmanager.secretAccessor"
  member    = local.worker
}
