"""What recordings have earned, for whoever is about to grant theirs."""

from django.db import connection

from stemma_portal.consent.outlook import Outlook
from stemma_portal.royalties.models import Period, StatementLine

PERIODS = 12
FEWEST = 5
"""Recordings below which figures would tell of single ones."""
EARNING = [StatementLine.Kind.TRAINING, StatementLine.Kind.ATTRIBUTION, StatementLine.Kind.COMMONS]
SQL = """
    SELECT count(DISTINCT recording), percentile_disc(array[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY amount)
    FROM (
        SELECT line.recording_id AS recording, sum(line.amount)::bigint AS amount
        FROM royalties_statementline line JOIN royalties_statement statement ON statement.id = line.statement_id
        WHERE statement.period_id = ANY(%s) AND line.recording_id IS NOT NULL AND line.kind = ANY(%s)
        GROUP BY line.recording_id, statement.period_id
    ) earned
"""


def outlook() -> Outlook | None:
    """Quarters of what a recording earned in each of the last closed periods of the newest currency."""
    newest = Period.objects.filter(state=Period.State.CLOSED).first()
    if newest is None:
        return None
    closed = Period.objects.filter(state=Period.State.CLOSED, currency=newest.currency)[:PERIODS]
    periods = [period.id for period in closed]
    with connection.cursor() as cursor:
        cursor.execute(SQL, [periods, EARNING])
        recordings, quarters = cursor.fetchone()
    if recordings < FEWEST:
        return None
    return Outlook(newest.currency, len(periods), recordings, *quarters)
