"""What an extra of pyproject.toml asks for, one requirement after another: `python requirements.py EXTRA`."""

import re
import sys
import tomllib
from pathlib import Path


def requirements(extra: str, project: dict) -> list[str]:
    """The project's own needs and those of an extra, with the extras that it names in turn."""
    found = [] if extra else list(project["dependencies"])
    for line in project["optional-dependencies"].get(extra, []):
        inner = re.fullmatch(r"stemma\[(.+)\]", line)
        found += [r for name in inner[1].split(",") for r in requirements(name, project)] if inner else [line]
    return found


if __name__ == "__main__":
    known = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    print(" ".join(dict.fromkeys([*requirements("", known), *requirements(sys.argv[1], known)])))
