"""The first lines that a developer pastes, with the addresses of an installation; a test runs them as they are."""

from __future__ import annotations

PROMPT = "a lively reel in D major for fiddle"


def shell(serving: str) -> str:
    """A piece with curl; the key is in `STEMMA_API_KEY`."""
    return f"""curl -sS --fail-with-body {serving.rstrip("/")}/v1/generations \\
  -H "Authorization: Bearer $STEMMA_API_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Idempotency-Key: my-first-piece" \\
  -d '{{"prompt": "{PROMPT}", "bars": 8}}'
"""


def python(serving: str, portal: str) -> str:
    """A piece with its files, and its certificate checked; the key is in `STEMMA_API_KEY`."""
    return f"""import os

import httpx
from stemma.client import Client

# Whom you trust: the licensor's public keys.  Keep them.
keys = httpx.get("{portal.rstrip("/")}/.well-known/jwks.json").raise_for_status().json()

with Client("{serving.rstrip("/")}", os.environ["STEMMA_API_KEY"]) as stemma:
    piece = stemma.generate(prompt="{PROMPT}", bars=8)
    for path in stemma.save(piece, "reel.flac"):
        print(path)
    certificate = stemma.certificate(piece, keys)
    print(f"licensed to {{certificate.licensee_name}}, made by {{certificate.model_release}}")
"""
