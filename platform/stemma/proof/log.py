"""Entries of the transparency log, its signed tree heads, and receipts that verify offline."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stemma.errors import ProofError
from stemma.proof.canonical import canonical
from stemma.proof.keys import Jwks, KeyRing, verify
from stemma.proof.merkle import Tree, leaf_hash, verify_inclusion

TREE_HEAD = "stemma-tree-head+jws"

Kind = Literal[
    "consent", "withdrawal", "claim", "covenant", "acceptance",
    "license", "snapshot", "release", "period", "certificate",
]  # fmt: skip
Hex = Field(pattern=r"^[0-9a-f]{64}$")


class Entry(BaseModel):
    """One fact in the log: what it is about and the hash of its document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Kind
    subject: str
    """Identifier of the consent, snapshot, release … that the document describes."""
    at: str
    """When it was logged, RFC 3339 in UTC."""
    digest: str = Hex
    """SHA-256 of the document."""

    def leaf(self) -> bytes:
        """Leaf hash of the entry."""
        return leaf_hash(canonical(self))


WITHHELD: frozenset[Kind] = frozenset({"certificate"})
"""Kinds whose entries are listed by their leaf hash alone.

Whoever knows a certificate's subject may open its public page, which is in no list; so the log lists none
either.  The leaf binds the entry all the same, and its identifier is random: nobody guesses it from the hash.
"""


class Listed(BaseModel):
    """An entry as the list of the log gives it to anyone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: int = Field(ge=0)
    kind: Kind
    leaf: str = Hex
    entry: Entry | None
    """None where the kind is one of `WITHHELD`: whoever holds the document has the entry in its receipt."""


class TreeHead(BaseModel):
    """The state of the whole log at one moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log: str
    """Identifier of the log."""
    size: int = Field(ge=0)
    root: str = Hex
    at: str


class Receipt(BaseModel):
    """Proof that an entry is in the log: its place, the path to the root, the signed root."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry: Entry
    index: int = Field(ge=0)
    path: list[str]
    tree_head: str
    """A `TreeHead` as JWS, signed with a key of role `log`."""


def sign_head(tree: Tree, log: str, at: str, keys: KeyRing) -> str:
    """The signed head of a tree."""
    head = TreeHead(log=log, size=len(tree), root=tree.root().hex(), at=at)
    return keys.sign("log", TREE_HEAD, head)


def receipt(tree: Tree, index: int, entry: Entry, head: str) -> Receipt:
    """The receipt of the entry at `index`, under a head signed over the whole tree."""
    return Receipt(entry=entry, index=index, path=[node.hex() for node in tree.inclusion(index)], tree_head=head)


def check_receipt(given: Receipt, keys: Jwks, *, digest: str | None = None) -> TreeHead:
    """The tree head under which the receipt proves its entry.

    `digest` is the hash of the document in hand, where there is one.  Raises `ProofError` when the
    head is not signed by the log, the path does not lead to it, or the entry names another document.
    """
    head = TreeHead.model_validate(verify(given.tree_head, keys, "log", TREE_HEAD))
    path = [bytes.fromhex(node) for node in given.path]
    if not verify_inclusion(given.entry.leaf(), given.index, head.size, path, bytes.fromhex(head.root)):
        raise ProofError(
            f"The log does not hold this {given.entry.kind} entry: its path leads elsewhere.", code="not-in-log"
        )
    if digest is not None and digest != given.entry.digest:
        raise ProofError(
            f"The log holds another {given.entry.kind} document than this one for {given.entry.subject}.",
            code="other-document",
        )
    return head
