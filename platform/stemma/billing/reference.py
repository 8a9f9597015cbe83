"""Structured creditor references (ISO 11649): `RF`, two check digits, and what the creditor writes."""

from __future__ import annotations

import re

from stdnum import iso11649
from stdnum.exceptions import ValidationError as StdnumError
from stdnum.iso7064 import mod_97_10

from stemma.errors import InvalidError

LONGEST = 21
_BODY = re.compile(r"[A-Z0-9]{1,21}")
_FOUND = re.compile(r"(?<![A-Z0-9])(?=(RF[0-9]{2}(?: ?[A-Z0-9]){1,21}(?![A-Z0-9])))")


def rf_reference(text: str) -> str:
    """The reference that carries a text of up to 21 letters and digits; other characters are dropped.

    The check digits are 98 less the remainder of text, `RF00` in figures, by 97 (ISO 7064 mod 97-10).
    """
    body = re.sub(r"[^A-Z0-9]", "", text.upper())
    if not _BODY.fullmatch(body):
        raise InvalidError(
            f"{text!r} cannot be a payment reference.",
            remedy=f"A reference carries 1 to {LONGEST} letters and digits.",
            code="reference",
        )
    return f"RF{mod_97_10.calc_check_digits(body + 'RF')}{body}"


def rf_checked(text: str) -> str:
    """The reference in its plain form.  Raises `InvalidError` where its check digits are wrong."""
    try:
        plain = str(iso11649.validate(text))
    except StdnumError as error:
        raise InvalidError(
            f"{text[:40]!r} is not a payment reference: its check digits do not hold.",
            remedy="Copy it from the invoice; it begins with RF.",
            code="reference",
        ) from error
    if not plain.isascii() or not _BODY.fullmatch(plain[4:]):
        raise InvalidError(f"{text[:40]!r} is not a payment reference.", remedy="It begins with RF.", code="reference")
    return plain


def rf_spaced(reference: str) -> str:
    """The reference as it is printed: in groups of four."""
    return " ".join(reference[i : i + 4] for i in range(0, len(reference), 4))


def rf_found(text: str) -> list[str]:
    """References that a payer wrote into free text, each once; what does not check is passed over."""
    found = []
    for match in _FOUND.finditer(text.upper()):
        # Words that follow may look like a part of it: the longest beginning that checks is the reference.
        words = match[1].split(" ")
        for count in range(len(words), 0, -1):
            try:
                found.append(rf_checked("".join(words[:count])))
            except InvalidError:
                continue
            break
    return list(dict.fromkeys(found))
