"""From a piece to the files that leave: sound, credentials, certificate, and the record of it all."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemma.models.protocol import Piece
from stemma.music import audio
from stemma.music.probe import fingerprint
from stemma.music.render import render
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.provenance.certificate import Certificate, Cover, Filters, Tuned, issue, pcm_sha256
from stemma.provenance.credentials import Marker
from stemma.rights.covenant import AnyCovenant, lift
from stemma.rights.shares import WORLD
from stemma_serving.records import File, Order, Record, folder, media_type


@dataclass(frozen=True)
class Release:
    """The release a piece was made with, as its `stemma.json` says."""

    id: str
    snapshot: str
    snapshot_root: str
    statement_sha256: str
    """Hash of its signed statement."""
    tuned: Tuned | None = None
    """What its signed bundle says of tuning on other data; None: nothing."""
    territory: str = WORLD
    """Where the music of its snapshot is licensed: `WORLD` or a country."""

    @classmethod
    def read(cls, bundle: Path) -> Release:
        """The release in a bundle folder that was verified."""
        said = json.loads((bundle / "stemma.json").read_text())
        statement = (bundle / "statement.jws").read_text().strip()
        return cls(
            f"{said['name']}/{said['version']}",
            said["snapshot"],
            said["snapshot_root"],
            sha256(statement.encode()),
            Tuned.model_validate(said["tuned"]) if "tuned" in said else None,
            str(json.loads((bundle / "manifest.json").read_bytes())["territory"]),
        )


@dataclass(frozen=True)
class Output:
    """A finished generation: its record, and the bytes of every object but the record itself."""

    record: Record
    objects: dict[str, bytes]
    certificate: str
    """As JWS."""


class Marks:
    """Marks outputs with the keys of this installation."""

    def __init__(self, keys_path: Path) -> None:
        self._keys = KeyRing(keys_path)
        self._marker = Marker(keys_path)

    def finish(
        self, order: Order, piece: Piece, release: Release, filters: Filters, terms: AnyCovenant | None
    ) -> Output:
        """Sound, files, certificate and record of a piece; `terms` is the covenant where it is at hand."""
        samples, stems = _sound(piece)
        midi = piece.midi or b""
        duration = round(len(samples) * 1000 / audio.RATE)
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
            fingerprint=base64.b64encode(fingerprint(samples, audio.RATE)).decode(),
            covenant_version=terms.version if terms else "",
            cover=_cover(terms, order.tier) if terms else None,
            license_state=order.license_state,
            release_statement_sha256=release.statement_sha256,
            tuned=release.tuned,
            filters=filters,
        )
        token = issue(certificate, self._keys)
        bodies = {"certificate.jws": token.encode(), "score.mid": midi}
        for form in dict.fromkeys(("flac", order.format)):
            bodies[f"audio.{form}"] = self._marker.mark(
                audio.encode(samples, audio.RATE, form),
                media_type(f"audio.{form}"),
                title=f"{piece.style}, {piece.key}, seed {piece.seed}",
                certificate=token,
                entitlement=order.entitlement,
                model_release=release.id,
            )
        names = _stem_files(stems)
        bodies |= {f"stems/{names[part]}": audio.encode(sound, audio.RATE, "flac") for part, sound in stems.items()}
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
        return Output(record, {folder(order.id) + name: body for name, body in bodies.items()}, token)


def _cover(terms: AnyCovenant, tier: str) -> Cover | None:
    """What the covenant promises a tier for what the API makes."""
    lifted = lift(terms)
    covers = (cover for each in lifted.tiers if each.name == tier for cover in each.indemnity)
    found = next((cover for cover in covers if cover.use == "api_outputs"), None)
    return found and Cover(use=found.use, currency=lifted.currency, cap=found.cap, exclusions=found.exclusions)


def _sound(piece: Piece) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if piece.audio is not None:
        return audio.samples_of(piece.audio), {}
    assert piece.midi is not None  # noqa: S101 - a piece has one or the other
    rendered = render(piece.midi)
    return rendered.samples, rendered.stems


def _stem_files(parts: dict[str, np.ndarray]) -> dict[str, str]:
    """A file name for every part: numbered from the top, so that two of one name stay apart."""
    slug = {part: re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") or "part" for part in parts}
    return {part: f"{number}-{slug[part]}.flac" for number, part in enumerate(parts, 1)}


def _file(generation: str, name: str, body: bytes) -> File:
    return File(object=folder(generation) + name, sha256=sha256(body), bytes=len(body))
