"""Clips, degradations and demonstrations: what measures the identifiers."""
