"""How diverse a snapshot is: counted when it is taken, shown as figures, a picture and a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.safestring import SafeString

from stemma.catalog.origin import century, century_name, region_name
from stemma.rights.diversity import Diversity, Facet, Origin, diversity
from stemma.rights.facts import Keeping, SnapshotFacts
from stemma.rights.snapshot import Manifest
from stemma_portal.catalog.custody import kept
from stemma_portal.catalog.models import Recording
from stemma_portal.design.svg.groups import Group, groups
from stemma_portal.operations.models import Snapshot

DRAWN = 7
"""Groups that are drawn one by one; the smaller ones are drawn as one."""
FACETS = {
    "repertoire": ("Repertoire", "repertoires", lambda code: code.replace("-", " ").capitalize()),
    "region": ("Region", "regions", region_name),
    "period": ("Period", "centuries", century_name),
}


def origins(recordings: Iterable[Recording]) -> list[Origin]:
    """What is known of the origin of recordings that come with their works."""
    return [
        Origin(repertoire=each.style, region=each.work.region_code, period=century(each.work.period, each.work.year))
        for each in recordings
    ]


def snapshot_facts(manifest: Manifest, *, unreadable: int = 0) -> SnapshotFacts:
    """What is said beside a manifest, as of now; of the recordings left out, how many no such model can read."""
    ids = [each.recording for each in manifest.recordings]
    rows = (
        Recording.objects.filter(id__in=ids)
        .select_related("work")
        .only("style", "work__region_code", "work__period", "work__year")
    )
    return SnapshotFacts(
        snapshot=manifest.id,
        root=manifest.root,
        diversity=diversity(origins(rows)),
        unreadable=unreadable,
        custody=tuple(
            Keeping(
                recording=recording,
                custody=str(each.custody.id),
                community=each.custody.community,
                conditions=tuple(sorted(each.custody.conditions)),
            )
            for recording, each in sorted(kept(ids).items())
        ),
    )


@dataclass(frozen=True)
class Row:
    """A group in the table."""

    title: str
    count: int


@dataclass(frozen=True)
class Shown:
    """One facet as a page shows it."""

    title: str
    plural: str
    facet: Facet
    picture: SafeString
    rows: list[Row]

    @property
    def largest(self) -> str:
        """Name of the largest group."""
        return self.rows[0].title if self.facet.groups else ""


@dataclass(frozen=True)
class Shape:
    """The three facets, and whether they were counted when the snapshot was taken."""

    facets: list[Shown]
    recordings: int
    then: bool


def shape(snapshot: Snapshot) -> Shape:
    """How diverse a snapshot is; one that is older than the count is counted by what the catalog says today."""
    if snapshot.diversity is not None:
        found, then = Diversity.model_validate(snapshot.diversity), True
    else:
        found, then = diversity(origins(snapshot.members.select_related("work"))), False
    return Shape([_shown(name, getattr(found, name)) for name in FACETS], found.recordings, then)


def _shown(name: str, facet: Facet) -> Shown:
    title, plural, words = FACETS[name]
    rows = [Row(words(code), count) for code, count in facet.groups]
    drawn = [Group(row.title, row.count, i) for i, row in enumerate(rows[:DRAWN])]
    if rest := rows[DRAWN:]:
        drawn.append(Group(f"{len(rest)} more", sum(row.count for row in rest), DRAWN))
    if facet.unknown:
        rows.append(Row("Unknown", facet.unknown))
        drawn.append(Group("Unknown", facet.unknown, None))
    return Shown(title, plural, facet, groups(drawn, label=f"Recordings by {name}"), rows)
