"""A monitor of the log, shown logs that are honest and logs that are not."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemma.errors import ProofError
from stemma.ids import new_id
from stemma.proof.keys import KeyRing
from stemma.proof.log import WITHHELD, Entry, Listed, TreeHead, sign_head
from stemma.proof.merkle import Tree
from stemma.proof.monitor import MOST_PROBLEMS, audit, read_head

pytestmark = pytest.mark.unit
KINDS = ("consent", "certificate", "release", "covenant")


def entry(number: int, kind: str = "") -> Entry:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    kind = kind or KINDS[number % len(KINDS)]
    at = f"2026-01-01T00:00:{number % 60:02d}.000000Z"
    return Entry(id=new_id(), kind=kind, subject=f"s{number}", at=at, digest=digest)


class Log:
    """A log as an installation keeps it."""

    def __init__(self, size: int) -> None:
        self.entries = [entry(n) for n in range(size)]
        self.tree = Tree(each.leaf() for each in self.entries)

    def head(self, size: int | None = None, log: str = "here") -> TreeHead:
        size = len(self.tree) if size is None else size
        return TreeHead(log=log, size=size, root=self.tree.root(size).hex(), at="2026-01-02T00:00:00Z")

    def listed(self, start: int = 0) -> list[Listed]:
        return [
            Listed(index=i, kind=e.kind, leaf=e.leaf().hex(), entry=None if e.kind in WITHHELD else e)
            for i, e in enumerate(self.entries)
        ][start:]

    def since(self, first: int):
        path = self.tree.consistency(first) if 0 < first < len(self.tree) else []
        return audit(self.head(), self.listed(first), since=self.head(first), path=path)


@given(st.integers(0, 70), st.data())
def test_an_honest_log_holds_whole_and_from_any_earlier_head_on(size, data):
    log = Log(size)
    whole = audit(log.head(), log.listed())
    assert whole.holds
    assert whole.kinds.total() == size
    assert whole.withheld == whole.kinds["certificate"] == sum(e.kind == "certificate" for e in log.entries)
    first = data.draw(st.integers(0, size))
    later = log.since(first)
    assert later.holds
    assert later.kinds.total() == size - first


@given(st.integers(1, 40), st.data())
def test_one_changed_entry_anywhere_is_found(size, data):
    log = Log(size)
    rows = log.listed()
    place = data.draw(st.integers(0, size - 1))
    row = rows[place]
    other = entry(place, kind=row.kind)
    rows[place] = row.model_copy(update={"leaf": other.leaf().hex(), "entry": row.entry and other})
    assert not audit(log.head(), rows).holds
    if row.entry is not None:
        for field, value in (("subject", "x"), ("digest", "0" * 64), ("at", "2020"), ("id", new_id())):
            rows[place] = row.model_copy(update={"entry": row.entry.model_copy(update={field: value})})
            [problem] = audit(log.head(), rows).problems
            assert f"Entry {place}" in problem


@given(st.integers(2, 40), st.data())
def test_entries_that_are_left_out_added_or_moved_are_found(size, data):
    log = Log(size)
    rows, place = log.listed(), data.draw(st.integers(0, size - 2))
    assert not audit(log.head(), rows[:-1]).holds
    assert not audit(log.head(), rows[:place] + rows[place + 1 :]).holds
    renumbered = [row.model_copy(update={"index": i}) for i, row in enumerate(rows[:place] + rows[place + 1 :])]
    assert not audit(log.head(), renumbered).holds
    swapped = [*rows]
    swapped[place], swapped[place + 1] = (
        rows[place + 1].model_copy(update={"index": place}),
        rows[place].model_copy(update={"index": place + 1}),
    )
    assert not audit(log.head(), swapped).holds
    extra = Listed(index=size, kind="consent", leaf="0" * 64, entry=None)
    assert not audit(log.head(), [*rows, extra]).holds


@given(st.integers(2, 40), st.data())
def test_a_log_that_was_written_anew_is_not_the_one_of_the_earlier_head(size, data):
    log, other = Log(size), Log(size)
    first = data.draw(st.integers(1, size - 1))
    path = other.tree.consistency(first)
    found = audit(other.head(), other.listed(first), since=log.head(first), path=path)
    assert ["written anew" in problem for problem in found.problems] == [True]
    assert "written anew" in audit(other.head(), [], since=log.head()).problems[0]
    assert "lost some" in audit(log.head(first), [], since=log.head()).problems[0]
    assert "of the log" in audit(log.head(), log.listed(first), since=log.head(first, "there"), path=path).problems[0]


def test_an_entry_of_a_kind_that_anyone_may_read_is_not_withheld():
    log = Log(5)
    rows = [row.model_copy(update={"entry": None}) for row in log.listed()]
    assert [problem.split()[1] for problem in audit(log.head(), rows).problems] == ["0", "2", "3", "4"]
    rows[0] = log.listed()[0].model_copy(update={"kind": "covenant"})
    assert "listed as a covenant" in audit(log.head(), rows).problems[0]


def test_a_log_that_is_wrong_throughout_is_told_in_a_bounded_way():
    log = Log(200)
    rows = [row.model_copy(update={"kind": "license", "entry": None}) for row in log.listed()]
    found = audit(log.head(), rows)
    assert (len(found.problems), found.more) == (MOST_PROBLEMS, 200 - MOST_PROBLEMS)
    assert not replace(found).holds


def test_a_head_that_the_log_did_not_sign_is_refused(tmp_path):
    ring, other = KeyRing(tmp_path / "one"), KeyRing(tmp_path / "two")
    ring.create()
    other.create()
    token = sign_head(Log(3).tree, "here", "2026-01-01T00:00:00Z", ring)
    assert read_head(token, ring.jwks()).size == 3
    for wrong in (token[:-6] + "AAAAAA", token.rsplit(".", 1)[0], "", "a.b.c"):
        with pytest.raises(ProofError):
            read_head(wrong, ring.jwks())
    with pytest.raises(ProofError):
        read_head(token, other.jwks())
