variable "service_account_id" {
  description = "The AWS account of the export service, 12 digits (from exportServiceIdentity)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.service_account_id))
    error_message = "An AWS account ID has 12 digits."
  }
}

variable "service_role_path" {
  description = "The path of the service's roles in its account, without a slash at either end. Only roles under it can assume this one."
  type        = string
  default     = "audit-export"
  nullable    = false

  validation {
    condition = (
      length(var.service_role_path) <= 128 &&
      can(regex("^[A-Za-z0-9._+=,@-]+(/[A-Za-z0-9._+=,@-]+)*$", var.service_role_path))
    )
    error_message = "At most 128 characters: names separated by slashes, for example audit-export."
  }
}

variable "external_id" {
  description = "The ID of the export configuration. The role can be assumed only with it, so every configuration needs a separate role."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.external_id))
    error_message = "Give a configuration's ID, for example 0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b."
  }
}

variable "role_name" {
  description = "The name of the role to create. The configuration's roleArn has to be arn:<partition>:iam::<this account>:role/<role_name>."
  type        = string
  default     = "audit-export"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.role_name))
    error_message = "A role's name has 1 to 64 letters, digits and any of _+=,.@-"
  }
}

variable "bucket_name" {
  description = "The bucket that the export goes to."
  type        = string
  nullable    = false

  validation {
    condition = (
      length(var.bucket_name) >= 3 && length(var.bucket_name) <= 63 &&
      can(regex("^[a-z0-9]((\\.?[a-z0-9-])*\\.?[a-z0-9])?$", var.bucket_name))
    )
    error_message = "Give the name of a general purpose bucket, 3 to 63 lower-case letters, digits, '.' or '-'; no ARN."
  }
}

variable "bucket_path" {
  description = "The configuration's bucketPath, without a slash at either end; empty for the bucket's root."
  type        = string
  default     = ""
  nullable    = false

  validation {
    # No segment is "." or "..".
    condition = (
      length(var.bucket_path) <= 256 &&
      can(regex("^((\\.*[A-Za-z0-9!_'()=-][A-Za-z0-9!_.'()=-]*|\\.{3,})(/(\\.*[A-Za-z0-9!_'()=-][A-Za-z0-9!_.'()=-]*|\\.{3,}))*)?$", var.bucket_path))
    )
    error_message = "At most 256 characters: a path like audit/logs of letters, digits and any of !_.'()=- separated by single slashes; or nothing."
  }
}

variable "bucket_owner_account_id" {
  description = "The configuration's expectedBucketOwner. If it is not this account, the role may also give that account full control of the objects that it writes, and that account has to permit the role in the bucket's policy. Empty for this account."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.bucket_owner_account_id))
    error_message = "An AWS account ID has 12 digits; or leave it empty."
  }
}

variable "create_bucket" {
  description = "Whether to create the bucket. If false, the bucket has to exist and stays unchanged."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key_arn" {
  description = "The existing KMS key that the bucket encrypts with, if any. For a key of another account, that account has to permit the role in the key's policy."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}))?$", var.kms_key_arn))
    error_message = "Give the ARN of a key with its ID, not an alias; or nothing."
  }
}

variable "create_kms_key" {
  description = "Whether to create a KMS key for the new bucket. Without a key, S3 encrypts with its own (SSE-S3)."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.create_kms_key || var.kms_key_arn == ""
    error_message = "create_kms_key creates the key, so leave kms_key_arn empty, or set create_kms_key = false."
  }

  validation {
    condition     = !var.create_kms_key || var.create_bucket
    error_message = "create_kms_key needs create_bucket. The encryption of an existing bucket is not changed, so a new key would not be used."
  }
}
