"""A Python client for rigs: typed commands, typed errors, progress as an async iterator."""
