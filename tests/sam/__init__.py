"""The template, and the function behind the SAM CLI: `make test-template`, `make test-sam`."""
