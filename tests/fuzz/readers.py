"""Files that a fuzzer makes, read as a label's, a website's or a bank's: `make fuzz` (FUZZ_SECONDS=n for each reader).

Whatever a file holds, a reader refuses it with an `InvalidError` that says what to do, or gives rows
of which each has a record or an error; a sound or a score is told what it is, or refused; what a website or
a sound's credentials say of mining is read, or refused.  Anything else
is a finding: the input is left in the folder `crashes`, and the run ends with 1.  Coverage guides it
(atheris); a reader that takes more than ten seconds for one small input is a finding too.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import atheris
import c2pa

ROOMS = ("billing", "catalog", "music", "provenance", "rights")
with atheris.instrument_imports(include=[f"stemma.{room}" for room in ROOMS]):
    from stemma.billing import camt
    from stemma.catalog import batch, columns, tags
    from stemma.catalog.reading import headings, open_rows
    from stemma.catalog.record import Row
    from stemma.errors import InvalidError
    from stemma.music import form, notation
    from stemma.provenance import mining
    from stemma.provenance.authority import Authority
    from stemma.rights import reservations

HERE = Path(__file__).parent
DIGITAL = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
sys.path.insert(0, str(HERE.parent))


# --- Files that are right, to begin with ------------------------------------------------------------


def _tables() -> list[bytes]:
    plain = columns.template().encode()
    return [plain, plain.replace(b",", b";"), columns.template().encode("utf-16"), b"Titel\tDauer\nLied\t3:45\n"]


def _messages() -> list[bytes]:
    from catalog.messages import ern38, ern43

    return [ern43(2).encode(), ern38(2).encode()]


def _registrations() -> list[bytes]:
    from catalog.registrations import message, message_3, song, song_3

    two = message(song(0), song(1, recorded=False)).encode()
    return [two, message_3(song_3(0), song_3(1, recorded=False)).encode()]


def _books() -> list[bytes]:
    import openpyxl

    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (["Title", "ISRC"], ["Song", "QZSTM2600001"]):
        book.active.append(row)
    book.save(out)
    return [out.getvalue()]


def _sounds() -> list[bytes]:
    from mutagen.flac import FLAC
    from mutagen.id3 import ID3, TIT2

    from music.sounds import tune, write

    made = []
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("wav", "flac", "aif", "mp3", "ogg"):
            path = write(Path(folder) / f"a.{ending}", tune(0.05, rate=8000), rate=8000)
            if ending == "flac":
                file = FLAC(path)
                file.update({"title": "Air", "isrc": "QZSTM2600002"})
                file.save()
            elif ending == "mp3":
                head = ID3()
                head.add(TIT2(encoding=3, text="Air"))
                head.save(path)
            made.append(path.read_bytes())
    return made


def _midi() -> list[bytes]:
    track = bytes.fromhex("00ff510307a120 00ff580403021808 00c028 00903c40 60803c40 00ff2f00")
    return [b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk" + len(track).to_bytes(4, "big") + track]


def _statements() -> list[bytes]:
    from billing.making import statement, transaction

    paid = transaction("119.00", "RF18539007547034", servicer="B1")
    collected = transaction("30.00", parts=[("10.00", "RF18539007547034", "a"), ("20.00", "", "b")])
    return [statement(paid, collected, version=version) for version in (2, 8, 12)]


def _musicxml() -> list[bytes]:
    note = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>"
    first = "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    parts = '<part-list><score-part id="P1"><part-name>Violin</part-name></score-part></part-list>'
    body = f'<part id="P1"><measure number="1">{first}{4 * note}</measure></part>'
    return [f'<?xml version="1.0"?><score-partwise version="4.0">{parts}{body}</score-partwise>'.encode()]


def _tdmrep() -> list[bytes]:
    rules = [
        {"location": "/music/*.flac$", "tdm-reservation": 1, "tdm-policy": "https://label.example/terms"},
        {"location": "/", "tdm-reservation": "0"},
    ]
    return [json.dumps(rules).encode(), b'\xef\xbb\xbf[{"location": "*", "tdm-reservation": 2}]']


def _answers() -> list[bytes]:
    """Headers of a first page, and the page."""
    meta = b'<html><head><meta name="tdm-reservation" content="1"><META NAME=tdm-policy content=/terms></head><body>'
    return [
        b"tdm-reservation: 1\r\ntdm-policy: https://label.example/terms\r\n\r\n" + meta,
        b"TDM-Reservation: 0\nContent-Type: text/html\n\n<!-- <head --><meta name='tdm-reservation' content=0>",
    ]


def _assertions() -> list[bytes]:
    uses = {"cawg.ai_training": {"use": "constrained", "constraint_info": "Ask us"}, "c2pa.data_mining": "x"}
    return [json.dumps({"entries": uses}).encode(), *(_in_sound(b'{"entries": {}}', form) for form in mining.MIME)]


# --- What reads them --------------------------------------------------------------------------------


def _catalog(path: Path) -> None:
    _, rows = open_rows(path)
    _hold(rows)
    headings(path)


def _hold(rows: Iterable[Row]) -> None:
    """Every row has a record or an error, and says what to do in words that can be shown."""
    for row in rows:
        record, bad = row.record(), any(problem.severity == "error" for problem in row.problems)
        assert (record is None) == bad, row.problems
        assert all(p.remedy and p.value.isprintable() for p in row.problems), row.problems


def _batch(path: Path) -> None:
    batch.is_batch(path)
    _hold(batch.rows(path))


def _tags(path: Path) -> None:
    _hold(tags.rows(path))


def _bank(path: Path) -> None:
    for found in camt.statements_read(path.read_bytes()):
        for entry in found.entries:
            assert entry.amount >= 0, entry
            assert len(entry.currency) == 3, entry


def _site(path: Path) -> None:
    rules = reservations.parse(path.read_bytes())
    said = [rule for rule in rules if rule.reserved is not None]
    with suppress(InvalidError):  # what is written in another form may be too long for a file
        assert reservations.parse(reservations.write(said)) == said, said
    known = {reservations.SILENT, *(reservations.Declaration(rule.reserved, rule.policy) for rule in rules)}
    for rule in rules[:100]:
        address = f"https://label.example{rule.location.replace('*', 'x').removesuffix('$')}"
        assert reservations.declared(rules, address) in known, address


def _answer(path: Path) -> None:
    head, _, page = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")
    headers = dict(line.split(":", 1) for line in head.split("\n") if ":" in line)
    said = reservations.of_answer(reservations.SILENT, headers, page)
    assert said.reserved in {True, False, None}, said
    assert not said.policy or (said.reserved is not None and said.policy.isprintable()), said


def _mining(path: Path) -> None:
    """Here in one process: what the portal starts for each file is too slow for a fuzzer."""
    head = path.read_bytes()[:4]
    form = {b"RIFF": "wav", b"fLaC": "flac"}.get(head, "mp3")
    found = mining.marked(mining.look(str(path), mining.MIME[form]))
    if found is not None:
        assert set(found.mining.refused) <= set(found.mining.uses) <= set(reservations.USES), found
        assert len(found.mining.constraint) <= reservations.LONGEST, found
        json.loads(found.text)


def _form(path: Path) -> None:
    form.form_of(path)


def _notation(kind: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        midi, said = {"midi": notation._midi, "musicxml": notation._musicxml}[kind](path)
        assert midi.startswith(b"MThd"), kind
        assert said["notes"] > 0, said

    return read


def _zipped(*names: str) -> Callable[[bytes], bytes]:
    """Bytes that are no archive as a file of one: what is inside an archive a fuzzer hardly reaches."""

    def zipped(data: bytes) -> bytes:
        if data.startswith(b"PK"):
            return data
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name in names:
                archive.writestr(name, data)
        return out.getvalue()

    return zipped


def _archives(seeds: Callable[[], list[bytes]], *names: str) -> Callable[[], list[bytes]]:
    return lambda: [*seeds(), *map(_zipped(*names), seeds())]


def _in_book(data: bytes) -> bytes:
    """The bytes as the first sheet of a workbook."""
    if data.startswith(b"PK"):
        return data
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_BOOK)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            new.writestr(info, data if info.filename.endswith("sheet1.xml") else old.read(info))
    return out.getvalue()


def _in_sound(data: bytes, form: str = "wav") -> bytes:
    """JSON as the assertion in a sound's signed credentials; what is none is a file."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return data
    created = {"action": "c2pa.created", "digitalSourceType": DIGITAL}
    assertions = [
        {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
        {"label": reservations.ASSERTIONS[0], "data": said},
    ]
    manifest = {"format": mining.MIME[form], "assertions": assertions}
    out = io.BytesIO()
    try:
        c2pa.Builder(json.dumps(manifest)).sign(_SIGNER, mining.MIME[form], io.BytesIO(_CARRIERS[form]), out)
    except c2pa.C2paError:  # nobody can sign this
        return data
    return out.getvalue()


def _same(data: bytes) -> bytes:
    return data


def _signer() -> c2pa.Signer:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        authority.create()
        chain, key = authority.chain(), authority.private_key()
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain, private_key=key, ta_url=None))


_BOOK = _books()[0]
_SIGNER, _CARRIERS = _signer(), dict(zip(("wav", "flac", "aif", "mp3", "ogg"), _sounds(), strict=True))
_IN_BATCH = ("N_1/A0/A0.xml", "N_1/A0/resources/EX-0.wav")
_IN_HEAP = ("a.wav", "a.flac", "a.mp3", "a.aif", "a.ogg")
TARGETS: dict[str, tuple[Callable[[], list[bytes]], Callable[[bytes], bytes], Callable[[Path], None]]] = {
    "table": (_tables, _same, _catalog),
    "xlsx": (_books, _in_book, _catalog),
    "ern": (_messages, _same, _catalog),
    "cwr": (_registrations, _same, _catalog),
    "batch": (_archives(_messages, *_IN_BATCH), _zipped(*_IN_BATCH), _batch),
    "tags": (_archives(_sounds, *_IN_HEAP), _zipped(*_IN_HEAP), _tags),
    "form": (lambda: [*_sounds(), *_midi(), *_musicxml()], _same, _form),
    "midi": (_midi, _same, _notation("midi")),
    "camt": (_statements, _same, _bank),
    "musicxml": (_musicxml, _same, _notation("musicxml")),
    "tdmrep": (_tdmrep, _same, _site),
    "tdm-headers": (_answers, _same, _answer),
    "cawg": (_assertions, _in_sound, _mining),
}
"""For each reader: files to begin with, how bytes become its file, and how it is read."""


def fuzz(target: str, seconds: int, folder: Path) -> None:
    """Run one target in this process; libFuzzer ends it."""
    corpus, crashes = folder / target, HERE / "crashes"
    corpus.mkdir(parents=True)
    crashes.mkdir(exist_ok=True)
    seeds, shape, read = TARGETS[target]
    for number, seed in enumerate(seeds()):
        (corpus / str(number)).write_bytes(seed)
    path = folder / f"{target}.file"

    def one(data: bytes) -> None:
        path.write_bytes(shape(data))
        with suppress(InvalidError):
            read(path)

    flags = [f"-max_total_time={seconds}", "-timeout=10", "-max_len=20000", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={crashes}/{target}-", str(corpus)], one)
    atheris.Fuzz()


def main(words: list[str]) -> int:
    """Every target, or those that are named, each in a process of its own."""
    if len(words) == 3 and words[0] in TARGETS and Path(words[2]).is_dir():
        fuzz(words[0], int(words[1]), Path(words[2]))
        return 0
    seconds, failed = words[0] if words else "60", 0
    for target in words[1:] or TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, target, seconds, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        count = told[0].split(":")[-1].strip() if told else "no"
        print(f"{target}: {count} inputs, {'FOUND' if done.returncode else 'clean'}", flush=True)
        if done.returncode:
            failed = 1
            print(done.stderr[-3000:])
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
