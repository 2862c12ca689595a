"""The only package that asks KMS to sign."""
