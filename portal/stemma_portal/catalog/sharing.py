"""Who owns what, as it is stated over time: the only writer of revisions, confirmations and the shares in force.

A revision states all shares of a recording from a day on.  In force on a day is the latest statement
among those whose day has come: a later statement replaces an earlier one from its own day on, also
one that was planned.  Whoever gains a share or has less of one than before is asked to confirm it; the
statement holds meanwhile, unless they dispute it, which opens a case and holds the recording.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, prefetch_related_objects

from stemma.errors import InvalidError
from stemma.ids import now
from stemma.rights.shares import SIDES, WHOLE, WORLD, Share, Side, check_shares
from stemma_portal.catalog.models import Party, Recording, ShareConfirmation, ShareQuestion, ShareRevision
from stemma_portal.catalog.models import Share as ShareRow
from stemma_portal.catalog.telling import questions_told
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.services import Actor, audit

MOST = 200
"""Shares of one recording; no real one has more."""
LONGEST_NAME = 200
Key = tuple[str, str, str]
"""(party, side, territory)."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One share as somebody writes it: of a party, or of a name that means one on this sheet."""

    side: Side
    ppm: int
    territory: str = WORLD
    party: str = ""
    name: str = ""
    email: str = ""
    """For a party that has no account."""


@dataclass(frozen=True)
class InForce:
    """The shares of a recording on a day."""

    revision: ShareRevision | None
    """Where they are stated; None: they are as they were brought."""
    until: date | None
    """The day from which a later statement holds, where one is planned."""
    shares: list[dict[str, Any]]


@dataclass(frozen=True)
class Told:
    """A revision with what it changed and who has answered."""

    revision: ShareRevision
    changes: dict[Key, tuple[int, int]]
    answers: list[tuple[Party, ShareConfirmation | None]]
    """Who was asked, and what they said."""


class Dispute(Protocol):
    """Opens a case; the app that has cases registers it."""

    def __call__(self, *, recording: Recording, party: Party, reason: str, by: Actor) -> Any:
        """Open it."""


disputes: list[Dispute] = []
"""What happens when a party disputes its share: apps above this one add to it when they start."""


def shares_check(shares: Sequence[Share]) -> None:
    """Raise `InvalidError` unless the shares can stand: each party once, every right that is named whole.

    A right of which nobody is named in any territory is left open: a label may know its master and not
    yet the publishers.
    """
    if not shares:
        raise InvalidError("No shares are named.", remedy="Name at least who owns the master.", code="shares-missing")
    if len(shares) > MOST:
        raise InvalidError(f"{len(shares)} shares are too many.", remedy=f"Name at most {MOST}.", code="shares-many")
    keys = [(share.party, share.side, share.territory) for share in shares]
    if len(set(keys)) < len(keys):
        raise InvalidError(
            "A party has two shares of one right in one territory.",
            remedy="Write one share per party, right and territory.",
            code="share-twice",
        )
    territories = {share.territory for share in shares}
    for side in SIDES:
        own = [share for share in shares if share.side == side]
        if own:
            # The other side stands in as whole, so that each is judged by itself, in the same words.
            rest = [
                Share(party="", side=each, ppm=WHOLE, territory=t)
                for each in SIDES
                if each != side
                for t in territories
            ]
            check_shares([*own, *rest])


@transaction.atomic
def shares_set(
    *,
    recording: Recording,
    shares: Sequence[Share],
    valid_from: date | None = None,
    by: Actor | None,
    cause: str,
    addresses: Mapping[str, str] | None = None,
) -> ShareRevision:
    """State all shares of a recording from a day on (today); the same again changes nothing.

    `addresses`: e-mail by party, for those who are asked and have no account.
    Raises `InvalidError` for shares that do not sum, and for a day before the last statement's that
    would rewrite what was already accounted for.
    """
    shares_check(shares)
    _known({share.party for share in shares})
    lock(f"shares:{recording.id}")
    moment = now()
    day = valid_from or moment.date()
    latest = _baseline(recording)
    stated = as_stated(shares)
    if day < moment.date():
        raise InvalidError(
            f"{day:%d.%m.%Y} is past.",
            remedy="Shares change from today or a later day on: what was earned before was paid by the shares of then.",
            code="past",
        )
    if latest is not None and latest.shares == stated and latest.valid_from <= day:
        return latest
    before = in_force(recording, on=day)
    revision = ShareRevision.objects.create(
        recording=recording,
        number=(latest.number if latest else 0) + 1,
        valid_from=day,
        planned=day > moment.date(),
        shares=stated,
        at=moment,
        by=by.email if by else "",
        cause=cause,
    )
    if not revision.planned:
        _apply(recording.id, stated)
    questions = _ask(revision, before, addresses or {})
    audit(
        by=by,
        action="shares.set",
        subject=recording.id,
        revision=revision.number,
        valid_from=day.isoformat(),
        before=before,
        after=stated,
        cause=cause,
    )
    questions_told({question.party_id for question in questions})
    return revision


@transaction.atomic
def sheet_state(
    *, recording: Recording, lines: Sequence[Line], valid_from: date | None = None, why: str = "", by: Actor
) -> ShareRevision:
    """State all shares as they are written on a sheet; names that mean nobody yet are introduced.

    Raises `InvalidError` as `shares_set` does; then nobody was introduced.
    """
    shares, addresses = [], {}
    for line in lines:
        party = line.party
        if not party:
            party = party_introduce(name=_name(line.name), recording=recording, by=by).id
        shares.append(Share(party=party, side=line.side, ppm=line.ppm, territory=line.territory))
        if line.email:
            addresses[party] = line.email
    return shares_set(
        recording=recording,
        shares=shares,
        valid_from=valid_from,
        by=by,
        cause=f"editor: {why}" if why else "editor",
        addresses=addresses,
    )


def shares_due(*, on: date | None = None) -> int:
    """Bring planned revisions whose day has come into force; how many recordings changed.  Repeats are harmless."""
    today = on or now().date()
    recordings = ShareRevision.objects.filter(planned=True, valid_from__lte=today).values_list("recording", flat=True)
    changed = 0
    for recording_id in recordings.distinct():
        with transaction.atomic():
            lock(f"shares:{recording_id}")
            wanted = in_force(Recording(id=recording_id), on=today)
            if wanted != current(recording_id):
                _apply(recording_id, wanted)
                audit(by=None, action="shares.due", subject=recording_id, after=wanted)
                changed += 1
    return changed


@transaction.atomic
def share_confirm(
    *, revision: ShareRevision, party: Party, answer: ShareConfirmation.Answer, note: str = "", by: Actor
) -> ShareConfirmation:
    """A party says yes or no to its part in a revision; the same answer again changes nothing.

    No needs a reason, and opens a case.  Raises `ConflictError` for another answer than the one given.
    """
    lock(f"shares:{revision.recording_id}")
    if not revision.questions.filter(party=party).exists():
        raise InvalidError(f"{party.name} was not asked about this.", code="not-asked")
    if known := revision.confirmations.filter(party=party).first():
        if known.answer != answer:
            raise ConflictError(
                f"{party.name} has answered already: {known.answer}.",
                remedy="Ask who brought the recording to state the shares anew; you will be asked again.",
            )
        return known
    disputed = answer == ShareConfirmation.Answer.DISPUTED
    if disputed and not note.strip():
        raise InvalidError("A dispute needs a reason.", remedy="Say which share is right, and why.", code="reason")
    confirmation = ShareConfirmation.objects.create(
        revision=revision, party=party, answer=answer, note=note.strip(), at=now(), by=by.email
    )
    audit(
        by=by,
        action="shares.answer",
        subject=revision.recording_id,
        revision=revision.number,
        party=party.id,
        answer=str(answer),
    )
    if disputed:
        for open_case in disputes:
            open_case(recording=revision.recording, party=party, reason=f"Shares: {note.strip()}", by=by)
    return confirmation


def in_force(recording: Recording, *, on: date) -> list[dict[str, Any]]:
    """The shares on a day, as they are stated; the ones that stand where nothing was ever stated."""
    rows = ShareRevision.objects.filter(recording=recording, valid_from__lte=on).order_by("-number")
    found = rows.values_list("shares", flat=True).first()
    return current(recording.id) if found is None else _sorted(found)


def standing(recording: Recording, *, on: date) -> InForce:
    """The same, with where it was stated and how long it holds."""
    rows = ShareRevision.objects.filter(recording=recording)
    revision = rows.filter(valid_from__lte=on).order_by("-number").first()
    later = rows.filter(valid_from__gt=on, number__gt=revision.number if revision else 0).order_by("valid_from").first()
    shares = current(recording.id) if revision is None else _sorted(revision.shares)
    return InForce(revision=revision, until=later.valid_from if later else None, shares=shares)


def told(revisions: Sequence[ShareRevision]) -> list[Told]:
    """Revisions of one recording that follow each other, the newest first, with what each changed."""
    if not revisions:
        return []
    oldest = revisions[-1]
    before = ShareRevision.objects.filter(recording=oldest.recording_id, number=oldest.number - 1).first()
    prefetch_related_objects(revisions, "questions__party", "confirmations")
    found = []
    for revision, last in zip(revisions, [*revisions[1:], before], strict=True):
        answers = {each.party_id: each for each in revision.confirmations.all()}
        found.append(
            Told(
                revision=revision,
                changes=changes(last.shares if last else [], revision.shares),
                answers=[(asked.party, answers.get(asked.party_id)) for asked in revision.questions.all()],
            )
        )
    return found


def current(recording_id: str) -> list[dict[str, Any]]:
    """The state in force, in the form of a statement."""
    rows = ShareRow.objects.filter(recording=recording_id).values("party_id", "side", "ppm", "territory")
    return _sorted({"party": str(row.pop("party_id")), **row} for row in rows)


def as_stated(shares: Iterable[Share]) -> list[dict[str, Any]]:
    """Shares in the one form and order in which revisions keep them."""
    return _sorted(share.model_dump() for share in shares)


def changes(before: Iterable[dict[str, Any]], after: Iterable[dict[str, Any]]) -> dict[Key, tuple[int, int]]:
    """What differs between two statements: ppm before and after, 0 where there is none."""
    one, other = _by_key(before), _by_key(after)
    keys = sorted(one.keys() | other.keys(), key=lambda key: (key[1], key[2], key[0]))
    return {key: (one.get(key, 0), other.get(key, 0)) for key in keys if one.get(key, 0) != other.get(key, 0)}


def questions_open(parties: Iterable[str]) -> QuerySet[ShareQuestion]:
    """What the parties are asked and have not answered; a later statement puts an earlier question to rest."""
    answers = ShareConfirmation.objects.filter(revision=OuterRef("revision"), party=OuterRef("party"))
    later = ShareRevision.objects.filter(
        recording=OuterRef("revision__recording"), number__gt=OuterRef("revision__number")
    )
    return (
        ShareQuestion.objects.filter(~Exists(answers), ~Exists(later), party__in=list(parties))
        .select_related("revision__recording__work", "revision__recording__organisation", "party")
        .order_by("-at", "id")
    )


def _known(parties: set[str]) -> None:
    missing = parties - {str(each) for each in Party.objects.filter(id__in=parties).values_list("id", flat=True)}
    if missing:
        raise InvalidError(f"There is no party {', '.join(sorted(missing)[:5])}.", code="party")


def _baseline(recording: Recording) -> ShareRevision | None:
    """The latest revision; where shares stand that nobody stated, they become the first one."""
    latest = recording.share_revisions.order_by("-number").first()
    if latest is not None:
        return latest
    standing = current(recording.id)
    if not standing:
        return None
    return ShareRevision.objects.create(
        recording=recording,
        number=1,
        valid_from=recording.created_at.date(),
        shares=standing,
        at=now(),
        cause="as brought",
    )


def _apply(recording_id: str, stated: Iterable[dict[str, Any]]) -> None:
    """Let the state be what is stated."""
    ShareRow.objects.filter(recording=recording_id).delete()
    ShareRow.objects.bulk_create(
        ShareRow(
            recording_id=recording_id,
            party_id=each["party"],
            side=each["side"],
            ppm=each["ppm"],
            territory=each["territory"],
        )
        for each in stated
    )


def _ask(
    revision: ShareRevision, before: Iterable[dict[str, Any]], addresses: Mapping[str, str]
) -> list[ShareQuestion]:
    """Ask everyone else who gains a share or has less than before."""
    organisation = revision.recording.organisation
    own = organisation.party_id if organisation is not None else None
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    concerned = set()
    for (party, side, territory), (was, is_) in changes(before, revision.shares).items():
        parts[party].append({"side": side, "territory": territory, "before": was, "after": is_})
        if is_ < was or was == 0:
            concerned.add(party)
    return ShareQuestion.objects.bulk_create(
        ShareQuestion(
            revision=revision,
            party_id=party,
            changes=parts[party],
            email=addresses.get(party, ""),
            at=revision.at,
        )
        for party in sorted(concerned)
        if party != own
    )


def _by_key(shares: Iterable[dict[str, Any]]) -> dict[Key, int]:
    return {(each["party"], each["side"], each["territory"]): each["ppm"] for each in shares}


def _sorted(shares: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    plain = [
        {"party": each["party"], "side": each["side"], "ppm": each["ppm"], "territory": each["territory"]}
        for each in shares
    ]
    return sorted(plain, key=lambda each: (each["side"], each["territory"], each["party"]))


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidError(
            f"{text[:50]!r} is no name of a party.",
            remedy=f"Write a name of at most {LONGEST_NAME} letters, or the party's identifier.",
            code="party",
        )
    return name


def party_by_name(recording: Recording, name: str) -> Party | None:
    """The party that a name means on the sheet of a recording; None: a new one.

    One that has a share already, the organisation that brought it, or one that it introduced.
    """
    standing = Party.objects.filter(shares__recording=recording, name__iexact=name).order_by("id").first()
    if standing is not None or recording.organisation_id is None:
        return standing or Party.objects.filter(introduced_by=None, name__iexact=name).order_by("id").first()
    own = Party.objects.filter(organisations=recording.organisation_id, name__iexact=name).first()
    return (
        own or Party.objects.filter(introduced_by=recording.organisation_id, name__iexact=name).order_by("id").first()
    )


def party_introduce(*, name: str, recording: Recording, by: Actor | None) -> Party:
    """The party that a name means on the sheet of a recording; where there is none, a new one."""
    with transaction.atomic():
        lock(f"parties:{recording.organisation_id}")
        if known := party_by_name(recording, name):
            return known
        party = Party.objects.create(name=name, introduced_by=recording.organisation)
        audit(by=by, action="party.introduce", subject=party.id, name=name, recording=recording.id)
        return party
