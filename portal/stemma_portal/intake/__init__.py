"""Bringing a catalog in: files, their rows, what they would change, and the import."""
