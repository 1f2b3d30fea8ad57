"""Finds, starts and connects to a Temporal server; also the embedded mail server."""
