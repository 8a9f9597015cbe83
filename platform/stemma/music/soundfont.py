"""The SoundFont with which scores are played, and its license.

The default is Fluid R3 GM by Frank Wen and others, under the MIT license, from Debian's package
`fluid-soundfont-gm`.  Measured against `musescore-general-soundfont-small` (also MIT): our
synthesizer loads Fluid in a quarter of a second instead of two and keeps its instruments in balance,
while it does not apply the MuseScore font's modulators, so that its piano is 40 dB too soft.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stemma.config import settings
from stemma.errors import NotFoundError, UnavailableError

PACKAGE = "fluid-soundfont-gm"
FILE = "FluidR3_GM.sf2"
LICENSE = "MIT"
_INSIDE = Path("usr/share/sounds/sf2") / FILE
_COPYRIGHT = Path("usr/share/doc") / PACKAGE / "copyright"
_SYSTEM = (Path("/usr/share/sounds/sf2"), Path("/usr/share/soundfonts"), Path("/usr/local/share/soundfonts"))
_REMEDY = (
    f"Install the package {PACKAGE} (Debian, Ubuntu), put {FILE} into the folder `soundfont` of STEMMA_HOME, "
    "or name another SoundFont with STEMMA_SOUNDFONT."
)


@dataclass(frozen=True)
class SoundFont:
    """A SoundFont file with its name and its license."""

    path: Path
    name: str
    license: str
    license_text: Path | None
    """File with the license's text, where one came with the SoundFont."""


def find(home: Path | None = None) -> SoundFont:
    """The SoundFont to play with: the one named in the settings, else the system's, else the home's.

    Raises `NotFoundError` where there is none, or where the one named in the settings is missing.
    """
    config = settings()
    if config.soundfont is not None:
        if not config.soundfont.is_file():
            raise NotFoundError(f"There is no SoundFont {config.soundfont}.", remedy="Correct STEMMA_SOUNDFONT.")
        named = config.soundfont.name == FILE
        return SoundFont(config.soundfont, config.soundfont.stem, LICENSE if named else "see its maker", None)
    own = (home or config.home) / "soundfont"
    for folder, text in (*((s, Path("/") / _COPYRIGHT) for s in _SYSTEM), (own, own / "copyright")):
        if (folder / FILE).is_file():
            return SoundFont(folder / FILE, "Fluid R3 GM", LICENSE, text if text.is_file() else None)
    raise NotFoundError("No SoundFont is installed.", remedy=f"Run `stemma up`. {_REMEDY}", code="no-soundfont")


def install(home: Path) -> SoundFont:
    """The SoundFont, fetched from its package into `<home>/soundfont` where it is missing; needs no root.

    Raises `UnavailableError` where the package cannot be had.
    """
    try:
        return find(home)
    except NotFoundError as error:
        if error.code != "no-soundfont":
            raise
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise UnavailableError("A SoundFont cannot be fetched here: there is no apt.", remedy=_REMEDY)
    target = home / "soundfont"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix="unpack-") as folder:
        try:
            _run(["apt-get", "download", "-q", PACKAGE], Path(folder))
        except UnavailableError:
            if os.geteuid() != 0:
                raise
            _run(["apt-get", "update", "-q"], Path(folder))  # a bare system has no lists of packages yet
            _run(["apt-get", "download", "-q", PACKAGE], Path(folder))
        package = next(Path(folder).glob("*.deb"))
        _run(["dpkg", "-x", package.name, "."], Path(folder))
        (Path(folder) / _COPYRIGHT).replace(target / "copyright")
        (Path(folder) / _INSIDE).replace(target / FILE)  # last: its presence means that all is there
    return find(home)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line] or ["no message"]
        raise UnavailableError(
            f"{' '.join(command[:3])} failed: {lines[-1]}", remedy=f"Run `apt-get update`. {_REMEDY}"
        )
