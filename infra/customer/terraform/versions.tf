terraform {
  # Rules that look at several variables together: https://developer.hashicorp.com/terraform/language/validate
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}
