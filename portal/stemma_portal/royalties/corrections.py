"""A line of a statement that its owner says cannot be."""

from stemma.errors import NotFoundError
from stemma_portal.accounts.models import User
from stemma_portal.catalog.access import access_party
from stemma_portal.consent.cases import case_open
from stemma_portal.consent.models import Claim
from stemma_portal.royalties import selectors
from stemma_portal.royalties.access import statement_access
from stemma_portal.royalties.models import Statement

KEPT = ("training", "attribution", "commons", "total", "hold", "release", "uses")


def access_line(user: User, statement_id: str, recording_id: str) -> tuple[Statement, dict[str, object]]:
    """A statement that the user may see, and its line for a recording.  Raises `NotFoundError`."""
    statement = statement_access(user=user, statement_id=statement_id)
    rows = selectors.statement_recordings(statement=statement)
    row = next((row for row in rows if row["recording"].pk == recording_id), None)  # type: ignore[attr-defined]
    if row is None:
        raise NotFoundError(f"Statement {statement_id} has no line for recording {recording_id}.")
    return statement, row


def correction_ask(*, statement: Statement, row: dict[str, object], reason: str, by: User) -> Claim:
    """Open a case that keeps the line as it is; rights staff answer it.  Owners of the statement's party alone."""
    party = access_party(by, statement.party_id, act=True)
    line = {"period": statement.period_id, "currency": statement.currency, **{name: row[name] for name in KEPT}}
    return case_open(
        kind=Claim.Kind.CORRECTION,
        recording=row["recording"],  # type: ignore[arg-type]
        party=party,
        reason=reason,
        subject=statement.pk,
        detail={"line": line},
        by=by,
    )
