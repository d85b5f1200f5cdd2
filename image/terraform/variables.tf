variable "project" {
  type        = string
  description = "The Google Cloud project, which has billing."
}

variable "region" {
  type        = string
  default     = "us-west1"
  description = "Where workers, bucket and Docker images are."
}

variable "bucket" {
  type        = string
  description = "The name of the bucket for inputs and results, which nobody else in the world may have."
}

variable "members" {
  type        = list(string)
  default     = []
  description = "Who runs fleets: user:..., group:... or serviceAccount:..."
}

variable "delete_results_after_days" {
  type        = number
  default     = 0
  description = "Objects of the bucket go when they are this old; 0: never."
}

variable "secrets" {
  type        = list(string)
  default     = []
  description = "Secrets of the project that workers may read, such as a MongoDB Atlas password."
}

variable "mongodb" {
  type        = bool
  default     = false
  description = "Whether a VM with MongoDB is made. Without one, use MongoDB Atlas."
}

variable "mongodb_machine_type" {
  type        = string
  default     = "e2-standard-2"
  description = "Of that VM."
}

variable "mongodb_disk_gb" {
  type        = number
  default     = 50
  description = "Size of the disk with its data, which outlives the VM."
}
