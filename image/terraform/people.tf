# Who runs fleets.
locals {
  roles_of_members = [
    "roles/compute.instanceAdmin.v1",
    "roles/iap.tunnelResourceAccessor",
    "roles/logging.viewer",
  ]
}

resource "google_project_iam_member" "people" {
  for_each = { for pair in setproduct(var.members, local.roles_of_members) : join(" ", pair) => pair }

  project = var.project
  member  = each.value[0]
  role    = each.value[1]
}

# Their VMs run as the workers' account, and who logs in to a VM may do what its account may.
resource "google_service_account_iam_member" "people" {
  for_each = toset(var.members)

  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.key
}

resource "google_service_account_iam_member" "people_mongodb" {
  for_each = toset(var.mongodb ? var.members : [])

  service_account_id = google_service_account.mongodb[0].name
  role               = "roles/iam.serviceAccountUser"
  member             = each.key
}

resource "google_storage_bucket_iam_member" "people" {
  for_each = toset(var.members)

  bucket = google_storage_bucket.results.name
  role   = "roles/storage.objectUser"
  member = each.key
}

resource "google_artifact_registry_repository_iam_member" "people" {
  for_each = toset(var.members)

  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = each.key
}
