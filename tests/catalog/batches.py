"""ERN batches of our own, laid out as the choreography says."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from catalog.messages import ern43

BATCH = "N_20261126120000000"
MANIFEST = """<?xml version="1.0"?><ern-c:ManifestMessage xmlns:ern-c="http://ddex.net/xml/ern-c-sftp/16">
<IsTestFlag>false</IsTestFlag><RootDirectory>/{root}</RootDirectory><NumberOfMessages>{count}</NumberOfMessages>
</ern-c:ManifestMessage>"""


def hashed(text: str, sounds: Mapping[str, bytes], algorithm: str = "MD5") -> str:
    """The message with the hash of each of its sounds."""
    for name, sound in sounds.items():
        value = hashlib.new(algorithm.lower().replace("-", ""), sound).hexdigest()
        told = f"<HashSum><Algorithm>{algorithm}</Algorithm><HashSumValue>{value}</HashSumValue></HashSum>"
        text = text.replace(f"<URI>{name}</URI>", f"<URI>{name}</URI>{told}")
    return text


def release(tracks: int, sounds: Mapping[str, bytes], *, first: int = 0, hashes: bool = True) -> dict[str, bytes]:
    """The files of one release: its message and its resources, by their names in its folder."""
    text = ern43(tracks)
    for n in reversed(range(tracks)):
        text = text.replace(f"QZSTM26{n:05d}", f"QZSTM26{first + n:05d}").replace(f"EX-{n}.wav", f"EX-{first + n}.wav")
    text = hashed(text, sounds) if hashes else text
    return {f"A{first}.xml": text.encode(), **sounds}


def lay(folder: Path, *releases: Mapping[str, bytes], count: int | None = None) -> Path:
    """A batch as a folder, its releases in folders of their own."""
    for n, files in enumerate(releases):
        for name, body in files.items():
            path = folder / BATCH / f"A{n}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    manifest = MANIFEST.format(root=BATCH, count=len(releases) if count is None else count)
    (folder / BATCH / "BatchComplete_20261126120000000.xml").write_text(manifest)
    return folder


def pack(folder: Path, path: Path) -> Path:
    """The folder as a ZIP."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return path
