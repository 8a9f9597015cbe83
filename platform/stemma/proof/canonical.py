"""One byte string per value (RFC 8785), so that two parties hash and sign the same thing."""

from __future__ import annotations

import hashlib
import json
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
        if _plain(value):
            return _ENCODE(value).encode()
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise InvalidError(f"This value has no canonical form: {error}.") from error


_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode
_LARGEST = 2**53 - 1


def _plain(value: Any) -> bool:
    """Whether Python's own encoder, ten times as fast, gives the RFC 8785 form.

    It does but for fractions, for keys that are not ASCII (whose order is that of UTF-16), and for what has
    no form at all.
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is dict:
            if not all(type(key) is str and key.isascii() for key in item):
                return False
            waiting.extend(item.values())
        elif kind is list or kind is tuple:
            waiting.extend(item)
        elif kind is int:
            if not -_LARGEST <= item <= _LARGEST:
                return False
        elif not (kind is str or kind is bool or item is None):
            return False
    return True


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return sha256(canonical(value))


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
