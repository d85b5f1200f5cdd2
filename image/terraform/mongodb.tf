# A VM with MongoDB, for teams without MongoDB Atlas. It makes its own password, which is in Secret Manager and nowhere else:
# not in Terraform's state either.
resource "google_service_account" "mongodb" {
  count = var.mongodb ? 1 : 0

  account_id   = "borealis-mongodb"
  display_name = "Borealis MongoDB VM"
  depends_on   = [google_project_service.used]
}

resource "google_secret_manager_secret" "mongodb" {
  count = var.mongodb ? 1 : 0

  secret_id  = "borealis-mongodb"
  depends_on = [google_project_service.used]

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "mongodb_writes" {
  count = var.mongodb ? 1 : 0

  secret_id = google_secret_manager_secret.mongodb[0].id
  role      = "roles/secretmanager.secretVersionAdder"
  member    = "serviceAccount:${google_service_account.mongodb[0].email}"
}

resource "google_secret_manager_secret_iam_member" "mongodb_read" {
  # The account's address is known only when it is made: too late for a key.
  for_each = toset(var.mongodb ? concat(["workers"], var.members) : [])

  secret_id = google_secret_manager_secret.mongodb[0].id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.key == "workers" ? local.worker : each.key
}

resource "google_compute_disk" "mongodb" {
  count = var.mongodb ? 1 : 0

  name = "borealis-mongodb"
  zone = "${var.region}-b"
  type = "pd-ssd"
  size = var.mongodb_disk_gb

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_compute_instance" "mongodb" {
  count = var.mongodb ? 1 : 0

  name                      = "mongodb"
  zone                      = google_compute_disk.mongodb[0].zone
  machine_type              = var.mongodb_machine_type
  tags                      = ["borealis-mongodb"]
  deletion_protection       = true
  allow_stopping_for_update = true
  depends_on                = [google_secret_manager_secret_iam_member.mongodb_writes, google_compute_router_nat.borealis]

  boot_disk {
    initialize_params {
      image = "debian-cloud/debian-12"
    }
  }

  attached_disk {
    source      = google_compute_disk.mongodb[0].id
    device_name = "mongodb"
  }

  network_interface {
    subnetwork = google_compute_subnetwork.borealis.id
  }

  service_account {
    email  = google_service_account.mongodb[0].email
    scopes = ["cloud-platform"]
  }

  metadata = {
    secret         = google_secret_manager_secret.mongodb[0].id
    startup-script = file("${path.module}/mongodb.sh")
  }
}

resource "google_compute_firewall" "mongodb" {
  count = var.mongodb ? 1 : 0

  name          = "borealis-mongodb"
  network       = google_compute_network.borealis.id
  source_ranges = [google_compute_subnetwork.borealis.ip_cidr_range]
  target_tags   = ["borealis-mongodb"]

  allow {
    protocol = "tcp"
    ports    = ["27017"]
  }
}
