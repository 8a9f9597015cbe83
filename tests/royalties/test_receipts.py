from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.errors import InvalidError, ProofError, StemmaError
from stemma.ids import new_id
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.rights.offline import OfflineLicense
from stemma.royalties.receipts import (
    HEAD,
    RECEIPT,
    Batch,
    Line,
    ReceiptBook,
    UsageReceipt,
    Use,
    following,
    genesis,
    read_batch,
)

pytestmark = pytest.mark.unit


def use(**changes: Any) -> Use:
    fields: dict[str, Any] = {
        "generation": new_id(), "at": "2026-06-01T00:00:00.000Z", "model_release": "house-symbolic/1",
        "snapshot": "s", "style": "fiddle", "seed": 7, "billable_ms": 16_000,
        "prompt_sha256": "0" * 64, "audio_sha256": "1" * 64, "midi_sha256": "2" * 64,
    }  # fmt: skip
    return Use(**{**fields, **changes})


def license_of(*rings: KeyRing) -> OfflineLicense:
    return OfflineLicense(
        id="f1", license="l", sequence=1, issued_at="2026-01-01T00:00:00.000Z", licensee="o", licensee_name="Studio",
        tier="professional", uses=("open_weights",), covenant="ab" * 32, not_before="2026-01-01T00:00:00.000Z",
        expires_at="2027-01-01T00:00:00.000Z", receipt_keys=tuple(ring.public("receipt") for ring in rings),
    )  # fmt: skip


@dataclass
class Machine:
    ring: KeyRing
    license: OfflineLicense
    book: ReceiptBook

    def read(self, data: bytes) -> Batch:
        return read_batch(data, "l", self.license.chain_keys())

    def lines(self) -> list[bytes]:
        return self.book.path.read_bytes().splitlines()

    def head(self, lines: list[bytes], **changes: Any) -> bytes:
        said = {"license": "l", "counter": len(lines), "last": sha256(lines[-1]), "count": len(lines)}
        return self.ring.sign("receipt", HEAD, {**said, "at": "2026-06-02T00:00:00.000Z", **changes}).encode()

    def medium(self, lines: list[bytes], **changes: Any) -> bytes:
        return b"\n".join([*lines, self.head(lines, **changes), b""])


def machine_at(path: Path, count: int = 0) -> Machine:
    ring = KeyRing(path / "keys")
    path.mkdir(exist_ok=True)
    ring.folder.mkdir()
    ring.rotate("receipt")
    license_ = license_of(ring)
    made = Machine(ring, license_, ReceiptBook(path / "receipts.jws", license_, ring))
    for _ in range(count):
        made.book.append(use())
    return made


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return machine_at(tmp_path / "machine", 5)


class Known:
    """What the licensor has taken of one chain."""

    def __init__(self) -> None:
        self.hashes: dict[int, str] = {}

    def take(self, batch: Batch) -> list[Line]:
        counter = max(self.hashes, default=0)
        fresh = following(batch, "l", counter, self.hashes.get(counter, ""), lambda _: self.hashes)
        self.hashes |= {line.receipt.counter: line.sha256 for line in fresh}
        return list(fresh)


def code(refused: pytest.ExceptionInfo[StemmaError]) -> str:
    return refused.value.code


def test_every_receipt_names_the_one_before(machine: Machine) -> None:
    batch = machine.read(machine.book.export())
    assert [line.receipt.counter for line in batch.lines] == [1, 2, 3, 4, 5]
    assert batch.lines[0].receipt.previous == genesis("l", batch.kid)
    assert [line.receipt.previous for line in batch.lines[1:]] == [line.sha256 for line in batch.lines[:-1]]
    fact = batch.lines[0].receipt.fact(machine.license, batch.kid)
    assert (fact.id, fact.license, fact.licensee) == (batch.lines[0].receipt.use.generation, "l", "o")
    assert (fact.billable_ms, fact.key) == (16_000, batch.kid)


def test_receipts_come_back_once_and_go_on_where_they_were(machine: Machine) -> None:
    known = Known()
    first = machine.book.export()
    assert len(known.take(machine.read(first))) == 5
    with pytest.raises(ProofError) as refused:
        known.take(machine.read(first))
    assert code(refused) == "receipts-replayed"
    machine.book.append(use())
    assert [line.receipt.counter for line in known.take(machine.read(machine.book.export()))] == [6], "an overlap"
    machine.book.append(use())
    assert [line.receipt.counter for line in known.take(machine.read(machine.book.export(after=6)))] == [7]
    with pytest.raises(ProofError) as refused:
        known.take(machine.read(machine.book.export(after=7)))
    assert code(refused) == "receipts-replayed"


def test_a_gap_is_told_with_what_is_missing(machine: Machine) -> None:
    known = Known()
    with pytest.raises(ProofError) as refused:
        known.take(machine.read(machine.book.export(after=2)))
    assert code(refused) == "receipts-gap"
    assert "1 to 2" in refused.value.remedy
    lines = machine.lines()
    del lines[2]
    with pytest.raises(ProofError) as refused:
        machine.read(machine.medium(lines, counter=5))
    assert code(refused) == "receipts-gap"
    assert "receipts 3 first" in refused.value.remedy


def test_a_machine_restored_from_a_copy_is_found_out(machine: Machine) -> None:
    known = Known()
    copy = machine.book.path.read_bytes()
    machine.book.append(use())
    known.take(machine.read(machine.book.export()))
    machine.book.path.write_bytes(copy)
    machine.book.append(use())  # another sixth
    with pytest.raises(ProofError) as refused:
        known.take(machine.read(machine.book.export()))
    assert code(refused) == "receipts-forked"
    machine.book.append(use())
    with pytest.raises(ProofError) as refused:
        known.take(machine.read(machine.book.export(after=6)))
    assert code(refused) == "receipts-forked", "the seventh follows a sixth that nobody knows"


def test_the_end_cannot_be_cut_off(machine: Machine) -> None:
    *lines, head = machine.book.export().splitlines()
    for fewer in (lines[:-1], lines[:2], []):
        with pytest.raises(ProofError) as refused:
            machine.read(b"\n".join([*fewer, head, b""]))
        assert code(refused) == "receipts-cut"
    for cut in (b"\n".join(lines) + b"\n", machine.book.export()[:-1], machine.book.export()[:-50]):
        with pytest.raises((InvalidError, ProofError)):
            machine.read(cut)


def test_another_machines_lines_do_not_belong_into_a_chain(tmp_path: Path) -> None:
    one, other = machine_at(tmp_path / "one", 2), machine_at(tmp_path / "other", 2)
    keys = license_of(one.ring, other.ring).chain_keys()
    assert read_batch(other.book.export(), "l", keys).kid == other.book.kid
    mixed = one.medium([one.lines()[0], other.lines()[1]])
    with pytest.raises(ProofError) as refused:
        read_batch(mixed, "l", keys)
    assert code(refused) == "foreign-key"
    with pytest.raises(ProofError):
        one.read(other.book.export())
    with pytest.raises(ProofError, match="another license"):
        read_batch(one.book.export(), "m", keys)
    with pytest.raises(InvalidError, match="does not name"):
        ReceiptBook(tmp_path / "x", license_of(one.ring), other.ring)


def test_license_keys_do_not_sign_receipts_nor_receipt_keys_licenses(machine: Machine, tmp_path: Path) -> None:
    from stemma.rights.offline import LICENSE_FILE, armour, open_license

    house = KeyRing(tmp_path / "house")
    house.create()
    forged = machine.ring.sign("receipt", LICENSE_FILE, machine.license)
    keys = {"keys": [*house.jwks()["keys"], *machine.license.chain_keys()["keys"]]}
    with pytest.raises(ProofError):
        open_license(armour(machine.license, forged), keys)
    receipt = UsageReceipt(license="l", file=1, counter=1, previous=genesis("l", "k"), use=use())
    line = house.sign("license", RECEIPT, receipt).encode()
    with pytest.raises(ProofError):
        read_batch(machine.medium([line]), "l", keys)


def test_one_generation_has_one_receipt(machine: Machine) -> None:
    again = use()
    machine.book.append(again)
    machine.book.append(again)
    with pytest.raises(ProofError) as refused:
        machine.read(machine.book.export())
    assert code(refused) == "generation-twice"


@pytest.mark.parametrize(
    "change",
    [
        {"billable_ms": -1}, {"billable_ms": 1.5}, {"billable_ms": 2**40}, {"seed": -1}, {"at": "2026-06-01"},
        {"at": "2026-06-01T00:00:00Z"}, {"generation": "x"}, {"generation": new_id().upper()}, {"style": "x" * 41},
        {"audio_sha256": "x"}, {"snapshot": ""}, {"more": 1},
    ],
)  # fmt: skip
def test_a_use_that_could_not_be_billed_is_refused(machine: Machine, change: dict[str, Any]) -> None:
    said = {**use().model_dump(), **change}
    with pytest.raises(ValueError, match="validation error"):
        Use.model_validate(said)
    receipt = {"format": "stemma.usage-receipt/1", "license": "l", "file": 1, "counter": 1, "use": said}
    receipt["previous"] = genesis("l", machine.book.kid)
    line = machine.ring.sign("receipt", RECEIPT, receipt).encode()
    with pytest.raises(InvalidError, match="malformed"):
        machine.read(machine.medium([line]))


def test_a_clock_set_back_is_refused_where_receipts_are_made(machine: Machine) -> None:
    with pytest.raises(ProofError) as refused:
        machine.book.append(use(at="2026-05-31T00:00:00.000Z"))
    assert code(refused) == "clock-set-back"
    assert len(machine.lines()) == 5


def test_a_line_that_a_power_cut_left_unfinished_goes(machine: Machine) -> None:
    with machine.book.path.open("ab") as file:
        file.write(machine.lines()[-1][:100])
    machine.book.append(use())
    assert [line.receipt.counter for line in machine.read(machine.book.export()).lines] == [1, 2, 3, 4, 5, 6]


def test_processes_of_one_machine_write_one_chain(machine: Machine) -> None:
    def some(_: int) -> None:
        book = ReceiptBook(machine.book.path, machine.license, machine.ring)
        for _ in range(5):
            book.append(use())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(some, range(8)))
    assert len(machine.read(machine.book.export()).lines) == 45


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, bytes]:
    made = machine_at(tmp_path_factory.mktemp("shared"), 3)
    return made, made.book.export()


@given(st.data())
@settings(max_examples=60)
def test_a_medium_changed_anywhere_is_refused(shared: tuple[Machine, bytes], data: st.DataObject) -> None:
    machine, medium = shared
    place = data.draw(st.integers(0, len(medium) - 1))
    changed = medium[:place] + data.draw(st.sampled_from([b"A", b"\n", b".", b"\xff", b""])) + medium[place + 1 :]
    try:
        read = machine.read(changed)
    except (InvalidError, ProofError):
        return
    assert [line.receipt for line in read.lines] == [line.receipt for line in machine.read(medium).lines]


@given(st.binary(max_size=200))
@settings(max_examples=60)
def test_anything_else_is_no_receipts_and_no_crash(shared: tuple[Machine, bytes], data: bytes) -> None:
    for tried in (data, data + b"\n", b"a.b.c\n" + data + b"\n"):
        with pytest.raises((InvalidError, ProofError)):
            shared[0].read(tried)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=12))
@settings(max_examples=25)
def test_whatever_comes_in_whatever_order_each_receipt_is_taken_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    """Uses and exports in any order: what was taken is always a beginning of the chain, each line once."""
    machine, known, taken = machine_at(tmp_path_factory.mktemp("m")), Known(), []
    for uses, after in steps:
        for _ in range(uses):
            machine.book.append(use())
        try:
            taken += known.take(machine.read(machine.book.export(after=after)))
        except ProofError as refused:
            assert refused.code in {"receipts-replayed", "receipts-gap"}  # noqa: PT017
    assert [line.receipt.counter for line in taken] == list(range(1, len(taken) + 1))
