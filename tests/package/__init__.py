"""Deployment packages: `make test-package`."""
