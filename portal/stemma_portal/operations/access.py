"""The only way to a snapshot or a release for a user."""

from stemma.errors import NotFoundError
from stemma_portal.accounts.models import User
from stemma_portal.catalog.access import access_recording
from stemma_portal.catalog.models import Recording
from stemma_portal.core.fields import by_id
from stemma_portal.operations.models import ModelRelease, Snapshot
from stemma_portal.operations.selectors import releases, snapshots_visible


def access_snapshot(user: User, identifier: str) -> Snapshot:
    """A snapshot that the user may see."""
    found = by_id(snapshots_visible(user), identifier)
    if found is None:
        raise NotFoundError(f"There is no snapshot {identifier}.")
    return found


def access_absence(user: User, recording: str, snapshot: str) -> tuple[Recording, Snapshot]:
    """A recording that the user may see, and any snapshot: that it is not there shows nothing else of it."""
    found = access_recording(user, recording)
    other = by_id(Snapshot.objects.all(), snapshot)
    if other is None:
        raise NotFoundError(f"There is no snapshot {snapshot}.")
    return found, other


def access_release(user: User, identifier: str) -> ModelRelease:  # noqa: ARG001 - every access function asks who wants in
    """A model release: whoever has signed in sees all of them, since any may be made of their music."""
    found = releases().filter(id=identifier).first()
    if found is None:
        raise NotFoundError(f"There is no model release {identifier}.")
    return found
