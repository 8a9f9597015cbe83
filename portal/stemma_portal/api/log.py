"""The transparency log: anyone may ask it for proofs, since proofs are for those who do not trust us."""

from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router

from stemma.proof.log import Receipt
from stemma_portal.api.schemas import Consistency, Head, LogEntries
from stemma_portal.core.selectors import log_consistency, log_entries, log_head, log_receipt

router = Router(tags=["log"], auth=None)


@router.get("log/head", response=Head)
def head(request: HttpRequest) -> Head:  # noqa: ARG001 - ninja's signature
    """The signed head over everything logged so far."""
    return Head(head=log_head())


@router.get("log/entries", response=LogEntries)
def entries(
    request: HttpRequest,  # noqa: ARG001
    start: int = Query(ge=0, le=2**62, description="Position of the first, from 0"),
    end: int | None = Query(None, ge=0, le=2**62, description="Position of the last; else as many as one answer holds"),
) -> LogEntries:
    """Entries with their leaf hashes, at most 1000 at once: ask again from where they end (RFC 9162, 5.6).

    Of a certificate there is the leaf hash alone; its entry stands in its receipt.  Refused with
    `start-unknown` beyond the newest entry, and with `end-before-start`.
    """
    return LogEntries(entries=log_entries(start=start, end=end))


@router.get("log/entries/{entry}/receipt", response=Receipt, url_name="log_receipt")
def receipt(request: HttpRequest, entry: UUID) -> Receipt:  # noqa: ARG001
    """A fresh receipt of an entry."""
    return log_receipt(entry_id=str(entry))


@router.get("log/consistency", response=Consistency)
def consistency(request: HttpRequest, first: int = Query(ge=1, le=2**62)) -> Consistency:  # noqa: ARG001
    """Proof that the log of `first` entries begins the present one."""
    path, now = log_consistency(first=first)
    return Consistency(first=first, path=path, head=now)
