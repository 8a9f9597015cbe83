"""The Merkle tree of RFC 9162, with its inclusion and consistency proofs.

Proofs have the form the standard gives them (a list of hashes, an index and a size), so that any
other verifier of transparency logs can check ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash of one entry (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that keeps every level, so that any proof takes O(log n).

    `_levels[0]` holds the leaf hashes; a node without a right sibling is carried to the next level,
    which is the split at the largest power of two that the standard asks for.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """`leaves` are leaf hashes (see `leaf_hash`), not entries."""
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash: O(log n)."""
        self._levels[0].append(leaf)
        index, level = len(self._levels[0]) - 1, 0
        while index > 0 or len(self._levels[level]) > 1:
            below = self._levels[level]
            parent = index // 2
            pair = below[2 * parent : 2 * parent + 2]
            value = node_hash(*pair) if len(pair) == 2 else pair[0]
            if level + 1 == len(self._levels):
                self._levels.append([])
            above = self._levels[level + 1]
            if parent < len(above):
                above[parent] = value
            else:
                above.append(value)
            index, level = parent, level + 1

    def root(self, size: int | None = None) -> bytes:
        """Root over the first `size` leaves, by default over all."""
        size = len(self) if size is None else size
        if not 0 <= size <= len(self):
            raise ValueError(f"the tree has {len(self)} leaves, not {size}")
        if size == len(self) > 0:
            return self._levels[-1][0]
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Path from leaf `index` to the root over `size` leaves (RFC 9162, 2.1.3.1)."""
        size = len(self) if size is None else size
        if not 0 <= index < size <= len(self):
            raise ValueError(f"no leaf {index} in a tree of {size}")
        return self._path(index, 0, size)

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """Proof that the tree of `first` leaves begins the one of `second` (RFC 9162, 2.1.4.1)."""
        second = len(self) if second is None else second
        if not 0 < first <= second <= len(self):
            raise ValueError(f"no proof between sizes {first} and {second}")
        return self._subproof(first, 0, second, whole=True)

    def _range(self, start: int, stop: int) -> bytes:
        """Hash over the leaves of [start, stop), reading a stored node wherever one is whole."""
        size = stop - start
        if size == 1:
            return self._levels[0][start]
        if size & (size - 1) == 0 and start % size == 0:
            return self._levels[size.bit_length() - 1][start // size]
        split = start + _split(size)
        return node_hash(self._range(start, split), self._range(split, stop))

    def _path(self, index: int, start: int, stop: int) -> list[bytes]:
        if stop - start == 1:
            return []
        split = start + _split(stop - start)
        if index < split:
            return [*self._path(index, start, split), self._range(split, stop)]
        return [*self._path(index, split, stop), self._range(start, split)]

    def _subproof(self, first: int, start: int, stop: int, *, whole: bool) -> list[bytes]:
        if first == stop:
            return [] if whole else [self._range(start, stop)]
        split = start + _split(stop - start)
        if first <= split:
            return [*self._subproof(first, start, split, whole=whole), self._range(split, stop)]
        return [*self._subproof(first, split, stop, whole=False), self._range(start, split)]


class Frontier:
    """The largest whole subtrees of a tree, left to right: enough to grow it and to know its root, in O(log n) memory.

    For whoever reads the entries of a log once, from the beginning or from an earlier tree on.
    """

    def __init__(self) -> None:
        self.size = 0
        """Leaves so far."""
        self._nodes: list[bytes] = []

    @classmethod
    def after(cls, first: int, first_root: bytes, second: int, path: Sequence[bytes]) -> Frontier:
        """That of the first tree, out of a consistency proof between two; verify the proof before.

        The proof holds every subtree of the first tree: its own end, and what lies left of that.
        """
        found = cls()
        if first == second:
            raise ValueError("there is no proof between a tree and itself")
        hashes = [first_root, *path] if first & (first - 1) == 0 else list(path)
        node, last = first - 1, second - 1
        while node & 1:
            node, last = node >> 1, last >> 1
        lefts = hashes[:1]
        for sibling in hashes[1:]:
            if node & 1 or node == last:
                lefts.append(sibling)
                while not node & 1 and node:
                    node, last = node >> 1, last >> 1
            node, last = node >> 1, last >> 1
        found.size, found._nodes = first, lefts[::-1]
        return found

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        size, node = self.size, leaf
        while size & 1:
            node, size = node_hash(self._nodes.pop(), node), size >> 1
        self._nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Root over all leaves so far."""
        if not self._nodes:
            return EMPTY_ROOT
        *rest, root = self._nodes
        for node in reversed(rest):
            root = node_hash(node, root)
        return root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from the leaf to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


def verify_consistency(first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the second tree only appended to the first (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    hashes = list(path)
    if first & (first - 1) == 0:
        hashes.insert(0, first_root)
    if not hashes:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root
