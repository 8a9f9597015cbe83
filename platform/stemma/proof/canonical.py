"""One byte string per value (RFC 8785), so that two parties hash and sign the same thing."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785
from pydantic import BaseModel
from pydantic_core import to_json

from stemma.errors import InvalidError


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value or of a pydantic model.

    Raises `InvalidError` for what JSON cannot say exactly: NaN, infinities, integers past 2^53.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    try:
        return to_json(_ordered(value))
    except (_Uncommon, TypeError, ValueError):  # keys that are not compared, and what the encoder refuses
        pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise InvalidError(f"This value has no canonical form: {error}.") from error


class _Uncommon(Exception):  # noqa: N818 - no error: what the faster way does not know
    """A value that only the library for RFC 8785 writes, or refuses, as the standard says."""


_LARGEST = 2**53 - 1


def _ordered(value: Any) -> Any:
    """The value with the keys of every object sorted: then pydantic's encoder, many times as fast, writes RFC 8785.

    It does but for fractions, for keys that are not ASCII (whose order is that of UTF-16), and for what has
    no form at all.  Raises `_Uncommon` for those.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is dict:
        ordered: dict[str, Any] = {}
        for key in sorted(value):
            if type(key) is not str or not key.isascii():
                raise _Uncommon
            ordered[key] = _ordered(value[key])
        return ordered
    if kind is list or kind is tuple:
        return [_ordered(item) for item in value]
    if kind is int and -_LARGEST <= value <= _LARGEST:
        return value
    raise _Uncommon


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return sha256(canonical(value))


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
