"""The only writers of the log and of the audit trail."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db import connection, transaction

from stemma.ids import new_id, now, timestamp
from stemma.proof.log import Entry, Kind, Receipt
from stemma.proof.merkle import Tree
from stemma_portal.core.db import lock
from stemma_portal.core.models import AuditEvent
from stemma_portal.core.selectors import head_sign
from stemma_portal.core.tree import tree_extended, tree_size
from stemma_portal.core.whence import whence


class Actor(Protocol):
    """Whoever does something: a user of the portal."""

    pk: Any
    email: str


class Fact(NamedTuple):
    """What is to be logged."""

    kind: Kind
    subject: str
    digest: str
    """SHA-256 of the document."""


def log_append(*, kind: Kind, subject: str, document_digest: str, at: datetime | None = None) -> Receipt:
    """Add one fact to the transparency log and give it its receipt, under a signed head.

    One transaction after another: whoever appends holds the log's lock until it commits, so that
    positions have no gaps and the head covers exactly what is stored.
    """
    with transaction.atomic():
        moment = at or now()
        index, [entry], tree = _appended([Fact(kind, subject, document_digest)], moment)
        head = head_sign(tree=tree, size=index + 1, at=timestamp(moment))
        path = [node.hex() for node in tree.inclusion(index, index + 1)]
        return Receipt(entry=entry, index=index, path=path, tree_head=head)


def log_append_all(*, facts: Sequence[Fact]) -> list[Entry]:
    """Add many facts at once; their receipts are asked for later (`log_receipt`)."""
    if not facts:
        return []
    with transaction.atomic():
        return _appended(facts, now())[1]


def _appended(facts: Sequence[Fact], moment: datetime) -> tuple[int, list[Entry], Tree]:
    """The position of the first of the new entries, them, and the tree that ends with them."""
    lock("log")
    start, at = tree_size(), timestamp(moment)
    entries = [Entry(id=new_id(), kind=fact.kind, subject=fact.subject, at=at, digest=fact.digest) for fact in facts]
    leaves = [entry.leaf() for entry in entries]
    tree, roots = tree_extended(start, leaves)
    # COPY: an output is an entry, and they come in thousands.
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(COPY) as copy:
        for offset, (entry, leaf, root) in enumerate(zip(entries, leaves, roots, strict=True)):
            copy.write_row((entry.id, start + offset, entry.kind, entry.subject, at, entry.digest, leaf, root))
    return start, entries, tree


COPY = "COPY core_logentry (id, position, kind, subject, at, digest, leaf, root) FROM STDIN"


def audit(*, by: Actor | None, action: str, subject: str, **detail: Any) -> None:
    """Write down who did what, and from where.  Called by every service that changes something.

    `before` and `after` in the detail say what became what.
    """
    place = whence()
    AuditEvent.objects.create(
        channel=place.channel,
        address=place.address,
        agent=place.agent[:200],
        request=place.request[:64],
        actor=by.email if by else "system",
        actor_id=str(by.pk) if by else "",
        action=action,
        subject=subject,
        detail=detail,
    )
