"""The only writers of reservations: what domains and files say is read and kept, owners settle conflicts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.urls import reverse

from stemma.config import settings
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.proof.canonical import sha256
from stemma.rights.consent import Scope
from stemma.rights.reservations import AND, MINING, MOST_BYTES, SILENT, WELL_KNOWN, Rule, Use, of_answer, parse
from stemma_portal.accounts.models import Domain, Organisation
from stemma_portal.accounts.signing_on import SETTING, private_hosts
from stemma_portal.catalog.models import Party, Recording
from stemma_portal.catalog.selectors import recordings_of_party
from stemma_portal.consent.reservation_models import DomainReading, Reservation, Settlement
from stemma_portal.consent.reserved import beside_consents, licensed_here
from stemma_portal.core.db import lock
from stemma_portal.core.outside import Fetched, fetch
from stemma_portal.core.services import Actor, audit
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

MOST_TEXT = 4096
REDIRECTS = 3
"""How often a site may lead on, as from its bare name to www."""
Source = Reservation.Source


@transaction.atomic
def reservation_note(
    *,
    source: Source,
    text: str,
    uses: Mapping[Scope, Use],
    refused: Collection[Scope],
    organisation: Organisation | None = None,
    recording: Recording | None = None,
    party: Party | None = None,
    place: str = "",
    constraint: str = "",
    policy: str = "",
    digest: str = "",
    by: Actor | None = None,
) -> Reservation | None:
    """Keep what one place says, superseding what it said before.

    The same again changes nothing; nothing where there never was anything is no fact.  `digest` is of
    what was read where that is longer than `text`.
    """
    whose = recording.id if recording else f"{organisation.id} {place}" if organisation else ""
    lock(f"reservation:{source}:{whose}")
    rows = Reservation.objects.current().filter(
        source=source, recording=recording, organisation=organisation, party=party
    )
    known = (rows if recording else rows.filter(place=place)).first()
    given = {"uses": dict(uses), "refused": sorted(refused), "constraint": constraint, "policy": policy}
    given["sha256"] = digest or sha256(text.encode())
    if known is None and not uses:
        return None
    if known is not None and all(getattr(known, name) == value for name, value in given.items()):
        return known
    made = Reservation.objects.create(
        source=source,
        organisation=organisation,
        recording=recording,
        party=party,
        place=place[:300],
        text=_short(text),
        read_at=now(),
        read_by=by.email if by else "",
        supersedes=known,
        **given,
    )
    audit(
        by=by,
        action="reservation.note",
        subject=made.id,
        source=str(source),
        place=place,
        before={"refused": known.refused} if known else {},
        after={"refused": made.refused},
    )
    if made.refused:
        _conflict_tell(made, by)
    return made


def _conflict_tell(reservation: Reservation, by: Actor | None) -> None:
    """Let those hear whose consents stand beside what was just found."""
    beside = beside_consents(reservation)
    if not beside:
        return
    says = f"You have granted what is reserved there ({reservation.get_source_display()})."
    if reservation.recording:
        until = "Until you settle it or withdraw, no new snapshot holds the recording for these uses."
    else:
        until = "Your consents hold: the site speaks of the web. Say which of the two counts."
    about = f"“{reservation.recording.title}”" if reservation.recording else reservation.place
    notify(
        organisations=Organisation.objects.filter(party__in=beside),
        besides=by,
        topic=Topic.CONSENT,
        title=f"A reservation does not agree with your consent: {about}",
        text=f"{says} {until}",
        href=reverse("consent:settle", args=[reservation.pk]),
        key=f"reservation:{reservation.pk}",
    )


def _short(text: str) -> str:
    """The beginning of a text in 4 KiB, without what PostgreSQL does not take."""
    return text.replace("\x00", "�").encode()[:MOST_TEXT].decode(errors="ignore")


def reservation_state(
    *, recording: Recording, party: Party, refused: Collection[Scope], reason: str, by: Actor
) -> Reservation | None:
    """A rights-holder says that uses of its recording are reserved, or with none that they are not any more.

    Raises `InvalidError` for a recording that is not its own.
    """
    if not recordings_of_party(party_id=party.id).filter(id=recording.id).exists():
        raise InvalidError(f"{party.name} has no share in this recording.", remedy="Look at its shares.")
    return reservation_note(
        source=Source.STATEMENT,
        recording=recording,
        party=party,
        place=party.name,
        text=reason,
        uses=dict.fromkeys(refused, "notAllowed"),
        refused=refused,
        constraint=reason,
        by=by,
    )


# --- A file -----------------------------------------------------------------------------------------


def mark_refuses(marks: Mapping[str, Any]) -> list[Scope]:
    """What a file's mark refuses; that licenses are to be had here, as our own marks say, refuses nothing."""
    told = str(marks.get("constraint", "")).split(AND)
    here = all(words.startswith(licensed_here()) for words in told)
    uses: dict[Scope, Use] = marks.get("uses", {})
    return [scope for scope, use in uses.items() if use != "allowed" and not (here and use == "constrained")]


def recording_marked(*, recording: Recording, place: str, marks: Mapping[str, Any] | None, by: Actor | None) -> None:
    """Keep what a recording's sound says of itself in its content credentials.

    `marks` is what the portal noted when it looked at the file: None for nothing, with `problem` for
    credentials that could not be read, which leave everything as it was.
    """
    marks = marks or {}
    if "problem" in marks:
        return
    reservation_note(
        source=Source.CAWG,
        recording=recording,
        place=place,
        text=marks.get("text", ""),
        digest=marks.get("sha256", ""),
        uses=marks.get("uses", {}),
        refused=mark_refuses(marks),
        constraint=marks.get("constraint", ""),
        by=by,
    )


# --- A message --------------------------------------------------------------------------------------


def message_noted(*, recording: Recording, place: str, said: Mapping[str, Any], by: Actor) -> None:
    """Keep what the deals of a DDEX message say of a recording (`stemma.catalog.record.ReservationRecord`)."""
    reservation_note(recording=recording, place=place, by=by, **_of_message(said))


def messages_noted(said: Mapping[str, Mapping[str, Any]], *, place: str, cause: str, by: Actor) -> None:
    """The same of many recordings that have just come, by identifier: nobody has said or granted anything of them."""
    if not said:
        return
    moment = now()
    Reservation.objects.bulk_create(
        Reservation(
            recording_id=recording,
            place=place[:300],
            read_at=moment,
            read_by=by.email,
            **{**given, "sha256": sha256(given["text"].encode()), "text": _short(given["text"])},
        )
        for recording, given in ((recording, _of_message(each)) for recording, each in said.items())
    )
    audit(by=by, action="reservation.note", subject=cause, source=str(Source.ERN), place=place, recordings=len(said))


def _of_message(said: Mapping[str, Any]) -> dict[str, Any]:
    uses: dict[Scope, Use] = said["uses"]
    return {
        "source": Source.ERN,
        "text": json.dumps(said, ensure_ascii=False, sort_keys=True),
        "uses": uses,
        "refused": sorted(scope for scope, use in uses.items() if use != "allowed"),
        "constraint": said.get("detail", ""),
    }


# --- A domain ---------------------------------------------------------------------------------------


def domain_read(*, domain: Domain, by: Actor | None = None) -> DomainReading:
    """Read what a proved domain says of mining, and keep it; what cannot be reached leaves everything as it was."""
    if domain.proved_at is None:
        raise InvalidError(f"Nobody has proved {domain.name}.", remedy="Prove the domain first.", code="domain")
    problems = [_file_read(domain, by), _page_read(domain, by)]
    told = " ".join(problem for problem in problems if problem)
    return DomainReading.objects.update_or_create(domain=domain, defaults={"at": now(), "told": told})[0]


def _get(domain: Domain, path: str) -> Fetched:
    private = private_hosts()
    scheme = "http" if domain.name in private else "https"
    return fetch(
        f"{scheme}://{domain.name}{path}", most=MOST_BYTES, private=private, setting=SETTING, redirects=REDIRECTS
    )


def _file_read(domain: Domain, by: Actor | None) -> str:
    """Read `tdmrep.json`; what went wrong."""
    try:
        answer = _get(domain, WELL_KNOWN)
        if answer.status in {404, 410}:  # the site does not implement the protocol
            body, rules = b"", []
        elif answer.status != 200:
            return f"{WELL_KNOWN} answers {answer.status}."
        else:
            body, rules = answer.body, parse(answer.body)
    except InvalidError as error:
        return str(error)
    reserved = [rule for rule in rules if rule.reserved]
    where = ", ".join(rule.location for rule in reserved[:20]) + (" …" if len(reserved) > 20 else "")
    _site_note(domain, Source.TDMREP, rules, f"On {where}" if where else "", body, by)
    return ""


def _page_read(domain: Domain, by: Actor | None) -> str:
    """Read the headers and the head of the first page; what went wrong."""
    try:
        answer = _get(domain, "/")
    except InvalidError as error:
        return str(error)
    kind = answer.headers.get("content-type", "")
    page = answer.body.decode("utf-8", "replace") if "html" in kind else ""
    said = of_answer(SILENT, answer.headers, page)
    rules = [] if said.reserved is None else [Rule("/", said.reserved, said.policy)]
    text = f"tdm-reservation: {int(said.reserved)}\ntdm-policy: {said.policy}" if said.reserved is not None else ""
    _site_note(domain, Source.HEADER, rules, "On its first page" if said.reserved else "", text.encode(), by)
    return ""


def _site_note(
    domain: Domain, source: Source, rules: list[Rule], constraint: str, body: bytes, by: Actor | None
) -> None:
    """Keep what a site says.  A policy that leads here says that licenses are to be had here: no conflict."""
    reserved = [rule for rule in rules if rule.reserved]
    here = settings().portal_url.rstrip("/") + "/"
    elsewhere = [rule for rule in reserved if not rule.policy.startswith(here)]
    use: Use = "notAllowed" if elsewhere else "constrained" if reserved else "allowed"
    reservation_note(
        source=source,
        organisation=domain.organisation,
        place=domain.name,
        text=body.decode("utf-8", "replace"),
        digest=sha256(body),
        uses=dict.fromkeys(MINING, use) if rules else {},
        refused=MINING if elsewhere else (),
        constraint=constraint,
        policy=next((rule.policy for rule in (*elsewhere, *reserved) if rule.policy), ""),
        by=by,
    )


# --- Conflicts --------------------------------------------------------------------------------------


@transaction.atomic
def reservation_settle(*, reservation: Reservation, party: Party, reason: str, by: Actor) -> Settlement:
    """An owner says that its consent stands beside a reservation; saying it again changes nothing.

    Raises `InvalidError` for a reservation that no longer counts, and where the party has nothing to say.
    """
    lock(f"settlement:{reservation.id}")
    if known := Settlement.objects.filter(reservation=reservation).first():
        return known
    if not reason.strip():
        raise InvalidError("It needs a reason.", remedy="Say why your consent stands beside this mark.")
    if not reservation.refused or Reservation.objects.filter(supersedes=reservation).exists():
        raise InvalidError(
            "This reservation does not count any more.", remedy="Look at what was read since.", code="superseded"
        )
    if reservation.party_id:
        owns = reservation.party_id == party.id
    elif reservation.recording_id:
        owns = recordings_of_party(party_id=party.id).filter(id=reservation.recording_id).exists()
    else:
        owns = Organisation.objects.filter(id=reservation.organisation_id, party=party).exists()
    if not owns:
        raise InvalidError(f"{party.name} may not settle this.", remedy="Ask whoever owns or said it.", code="not-own")
    settlement = Settlement.objects.create(
        reservation=reservation, party=party, reason=reason.strip(), at=now(), signed_by=by.email
    )
    audit(
        by=by,
        action="reservation.settle",
        subject=reservation.id,
        party=party.id,
        recording=reservation.recording_id,
        reason=settlement.reason,
        scopes=json.dumps(reservation.refused),
    )
    return settlement
