"""A bill of materials (CycloneDX 1.6) of the Python packages beside this interpreter: `python sbom.py OUT`."""

import json
import sys
from importlib.metadata import distributions
from pathlib import Path


def bill() -> dict:
    """Every installed package with version, license and package URL, in the order of names."""
    parts = {}
    for found in distributions():
        name, version = found.metadata["Name"].lower().replace("_", "-"), found.version
        license_ = found.metadata.get("License-Expression") or found.metadata.get("License") or ""
        parts[name] = {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            **({"licenses": [{"license": {"name": license_.splitlines()[0][:100]}}]} if license_.strip() else {}),
        }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [parts[n] for n in sorted(parts)],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(bill(), indent=1))
