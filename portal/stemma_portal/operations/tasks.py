"""What the operations app publishes."""

from stemma.storage import storage
from stemma_portal.core.publish import publisher
from stemma_portal.operations.models import Snapshot


@publisher
def snapshot_receipt_publish(snapshot_id: str) -> None:
    """Put a snapshot's receipt beside its manifest."""
    snapshot = Snapshot.objects.get(id=snapshot_id)
    storage().put_json(f"snapshots/{snapshot.id}/receipt.json", snapshot.receipt)
    Snapshot.objects.filter(id=snapshot.id).update(published=True)


@publisher
def snapshot_receipts_heal() -> None:
    """Publish receipts that an earlier failure has left behind."""
    for waiting in Snapshot.objects.filter(published=False).values_list("id", flat=True):
        snapshot_receipt_publish(waiting)
