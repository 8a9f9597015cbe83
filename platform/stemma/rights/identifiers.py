"""Identifiers of recordings, works and parties: their spelling and their check digits."""

from __future__ import annotations

import re

from stdnum import iban as _iban
from stdnum.exceptions import ValidationError as StdnumError

from stemma.errors import InvalidError

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_ISWC = re.compile(r"T[0-9]{10}")


def isrc(text: str) -> str:
    """The ISRC in its plain form (ISO 3901:2019); hyphens and an `ISRC` prefix are dropped.

    Raises `InvalidError`.  An ISRC has no check digit.
    """
    plain = re.sub(r"[\s-]", "", text.upper()).removeprefix("ISRC")
    if not _ISRC.fullmatch(plain):
        raise InvalidError(
            f"{text!r} is not an ISRC.", remedy="Write two letters, three letters or digits, seven digits.", code="isrc"
        )
    return plain


def iswc(text: str) -> str:
    """The ISWC as `T-123.456.789-C` (ISO 15707).  Raises `InvalidError` for a wrong check digit."""
    plain = re.sub(r"[\s.\-]", "", text.upper()).removeprefix("ISWC")
    if not _ISWC.fullmatch(plain):
        raise InvalidError(f"{text!r} is not an ISWC.", remedy="Write T and ten digits.", code="iswc")
    digits = plain[1:10]
    if iswc_check(digits) != int(plain[10]):
        raise InvalidError(
            f"The check digit of ISWC {text!r} is wrong.",
            remedy="Compare it with the work's registration.",
            code="iswc",
        )
    return f"T-{digits[:3]}.{digits[3:6]}.{digits[6:]}-{plain[10]}"


def iswc_check(digits: str) -> int:
    """Check digit of nine digits: (10 - (1 + sum of i * d_i) mod 10) mod 10 (ISO 15707, annex A)."""
    total = 1 + sum(i * int(d) for i, d in enumerate(digits, start=1))
    return (10 - total % 10) % 10


def ipi(text: str) -> str:
    """The IPI name number as eleven digits.  Raises `InvalidError` for wrong check digits.

    The first nine digits weigh 10…2; with t their sum mod 101, the check is 0 for t = 0 and else
    (101 - t) mod 100 (CISAC, Interested Party Information).
    """
    plain = re.sub(r"[\s.]", "", text).zfill(11)
    if not re.fullmatch(r"[0-9]{11}", plain):
        raise InvalidError(f"{text!r} is not an IPI name number.", remedy="Write eleven digits.", code="ipi")
    total = sum(weight * int(d) for weight, d in zip(range(10, 1, -1), plain, strict=False)) % 101
    check = (101 - total) % 100 if total else 0
    if check != int(plain[9:]):
        raise InvalidError(
            f"The check digits of IPI {text!r} are wrong.", remedy="Compare it with the society's register.", code="ipi"
        )
    return plain


def isni(text: str) -> str:
    """The ISNI as sixteen characters (ISO 27729; check character by ISO 7064 mod 11-2).  Raises `InvalidError`."""
    plain = re.sub(r"[\s-]", "", text.upper()).removeprefix("ISNI")
    if not re.fullmatch(r"[0-9]{15}[0-9X]", plain):
        raise InvalidError(
            f"{text!r} is not an ISNI.", remedy="Write sixteen digits; the last may be an X.", code="isni"
        )
    total = 0
    for digit in plain[:15]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    if ("X" if check == 10 else str(check)) != plain[15]:
        raise InvalidError(
            f"The check character of ISNI {text!r} is wrong.", remedy="Look it up at isni.org.", code="isni"
        )
    return plain


def product_code(text: str) -> str:
    """A GTIN of 8, 12 (UPC), 13 (EAN) or 14 digits in its plain form (GS1).  Raises `InvalidError`.

    From the right, digits weigh 1, 3, 1, 3 …; their sum is a multiple of ten.
    """
    plain = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"[0-9]{8}|[0-9]{12,14}", plain):
        raise InvalidError(
            f"{text!r} is not a product code.", remedy="Write a UPC of 12 or an EAN of 13 digits.", code="upc"
        )
    if sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(reversed(plain))) % 10:
        raise InvalidError(
            f"The check digit of product code {text!r} is wrong.",
            remedy="Compare it with the bar code on the release.",
            code="upc",
        )
    return plain


def iban(text: str) -> str:
    """The IBAN without spaces (ISO 13616), with its country's length and form checked.  Raises `InvalidError`."""
    plain = re.sub(r"[\s-]", "", text.upper()).removeprefix("IBAN")
    try:
        return str(_iban.validate(plain))
    except StdnumError as error:
        raise InvalidError(
            f"{text!r} is not an IBAN: {str(error).rstrip('.').lower()}.",
            remedy="Copy it from a statement of the account.",
            code="iban",
        ) from error
