# For Packer 1.7 and newer, which fetches its builders: `packer init image`. Older ones have the builder inside, do not know this
# block, and are given the other file alone: `packer build image/fireworker.pkr.hcl`.
packer {
  required_plugins {
    googlecompute = {
      source  = "github.com/hashicorp/googlecompute"
      version = ">= 1.1.0"
    }
  }
}
