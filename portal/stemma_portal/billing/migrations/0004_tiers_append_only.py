"""Credit, refunds and what was stated of a license stay as they were."""

from django.db import migrations

from stemma_portal.core.db import append_only, freeze


class Migration(migrations.Migration):
    """The database refuses to change them, whoever asks."""

    dependencies = [("billing", "0003_tiers")]
    operations = [
        append_only("billing_creditentry"),
        append_only("billing_booking"),
        # What staff decide is written once beside it.
        freeze(
            "billing_refund",
            *("payment_id", "invoice_id", "amount", "currency", "account", "reason", "asked_at", "asked_by"),
        ),
        freeze(
            "billing_deadline",
            *("license_id", "cause", "covenant_id", "reason", "opened_at", "opened_by", "outputs"),
        ),
    ]
