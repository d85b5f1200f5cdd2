# A project for Borealis: what `borealisctl` and its workers need of Google Cloud. docs/image.md is the guide.
#
#     terraform init
#     terraform apply -var project=my-project -var bucket=my-results -var 'members=["user:me@example.org"]'

provider "google" {
  project = var.project
  region  = var.region
}

locals {
  services = concat(
    ["artifactregistry", "compute", "iam", "iap", "logging", "monitoring", "storage"],
    var.mongodb || length(var.secrets) > 0 ? ["secretmanager"] : [],
  )
}

resource "google_project_service" "used" {
  for_each = toset(local.services)

  service = "${each.key}.googleapis.com"
  # Others in the project may use it too.
  disable_on_destroy = false
}
