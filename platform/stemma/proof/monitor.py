"""Auditing the whole log, as a monitor does: the entries that it lists must lead to the root that it signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from stemma.errors import ProofError
from stemma.proof.keys import Jwks, verify
from stemma.proof.log import TREE_HEAD, WITHHELD, Listed, TreeHead
from stemma.proof.merkle import Frontier, verify_consistency

MOST_PROBLEMS = 20
"""Of a log that is wrong throughout, so many are told."""


@dataclass
class Audit:
    """What an audit found."""

    head: TreeHead
    since: TreeHead | None
    """The earlier head from which on the entries were read; None: from the first."""
    kinds: Counter[str] = field(default_factory=Counter)
    """How many entries of each kind were read."""
    withheld: int = 0
    """How many of them are listed by their leaf hash alone."""
    first_at: str = ""
    last_at: str = ""
    """Between which moments those that are told were logged; empty without one."""
    problems: list[str] = field(default_factory=list)
    more: int = 0
    """Problems beyond `MOST_PROBLEMS`."""

    @property
    def holds(self) -> bool:
        """Whether the log is what it says it is."""
        return not self.problems

    def tell(self, problem: str) -> None:
        """Add a problem, or count it where there are too many."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more += 1


def read_head(token: str, keys: Jwks) -> TreeHead:
    """A signed head.  Raises `ProofError` where the log has not signed it, or it is none."""
    try:
        return TreeHead.model_validate(verify(token, keys, "log", TREE_HEAD))
    except ValidationError as error:
        raise ProofError("This is no head of a log.", remedy="Give the signed head as the log gave it out.") from error


def audit(
    head: TreeHead, entries: Iterable[Listed], *, since: TreeHead | None = None, path: Sequence[bytes] = ()
) -> Audit:
    """Whether the log under `head` is whole, and only grew since an earlier head.

    `entries` are all from the first, or with `since` from that head's size on; `path` is then the consistency
    proof between the two.  Each entry must hash to its leaf, and the leaves must lead to the signed root.
    """
    found = Audit(head, since)
    grown = _beginning(found, path)
    if grown is None:
        return found
    for listed in entries:
        if listed.index != grown.size:
            found.tell(f"Where entry {grown.size} should be, the log lists entry {listed.index}.")
            return found
        _read(found, listed)
        grown.append(bytes.fromhex(listed.leaf))
    if grown.size != head.size:
        found.tell(f"The log lists {grown.size} entries; its head is over {head.size}.")
    elif grown.root().hex() != head.root:
        found.tell("The entries that the log lists do not lead to the root that it signed.")
    return found


def _beginning(found: Audit, path: Sequence[bytes]) -> Frontier | None:
    """Where reading begins; None where nothing is to be read: it is the earlier head, or does not follow it."""
    head, since = found.head, found.since
    if since is None:
        return Frontier()
    old, new = bytes.fromhex(since.root), bytes.fromhex(head.root)
    if since.log != head.log:
        found.tell(f"The earlier head is of the log {since.log}, this one of {head.log}.")
    elif since.size > head.size:
        found.tell(f"The log had {since.size} entries at {since.at} and has {head.size} now: it lost some.")
    elif since.size == head.size:
        if old != new:
            found.tell(f"At {since.size} entries the log signed another root before: it was written anew.")
    elif since.size == 0:
        return Frontier()
    elif verify_consistency(since.size, old, head.size, new, path):
        return Frontier.after(since.size, old, head.size, path)
    else:
        found.tell(f"The log of {since.size} entries is not the beginning of this one: it was written anew.")
    return None


def _read(found: Audit, listed: Listed) -> None:
    found.kinds[listed.kind] += 1
    entry = listed.entry
    if entry is None:
        found.withheld += 1
        if listed.kind not in WITHHELD:
            found.tell(f"Entry {listed.index} is a {listed.kind} and is not told.")
        return
    if entry.kind != listed.kind:
        found.tell(f"Entry {listed.index} is listed as a {listed.kind} and says that it is a {entry.kind}.")
    if entry.leaf().hex() != listed.leaf:
        found.tell(f"Entry {listed.index} ({entry.kind} {entry.subject}) is not what its leaf was made of.")
    found.first_at = min(found.first_at or entry.at, entry.at)
    found.last_at = max(found.last_at, entry.at)
