"""The examples under examples/, checked by the tools they are written for: `make test-examples`."""
