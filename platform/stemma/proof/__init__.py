"""Statements that can be believed without trusting whoever hands them over.

Canonical JSON, Ed25519 signatures, an append-only log and the proofs that something is in it.
This room knows no music and no network.
"""
