"""Keys and signatures of the Standard Webhooks specification 1.0 (https://www.standardwebhooks.com).

What is signed is `id.timestamp.body`.  `v1a` is Ed25519, which a receiver checks with a public key;
`v1` is HMAC-SHA256 with a shared secret, which every client of the specification understands.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stemma_portal.core.sealing import seal, unseal

PURPOSE = "webhooks"


@dataclass(frozen=True)
class Keys:
    """One pair of signing keys: 32 bytes each."""

    private: bytes
    """Ed25519 seed."""
    shared: bytes

    @property
    def public(self) -> str:
        """The key that a receiver verifies `v1a` with, as the specification spells it."""
        return "whpk_" + _text(Ed25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes_raw())

    @property
    def secret(self) -> str:
        """The secret that a receiver verifies `v1` with, as the specification spells it."""
        return "whsec_" + _text(self.shared)

    def sign(self, identifier: str, timestamp: int, body: bytes) -> str:
        """Both signatures, as they stand in the header `webhook-signature`."""
        signed = f"{identifier}.{timestamp}.".encode() + body
        asymmetric = Ed25519PrivateKey.from_private_bytes(self.private).sign(signed)
        symmetric = hmac.new(self.shared, signed, hashlib.sha256).digest()
        return f"v1a,{_text(asymmetric)} v1,{_text(symmetric)}"

    def sealed(self) -> bytes:
        """The keys as the database keeps them."""
        return seal(PURPOSE, self.private + self.shared)


def new_keys() -> Keys:
    """Fresh ones."""
    return Keys(private=secrets.token_bytes(32), shared=secrets.token_bytes(32))


def opened(sealed: bytes) -> Keys:
    """Keys from the database.  Raises `UnavailableError` when the installation's secret key has changed."""
    both = unseal(PURPOSE, sealed)
    return Keys(private=both[:32], shared=both[32:])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
