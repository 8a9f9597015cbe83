"""The only writers of grants, withdrawals and claims."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal

from django.db import transaction
from django.urls import reverse

from stemma.errors import InvalidError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import digest, sha256
from stemma.rights.consent import CONSENT, Condition, Grant, GrantedRelease, Scope, Withdrawn
from stemma_portal.catalog.models import Party, Recording, Release
from stemma_portal.catalog.selectors import recordings_of_party
from stemma_portal.consent.cases import case_open, case_resolve
from stemma_portal.consent.models import Claim, Consent, ConsentRecording, Withdrawal
from stemma_portal.consent.tasks import rights_status_publish
from stemma_portal.core.db import lock
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.keys import keyring
from stemma_portal.core.publish import after_commit
from stemma_portal.core.selectors import covenant_in_force
from stemma_portal.core.services import Actor, audit, log_append
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify
from stemma_portal.webhooks.services import party_told


@transaction.atomic
def consent_grant(
    *,
    party: Party,
    recordings: Collection[str] | Literal["all"] = (),
    releases: Collection[str] = (),
    scopes: Collection[Scope],
    by: Actor,
    territory: str = "WORLD",
    valid_until: datetime | None = None,
    conditions: Mapping[Scope, Condition] | None = None,
    identifier: str | None = None,
) -> Consent:
    """Sign and log what a party allows with its shares of the recordings, some of it under conditions.

    "all" means every recording in which the party has a share and whose source allows it.  The grant
    names `releases` with title and code, and those of the recordings that are their tracks; where no
    recordings are given, it is for all of their tracks that the party may grant.  A grant
    with an identifier that is known already is not made twice.  Raises `InvalidError` for recordings
    that the party cannot grant, and `ConflictError` when the identifier names another grant.
    """
    moment = now()
    conditions = dict(conditions or {})
    if not scopes:
        raise InvalidError("A grant without scopes allows nothing.", remedy="Name at least one scope.")
    if stray := sorted(conditions.keys() - set(scopes)):
        raise InvalidError(
            f"There are conditions for {', '.join(stray)}, which are not granted.",
            remedy="Name these scopes, or leave their conditions out.",
            code="condition",
        )
    if valid_until is not None and valid_until <= moment:
        raise InvalidError("The grant would have ended before it began.", remedy="Let valid_until be in the future.")
    lock(f"consent:{party.id}")
    if identifier and (known := Consent.objects.filter(id=identifier).first()):
        return _same(known, party, recordings, releases, scopes, territory, valid_until, conditions)
    granted = _grantable(party, recordings or _tracks(party, releases))
    named = _named(granted, releases)
    lock("covenant")  # nobody publishes terms that take from creators between the look at them and this grant
    grant = Grant(
        id=identifier or new_id(),
        party=party.id,
        party_name=party.name,
        recordings=tuple(sorted(granted)),
        releases=named,
        scopes=tuple(sorted(set(scopes))),
        conditions=conditions,
        territory=territory,
        covenant=covenant_in_force(),
        granted_at=timestamp(moment),
        valid_until=timestamp(valid_until) if valid_until else None,
        signed_by=by.email,
    )
    document = keyring().sign("rights", CONSENT, grant)
    receipt = log_append(kind="consent", subject=grant.id, document_digest=sha256(document.encode()), at=moment)
    consent = Consent.objects.create(
        id=grant.id,
        party=party,
        document=document,
        scopes=list(grant.scopes),
        conditions=_told(conditions),
        releases=[each.model_dump(mode="json") for each in named],
        territory=territory,
        covenant=grant.covenant,
        granted_at=moment,
        valid_until=valid_until,
        signed_by=by.email,
        receipt=receipt.model_dump(mode="json"),
    )
    ConsentRecording.objects.bulk_create(ConsentRecording(consent=consent, recording_id=r) for r in grant.recordings)
    more = {"releases": [each.release for each in named]} if named else {}
    audit(by=by, action="consent.grant", subject=consent.id, party=party.id, recordings=len(granted), **more)
    party_told(
        party_id=party.id,
        type="consent.granted",
        data={"consent": consent.id, "recordings": len(granted), "scopes": consent.scopes},
    )
    _owners_told(
        consent,
        by=by,
        title=f"{by.email} signed a grant for {party.name}",
        text=f"It allows {_in_words(consent.scopes)} with {len(granted)} recording{'s' * (len(granted) != 1)}"
        f"{': ' if named else ''}{'; '.join(consent.released())}. "
        "If nobody was to sign it, withdraw it on its page.",
    )
    return consent


def _told(conditions: Mapping[Scope, Condition]) -> dict[str, object]:
    return {scope: condition.model_dump(mode="json") for scope, condition in conditions.items()}


def _owners_told(consent: Consent, *, by: Actor, title: str, text: str) -> None:
    """Tell whoever else may sign for the party."""
    notify(
        organisations=consent.party.organisations.all(),
        besides=by,
        topic=Topic.CONSENT,
        title=title,
        text=text,
        href=reverse("consent:consent", args=[consent.id]),
    )


def _in_words(scopes: Collection[str]) -> str:
    return ", ".join(scope.replace("_", " ") for scope in scopes)


def _tracks(party: Party, releases: Collection[str]) -> list[str]:
    """The tracks of these releases that the party may grant."""
    own = recordings_of_party(party_id=party.id).filter(release__in=releases, source_free=True)
    return [str(recording) for recording in own.values_list("id", flat=True)]


def _named(granted: Collection[str], releases: Collection[str]) -> tuple[GrantedRelease, ...]:
    """The releases as the grant names them: each has a track among what is granted."""
    tracks: dict[str, list[str]] = {}
    rows = Recording.objects.filter(release__in=releases, id__in=granted).order_by("id")
    for recording, release in rows.values_list("id", "release_id"):
        tracks.setdefault(str(release), []).append(str(recording))
    if stray := sorted(set(releases) - tracks.keys()):
        raise InvalidError(
            f"Nothing of release {stray[0]} is granted.",
            remedy="Name releases with tracks in which the party has a share and whose source is free.",
            code="not-owned",
        )
    titles = Release.objects.in_bulk(tracks)
    return tuple(
        GrantedRelease(release=each, title=titles[each].title, upc=titles[each].upc, recordings=tuple(tracks[each]))
        for each in sorted(tracks)
    )


def _grantable(party: Party, recordings: Collection[str] | Literal["all"]) -> set[str]:
    own = dict(recordings_of_party(party_id=party.id).values_list("id", "source_free"))
    if recordings == "all":
        granted = {recording for recording, free in own.items() if free}
        if not granted:
            raise InvalidError(f"{party.name} has no share in a recording that could be granted.")
        return granted
    asked = set(recordings)
    if not asked:
        raise InvalidError("A grant over no recordings allows nothing.", remedy="Name recordings, or say all.")
    if foreign := sorted(asked - own.keys()):
        raise InvalidError(
            f"{party.name} has no share in {', '.join(foreign[:5])}{' …' if len(foreign) > 5 else ''}.",
            remedy="Leave these recordings out, or correct their shares first.",
            code="not-owned",
        )
    if reserved := sorted(recording for recording in asked if not own[recording]):
        raise InvalidError(
            f"The source of {', '.join(reserved[:5])}{' …' if len(reserved) > 5 else ''} reserves its rights.",
            remedy="Leave these recordings out: a share-holder cannot grant what the source keeps.",
            code="source-reserved",
        )
    return asked


def _same(
    known: Consent,
    party: Party,
    recordings: Collection[str] | Literal["all"],
    releases: Collection[str],
    scopes: Collection[Scope],
    territory: str,
    valid_until: datetime | None,
    conditions: Mapping[Scope, Condition],
) -> Consent:
    same = (
        known.party_id == party.id
        and set(known.scopes) == set(scopes)
        and known.territory == territory
        and known.valid_until == valid_until
        and known.conditions == _told(conditions)
        and {each["release"] for each in known.releases} == set(releases)
        and (
            recordings == "all"
            or (releases and not recordings)
            or set(recordings) == set(known.items.values_list("recording_id", flat=True))
        )
    )
    if not same:
        raise ConflictError(
            f"Consent {known.id} was granted with other terms.", remedy="Take a new identifier for a new grant."
        )
    return known


@transaction.atomic
def consent_withdraw(*, consent: Consent, recording_id: str | None, by: Actor) -> Withdrawal:
    """End a grant, for one recording or for all of it; doing it again changes nothing.

    Raises `InvalidError` when the grant does not name the recording.
    """
    lock(f"consent:{consent.party_id}")
    if known := consent.withdrawals.filter(recording=None).first():
        return known
    if recording_id is not None:
        if known := consent.withdrawals.filter(recording=recording_id).first():
            return known
        if not consent.items.filter(recording=recording_id).exists():
            raise InvalidError(
                f"Consent {consent.id} does not name recording {recording_id}.",
                remedy="Look for the consent that does, among those of this recording.",
                code="not-granted",
            )
    moment = now()
    fact = Withdrawn(consent=consent.id, recording=recording_id, at=timestamp(moment))
    receipt = log_append(kind="withdrawal", subject=consent.id, document_digest=digest(fact), at=moment)
    withdrawal = Withdrawal.objects.create(
        consent=consent,
        recording_id=recording_id,
        at=moment,
        signed_by=by.email,
        receipt=receipt.model_dump(mode="json"),
    )
    audit(by=by, action="consent.withdraw", subject=consent.id, recording=recording_id)
    party_told(
        party_id=consent.party_id,
        type="consent.withdrawn",
        data={"consent": consent.id, "recording": recording_id, "withdrawal": withdrawal.id},
    )
    _owners_told(
        consent,
        by=by,
        title=f"{by.email} withdrew {'part of ' if recording_id else ''}a grant of {consent.party.name}",
        text="From the next snapshot on, no model is trained on what was withdrawn. Its page has the receipt.",
    )
    after_commit(rights_status_publish)
    return withdrawal


def claim_open(*, recording: Recording, claimant: str, reason: str, by: Actor, party: Party | None = None) -> Claim:
    """Open a case of disputed authorship; see `cases.case_open`."""
    return case_open(
        kind=Claim.Kind.AUTHORSHIP, recording=recording, claimant=claimant, reason=reason, by=by, party=party
    )


def share_disputed(*, recording: Recording, party: Party, reason: str, by: Actor) -> Claim:
    """Open a case for a party that disputes its share."""
    return case_open(kind=Claim.Kind.SHARE, recording=recording, party=party, reason=reason, by=by)


def claim_resolve(*, claim: Claim, resolution: str, by: Actor) -> Claim:
    """Say how a claim ended, leaving everything as it was; see `cases.case_resolve`."""
    outcome = Claim.Outcome.EXPLAINED if claim.kind == Claim.Kind.CORRECTION else Claim.Outcome.AS_THEY_ARE
    return case_resolve(claim=claim, outcome=outcome, reason=resolution, by=by)
