"""What the local stack needs of its machine, checked piece by piece.  Nothing is changed."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import psutil
from packaging.requirements import Requirement
from packaging.version import Version
from pydantic import BaseModel

from stemma.errors import StemmaError
from stemma.stack import health, ports
from stemma.stack.local import Stack

GIB = 2**30
DISK_NEEDED = 5 * GIB
MEMORY_NEEDED = 6 * GIB
CONSTRAINTS = Path(__file__).parents[3] / "constraints.txt"


class Finding(BaseModel):
    """One thing looked at."""

    subject: str
    verdict: Literal["well", "note", "wrong"]
    found: str
    remedy: str = ""


def diagnose() -> list[Finding]:
    """Everything there is to say; a check that fails to run is a finding too."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _packages,
        _programs,
        _machine,
        _soundfont,
        _home,
        _ports,
        _processes,
    ]
    return [finding for check in checks for finding in _run(check)]


def _run(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    subject = check.__name__.strip("_")
    try:
        yield from check()
    except StemmaError as error:
        yield Finding(subject=subject, verdict="wrong", found=error.message, remedy=error.remedy)
    except Exception as error:  # noqa: BLE001 - in a half-installed environment anything may be missing
        yield Finding(subject=subject, verdict="wrong", found=f"{type(error).__name__}: {error}", remedy="make install")


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    well = sys.version_info[:2] == (3, 11)
    yield Finding(
        subject="python",
        verdict="well" if well else "wrong",
        found=f"{found} in {sys.prefix}",
        remedy="Install Python 3.11 and run `make PYTHON=python3.11 install`.",
    )


def _packages() -> Iterator[Finding]:
    """Whether everything that `stemma[stack]` needs is there, in the versions that are pinned."""
    pinned = pins(CONSTRAINTS.read_text()) if CONSTRAINTS.exists() else {}
    missing, different, count = [], [], 0
    for name in sorted(needed("stemma", {"stack"})):
        count += 1
        try:
            version = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if name in pinned and version.public != pinned[name].public:
            different.append(f"{name} {version} instead of {pinned[name]}")
    if missing:
        found = f"{len(missing)} packages are missing: {', '.join(missing)}"
        yield Finding(subject="packages", verdict="wrong", found=found, remedy="Run `make install`.")
    if different:
        remedy = "Run `make install` to get the versions that were tested together."
        yield Finding(subject="packages", verdict="note", found="; ".join(different), remedy=remedy)
    if not missing and not different:
        yield Finding(subject="packages", verdict="well", found=f"{count}, all as pinned")


def pins(text: str) -> dict[str, Version]:
    """Versions of a constraints file, by normalised name."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    pairs = (line.split("==", 1) for line in lines if "==" in line)
    return {_normal(name): Version(version) for name, version in pairs}


def needed(package: str, extras: set[str]) -> set[str]:
    """Names of all packages that a package with these extras needs, directly or not, on this machine."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [(package, extra) for extra in ("", *sorted(extras))]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                inner = _normal(requirement.name)
                found.add(inner)
                todo += [(inner, e) for e in ("", *requirement.extras)]
    return found - {_normal(package)}


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


def _programs() -> Iterator[Finding]:
    from stemma.stack.engines import postgres_binary, program

    for name in ("redis-server", "weed", "granian", "celery"):
        program(name)
    postgres_binary("postgres")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        yield Finding(
            subject="programs",
            verdict="wrong",
            found="setpriv is missing; PostgreSQL does not run as root without it",
            remedy="Install util-linux, or run as another user than root.",
        )
        return
    yield Finding(subject="programs", verdict="well", found="PostgreSQL, Redis, SeaweedFS, granian, celery")


def _machine() -> Iterator[Finding]:
    stack = Stack()
    place = next(path for path in (stack.home.path, *stack.home.path.parents) if path.exists())
    free = shutil.disk_usage(place).free
    yield Finding(
        subject="disk",
        verdict="well" if free >= DISK_NEEDED else "wrong",
        found=f"{free / GIB:.1f} GiB free for {stack.home.path}",
        remedy=f"Make room: {DISK_NEEDED / GIB:.0f} GiB are needed; or set STEMMA_HOME to a folder on another disk.",
    )
    memory = psutil.virtual_memory().total
    yield Finding(
        subject="memory",
        verdict="well" if memory >= MEMORY_NEEDED else "note",
        found=f"{memory / GIB:.1f} GiB, {os.cpu_count()} processors",
        remedy="The stack and training together need about 6 GiB; expect it to be slow.",
    )


def _soundfont() -> Iterator[Finding]:
    from stemma.music import soundfont

    try:
        font = soundfont.find()
    except StemmaError as error:
        yield Finding(subject="soundfont", verdict="note", found=error.message, remedy=error.remedy)
    else:
        yield Finding(subject="soundfont", verdict="well", found=f"{font.name} ({font.license}), {font.path}")


def _home() -> Iterator[Finding]:
    home = Stack().home
    if not (home.path / "env").exists():
        yield Finding(
            subject="home", verdict="note", found=f"{home.path} is not made yet", remedy="`stemma up` makes it."
        )
        return
    private = [home.path / "env", home.path / "secrets.json", *(home.path / "keys").glob("*.json")]
    open_to_others = [str(p) for p in private if p.exists() and p.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if open_to_others:
        found = f"others may read {', '.join(open_to_others)}"
        yield Finding(subject="home", verdict="wrong", found=found, remedy="chmod 600 them.")
        return
    yield Finding(subject="home", verdict="well", found=f"{home.path}; secrets and keys are its owner's only")


def _ports() -> Iterator[Finding]:
    stack = Stack()
    running = {line.name for line in health.status(stack) if line.pid}
    taken = []
    for service in stack.services.values():
        if service.name not in running:
            try:
                ports.check(stack.ports, service.name, service.ports)
            except ports.PortTakenError as error:
                taken.append(Finding(subject="ports", verdict="wrong", found=error.message, remedy=error.remedy))
    yield from taken
    if not taken:
        count = sum(len(service.ports) for service in stack.services.values())
        yield Finding(subject="ports", verdict="well", found=f"{count}, free or our own")


def _processes() -> Iterator[Finding]:
    lines = health.status(Stack())
    if all(line.state == "stopped" for line in lines):
        yield Finding(subject="stack", verdict="note", found="it does not run", remedy="Run `stemma up`.")
        return
    ill = [line for line in lines if line.state != "running"]
    for line in ill:
        yield Finding(
            subject="stack",
            verdict="wrong",
            found=f"{line.title} is {line.state}. {line.problem}".strip(),
            remedy=f"See `stemma logs {line.name}`; `stemma start` brings it back.",
        )
    if not ill:
        yield Finding(subject="stack", verdict="well", found=f"all {len(lines)} processes run")
