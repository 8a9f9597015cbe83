"""Figures of snapshots and releases for their pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Sum
from django.utils.safestring import SafeString

from stemma.errors import NotFoundError, UnavailableError
from stemma.rights.snapshot import Offence
from stemma.storage import storage
from stemma_portal.design.svg.bars import curve
from stemma_portal.operations.models import Snapshot

PRODUCTION_KEY = "releases/production.json"
FRESH = 10
"""Seconds for which the name of the production release is remembered."""


@dataclass(frozen=True)
class Repertoire:
    """How much of a snapshot one repertoire is."""

    style: str
    recordings: int
    composers: int
    milliseconds: int

    @property
    def title(self) -> str:
        """In words."""
        return self.style.replace("-", " ").capitalize()


def repertoires(snapshot: Snapshot) -> list[Repertoire]:
    """The repertoires of a snapshot, the largest first."""
    rows = (
        snapshot.members.values("style")
        .annotate(n=Count("id"), composers=Count("work__composer", distinct=True), ms=Sum("duration_ms"))
        .order_by("-n", "style")
    )
    return [Repertoire(row["style"], row["n"], row["composers"], row["ms"]) for row in rows]


def composers(snapshot: Snapshot) -> int:
    """How many composers a snapshot brings together."""
    return snapshot.members.values("work__composer").distinct().count()


def by_rule(offences: Iterable[Offence]) -> list[tuple[str, int]]:
    """How often each rule is broken, the most frequent first."""
    return Counter(offence.rule for offence in offences).most_common()


def production() -> str | None:
    """The release that serving loads, as object storage says; None where there is none."""
    known = cache.get(PRODUCTION_KEY)
    if known is None:
        try:
            known = str(storage().get_json(PRODUCTION_KEY)["release"])
        except (NotFoundError, UnavailableError, KeyError, ValueError):
            known = ""
        cache.set(PRODUCTION_KEY, known, FRESH)
    return known or None


def flat(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Every single figure of a release under its path, in order; series are left to the curve."""
    found: list[tuple[str, Any]] = []
    for name, value in metrics.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found += flat(value, f"{path} · ")
        elif isinstance(value, bool | str) or value is None:
            found.append((path, value))
        elif isinstance(value, int | float):
            found.append((path, value if isinstance(value, int) else round(value, 4)))
    return found


@dataclass(frozen=True)
class Highlight:
    """A figure to be read first."""

    title: str
    value: str
    note: str


HIGHLIGHTS = (
    (("validation_loss_per_note", "val_loss_per_note", "loss_per_note"), "Loss per note", "on works it never saw", 3),
    (("ngram_loss_per_note", "baseline_loss_per_note"), "To beat", "n-gram model on the same tokens", 3),
    (("decodes", "decoded_share", "outputs_decode"), "Outputs that decode", "share of all", 2),
    (
        ("longest_verbatim", "longest_verbatim_notes", "longest_verbatim_run"),
        "Longest verbatim run",
        "notes in a row as in a work",
        0,
    ),
)


def highlights(metrics: Mapping[str, Any]) -> list[Highlight]:
    """The figures people ask for first, where the release has them."""
    values = {path.rsplit(" · ", 1)[-1]: value for path, value in flat(metrics)}
    found = []
    for names, title, note, places in HIGHLIGHTS:
        value = next((values[name] for name in names if isinstance(values.get(name), int | float)), None)
        if value is not None:
            found.append(Highlight(title=title, value=f"{value:.{places}f}", note=note))
    return found


def training_curve(metrics: Mapping[str, Any]) -> SafeString | None:
    """Validation loss over the run, where the release brings its course: `curve` as [step, loss] pairs."""
    points = [(float(step), float(loss)) for step, loss in metrics.get("curve", [])]
    return curve(points, label="Validation loss over training steps") if len(points) > 1 else None
