"""Small secrets at rest: useless to whoever reads only the database or its backup."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from stemma.errors import UnavailableError


def seal(purpose: str, plain: bytes) -> bytes:
    """The bytes encrypted with the installation's secret key, for this purpose alone."""
    return _box(purpose).encrypt(plain)


def unseal(purpose: str, sealed: bytes) -> bytes:
    """The bytes again.  Raises `UnavailableError` when the installation's secret key has changed."""
    try:
        return _box(purpose).decrypt(bytes(sealed))
    except InvalidToken as error:
        raise UnavailableError(
            "This was sealed with another secret key of the installation.",
            remedy="Restore STEMMA_SECRET_KEY, or enter the secret anew.",
            code="sealed",
        ) from error


def _box(purpose: str) -> Fernet:
    key = hashlib.sha512(settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(hashlib.blake2b(purpose.encode(), key=key, digest_size=32).digest()))
