"""The CloudWatch dashboard of template.yaml: its layout, its JSON, and a picture of it for review."""
