"""`python -m charts.snapshot`: what the profiles consist of, written down for the test that compares."""

import json
from pathlib import Path

from charts.conftest import PROFILES, manifests

PATH = Path(__file__).parent / "snapshot.json"


def summary() -> dict[str, list[str]]:
    """Kind and name of every object, by profile."""
    return {p: sorted(f"{m['kind']}/{m['metadata'].get('name')}" for m in manifests(p)) for p in PROFILES}


if __name__ == "__main__":
    PATH.write_text(json.dumps(summary(), indent=1) + "\n")
