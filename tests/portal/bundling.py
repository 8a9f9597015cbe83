"""A small bundle of a real snapshot, signed in both ways like one that was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stemma.ids import now, timestamp
from stemma.proof.keys import KeyRing
from stemma.storage import Storage
from stemma.training import release


def bundle_make(folder: Path, snapshot: dict[str, Any], manifest: bytes, keys: KeyRing, weights: bytes) -> str:
    """Write and sign it; its statement.  `snapshot` is what the portal's API tells of it."""
    (folder / "checkpoints").mkdir(parents=True)
    about = {"name": "house-symbolic", "version": "1", "snapshot": snapshot["id"], "snapshot_root": snapshot["root"]}
    about |= {"covenant": snapshot["covenant"], "created_at": timestamp(now())}
    (folder / "stemma.json").write_text(json.dumps(about))
    (folder / "README.md").write_text("# House\n\n<script>alert(1)</script>\n")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "checkpoints" / "empty").write_bytes(b"")
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "snapshot_receipt.json").write_text(json.dumps(snapshot["receipt"]))
    release.sign(folder, keys)
    return (folder / "statement.jws").read_text()


def bundle_upload(folder: Path, receipt: dict[str, Any], store: Storage) -> None:
    """Put it where releases are, with the log's receipt."""
    (folder / "receipt.json").write_text(json.dumps(receipt))
    for path in folder.rglob("*"):
        if path.is_file():
            store.put(f"releases/house-symbolic/1/{path.relative_to(folder).as_posix()}", path)
