"""Whose names no prompt may name: what owners, custodians and withdrawals say of style prompting.

A title is closed when one recording of that title is; the name of an artist, a composer or an artist's own
party stays open as long as something of theirs is open.  The name of a composer who is long dead stays open
whoever refuses, but for a custodian: the manner is nobody's.  A condition that serving cannot judge (a territory,
a date) closes, as a scope that was not granted does.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from stemma.ids import now
from stemma.rights.composers import long_dead
from stemma.rights.covenant import lift
from stemma.rights.prompting import Why, pack
from stemma_portal.accounts.models import Organisation
from stemma_portal.catalog.custody import unprompted
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.consent.models import ConsentRecording, Withdrawal
from stemma_portal.consent.selectors import running
from stemma_portal.licensing.models import CovenantVersion

SCOPE = "style_prompting"


def closed_names() -> dict[Why, str]:
    """The names that no prompt may name now, packed, by why."""
    why = {"refused": _refused(), "withdrawn": _withdrawn(), "custody": unprompted()}
    every = Q()
    for rows in why.values():
        every |= Q(pk__in=rows.values("pk"))
    granted = running(ConsentRecording.objects.filter(recording=OuterRef("pk")))
    open_ = _people(Recording.objects.filter(Exists(granted)).exclude(every))
    return {
        name: pack((_people(rows) if name == "custody" else _living(rows)) - open_, _titles(rows))
        for name, rows in why.items()
    }


def _allowing() -> QuerySet[ConsentRecording]:
    """Running grants of the same party for the same recording that allow it without a condition."""
    same = ConsentRecording.objects.filter(
        recording=OuterRef("recording"), consent__party=OuterRef("consent__party"), consent__scopes__contains=[SCOPE]
    )
    return running(same.exclude(consent__conditions__has_key=SCOPE))


def _refused() -> QuerySet[Recording]:
    """Recordings for which an owner has granted something, and not this."""
    items = running(ConsentRecording.objects.all()).filter(~Exists(_allowing()))
    return Recording.objects.filter(pk__in=items.values("recording")).order_by()


def _withdrawn() -> QuerySet[Recording]:
    """Recordings whose grant an owner has withdrawn, after the days that the covenant gives, and not granted anew."""
    due = Q(pk__in=())
    named = Withdrawal.objects.order_by().values_list("consent__covenant", flat=True).distinct()
    versions = CovenantVersion.objects.in_bulk(list(named))
    for digest in named:
        days = lift(versions[digest].covenant()).withdrawal.prompting_days if digest in versions else 0
        due |= Q(consent__covenant=digest, at__lte=now() - timedelta(days=days))
    gone = Withdrawal.objects.filter(due)
    items = ConsentRecording.objects.filter(
        Exists(gone.filter(Q(recording=None) | Q(recording=OuterRef("recording")), consent=OuterRef("consent")))
    )
    return Recording.objects.filter(pk__in=items.filter(~Exists(_allowing())).values("recording")).order_by()


def _titles(rows: QuerySet[Recording]) -> set[str]:
    return {title for pair in rows.values_list("title", "work__title").distinct() for title in pair if title}


def _people(rows: QuerySet[Recording]) -> set[str]:
    return _named(rows) | _artists(rows)


def _living(rows: QuerySet[Recording]) -> set[str]:
    """Without composers who are long dead, unless an artist who owns a share bears the same name."""
    named = _named(rows)
    return (named - long_dead(named, now().year)) | _artists(rows)


def _named(rows: QuerySet[Recording]) -> set[str]:
    return {name for pair in rows.values_list("artist", "work__composer").distinct() for name in pair if name}


def _artists(rows: QuerySet[Recording]) -> set[str]:
    artists = Party.objects.filter(organisations__kind=Organisation.Kind.ARTIST, shares__recording__in=rows)
    return set(artists.values_list("name", flat=True).distinct())
