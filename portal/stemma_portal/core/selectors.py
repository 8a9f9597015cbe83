"""Reading the log and the audit trail."""

from stemma.errors import InvalidError, NotFoundError
from stemma.ids import now, timestamp
from stemma.proof.log import TREE_HEAD, Kind, Listed, Receipt, TreeHead
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


MAX_ENTRIES = 1000
"""How many entries are given out at once."""


def log_entries(*, start: int, end: int | None = None) -> list[Listed]:
    """Entries from position `start` to `end`, both included, as RFC 9162 (5.6) asks; at most `MAX_ENTRIES`.

    Whoever wants the rest asks again from where they end.
    """
    size = tree_size()
    if not 0 <= start < size:
        raise InvalidError(
            f"The log has {size} entries; there is none at position {start}.",
            remedy=f"Ask with start between 0 and {size - 1}." if size else "Ask again when something is logged.",
            code="start-unknown",
        )
    if end is not None and end < start:
        raise InvalidError(
            f"The end {end} is before the start {start}.",
            remedy="Ask with an end that is not before the start.",
            code="end-before-start",
        )
    stop = min(start + MAX_ENTRIES, size, size if end is None else end + 1)
    rows = LogEntry.objects.filter(position__gte=start, position__lt=stop).order_by("position")
    return [row.listed() for row in rows]


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
