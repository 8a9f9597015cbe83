"""Merging duplicates with regard to who has consented."""

from stemma_portal.catalog.likeness import likeness_merge
from stemma_portal.catalog.models import Cluster, Likeness
from stemma_portal.consent.selectors import recording_states
from stemma_portal.core.services import Actor


def duplicates_merge(*, likeness: Likeness, canonical: str | None = None, by: Actor) -> Cluster:
    """Let two recordings be one; where nobody names which stands for all, one with consent goes first."""
    members = {likeness.one_id, likeness.other_id}
    for cluster in (likeness.one.cluster, likeness.other.cluster):
        if cluster is not None:
            members.update(cluster.recordings.values_list("id", flat=True))
    consented = [each for each, state in recording_states(members).items() if state.state == "consented"]
    return likeness_merge(likeness=likeness, canonical=canonical, consented=consented, by=by)
