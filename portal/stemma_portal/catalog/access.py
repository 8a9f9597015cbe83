"""The only way to a recording or a party for a user."""

from django.db.models import QuerySet

from stemma.errors import NotFoundError
from stemma_portal.accounts.access import is_owner, is_staff, parties_of
from stemma_portal.accounts.models import User
from stemma_portal.catalog.custody import recordings_kept
from stemma_portal.catalog.models import Likeness, Party, Recording, Release, ShareQuestion, Work
from stemma_portal.catalog.selectors import (
    likenesses_visible,
    parties_visible,
    recordings_visible,
    releases_visible,
)
from stemma_portal.core.errors import ForbiddenError
from stemma_portal.core.fields import by_id


def access_recording(user: User, identifier: str) -> Recording:
    """A recording that the user may see, or looks after.  Raises `NotFoundError` for others."""
    found = by_id(recordings_visible(user), identifier)
    if found is None and (own := parties_of(user)):
        found = by_id(recordings_kept(own).select_related("work"), identifier)
    if found is None:
        raise NotFoundError(f"There is no recording {identifier}.")
    return found


def is_theirs(user: User, recording: Recording) -> bool:
    """Whether the user is staff, or of who brought the recording, has a share in it or looks after it."""
    if is_staff(user) or user.memberships.filter(organisation=recording.organisation_id).exists():
        return True
    own = parties_of(user)
    return recording.shares.filter(party__in=own).exists() or recordings_kept(own).filter(pk=recording.pk).exists()


def access_own_recording(user: User, identifier: str) -> Recording:
    """A recording that is the user's: licensees, who may see it, are told nothing of what is its owners'."""
    found = access_recording(user, identifier)
    if not is_theirs(user, found):
        raise NotFoundError(f"There is no recording {identifier} of yours.")
    return found


def access_sound(user: User, identifier: str) -> Recording:
    """A recording whose file the user may take with its owners' word in it.

    Raises `NotFoundError` for whose it is not, `ForbiddenError` unless they own what brought it, or sign for a party
    that owns its master.
    """
    found = access_own_recording(user, identifier)
    if not may_take_sound(user, found):
        raise ForbiddenError(
            "Only owners of the organisation that brought the recording, or of its master, take its file.",
            remedy="Ask one of them.",
        )
    return found


def may_take_sound(user: User, recording: Recording) -> bool:
    """The same for a recording that the user may see."""
    if recording.organisation is not None and is_owner(user, recording.organisation):
        return True
    masters = recording.shares.filter(side="master").values_list("party_id", flat=True).distinct()
    return any(may_sign(user, str(party)) for party in masters)


def access_work(user: User, identifier: str) -> tuple[Work, QuerySet[Recording]]:
    """A work with its recordings that the user may see.  Raises `NotFoundError` where there is none."""
    work = by_id(Work.objects.all(), identifier)
    recordings = recordings_visible(user).filter(work=work).order_by("title", "id")
    if work is None or not recordings.exists():
        raise NotFoundError(f"There is no work {identifier}.")
    return work, recordings


def access_release(user: User, identifier: str) -> Release:
    """A release that the user may see.  Raises `NotFoundError` for others."""
    found = by_id(releases_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no release {identifier}.")
    return found


def may_state_shares(user: User, recording: Recording) -> bool:
    """Whether the user may state who owns a recording: staff, and owners of the organisation that brought it."""
    return is_staff(user) or (recording.organisation is not None and is_owner(user, recording.organisation))


def access_shares(user: User, identifier: str) -> Recording:
    """A recording whose shares the user may state.

    Raises `NotFoundError` for strangers, `ForbiddenError` for whoever may look but not state.
    """
    recording = access_recording(user, identifier)
    if not may_state_shares(user, recording):
        brought = recording.organisation.name if recording.organisation else "the house"
        raise ForbiddenError(
            f"Only owners of {brought}, which brought the recording, and rights staff may state its shares.",
            remedy="Ask them, or open a claim if they are wrong.",
        )
    return recording


def may_decide_likeness(user: User, likeness: Likeness) -> bool:
    """Whether the user may merge or separate two recordings: staff, and owners of who brought both."""
    if is_staff(user):
        return True
    organisation = likeness.one.organisation
    same = organisation is not None and likeness.one.organisation_id == likeness.other.organisation_id
    return same and is_owner(user, organisation)


def access_likeness(user: User, identifier: str, *, act: bool = False) -> Likeness:
    """A likeness of two recordings that the user may see; with `act`, one that they may decide about."""
    found = by_id(likenesses_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no likeness {identifier}.")
    if act and not may_decide_likeness(user, found):
        raise ForbiddenError(
            "Only rights staff, or owners of the organisation that brought both recordings, may decide this.",
            remedy="Ask rights staff, or open a claim.",
        )
    return found


def access_share_question(user: User, identifier: str) -> ShareQuestion:
    """A question about a share that the user may answer in the name of the party that is asked."""
    own = ShareQuestion.objects.filter(party__in=parties_visible(user)).select_related("party", "revision__recording")
    found = by_id(own, identifier)
    if found is None:
        raise NotFoundError(f"There is no question {identifier}.")
    access_party(user, found.party_id, act=True)
    return found


def access_party(user: User, identifier: str, *, act: bool = False) -> Party:
    """A party that the user may see; with `act`, one in whose name they may sign.

    Owners of its organisation act for a party; staff only for the parties of the demonstration.
    Raises `NotFoundError` for strangers, `ForbiddenError` for whoever may look but not sign.
    """
    found = by_id(parties_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no party {identifier}.")
    if act and not (found.demo and is_staff(user)) and not any(is_owner(user, o) for o in found.organisations.all()):
        raise ForbiddenError(
            f"Only owners of the organisation of {found.name} may sign for it.", remedy="Ask one of them to do it."
        )
    return found


def may_sign(user: User, identifier: str) -> bool:
    """Whether the user may act in the name of this party."""
    try:
        access_party(user, identifier, act=True)
    except (ForbiddenError, NotFoundError):
        return False
    return True
