"""From a piece to the files that leave: sound, credentials, certificate, and the record of it all."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemma.models.protocol import Piece
from stemma.music import audio
from stemma.music.render import render
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.provenance.certificate import Certificate, issue, pcm_sha256
from stemma.provenance.credentials import Marker
from stemma_serving.records import File, Order, Record, folder, media_type

RATE = 44_100


@dataclass(frozen=True)
class Release:
    """The release a piece was made with, as its `stemma.json` says."""

    id: str
    snapshot: str
    snapshot_root: str

    @classmethod
    def read(cls, bundle: Path) -> Release:
        """The release in a bundle folder."""
        said = json.loads((bundle / "stemma.json").read_text())
        return cls(f"{said['name']}/{said['version']}", said["snapshot"], said["snapshot_root"])


@dataclass(frozen=True)
class Output:
    """A finished generation: its record, and the bytes of every object but the record itself."""

    record: Record
    objects: dict[str, bytes]


class Marks:
    """Marks outputs with the keys of this installation."""

    def __init__(self, keys_path: Path) -> None:
        self._keys = KeyRing(keys_path)
        self._marker = Marker(keys_path)

    def finish(self, order: Order, piece: Piece, release: Release) -> Output:
        """Sound, files, certificate and record of a piece."""
        samples, stems = _sound(piece)
        midi = piece.midi or b""
        duration = round(len(samples) * 1000 / RATE)
        assert order.request.seed is not None  # noqa: S101 - the gateway draws one
        certificate = Certificate(
            generation=order.id,
            at=order.at,
            license=order.license,
            licensee=order.licensee,
            licensee_name=order.licensee_name,
            tier=order.tier,
            indemnified=order.indemnified,
            covenant=order.covenant,
            entitlement_sha256=order.entitlement_sha256,
            model_release=release.id,
            snapshot=release.snapshot,
            snapshot_root=release.snapshot_root,
            style=piece.style,
            seed=piece.seed,
            prompt_sha256=order.prompt_sha256,
            pcm_sha256=pcm_sha256(samples),
            midi_sha256=sha256(midi),
            duration_ms=duration,
        )
        token = issue(certificate, self._keys)
        bodies = {"certificate.jws": token.encode(), "score.mid": midi}
        for form in dict.fromkeys(("flac", order.format)):
            bodies[f"audio.{form}"] = self._marker.mark(
                audio.encode(samples, RATE, form),
                media_type(f"audio.{form}"),
                title=f"{piece.style}, {piece.key}, seed {piece.seed}",
                certificate=token,
                entitlement=order.entitlement,
                model_release=release.id,
            )
        names = _stem_files(stems)
        bodies |= {f"stems/{names[part]}": audio.encode(sound, RATE, "flac") for part, sound in stems.items()}
        files = {name: _file(order.id, name, body) for name, body in bodies.items()}
        record = Record(
            id=order.id,
            created_at=order.at,
            license=order.license,
            licensee=order.licensee,
            key_id=order.key,
            tier=order.tier,
            covenant=order.covenant,
            model_release=release.id,
            snapshot=release.snapshot,
            style=piece.style,
            tempo=piece.tempo,
            key=piece.key,
            bars=piece.bars,
            seed=piece.seed,
            prompt_sha256=order.prompt_sha256,
            duration_ms=duration,
            pcm_sha256=certificate.pcm_sha256,
            peaks=tuple(audio.peaks(samples)),
            parts=tuple(stems),
            files={
                label: files[name]
                for label, name in (
                    ("flac", "audio.flac"),
                    ("wav", "audio.wav"),
                    ("midi", "score.mid"),
                    ("certificate", "certificate.jws"),
                )
                if name in files
            },
            stems={part: files[f"stems/{name}"] for part, name in names.items()},
        )
        example = {
            "tokens": list(map(int, piece.example.tokens)),
            "condition": list(map(float, piece.example.condition)),
        }
        bodies["example.json"] = json.dumps(example).encode()
        return Output(record, {folder(order.id) + name: body for name, body in bodies.items()})


def _sound(piece: Piece) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if piece.audio is not None:
        samples = np.clip(np.rint(piece.audio.T * 32767), -32768, 32767).astype(np.int16)
        return samples, {}
    assert piece.midi is not None  # noqa: S101 - a piece has one or the other
    rendered = render(piece.midi)
    return rendered.samples, rendered.stems


def _stem_files(parts: dict[str, np.ndarray]) -> dict[str, str]:
    """A file name for every part: numbered from the top, so that two of one name stay apart."""
    slug = {part: re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") or "part" for part in parts}
    return {part: f"{number}-{slug[part]}.flac" for number, part in enumerate(parts, 1)}


def _file(generation: str, name: str, body: bytes) -> File:
    return File(object=folder(generation) + name, sha256=sha256(body), bytes=len(body))
