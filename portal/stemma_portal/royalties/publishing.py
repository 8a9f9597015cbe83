"""What is put into object storage once a period is closed."""

from stemma.storage import storage
from stemma_portal.core.publish import publisher
from stemma_portal.royalties.models import Period


@publisher
def period_publish(period_id: str) -> None:
    """Put the period's document and its receipt beside its statements."""
    period = Period.objects.get(pk=period_id)
    storage().put_json(f"statements/{period_id}/period.json", period.document)
    storage().put_json(f"statements/{period_id}/receipt.json", period.receipt)
