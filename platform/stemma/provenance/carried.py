"""The certificate that a file from outside carries, read in a process of its own: the file may be hostile."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from stemma.errors import StemmaError
from stemma.provenance.apart import GaveUpError, answer_of
from stemma.provenance.mining import MIME


def carried(path: Path, form: str, anchors: str) -> str | None:
    """The certificate (JWS) in the content credentials of a file, whoever signed it; None where there is none.

    It says by itself for which sound it is: whoever reads it compares that with the file.
    """
    if form not in MIME:
        return None
    try:
        found = answer_of("stemma.provenance.carried", str(path), MIME[form], anchors).get("certificate")
    except GaveUpError:
        return None  # it is looked for by its sound, then
    return found if isinstance(found, str) else None


def _look(path: str, mime: str, anchors: str) -> dict[str, object]:
    from stemma.provenance import credentials

    try:
        return asdict(credentials.read(Path(path).read_bytes(), mime, anchors))
    except (StemmaError, OSError) as error:
        return {"problem": str(error)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_look(*sys.argv[1:4])))
