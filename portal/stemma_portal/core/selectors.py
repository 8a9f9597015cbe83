"""Reading the log and the audit trail."""

from stemma.errors import InvalidError, NotFoundError
from stemma.ids import now, timestamp
from stemma.proof.log import TREE_HEAD, Kind, Receipt, TreeHead
from stemma.proof.merkle import Tree
from stemma_portal.core.fields import by_id
from stemma_portal.core.keys import keyring, log_id
from stemma_portal.core.models import LogEntry
from stemma_portal.core.tree import tree_at, tree_size


def head_sign(*, tree: Tree, size: int, at: str) -> str:
    """The signed head over the first `size` leaves."""
    head = TreeHead(log=log_id(), size=size, root=tree.root(size).hex(), at=at)
    return keyring().sign("log", TREE_HEAD, head)


def log_head() -> str:
    """The signed head over everything logged so far."""
    size = tree_size()
    return head_sign(tree=tree_at(size), size=size, at=timestamp(now()))


def log_receipt(*, entry_id: str) -> Receipt:
    """A fresh receipt of an entry, under the newest head.  Raises `NotFoundError`."""
    row = by_id(LogEntry.objects.all(), entry_id)
    if row is None:
        raise NotFoundError(f"The log holds no entry {entry_id}.")
    size = tree_size()
    tree = tree_at(size)
    head = head_sign(tree=tree, size=size, at=timestamp(now()))
    path = [node.hex() for node in tree.inclusion(row.position, size)]
    return Receipt(entry=row.entry(), index=row.position, path=path, tree_head=head)


def log_consistency(*, first: int) -> tuple[list[str], str]:
    """Proof that the log of `first` entries begins the present one, and the head of that."""
    size = tree_size()
    if not 0 < first <= size:
        raise InvalidError(
            f"The log has {size} entries; there is no proof from size {first}.",
            remedy=f"Ask with first between 1 and {size}.",
        )
    tree = tree_at(size)
    path = [node.hex() for node in tree.consistency(first, size)]
    return path, head_sign(tree=tree, size=size, at=timestamp(now()))


def log_latest(*, kind: Kind) -> LogEntry | None:
    """The newest entry of a kind.  The covenant in force is the newest one of kind `covenant`."""
    return LogEntry.objects.filter(kind=kind).order_by("-position").first()


def covenant_in_force() -> str:
    """SHA-256 of the covenant under which consents and licenses are granted now."""
    entry = log_latest(kind="covenant")
    if entry is None:
        raise InvalidError(
            "No covenant is published yet: there are no terms to consent to.",
            remedy="Run `python -m stemma_portal seed_demo`, or publish a covenant.",
            code="no-covenant",
        )
    return entry.digest
