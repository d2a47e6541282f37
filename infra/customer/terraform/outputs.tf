output "role_arn" {
  description = "The configuration's roleArn."
  value       = aws_iam_role.this.arn
}

output "bucket_name" {
  description = "The configuration's bucketName."
  value       = var.bucket_name
}

output "kms_key_arn" {
  description = "The configuration's kmsKeyArn; null without a key."
  value       = local.has_key ? local.kms_key_arn : null
}
