"""A small model really trained, and put into production without a portal."""

from __future__ import annotations

import json
from pathlib import Path

from stemma.attribution.store import Contents, Store
from stemma.ids import new_id, now, timestamp
from stemma.models.symbolic.network import Shape
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.proof.log import Entry, Kind, receipt, sign_head
from stemma.proof.merkle import Tree
from stemma.rights.snapshot import Manifest
from stemma.storage import Storage
from stemma.training import release, run
from stemma.training.presets import Preset
from training.ground import Ground

NAME = "serving-test"
SMALL = Preset(
    "serving", Shape(width=64, layers=2, heads=2, hidden=128), context=256, batch=1024, steps=15, captions=1, samples=1
)
"""Enough training to have weights and checkpoints; nobody listens."""


def train(storage: Storage, keys: KeyRing, folder: Path, preset: Preset = SMALL) -> Path:
    """A finished run over a dozen works; MLflow and object storage must be there."""
    storage.put_json("keys/jwks.json", keys.jwks())
    Ground(storage, keys, NAME).lay()
    return run.train(NAME, preset=preset, home=folder, store=storage).folder


def build(run_folder: Path, storage: Storage, keys: KeyRing, out: Path) -> Path:
    """A signed bundle of the run, as a version that object storage does not have yet."""
    bundle = release.build(run_folder, out, store=storage)
    release.sign(bundle, keys)
    return bundle


def publish(bundle: Path, storage: Storage, keys: KeyRing) -> str:
    """What `release.publish` does, with a log of our own instead of the portal's; the release's identifier."""
    about = json.loads((bundle / "stemma.json").read_text())
    name = f"{about['name']}/{about['version']}"
    manifest = Manifest.model_validate_json((bundle / "manifest.json").read_bytes())
    statement = (bundle / "statement.jws").read_text().strip()
    documents: list[tuple[Kind, str, str]] = [("release", name, sha256(statement.encode()))]
    documents += [("consent", consent, sha256(token.encode())) for consent, token in manifest.consents.items()]
    entries = [
        Entry(id=new_id(), kind=kind, subject=subject, at=timestamp(now()), digest=digest)
        for kind, subject, digest in documents
    ]
    tree = Tree(entry.leaf() for entry in entries)
    head = sign_head(tree, "test", timestamp(now()), keys)
    receipts = [receipt(tree, index, entry, head).model_dump(mode="json") for index, entry in enumerate(entries)]
    (bundle / "receipt.json").write_text(json.dumps(receipts[0]))
    consents = {given["entry"]["subject"]: given for given in receipts[1:]}
    storage.put_json(f"snapshots/{manifest.id}/consent_receipts.json", consents)
    for path in sorted(bundle.rglob("*")):
        if path.is_file():
            storage.put(f"releases/{name}/{path.relative_to(bundle).as_posix()}", path)
    produce(storage, name)
    return name


def produce(storage: Storage, name: str) -> None:
    """Make a release the one in production."""
    storage.put_json("releases/production.json", {"release": name})


def explain(bundle: Path, storage: Storage, out: Path) -> None:
    """Build and publish the attribution store of a release."""
    Store.build(bundle, out, Contents(bundle, storage)).publish(storage)
