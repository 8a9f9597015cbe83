"""The log's Merkle tree, kept in memory and brought up to date from the leaves in the database.

Every stored entry carries the root of the tree it ends.  Before the tree in memory is used for a
size, its root there is compared with the stored one: a transaction that was rolled back, another
process or a changed row can make it wrong, and then it is built anew.
"""

import threading

from stemma.errors import ProofError
from stemma.proof.merkle import Tree
from stemma_portal.core.models import LogEntry

_lock = threading.Lock()
_tree = Tree()


def tree_size() -> int:
    """Number of entries that this transaction sees."""
    last = LogEntry.objects.order_by("-position").values_list("position", flat=True).first()
    return 0 if last is None else last + 1


def tree_at(size: int) -> Tree:
    """A tree that begins with the first `size` leaves of the log; it may already hold more.

    Raises `ProofError` when the stored leaves do not lead to the stored root.
    """
    with _lock:
        _extend(size)
        if not _agrees(size):
            _rebuild(size)
        return _tree


def tree_extended(size: int, leaves: list[bytes]) -> tuple[Tree, list[bytes]]:
    """The tree of exactly `size` stored leaves with new ones after them, and the root after each.

    Only for whoever holds the log's lock: nobody else can be adding then.
    """
    with _lock:
        _extend(size)
        if len(_tree) != size or not _agrees(size):
            _rebuild(size)
        roots = []
        for leaf in leaves:
            _tree.append(leaf)
            roots.append(_tree.root())
        return _tree, roots


def _extend(size: int) -> None:
    if len(_tree) < size:
        stored = LogEntry.objects.filter(position__gte=len(_tree), position__lt=size).order_by("position")
        for leaf in stored.values_list("leaf", flat=True).iterator(chunk_size=10_000):
            _tree.append(bytes(leaf))


def _agrees(size: int) -> bool:
    if size == 0:
        return True
    root = LogEntry.objects.filter(position=size - 1).values_list("root", flat=True).first()
    return root is not None and len(_tree) >= size and _tree.root(size) == bytes(root)


def _rebuild(size: int) -> None:
    global _tree  # noqa: PLW0603 - the one cache of this process
    _tree = Tree()
    _extend(size)
    if not _agrees(size):
        raise ProofError(
            f"The leaves of the log do not lead to the root stored with entry {size - 1}.",
            remedy="The table core_logentry was changed behind the portal's back: restore it from a backup.",
            code="log-tampered",
        )
