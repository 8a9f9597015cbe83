"""Certificates of outputs: what proves that something was made under a license, and what must be told of it."""
