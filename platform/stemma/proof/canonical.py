"""One byte string per value (RFC 8785), so that two parties hash and sign the same thing."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785
from pydantic import BaseModel

from stemma.errors import InvalidError


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value or of a pydantic model.

    Raises `InvalidError` for what JSON cannot say exactly: NaN, infinities, integers past 2^53.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise InvalidError(f"This value has no canonical form: {error}.") from error


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return sha256(canonical(value))


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
