"""The tree against the standard's own definition and against a second implementation."""

import hashlib

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.proof.merkle import EMPTY_ROOT, Frontier, Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion

pytestmark = pytest.mark.unit

leaves = st.lists(st.binary(max_size=8), min_size=1, max_size=70).map(lambda entries: [leaf_hash(e) for e in entries])


def defined_root(hashes: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return node_hash(defined_root(hashes[:k]), defined_root(hashes[k:]))


@given(leaves)
def test_root_is_the_one_the_standard_defines(hashes):
    assert Tree(hashes).root() == defined_root(hashes)


def test_empty_tree_has_the_hash_of_nothing():
    assert Tree().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


@given(st.lists(st.binary(min_size=1, max_size=16), min_size=1, max_size=40))
def test_root_agrees_with_pymerkle(entries):
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        other.append_entry(entry)
    assert Tree(leaf_hash(e) for e in entries).root() == other.get_root()


@given(leaves, st.data())
def test_every_leaf_is_proved_in_every_later_tree(hashes, data):
    tree = Tree(hashes)
    size = data.draw(st.integers(1, len(hashes)))
    index = data.draw(st.integers(0, size - 1))
    path = tree.inclusion(index, size)
    root = tree.root(size)
    assert verify_inclusion(hashes[index], index, size, path, root)
    assert not verify_inclusion(leaf_hash(b"another entry than any"), index, size, path, root)
    assert not verify_inclusion(hashes[index], index, size, [*path, root], root)
    assert not verify_inclusion(hashes[index], size, size, path, root)
    if path:
        assert not verify_inclusion(hashes[index], index, size, path[:-1], root)


@given(leaves, st.data())
def test_every_earlier_tree_is_proved_a_beginning(hashes, data):
    tree = Tree(hashes)
    second = data.draw(st.integers(1, len(hashes)))
    first = data.draw(st.integers(1, second))
    path = tree.consistency(first, second)
    assert verify_consistency(first, tree.root(first), second, tree.root(second), path)
    wrong = leaf_hash(b"a root of no tree")
    assert not verify_consistency(first, wrong, second, tree.root(second), path)
    assert not verify_consistency(first, tree.root(first), second, wrong, path)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 4)])
def test_proofs_outside_the_tree_are_refused(index, size):
    tree = Tree(leaf_hash(bytes([i])) for i in range(3))
    with pytest.raises(ValueError, match="no leaf"):
        tree.inclusion(index, size)


@given(leaves, st.data())
def test_a_frontier_grows_to_the_same_root_from_nothing_and_from_any_proved_tree(hashes, data):
    tree, grown = Tree(hashes), Frontier()
    assert grown.root() == EMPTY_ROOT
    for size, leaf in enumerate(hashes, start=1):
        grown.append(leaf)
        assert (grown.size, grown.root()) == (size, tree.root(size))
    if len(hashes) > 1:
        first = data.draw(st.integers(1, len(hashes) - 1))
        later = Frontier.after(first, tree.root(first), len(hashes), tree.consistency(first))
        assert (later.size, later.root()) == (first, tree.root(first))
        for leaf in hashes[first:]:
            later.append(leaf)
        assert later.root() == tree.root()
