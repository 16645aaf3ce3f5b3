"""The commands, links and pictures in README and docs: `make test-docs`."""
