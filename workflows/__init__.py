"""Deterministic code only: the saga and the event bus."""
