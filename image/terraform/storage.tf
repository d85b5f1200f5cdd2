resource "google_storage_bucket" "results" {
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_project_service.used]

  dynamic "lifecycle_rule" {
    for_each = var.delete_results_after_days > 0 ? [var.delete_results_after_days] : []
    content {
      condition {
        age = lifecycle_rule.value
      }
      action {
        type = "Delete"
      }
    }
  }
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "borealis"
  location      = var.region
  format        = "DOCKER"
  description   = "Docker images of tasks"
  depends_on    = [google_project_service.used]
}
