"""The only writers of the log and of the audit trail."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db import transaction

from stemma.ids import new_id, now, timestamp
from stemma.proof.log import Entry, Kind, Receipt
from stemma_portal.core.db import lock
from stemma_portal.core.models import AuditEvent, LogEntry
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
    """Add one fact to the transparency log; see `log_append_all`."""
    return log_append_all(facts=[Fact(kind, subject, document_digest)], at=at)[0]


def log_append_all(*, facts: Sequence[Fact], at: datetime | None = None) -> list[Receipt]:
    """Add facts to the transparency log and give each its receipt, all under one signed head.

    One transaction after another: whoever appends holds the log's lock until it commits, so that
    positions have no gaps and the head covers exactly what is stored.
    """
    if not facts:
        return []
    with transaction.atomic():
        lock("log")
        start, moment = tree_size(), at or now()
        entries = [
            Entry(id=new_id(), kind=fact.kind, subject=fact.subject, at=timestamp(moment), digest=fact.digest)
            for fact in facts
        ]
        leaves = [entry.leaf() for entry in entries]
        tree, roots = tree_extended(start, leaves)
        size = start + len(entries)
        head = head_sign(tree=tree, size=size, at=timestamp(moment))
        LogEntry.objects.bulk_create(
            [
                LogEntry(
                    id=entry.id,
                    position=start + offset,
                    kind=entry.kind,
                    subject=entry.subject,
                    at=moment,
                    digest=entry.digest,
                    leaf=leaves[offset],
                    root=roots[offset],
                )
                for offset, entry in enumerate(entries)
            ]
        )
        return [
            Receipt(
                entry=entry,
                index=start + offset,
                path=[node.hex() for node in tree.inclusion(start + offset, size)],
                tree_head=head,
            )
            for offset, entry in enumerate(entries)
        ]


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
