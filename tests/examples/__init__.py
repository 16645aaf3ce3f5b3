"""The examples in examples/, checked by Terraform and CDK: `make test-examples`."""
