"""Receipts of use on machines without a connection: a chain of signed lines that comes back on a medium.

Each line is a JWS that names the hash of the line before and counts one up.  Lines cannot be changed,
left out or put in afterwards without the chain telling; a medium ends with a signed head, so that its
end cannot be cut off either.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal
from uuid import UUID

from joserfc.errors import JoseError
from joserfc.jws import extract_compact
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stemma.errors import InvalidError, ProofError
from stemma.ids import now, timestamp
from stemma.proof.canonical import sha256
from stemma.proof.keys import Jwks, KeyRing, verify
from stemma.rights.offline import SKEW, OfflineLicense
from stemma.royalties.facts import UsageFact

RECEIPT = "stemma-usage-receipt+jws"
HEAD = "stemma-usage-receipts-head+jws"
MAX_RECEIPTS = 20_000
"""On one medium; more come on several."""
MAX_BYTES = 32 * 1024 * 1024
MAX_TOKEN = 8192

Hex = Field(pattern=r"^[0-9a-f]{64}$")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Use(_Strict):
    """One generation on a licensee's own machine, as it is billed."""

    generation: str
    """Its identifier, a UUID made where it was made."""
    at: str
    model_release: str = Field(min_length=1, max_length=200)
    snapshot: str = Field(min_length=1, max_length=100)
    style: str = Field(min_length=1, max_length=40)
    seed: int = Field(ge=0, lt=2**53)
    billable_ms: int = Field(ge=0, lt=2**40)
    prompt_sha256: str = Hex
    audio_sha256: str = Hex
    midi_sha256: str = Hex

    @field_validator("generation")
    @classmethod
    def _uuid(cls, value: str) -> str:
        if str(UUID(value)) != value:
            raise ValueError("is not spelt as a UUID is")
        return value

    @field_validator("at")
    @classmethod
    def _moment(cls, value: str) -> str:
        if timestamp(datetime.fromisoformat(value)) != value:
            raise ValueError("is not RFC 3339 in UTC with milliseconds, such as 2026-01-31T12:00:00.000Z")
        return value


class UsageReceipt(_Strict):
    """One line of a chain.  Signed with a receipt key of the license as type `RECEIPT`."""

    format: Literal["stemma.usage-receipt/1"] = "stemma.usage-receipt/1"
    license: str
    file: int = Field(ge=1)
    """Number of the license file in use."""
    counter: int = Field(ge=1)
    previous: str = Hex
    """SHA-256 of the line before; of the first line, see `genesis`."""
    use: Use

    def fact(self, license_: OfflineLicense, kid: str) -> UsageFact:
        """The usage fact that bills it."""
        said = self.use.model_dump()
        return UsageFact(
            id=said.pop("generation"),
            license=license_.license,
            licensee=license_.licensee,
            key=kid,
            tier=license_.tier,
            covenant=license_.covenant,
            **said,
        )


class ChainHead(_Strict):
    """The end of what a medium carries.  Signed with the chain's key as type `HEAD`."""

    license: str
    counter: int = Field(ge=0)
    last: str = Hex
    count: int = Field(ge=0)
    """Lines on the medium."""
    at: str


@dataclass(frozen=True)
class Line:
    """A receipt and the hash of its line."""

    receipt: UsageReceipt
    sha256: str


@dataclass(frozen=True)
class Batch:
    """What a medium carries: lines of one chain, in their order, checked against one another."""

    kid: str
    lines: tuple[Line, ...]


def genesis(license_id: str, kid: str) -> str:
    """What the first line of a chain names as the line before."""
    return sha256(f"stemma-usage-receipts/1\n{license_id}\n{kid}".encode())


class ReceiptBook:
    """The chain of one machine, in a file of its own: the receipt is on disk before the output is used."""

    def __init__(self, path: Path, license_: OfflineLicense, keys: KeyRing) -> None:
        """`keys` holds the private receipt key.  Raises `InvalidError` when the license does not name it."""
        self.path, self._license, self._keys = path, license_, keys
        self.kid = keys.public("receipt")["kid"]
        if all(key["kid"] != self.kid for key in license_.receipt_keys):
            raise InvalidError(
                "This license does not name this machine's receipt key.",
                remedy="Give the public key when you ask for the license; see `stemma license receipts key`.",
                code="foreign-receipt-key",
            )

    def append(self, use: Use) -> Line:
        """Add one use; when this returns, it outlasts a power cut.  Safe for several processes.

        Raises `ProofError` when the clock was set back since the last one.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            last = self._last(file.fileno())
            if last is not None and datetime.fromisoformat(use.at) + SKEW < datetime.fromisoformat(last[0].use.at):
                raise ProofError(
                    f"The clock says {use.at}, but the last receipt is of {last[0].use.at}.",
                    remedy="Set the clock of this machine right.",
                    code="clock-set-back",
                )
            receipt = UsageReceipt(
                license=self._license.license,
                file=self._license.sequence,
                counter=last[0].counter + 1 if last else 1,
                previous=last[1] if last else genesis(self._license.license, self.kid),
                use=use,
            )
            token = self._keys.sign("receipt", RECEIPT, receipt).encode()
            file.write(token + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return Line(receipt, sha256(token))

    def export(self, *, after: int = 0) -> bytes:
        """The lines after a counter, with a signed head, for a medium."""
        lines = [line for line in self._lines() if _peek(line).counter > after][:MAX_RECEIPTS]
        end = _peek(lines[-1]).counter if lines else after
        last = sha256(lines[-1]) if lines else genesis(self._license.license, self.kid)
        head = ChainHead(license=self._license.license, counter=end, last=last, count=len(lines), at=timestamp(now()))
        return b"".join(line + b"\n" for line in (*lines, self._keys.sign("receipt", HEAD, head).encode()))

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []

    @staticmethod
    def _last(descriptor: int) -> tuple[UsageReceipt, str] | None:
        """The last finished line; one that a power cut left unfinished was never acknowledged and goes."""
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, 2 * MAX_TOKEN, max(0, size - 2 * MAX_TOKEN))
        whole = tail[: tail.rfind(b"\n") + 1]
        if len(whole) < len(tail):
            os.ftruncate(descriptor, size - len(tail) + len(whole))
        lines = whole.split(b"\n")[:-1]
        return (_peek(lines[-1]), sha256(lines[-1])) if lines else None


def _peek(line: bytes) -> UsageReceipt:
    try:
        return UsageReceipt.model_validate_json(extract_compact(line).payload)
    except (ValidationError, JoseError, ValueError) as error:
        raise InvalidError(
            "The receipts on this disk are damaged.",
            remedy="Export what can be read, and tell the licensor which receipt is the last.",
            code="receipts-damaged",
        ) from error


def read_batch(data: bytes, license_id: str, keys: Jwks) -> Batch:
    """What a medium carries, when every line is signed by one receipt key of these and follows the one before.

    `keys` are the receipt keys of the license (`OfflineLicense.chain_keys`).  Raises `InvalidError` for
    what is not receipts, `ProofError` for receipts that do not hold.
    """
    if len(data) > MAX_BYTES:
        raise InvalidError("These are too many receipts for one file.", remedy="Export fewer at a time.")
    lines = data.split(b"\n")
    if len(lines) < 2 or lines[-1] != b"" or any(not line or len(line) > MAX_TOKEN for line in lines[:-1]):
        raise InvalidError(
            "These are not receipts of use, or the end is missing.",
            remedy="Bring the file that `stemma license receipts export` wrote, whole.",
            code="no-receipts",
        )
    *body, end = lines[:-1]
    kid = _kid(end)
    try:
        head = ChainHead.model_validate(verify(_text(end), keys, "receipt", HEAD))
        receipts = [
            Line(UsageReceipt.model_validate(verify(_text(line), _only(keys, kid), "receipt", RECEIPT)), sha256(line))
            for line in body
        ]
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidError(
            f"A receipt is malformed: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}.", code="no-receipts"
        ) from error
    if any(license_id != of for of in (head.license, *(line.receipt.license for line in receipts))):
        raise ProofError("These receipts are of another license.", code="other-license")
    _check_order(receipts)
    last = receipts[-1] if receipts else None
    if head.count != len(receipts) or (last and (head.counter, head.last) != (last.receipt.counter, last.sha256)):
        raise ProofError(
            "Receipts are missing from this file: its head tells of others.",
            remedy="Copy the whole file from the machine again.",
            code="receipts-cut",
        )
    return Batch(kid, tuple(receipts))


def _check_order(lines: Sequence[Line]) -> None:
    for before, line in pairwise(lines):
        if line.receipt.counter != before.receipt.counter + 1:
            raise gap(before.receipt.counter, line.receipt.counter)
        if line.receipt.previous != before.sha256:
            raise forked(line.receipt.counter)
    generations = {line.receipt.use.generation for line in lines}
    if len(generations) != len(lines):
        raise ProofError("One generation has two receipts.", code="generation-twice")


def following(
    batch: Batch, license_id: str, counter: int, last: str, known: Callable[[int], Mapping[int, str]]
) -> Sequence[Line]:
    """The lines of a medium that continue a chain known up to `counter`, whose line there has hash `last`.

    `known` gives the hashes of lines from a counter on.  Raises `ProofError` when nothing is new
    (`receipts-replayed`), lines are missing (`receipts-gap`), or the chain is another than the one
    known (`receipts-forked`).
    """
    if not batch.lines:
        raise ProofError("This file carries no receipts.", code="receipts-replayed")
    first = batch.lines[0].receipt
    if first.counter > counter + 1:
        raise gap(counter, first.counter)
    hashes = known(first.counter)
    for line in batch.lines:
        number = line.receipt.counter
        if number <= counter and hashes.get(number) != line.sha256:
            raise forked(number)
    fresh = [line for line in batch.lines if line.receipt.counter > counter]
    if not fresh:
        raise ProofError(
            f"These receipts were taken already; the chain is known up to {counter}.",
            remedy=f"Export with --after {counter}.",
            code="receipts-replayed",
        )
    before = last if counter else genesis(license_id, batch.kid)
    if fresh[0].receipt.previous != before:
        raise forked(fresh[0].receipt.counter)
    return fresh


def gap(known: int, found: int) -> ProofError:
    """The refusal of a chain with lines missing."""
    missing = str(known + 1) if found == known + 2 else f"{known + 1} to {found - 1}"
    return ProofError(
        f"Receipts are missing: the chain is known up to {known}, and this continues with {found}.",
        remedy=f"Bring receipts {missing} first: export with --after {known}.",
        code="receipts-gap",
    )


def forked(number: int) -> ProofError:
    """The refusal of a chain that goes another way than the one known."""
    return ProofError(
        f"Receipt {number} is another one than the chain before leads to.",
        remedy="The machine's receipts were changed or restored from a copy.  Tell the licensor.",
        code="receipts-forked",
    )


def _kid(line: bytes) -> str:
    try:
        return str(extract_compact(line).headers().get("kid"))
    except (JoseError, ValueError, TypeError) as error:
        raise InvalidError("These are not receipts of use.", code="no-receipts") from error


def _text(line: bytes) -> str:
    try:
        return line.decode("ascii")
    except UnicodeDecodeError as error:
        raise InvalidError("These are not receipts of use.", code="no-receipts") from error


def _only(keys: Jwks, kid: str) -> Jwks:
    """A chain is one key's: lines of another machine do not belong into it."""
    return {"keys": [key for key in keys["keys"] if key.get("kid") == kid]}


def receipt_keys(licenses: Iterable[OfflineLicense]) -> Jwks:
    """The receipt keys of all files of a license: a chain goes on over renewals."""
    return {"keys": [key for license_ in licenses for key in license_.chain_keys()["keys"]]}
