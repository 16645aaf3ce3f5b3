"""The commands in README and docs: `make test-docs`."""
