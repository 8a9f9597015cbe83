"""Reading grants, withdrawals and claims."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet

from stemma.ids import now, timestamp
from stemma.rights.consent import TRAINING_SCOPES, Held, RightsStatus, Withdrawn
from stemma_portal.accounts.access import is_staff, parties_of
from stemma_portal.accounts.models import Invitation, Organisation, User
from stemma_portal.catalog.custody import Kept, kept
from stemma_portal.catalog.models import Party, Recording, Share
from stemma_portal.catalog.selectors import recordings_of_party
from stemma_portal.consent.models import Claim, ClaimParty, Consent, ConsentRecording, Reservation, Withdrawal


def consents_visible(user: User) -> QuerySet[Consent]:
    """Staff see every grant, owners those of their own party."""
    found = Consent.objects.select_related("party")
    return found if is_staff(user) else found.filter(party__in=parties_of(user))


def claims_visible(user: User) -> QuerySet[Claim]:
    """Staff see every case; others those of their own parties: on what is theirs, and what they claim."""
    found = Claim.objects.select_related("recording__work", "other__work", "claimant_party")
    if is_staff(user):
        return found
    own = ClaimParty.objects.filter(claim=OuterRef("pk"), party__in=parties_of(user))
    return found.filter(Exists(own) | Q(claimant_organisation__in=user.memberships.values("organisation")))


def cases_found(cases: QuerySet[Claim], wanted: Mapping[str, Any]) -> QuerySet[Claim]:
    """Cases in a state, of a kind, with words; the most overdue first, then the nearest deadline, ended ones last."""
    state = wanted.get("state")
    if state != "all":
        cases = cases.filter(state=state) if state else cases.pending()  # type: ignore[attr-defined]
    if wanted.get("kind"):
        cases = cases.filter(kind=wanted["kind"])
    if wanted.get("turn"):
        cases = cases.filter(due_side=wanted["turn"])
    for word in str(wanted.get("q") or "").split():
        cases = cases.filter(
            Q(recording__title__icontains=word)
            | Q(recording__isrc__istartswith=word.replace("-", ""))
            | Q(claimant__icontains=word)
        )
    return cases.order_by(F("due_at").asc(nulls_last=True), "opened_at", "id")


@dataclass(frozen=True)
class CaseCounts:
    """How many cases there are."""

    states: list[tuple[str, str, int]]
    """State, its name, and how many; in the order of a case's life."""
    overdue: int
    oldest: int
    """Days since the oldest pending one was opened."""


def case_counts(cases: QuerySet[Claim]) -> CaseCounts:
    """How many cases are in each state, how many are overdue, how old the oldest is."""
    found = dict(cases.order_by().values_list("state").annotate(n=Count("id")))
    pending = cases.filter(state__in=Claim.PENDING)
    opened = pending.aggregate(first=Min("opened_at"))["first"]
    return CaseCounts(
        states=[(state.value, str(state.label), found.get(state.value, 0)) for state in Claim.State],
        overdue=pending.filter(due_at__lt=now()).count(),
        oldest=(now() - opened).days if opened else 0,
    )


def recordings_held() -> list[str]:
    """Recordings that a pending claim holds."""
    return list(Claim.objects.holding().values_list("recording_id", flat=True).distinct())


def rights_status() -> RightsStatus:
    """Everything that stops holding: all withdrawals, and the open claims."""
    withdrawals = Withdrawal.objects.order_by("at", "id").values_list("consent_id", "recording_id", "at")
    claims = Claim.objects.holding().order_by("opened_at", "id")
    return RightsStatus(
        at=timestamp(now()),
        withdrawn=tuple(Withdrawn(consent=c, recording=r, at=timestamp(at)) for c, r, at in withdrawals),
        held=tuple(
            Held(recording=recording, claim=c.id, reason=c.reason, since=timestamp(c.opened_at))
            for c in claims
            for recording in (c.recording_id, c.other_id)
            if recording is not None
        ),
    )


def grants_of(*, recordings: Collection[str]) -> dict[str, list[str]]:
    """Identifiers of all grants that name each recording, in their order, whether or not they still hold."""
    found: dict[str, list[str]] = defaultdict(list)
    items = ConsentRecording.objects.filter(recording__in=recordings) if recordings else ConsentRecording.objects.none()
    for recording, consent in items.order_by("consent").values_list("recording_id", "consent_id"):
        found[recording].append(consent)
    return found


class Standing(NamedTuple):
    """How a party stands to a recording of its own."""

    party: Party
    state: str
    """`granted`, `withdrawn`, `expired` or `none`."""
    consent: Consent | None
    """The grant that the state comes from."""


def standings(*, recording_id: str) -> list[Standing]:
    """How each owner of a recording stands to it; the best of its grants counts."""
    moment = now()
    consents = Consent.objects.filter(items__recording=recording_id).select_related("party").order_by("granted_at")
    ended = set(
        Withdrawal.objects.filter(consent__items__recording=recording_id)
        .filter(Q(recording=None) | Q(recording=recording_id))
        .values_list("consent_id", flat=True)
    )
    found = []
    for party in Party.objects.filter(shares__recording=recording_id).distinct():
        best = Standing(party, "none", None)
        for consent in (c for c in consents if c.party_id == party.id):
            if consent.id in ended:
                state = "withdrawn"
            elif consent.valid_until is not None and consent.valid_until <= moment:
                state = "expired"
            else:
                state = "granted"
            if best.state != "granted" or state == "granted":
                best = Standing(party, state, consent)
        found.append(best)
    return found


def ended() -> Exists:
    """Whether the grant of a `ConsentRecording` was withdrawn, for this recording or as a whole."""
    facts = Withdrawal.objects.filter(consent=OuterRef("consent"))
    return Exists(facts.filter(Q(recording=None) | Q(recording=OuterRef("recording"))))


class State(NamedTuple):
    """How a recording stands, over all its owners."""

    state: str
    """`claimed`, `not-free`, `reserved`, `withheld` (by its custodian), `consented`, `partial`, `withdrawn` or
    `unconsented`, in this order of weight."""
    why: str
    since: datetime | None


def _consented(since: datetime, keeper: Kept | None) -> State:
    """What every owner has granted, as its custodian lets it be used."""
    if keeper is not None and keeper.withheld:
        why = f"Every owner has granted it; its custodian, {keeper.custody.community}, has not agreed."
        return State("withheld", why, keeper.custody.at)
    barred = " Its custodian allows no style prompting." if keeper is not None and keeper.unprompted else ""
    return State("consented", f"Every owner has granted it.{barred}", since)


def recording_states(recordings: Iterable[str]) -> dict[str, State]:
    """How each of the recordings stands to training, in six queries."""
    wanted, moment = list(recordings), now()
    custody = kept(wanted)
    sources = Recording.objects.filter(id__in=wanted).order_by().values_list("id", "source_free", "source_note")
    held = Claim.objects.holding().filter(Q(recording__in=wanted) | Q(other__in=wanted))
    claims = {recording: c for c in held for recording in (c.recording_id, c.other_id)}
    owners: dict[str, set[str]] = defaultdict(set)
    shares = Share.objects.filter(recording__in=wanted).order_by()
    for recording, party in shares.values_list("recording_id", "party_id"):
        owners[recording].add(party)
    granted: dict[str, dict[str, datetime]] = defaultdict(dict)
    left: dict[str, set[str]] = defaultdict(set)
    scopes: dict[str, set[str]] = defaultdict(set)
    # What counts is whether a model may learn from it; each snapshot is judged by all that it is meant for.
    training = ConsentRecording.objects.filter(consent__scopes__contains=list(TRAINING_SCOPES))
    items = training.filter(recording__in=wanted).annotate(ended=ended())
    for recording, party, since, until, over, allowed in items.values_list(
        "recording_id", "consent__party_id", "consent__granted_at", "consent__valid_until", "ended", "consent__scopes"
    ):
        if over:
            left[recording].add(party)
        elif until is None or until > moment:
            granted[recording][party] = since
            scopes[recording].update(allowed)
    marks = Reservation.objects.unsettled().filter(recording__in=wanted).order_by()
    refused = {
        recording: since
        for recording, names, since in marks.values_list("recording_id", "refused", "read_at")
        if scopes[recording].intersection(names)
    }
    found = {}
    for recording, source_free, note in sources:
        agreed, all_of = granted[recording], owners[recording]
        open_owners = len(all_of - agreed.keys())
        if claim := claims.get(recording):
            found[recording] = State("claimed", f"{claim.claimant}: {claim.reason}", claim.opened_at)
        elif not source_free:
            found[recording] = State("not-free", note or "Its source reserves rights.", None)
        elif all_of and not open_owners and recording in refused:
            found[recording] = State("reserved", "A mark refuses what was granted.", refused[recording])
        elif all_of and not open_owners:
            found[recording] = _consented(max(agreed.values()), custody.get(recording))
        elif left[recording] - agreed.keys():
            found[recording] = State("withdrawn", "An owner has withdrawn.", None)
        elif agreed:
            found[recording] = State("partial", f"{open_owners} of {len(all_of)} owners have not consented.", None)
        else:
            found[recording] = State("unconsented", "No owner has consented.", None)
    return found


def running(items: QuerySet[ConsentRecording]) -> QuerySet[ConsentRecording]:
    """Those of grants that hold now."""
    in_time = Q(consent__valid_until=None) | Q(consent__valid_until__gt=now())
    return items.filter(in_time).exclude(ended())


def recordings_to_consent(party_id: str) -> QuerySet[Recording]:
    """Recordings of a party that it could grant and has no running grant for."""
    granted = running(ConsentRecording.objects.filter(recording=OuterRef("pk"), consent__party=party_id))
    return recordings_of_party(party_id=party_id).filter(~Exists(granted), source_free=True).select_related("work")


MOST_MISSING = 200
"""Owners whom one page names."""


class Missing(NamedTuple):
    """An owner without whose yes recordings that others have granted are not used."""

    party: Party
    recordings: int
    organisation: bool
    """Whether it is here itself; else it can be invited."""
    invited: str
    """The address that was invited already, if any."""


def _missing(party_id: str) -> QuerySet[Share, tuple[str, int]]:
    """Each owner who has not agreed, with how many recordings wait, most recordings first."""
    training = ConsentRecording.objects.filter(consent__scopes__contains=list(TRAINING_SCOPES))
    own = running(training.filter(consent__party=party_id)).values("recording")
    agreed = running(training.filter(recording=OuterRef("recording"), consent__party=OuterRef("party")))
    others = Share.objects.filter(recording__in=own).exclude(party=party_id).filter(~Exists(agreed))
    counts = others.order_by().values_list("party").annotate(n=Count("recording", distinct=True))
    return counts.order_by("-n", "party")


def owners_missing_count(party_id: str) -> int:
    """How many owners `owners_missing` names."""
    return _missing(party_id)[:MOST_MISSING].count()


def owners_missing(party_id: str) -> list[Missing]:
    """Who has not agreed to training on recordings that the party has granted for it, most recordings first."""
    found = dict(_missing(party_id)[:MOST_MISSING])
    waiting = Invitation.objects.filter(party__in=found, accepted_at=None, revoked_at=None, expires_at__gt=now())
    invited = dict(waiting.values_list("party_id", "email"))
    here = set(Organisation.objects.filter(party__in=found).values_list("party_id", flat=True))
    parties = Party.objects.in_bulk(found)
    return [Missing(parties[pk], n, pk in here, invited.get(pk, "")) for pk, n in found.items()]
