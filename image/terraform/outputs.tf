output "service_account" {
  value       = google_service_account.worker.email
  description = "For borealisctl up -o service-account=..."
}

output "bucket" {
  value       = "gs://${google_storage_bucket.results.name}"
  description = "For storage_prefix of DockerTasks."
}

output "docker_repository" {
  value       = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
  description = "What the names of your Docker images begin with."
}

output "mongodb_host" {
  value       = one(google_compute_instance.mongodb[*].network_interface[0].network_ip)
  description = "For host in my_launchpad.yaml; null without mongodb."
}

output "mongodb_password" {
  value       = one([for secret in google_secret_manager_secret.mongodb : "secret:${secret.id}"])
  description = "For borealisctl up -m username=borealis -m password=...; null without mongodb."
}
