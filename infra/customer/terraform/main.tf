# The resources that an audit-log export needs in a customer's account: a role that the export service assumes for one
# export configuration, and optionally a bucket and a KMS key. Equivalent to ../cloudformation.yaml; tests compare the two.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  bucket_arn  = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}"
  prefix      = var.bucket_path == "" ? "" : "${var.bucket_path}/"
  has_key     = var.create_kms_key || var.kms_key_arn != ""
  kms_key_arn = var.create_kms_key ? one(aws_kms_key.this[*].arn) : var.kms_key_arn

  crosses_accounts = !contains(["", data.aws_caller_identity.current.account_id], var.bucket_owner_account_id)
}

# ----------------------------------------------------------------------------------------------------------------------
# The role
# ----------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "trust" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]

    # The account, restricted by aws:PrincipalArn: a role named as the principal would be lost when the service is
    # redeployed.
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${var.service_account_id}:root"]
    }

    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:PrincipalArn"
      values   = ["arn:${data.aws_partition.current.partition}:iam::${var.service_account_id}:role/${var.service_role_path}/*"]
    }
  }
}

data "aws_iam_policy_document" "export" {
  statement {
    effect  = "Allow"
    actions = ["s3:PutObject"]
    resources = [
      "${local.bucket_arn}/${local.prefix}${var.external_id}/*",
      "${local.bucket_arn}/${local.prefix}.immuta.export.log",
    ]
  }

  dynamic "statement" {
    for_each = local.crosses_accounts ? [true] : []

    content {
      effect  = "Allow"
      actions = ["s3:PutObjectAcl"]
      resources = [
        "${local.bucket_arn}/${local.prefix}${var.external_id}/*",
        "${local.bucket_arn}/${local.prefix}.immuta.export.log",
      ]

      condition {
        test     = "StringEquals"
        variable = "s3:x-amz-acl"
        values   = ["bucket-owner-full-control"]
      }
    }
  }

  dynamic "statement" {
    for_each = local.has_key ? [local.kms_key_arn] : []

    content {
      effect    = "Allow"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = var.role_name
  description          = "Lets the audit-log export service write one export into one bucket."
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = 3600 # The service's session lasts an hour at most.
}

resource "aws_iam_role_policy" "this" {
  name   = "audit-export"
  role   = aws_iam_role.this.name
  policy = data.aws_iam_policy_document.export.json
}

# ----------------------------------------------------------------------------------------------------------------------
# The bucket
# ----------------------------------------------------------------------------------------------------------------------

resource "aws_s3_bucket" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = var.bucket_name

  # Destroying the module must not delete the audit log. To keep the bucket: terraform state rm.
  force_destroy = false

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = one(aws_s3_bucket.this[*].id)

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.has_key ? "aws:kms" : "AES256"
      kms_master_key_id = local.has_key ? local.kms_key_arn : null
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = one(aws_s3_bucket.this[*].id)

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  count = var.create_bucket ? 1 : 0

  bucket                  = one(aws_s3_bucket.this[*].id)
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = one(aws_s3_bucket.this[*].id)

  # Parts of an interrupted upload are invisible and cost money, and the export, which may only put objects, can't remove
  # them.
  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  # No statement for the role: within one account the role's policy is enough.
  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arn, "${local.bucket_arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  count = var.create_bucket ? 1 : 0

  bucket = one(aws_s3_bucket.this[*].id)
  policy = data.aws_iam_policy_document.bucket.json

  # S3 refuses a policy while the public access block is being changed.
  depends_on = [aws_s3_bucket_public_access_block.this]
}

# ----------------------------------------------------------------------------------------------------------------------
# The key
# ----------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "key" {
  # Like KMS's default policy: IAM of this account decides, so the role's policy is enough.
  statement {
    sid       = "ThisAccountDecides"
    effect    = "Allow"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

resource "aws_kms_key" "this" {
  count = var.create_kms_key ? 1 : 0

  description             = "Encrypts the audit-log export in ${var.bucket_name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json

  # Without the key nobody can read the exported files.
  lifecycle {
    prevent_destroy = true
  }
}
