"""Snapshots and model releases."""
