"""Covenant versions, licenses and API keys, and the documents serving trusts."""
