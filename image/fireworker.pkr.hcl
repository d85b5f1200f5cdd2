# The disk image of worker VMs: Debian with Docker, the binaries and the unit that starts a worker at boot. `borealisctl up`
# boots the newest image of its family. docs/image.md is the guide.
#
#     packer init image
#     packer build -var project=my-project -var release=dist/release/borealis-0.1.0-linux-x64.tar.gz image

variable "project" {
  type        = string
  description = "The Google Cloud project that gets the image."
}

variable "release" {
  type        = string
  description = "The archive of the binaries for Linux on this processor: dist/release/borealis-VERSION-linux-ARCH.tar.gz."
}

variable "arch" {
  type        = string
  default     = "x64"
  description = "x64 or arm64."
}

variable "zone" {
  type        = string
  default     = "us-west1-b"
  description = "Where the VM runs that is made into the image. T2A machines (arm64) are in few zones: us-central1-a has them."
}

variable "docker_images" {
  type        = list(string)
  default     = []
  description = "Docker images that every worker has from the start, so that its first task need not wait for a pull."
}

variable "swap_mb" {
  type        = number
  default     = 0
  description = "Size of a swap file, in MiB; 0: none."
}

variable "ops_agent" {
  type        = bool
  default     = false
  description = "Whether Google's Ops Agent, which reports memory and disk use, is installed."
}

variable "disk_gb" {
  type        = number
  default     = 20
  description = "Size of the image. A VM's disk may be larger: borealisctl up -o boot-disk-size=200GB."
}

variable "family" {
  type        = string
  default     = "fireworker"
  description = "The image family. For arm64, -arm64 is added."
}

variable "service_account" {
  type        = string
  default     = ""
  description = "The VM's service account, when docker_images are in a private registry. Default: the project's own."
}

variable "subnetwork" {
  type        = string
  default     = "default"
  description = "The subnetwork of that VM."
}

variable "iap" {
  type        = bool
  default     = false
  description = "Whether the VM has no public address: Packer reaches it by Identity-Aware Proxy, and it the internet by Cloud NAT."
}

locals {
  arm    = var.arch == "arm64"
  family = local.arm ? "${var.family}-arm64" : var.family
}

source "googlecompute" "fireworker" {
  project_id            = var.project
  zone                  = var.zone
  machine_type          = local.arm ? "t2a-standard-2" : "e2-standard-2"
  source_image_family   = local.arm ? "debian-13-arm64" : "debian-13"
  disk_size             = var.disk_gb
  disk_type             = "pd-balanced"
  image_name            = "${local.family}-{{timestamp}}"
  image_family          = local.family
  image_description     = "Runs a Borealis fireworker at boot"
  image_labels          = { fireworker = var.arch }
  service_account_email = var.service_account
  scopes                = ["https://www.googleapis.com/auth/cloud-platform"]
  subnetwork            = var.subnetwork
  omit_external_ip      = var.iap
  use_internal_ip       = var.iap
  use_iap               = var.iap
  ssh_username          = "packer"
}

build {
  sources = ["source.googlecompute.fireworker"]

  provisioner "file" {
    source      = var.release
    destination = "/tmp/borealis.tar.gz"
  }

  provisioner "shell" {
    script          = "${path.root}/provision.sh"
    execute_command = "sudo env {{ .Vars }} bash '{{ .Path }}'"
    environment_vars = [
      "RELEASE=/tmp/borealis.tar.gz",
      "DOCKER_IMAGES=${join(" ", var.docker_images)}",
      "SWAP_MB=${var.swap_mb}",
      "OPS_AGENT=${var.ops_agent}",
    ]
  }
}
