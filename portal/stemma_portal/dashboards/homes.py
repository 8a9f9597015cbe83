"""What each kind of organisation sees first: a few figures, and what waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, Sum
from django.urls import reverse

from stemma.ids import now
from stemma_portal.accounts.invitations import links_waiting
from stemma_portal.accounts.models import Organisation, User
from stemma_portal.catalog.custody import questions_of, recordings_kept
from stemma_portal.catalog.heard import recording_player
from stemma_portal.catalog.models import Likeness, Party, Recording
from stemma_portal.catalog.selectors import recordings_of_party
from stemma_portal.catalog.sharing import questions_open
from stemma_portal.consent.models import Claim, ClaimParty
from stemma_portal.consent.selectors import recordings_to_consent
from stemma_portal.dashboards.owners import Overview, overview
from stemma_portal.dashboards.queues import Queue, queues
from stemma_portal.design.player import Player
from stemma_portal.design.templatetags.stemma import clock, grouped, minutes, money
from stemma_portal.licensing.models import License
from stemma_portal.licensing.selectors import licenses_visible
from stemma_portal.metering.heard import generation_player, generation_record
from stemma_portal.metering.models import Generation
from stemma_portal.metering.selectors import generation_list
from stemma_portal.operations.models import Snapshot
from stemma_portal.operations.selectors import releases
from stemma_portal.royalties.payees import payment_history
from stemma_portal.royalties.selectors import period_current, statement_list

SHOWN = 5


@dataclass(frozen=True)
class Figure:
    """A number with its meaning."""

    title: str
    value: str
    href: str = ""
    estimate: bool = False


@dataclass(frozen=True)
class Todo:
    """Something that waits for the reader."""

    title: str
    text: str
    href: str
    action: str


@dataclass(frozen=True)
class Row:
    """A line of a list."""

    title: str
    note: str
    href: str
    figure: str = ""


@dataclass(frozen=True)
class Listing:
    """A short list and where the whole of it is."""

    title: str
    rows: Sequence[Row]
    href: str
    empty: str


@dataclass(frozen=True)
class Listen:
    """Music to begin with."""

    title: str
    note: str
    href: str
    player: Player


@dataclass(frozen=True)
class Home:
    """The page."""

    greeting: str
    lede: str
    figures: Sequence[Figure]
    todos: Sequence[Todo] = field(default_factory=list)
    listings: Sequence[Listing] = field(default_factory=list)
    listen: Listen | None = None
    queues: Sequence[Queue] = field(default_factory=list)
    """For staff: what waits, and for how long."""
    overview: Overview | None = None
    """For owners: what is in, what it trained, where it was heard, what it earned."""


def owner(user: User, organisation: Organisation) -> Home:
    """A label or an artist: what is theirs, what it earns, what they have not answered yet."""
    party = organisation.party
    if party is None:
        told = "Your organisation is not linked to a rights-holder yet: ask rights staff to do it."
        if links_waiting().filter(made=organisation).exists():
            told = "Rights staff look whether you are who the label says. When they have, what is yours stands here."
        return Home(organisation.name, told, [])
    found = overview(party)
    figures = [Figure("recordings", grouped(found.total), reverse("dashboards:recordings"))]
    for each in found.money:
        balance = each.balance
        figures.append(
            Figure("confirmed balance", money(balance.confirmed, balance.currency), reverse("royalties:royalties"))
        )
        if balance.on_hold:
            href = f"{reverse('royalties:royalties')}#holds"
            figures.append(Figure("on hold, under claim", money(balance.on_hold, balance.currency), href))
        if balance.estimated:
            figures.append(
                Figure(
                    f"estimate for {balance.estimated.period}",
                    f"≈ {money(balance.estimated.amount, balance.currency)}",
                    estimate=True,
                )
            )
    figures.append(Figure("pieces shaped", grouped(found.pieces), "#heard"))
    return Home(
        greeting=organisation.name,
        lede="What your recordings are part of, and what they earn.",
        figures=figures,
        todos=_owner_todos(party, found),
        listings=[_statements(user, party), *_custody(party)],
        listen=_listen_recording(party, [each.recording for each in found.heard]),
        overview=found,
    )


def _owner_todos(party: Party, found: Overview) -> list[Todo]:
    todos = []
    if asked := questions_open([party.id]).count():
        todos.append(
            Todo(
                f"{grouped(asked)} share{'s wait' if asked != 1 else ' waits'} for your yes or no",
                "Somebody stated anew what you own.",
                reverse("dashboards:share_questions"),
                "Look at it",
            )
        )
    if kept := questions_of([party.id]):
        todos.append(
            Todo(
                f"{grouped(kept)} custod{'ies wait' if kept != 1 else 'y waits'} for your answer",
                "Recordings of your community’s repertoire: read the terms, and say yes or no.",
                reverse("catalog:custodies"),
                "Look at them",
            )
        )
    if waiting := recordings_to_consent(party.id).count():
        todos.append(
            Todo(
                f"{grouped(waiting)} recording{'s wait' if waiting != 1 else ' waits'} for your answer",
                "No model may learn before you grant it. The terms are shown in plain words first.",
                reverse("consent:grant"),
                "Read the terms",
            )
        )
    todos += _case_todos(party)
    if any(each.balance.confirmed > 0 for each in found.money) and not payment_history(party_id=party.id):
        todos.append(
            Todo(
                "Nobody knows where your money should go",
                "Your balance waits until you enter an account.",
                reverse("royalties:payment"),
                "Enter an account",
            )
        )
    return todos


def _custody(party: Party) -> list[Listing]:
    """What the party looks after, where it looks after something."""
    kept = recordings_kept([party.id])
    rows = [
        Row(each.title, each.collection, reverse("dashboards:recording", args=[each.id]))
        for each in kept.order_by("title", "id")[:SHOWN]
    ]
    return [Listing("In your custody", rows, reverse("catalog:custodies"), "")] if rows else []


def _case_todos(party: Party) -> list[Todo]:
    """Cases in which it is the party's turn, and those that hold something of it."""
    seats = ClaimParty.objects.filter(party=party, claim__state__in=Claim.PENDING).select_related("claim__recording")
    mine = [seat.claim for seat in seats.order_by("claim__due_at") if seat.side == seat.claim.due_side]
    todos = [
        Todo(
            f"Your word is asked: {claim.recording.title}",
            f"{claim.claimant}: {claim.reason[:140]} Until {claim.due_at:%-d %B %Y}."
            if claim.due_at
            else claim.reason[:140],
            reverse("consent:case", args=[claim.pk]),
            "Answer",
        )
        for claim in mine[:SHOWN]
    ]
    others = {seat.claim_id for seat in seats if seat.claim.holds and seat.side == Claim.Side.OWNERS}
    if held := len(others - {claim.pk for claim in mine}):
        todos.append(
            Todo(
                f"{grouped(held)} of your recordings {'is' if held == 1 else 'are'} under claim",
                "Somebody says it is theirs. It is held until that is resolved.",
                reverse("consent:claims"),
                "See the claim",
            )
        )
    return todos


def _listen_recording(party: Party, strongest: Sequence[Recording]) -> Listen | None:
    chosen = (
        strongest[0]
        if strongest
        else recordings_of_party(party_id=party.id)
        .exclude(audio_sha256="")
        .select_related("work")
        .order_by("title")
        .first()
    )
    if chosen is None:
        return None
    return Listen(
        title=chosen.title,
        note=" · ".join(
            filter(None, (chosen.artist or chosen.work.composer or "Composer not named", chosen.collection))
        ),
        href=reverse("dashboards:recording", args=[chosen.id]),
        player=recording_player(chosen, take_away=False),
    )


def _listen_latest(user: User) -> Listen | None:
    latest = generation_list(user=user).first()
    record = generation_record(latest) if latest is not None else None
    if latest is None or record is None:
        return None
    return Listen(
        title=f"{latest.style.replace('-', ' ').capitalize()} in {record['key']}",
        note=f"the latest piece, by {latest.model_release}",
        href=reverse("metering:generation", args=[latest.pk]),
        player=generation_player(record, take_away=False),
    )


def _statements(user: User, party: Party) -> Listing:
    rows = statement_list(user=user, party_id=party.id)[:SHOWN]
    return Listing(
        title="Statements",
        rows=[
            Row(
                each.period_id,
                f"balance {money(each.closing, each.currency)}",
                reverse("royalties:statement", args=[each.id]),
                money(each.earned, each.currency),
            )
            for each in rows
        ],
        href=reverse("royalties:royalties"),
        empty="The first one comes when the current period closes.",
    )


def licensee(user: User, organisation: Organisation) -> Home:
    """Somebody who makes music: the license, what was used, the latest pieces."""
    license_ = licenses_visible(user).filter(organisation=organisation, state=License.State.ACTIVE).first()
    made = Generation.objects.filter(licensee=organisation).aggregate(n=Count("id"), ms=Sum("billable_ms"))
    figures = [
        Figure("pieces made", grouped(made["n"]), reverse("metering:generations")),
        Figure("of music", minutes(made["ms"])),
    ]
    todos = []
    if license_ is None:
        todos.append(
            Todo(
                "You have no license",
                "Ask rights staff for one; until then serving refuses your requests.",
                reverse("licensing:licenses"),
                "Licenses",
            )
        )
    else:
        figures.append(Figure("license", license_.tier.capitalize(), reverse("licensing:license", args=[license_.id])))
        if not made["n"]:
            todos.append(
                Todo(
                    "Make your first piece",
                    "The playground sends the request your program would send.",
                    reverse("dashboards:playground"),
                    "Open the playground",
                )
            )
    return Home(
        organisation.name,
        "Licensed music, traced to its sources.",
        figures,
        todos,
        [_latest(user), _models()],
        _listen_latest(user),
    )


def _latest(user: User) -> Listing:
    rows = generation_list(user=user)[:SHOWN]
    return Listing(
        title="Latest pieces",
        rows=[
            Row(
                each.style.replace("-", " ").capitalize(),
                f"seed {each.seed} · {each.at:%-d %b %Y, %H:%M} UTC",
                reverse("metering:generation", args=[each.pk]),
                clock(each.billable_ms),
            )
            for each in rows
        ],
        href=reverse("metering:generations"),
        empty="Nothing was made yet.",
    )


def _models() -> Listing:
    return Listing(
        title="Models",
        rows=[
            Row(
                each.id,
                f"trained on {grouped(each.snapshot.recordings)} recordings",
                reverse("operations:release", args=[each.name, each.version]),
                f"{each.created_at:%-d %b %Y}",
            )
            for each in releases()[:SHOWN]
        ],
        href=reverse("operations:releases"),
        empty="No model was released yet.",
    )


def staff(user: User, organisation: Organisation) -> Home:
    """The house's own people: how far the way of the music is, and what hinders it."""
    counts: dict[str, Any] = Recording.objects.aggregate(
        n=Count("id"), reserved=Count("id", filter=Q(source_free=False))
    )
    period = period_current()
    figures = [
        Figure("recordings", grouped(counts["n"]), reverse("dashboards:recordings")),
        Figure("rights-holders", grouped(Party.objects.count())),
        Figure("models", grouped(releases().count()), reverse("operations:releases")),
        Figure("generations", grouped(Generation.objects.count()), reverse("metering:generations")),
    ]
    todos = []
    if overdue := Claim.objects.pending().filter(due_at__lt=now()).count():
        todos.append(
            Todo(
                f"{grouped(overdue)} case{'s are' if overdue != 1 else ' is'} overdue",
                "Somebody has waited longer than thirty days.",
                reverse("consent:claims"),
                "Look at them",
            )
        )
    if alike := Likeness.objects.filter(state=Likeness.State.OPEN).count():
        todos.append(
            Todo(
                f"{grouped(alike)} likely duplicate{'s' if alike != 1 else ''}",
                "A snapshot holds only one of those that are merged.",
                reverse("dashboards:duplicates"),
                "Listen and decide",
            )
        )
    if counts["reserved"]:
        todos.append(
            Todo(
                f"{grouped(counts['reserved'])} recordings whose source is not free",
                "They are in the catalog and can never be granted as they are.",
                f"{reverse('dashboards:recordings')}?source=not-free",
                "See why",
            )
        )
    if period is not None:
        todos.append(
            Todo(
                f"Period {period.pk} is open",
                f"It runs until {period.ends:%-d %b %Y}.",
                reverse("royalties:period", args=[period.pk]),
                "Look at it",
            )
        )
    return Home(
        organisation.name,
        "The way of the music, and what hinders it.",
        figures,
        todos,
        [_models(), _snapshots(), _latest(user)],
        queues=queues(),
    )


def _snapshots() -> Listing:
    return Listing(
        title="Snapshots",
        rows=[
            Row(
                each.name,
                f"root {each.root[:12]}…",
                reverse("operations:snapshot", args=[each.id]),
                f"{grouped(each.recordings)} recordings",
            )
            for each in Snapshot.objects.all()[:SHOWN]
        ],
        href=reverse("operations:snapshots"),
        empty="None was taken yet: “stemma snapshot create NAME”.",
    )
