"""What an attribution store holds, what it belongs to, and the checks that both are so."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import stemma
from stemma.attribution.calibration import Curve
from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.models.content import Source, content_hash, source_of
from stemma.music.copies import Copies
from stemma.music.likeness import jaccard, score_sketch
from stemma.proof.canonical import digest, sha256
from stemma.rights import snapshot
from stemma.rights.snapshot import SnapshotRecording

MANIFEST = "manifest.json"
CARD = "fidelity.json"
Form = Literal["ekfac", "dual"]
METHODS: dict[Form, str] = {"ekfac": "ekfac/3", "dual": "exact-dual/4"}
"""Names of the methods in facts."""
MAX_DUAL = 20_000
"""Recordings beyond which the dual form's square matrix (1.6 GB a checkpoint) is no longer small."""
ALIKE = 0.8
"""Part of their n-grams that two scores share at least to count as one piece of music."""


class Plan(BaseModel):
    """How a store is made.  The defaults fit a laptop; `docs/attribution.md` has the measurements."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: Form = "ekfac"
    """`ekfac`: curvature of the model, for any size; `dual`: of the recordings, exact, for small snapshots."""
    checkpoints: int = Field(default=5, gt=0)
    """Checkpoints taken at most of each run: the last, and others evenly before it."""
    rank: int = Field(default=64, gt=0)
    """Directions kept on each side of a layer; the rows of a table of embeddings are kept as they are."""
    keep: int = Field(default=32_768, gt=0)
    """Coordinates kept of a checkpoint, those in which gradients vary most: bytes of a recording."""
    tokens: int = Field(default=96, gt=0)
    """Tokens of a recording taken at most: segments evenly over its length, a long one from its beginning."""
    whole: bool = True
    """A recording weighs what all its tokens would, not only those taken: the model learned from all."""
    sample: int = Field(default=256, gt=0)
    """Recordings from which the directions are learned, evenly over all."""
    damping: float = Field(default=0.03, gt=0)
    """λ of EK-FAC, as a multiple of the mean Λ."""
    ridge: float = Field(default=1.0, gt=0)
    """λ of the dual form, as a multiple of the mean squared length of a recording's vector."""
    shard: int = Field(default=256, gt=0)
    """Recordings per file."""


PLANS = {"latent": Plan(tokens=65_536)}
"""How stores of a family are made where it is not as usual: its tokens are single latents, and this is one segment of
1,024 frames of 64."""


class StoredRecording(BaseModel):
    """A recording of the store: one row of every matrix."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recording: str
    owners: str
    """Hash of its shares: recordings with equal ones pay the same parties in the same parts."""
    decoy: bool
    """In the snapshot, but held out of training: it sets the threshold and gets no share."""
    score: str
    """SHA-256 of its MIDI, or of its FLAC where the model learned from sound."""
    cluster: str
    """First recording of the same music, by its notes in any key, or of nearly the same sound: copies count once
    between them."""


class Checkpoint(BaseModel):
    """A state of the model in training, as it lies in the bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    files: dict[str, str]
    """SHA-256 of its files."""


class Manifest(BaseModel):
    """What a store holds and what it belongs to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["stemma.store/2"] = "stemma.store/2"
    method: str
    release: str
    """Such as `house-symbolic/1`."""
    snapshot: str
    snapshot_root: str
    plan: Plan
    code: str
    """Version of Stemma that made it."""
    checkpoints: tuple[Checkpoint, ...]
    recordings: tuple[StoredRecording, ...]
    lds: float | None = None
    """Fidelity measured for this release (see `evaluation`); None where it was not."""
    lds_low: float | None = None
    lds_high: float | None = None
    curve: Curve | None = None
    """From scores to nats, fitted on retrainings; None where it was not measured."""
    files: dict[str, str] = {}
    """SHA-256 of every other file of the store."""

    @property
    def version(self) -> str:
        """Name of the store in facts: the beginning of the manifest's hash."""
        return digest(self)[:16]


def draft(bundle: Path, given: Iterable[tuple[SnapshotRecording, bytes]], plan: Plan) -> Manifest:
    """The manifest of a store that is still to be made, without its files.

    Contents are read once, one at a time; what is kept of each is its hash, and a sketch of its notes in memory or the
    fingerprint of its sound on disk.
    Raises `InvalidError` unless the recordings are those of the bundle's snapshot, `ProofError` when
    a score has another hash there, `NotFoundError` when the bundle lacks what a store needs.
    """
    about = _about(bundle)
    own = _snapshot(bundle, about)
    source = source_of(about["family"])
    found: dict[str, SnapshotRecording] = {}
    hashes: dict[str, str] = {}
    kept = _likeness(source)
    for recording, content in given:
        found[recording.recording] = recording
        hashes[recording.recording] = sha256(content)
        kept.add(recording.recording, content)
    if found != {r.recording: r for r in own.recordings}:
        raise InvalidError(
            f"These are not the {len(own.recordings)} recordings of snapshot {own.id}.",
            remedy="Give every recording of the release's manifest, and no other.",
        )
    if plan.form == "dual" and len(found) > MAX_DUAL:
        raise InvalidError(f"The dual form holds {MAX_DUAL} recordings, not {len(found)}.", remedy="Use form ekfac.")
    if changed := [name for name, r in sorted(found.items()) if hashes[name] != content_hash(r, source)]:
        raise ProofError(
            f"{len(changed)} {source}s are not those of the snapshot, first {changed[0]}.",
            remedy="Fetch them again from object storage.",
            code="content-hash",
        )
    held_out = set(about["held_out"])
    same = _same(hashes, kept.found())
    card = _card(bundle)
    checkpoints = tuple(_checkpoints(bundle, plan.checkpoints, about["checkpoints"]))
    return Manifest(
        method=METHODS[plan.form] + _functional(bundle, checkpoints),
        release=about["release"],
        snapshot=about["snapshot"],
        snapshot_root=about["snapshot_root"],
        plan=plan,
        code=stemma.__version__,
        checkpoints=checkpoints,
        recordings=tuple(
            StoredRecording(
                recording=r.recording,
                owners=digest([share.model_dump() for share in r.shares])[:16],
                decoy=r.recording in held_out,
                score=content_hash(r, source),
                cluster=same[r.recording],
            )
            for _, r in sorted(found.items())
        ),
        **card,
    )


def usual_plan(bundle: Path) -> Plan:
    """How the store of this bundle is made unless somebody says otherwise."""
    return PLANS.get(_about(bundle)["family"], Plan())


def same_vectors(about: Manifest, plan: Plan) -> bool:
    """Whether a store made by this plan, at one of its checkpoints, would hold the vectors that this one holds."""
    same = about.method.partition("+")[0] == METHODS[plan.form] and about.code == stemma.__version__
    return same and about.plan.model_copy(update={"shard": plan.shard}) == plan


def common_checkpoints(about: Manifest, bundle: Path) -> bool:
    """Whether a store compares gradients at a checkpoint that this bundle has, byte for byte."""
    root = bundle / "checkpoints"
    return any(
        all((p := root / c.name / name).is_file() and sha256(p.read_bytes()) == at for name, at in c.files.items())
        for c in about.checkpoints
    )


def clusters(contents: Mapping[str, bytes], source: Source = "score") -> dict[str, str]:
    """For each recording the first one with the same music.

    Equal files; scores that share most n-grams, or sounds of which each mostly holds the other.
    """
    kept = _likeness(source)
    for name, content in contents.items():
        kept.add(name, content)
    return _same({name: sha256(content) for name, content in contents.items()}, kept.found())


def _likeness(source: Source) -> _Scores | Copies:
    """What takes contents and tells which are like one another."""
    return Copies() if source == "sound" else _Scores()


def _same(hashes: Mapping[str, str], alike: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The first recording of the same music, by the hashes of contents and by those before each that are like it."""
    first: dict[str, str] = {}
    found: dict[str, str] = {}
    for name, content in sorted(hashes.items()):
        like = alike.get(name, ())
        found[name] = first.get(content) or min((found[other] for other in like), default=name)
        first.setdefault(content, found[name])
    return found


class _Scores:
    """Sketches of scores, of which those are told that are like one another: as `Copies` of sounds."""

    def __init__(self) -> None:
        self._sketches: dict[str, list[int]] = {}

    def add(self, name: str, content: bytes) -> None:
        try:
            self._sketches[name] = score_sketch(content)
        except InvalidError:  # families whose scores are no MIDI: equal files are still one piece of music
            return

    def found(self) -> dict[str, list[str]]:
        """For each score those before it, in the order of their names, that share most n-grams.

        They meet through the hashes their sketches have in common, so that strangers are never compared.
        """
        found: dict[str, list[str]] = {}
        known: dict[int, list[str]] = defaultdict(list)
        for name, sketch in sorted(self._sketches.items()):
            met = Counter(other for value in sketch for other in known[value])
            near = [other for other, count in met.most_common() if 2 * count >= len(sketch)]
            found[name] = [other for other in near if jaccard(sketch, self._sketches[other]) >= ALIKE]
            for value in sketch:
                known[value].append(name)
        return found


def _card(bundle: Path) -> dict[str, Any]:
    """What the bundle's fidelity card, if it has one, says to facts."""
    path = bundle / CARD
    if not path.exists():
        return {}
    try:
        said = json.loads(path.read_text())["fact"]
        return {"lds": said["lds"], "lds_low": said["lds_low"], "lds_high": said["lds_high"], "curve": said["curve"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(
            f"{path} is no fidelity card: {error}.", remedy="Run `stemma attribution evaluate`."
        ) from error


def read(folder: Path) -> Manifest:
    """The manifest of the store in a folder."""
    try:
        return parse((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no attribution store in {folder}.", remedy="Run `stemma attribution build RELEASE`."
        ) from None


def parse(body: bytes) -> Manifest:
    """A manifest from its bytes; `ProofError` when it is none."""
    try:
        return Manifest.model_validate_json(body)
    except ValidationError as error:
        raise ProofError(
            f"The manifest of this attribution store cannot be read: {error.errors()[0]['msg']}.", code="store-tampered"
        ) from error


def check(manifest: Manifest, folder: Path, bundle: Path) -> None:
    """Raise `ProofError` unless the store is whole and belongs to this bundle; `InvalidError` if its method is past."""
    if manifest.method.partition("+")[0] != METHODS[manifest.plan.form]:
        raise InvalidError(
            f"This attribution store was made by {manifest.method}; this version of Stemma computes "
            f"{METHODS[manifest.plan.form]}.",
            remedy=f"Run `stemma attribution build {manifest.release}`.  To make an attribution of that time again, "
            f"use version {manifest.code}.",
            code="other-method",
        )
    check_files(folder, manifest.files)
    about = _about(bundle)
    own = (manifest.release, manifest.snapshot, manifest.snapshot_root)
    if own != (about["release"], about["snapshot"], about["snapshot_root"]):
        raise ProofError(
            f"This attribution store belongs to {manifest.release} of snapshot {manifest.snapshot}, "
            f"not to {about['release']} of snapshot {about['snapshot']}.",
            remedy=f"Run `stemma attribution build {about['release']}`.",
            code="foreign-store",
        )
    for checkpoint in manifest.checkpoints:
        check_files(bundle / "checkpoints" / checkpoint.name, checkpoint.files)


def check_files(folder: Path, files: dict[str, str]) -> None:
    """Raise `ProofError` unless every file has its hash."""
    for name, expected in files.items():
        path = inside(folder, name)
        if not path.is_file() or sha256(path.read_bytes()) != expected:
            raise ProofError(
                f"{path.name} in {folder} is missing or was changed since the attribution store was made.",
                remedy="Fetch the store and its release again, or run `stemma attribution build RELEASE`.",
                code="store-tampered",
            )


def inside(folder: Path, name: str) -> Path:
    """A file of the folder; a name that leads out of it is refused."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ProofError(f"The manifest names {name!r}, which leads out of its folder.", code="store-tampered")
    return path


def learned(checkpoint: Path) -> float:
    """How much was learned around a checkpoint: the sum of its run's rates since the one before; 0 where none tells."""
    about = checkpoint / "stemma.json"
    said = json.loads(about.read_text()).get("learned", 0.0) if about.exists() else 0.0
    return float(said) if isinstance(said, int | float) else 0.0


def release_of(bundle: Path) -> str:
    """Name of a bundle's release, such as `house-symbolic/1`."""
    return str(_about(bundle)["release"])


def _about(bundle: Path) -> dict[str, Any]:
    """What the bundle says of itself that a store must agree with."""
    try:
        about = json.loads((bundle / "stemma.json").read_text())
        return {
            "release": f"{about['name']}/{about['version']}",
            "snapshot": about["snapshot"],
            "snapshot_root": about["snapshot_root"],
            "family": about.get("family", ""),
            "held_out": about.get("held_out", []),
            "checkpoints": about.get("checkpoints", []),
        }
    except FileNotFoundError:
        raise NotFoundError(f"{bundle} is no model release: it has no stemma.json.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidError(f"{bundle}/stemma.json cannot be read: {error}.") from error


def _snapshot(bundle: Path, about: dict[str, Any]) -> snapshot.Manifest:
    try:
        found = snapshot.Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"{bundle} has no snapshot manifest.") from None
    except ValidationError as error:
        raise ProofError(f"The snapshot manifest of {bundle} cannot be read.", code="manifest-tampered") from error
    found.check_root()
    if (found.id, found.root) != (about["snapshot"], about["snapshot_root"]):
        raise ProofError(f"{bundle} carries the manifest of another snapshot.", code="manifest-tampered")
    return found


def _checkpoints(bundle: Path, wanted: int, named: Sequence[str]) -> Iterator[Checkpoint]:
    """Of each run the last checkpoint and others evenly before it, in the order of training.

    A bundle has its own run's as `checkpoints/step-N`; those of sisters, trained alike from other seeds,
    lie in folders of theirs beside them.  `named` are those that the bundle says it has: with one of
    them gone, others would stand in for it, and shares would change unseen.
    """
    root = bundle / "checkpoints"
    runs: dict[Path, list[Path]] = defaultdict(list)
    for folder in root.glob("**/step-*"):
        runs[folder.parent].append(folder)
    if not runs:
        raise NotFoundError(
            f"{bundle} has no checkpoints, which attribution compares gradients at.",
            remedy="Train again with checkpoints, and release that run.",
        )
    files = {folder: _files(folder) for folders in runs.values() for folder in folders}
    if gone := sorted(set(named) - {folder.relative_to(root).as_posix() for folder in files}):
        raise _gone(f"{bundle} lacks {_several('checkpoint', gone)}, which its stemma.json names.")
    every = set().union(*files.values())
    for folder, own in sorted(files.items()):
        if lost := sorted(every - own):
            raise _gone(
                f"Checkpoint {folder.relative_to(root)} of {bundle} lacks {', '.join(lost)}, which others have."
            )
    for _, folders in sorted(runs.items()):
        folders.sort(key=lambda p: int(p.name.removeprefix("step-")))
        count = min(wanted, len(folders))
        picked = sorted({round((i + 1) * len(folders) / count) - 1 for i in range(count)})
        for folder in (folders[i] for i in picked):
            yield Checkpoint(
                name=folder.relative_to(root).as_posix(),
                files={name: sha256((folder / name).read_bytes()) for name in sorted(files[folder])},
            )


def _functional(bundle: Path, checkpoints: Sequence[Checkpoint]) -> str:
    """What is differentiated where it is not the loss of a decoder: `+d-trak`, as a part of the method's name."""
    found = set()
    for checkpoint in checkpoints:
        about = bundle / "checkpoints" / checkpoint.name / "stemma.json"
        said = json.loads(about.read_text()).get("attribution", {}) if about.exists() else {}
        found.add(f"+{said['functional']}" if said else "")
    if len(found) > 1:
        raise InvalidError(
            f"The checkpoints of {bundle} are asked by different functionals.",
            remedy="Save all of them with one.",
            code="bad-bundle",
        )
    return found.pop()


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def _several(what: str, names: Sequence[str]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _gone(told: str) -> NotFoundError:
    return NotFoundError(
        told, remedy="Remove the bundle and fetch the release again; no store was made.", code="missing-checkpoint"
    )
