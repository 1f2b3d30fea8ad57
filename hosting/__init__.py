"""Puts workers together: which activities and workflows each hosts, and what those need."""
