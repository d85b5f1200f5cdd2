# Workers have no public address: they reach the internet by Cloud NAT, and people reach them by Identity-Aware Proxy.
# `borealisctl up -o network=borealis -o subnet=borealis -o no-address`.
resource "google_compute_network" "borealis" {
  name                    = "borealis"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.used]
}

resource "google_compute_subnetwork" "borealis" {
  name          = "borealis"
  network       = google_compute_network.borealis.id
  region        = var.region
  ip_cidr_range = "10.140.0.0/20"
  # Storage, logging and Docker images do not go by the NAT, which costs by the byte.
  private_ip_google_access = true
}

resource "google_compute_router" "borealis" {
  name    = "borealis"
  network = google_compute_network.borealis.id
  region  = var.region
}

resource "google_compute_router_nat" "borealis" {
  name                               = "borealis"
  router                             = google_compute_router.borealis.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# https://cloud.google.com/iap/docs/using-tcp-forwarding: the addresses that its connections come from.
resource "google_compute_firewall" "iap" {
  name          = "borealis-iap"
  network       = google_compute_network.borealis.id
  source_ranges = ["35.235.240.0/20"]

  allow {
    protocol = "tcp"
    ports    = ["22", "27017"]
  }
}
