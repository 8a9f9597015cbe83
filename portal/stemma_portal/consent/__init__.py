"""Grants, withdrawals and claims: what owners allow and what stands against it."""
