"""What went out or came from a bank stays as it was."""

from django.db import migrations

from stemma_portal.core.db import append_only, freeze


class Migration(migrations.Migration):
    """The database refuses to change invoices, payments and what people declared, whoever asks."""

    dependencies = [("billing", "0001_initial")]
    operations = [
        *(
            append_only(f"billing_{table}")
            for table in (
                "seller",
                "ratetable",
                "quote",
                "invoice",
                "invoiceline",
                "creditnote",
                "bankstatement",
                "payment",
                "match",
            )
        ),
        freeze("billing_order", "quote_id", "organisation_id", "created_at", "created_by"),
        # What was declared stays; what staff decide about it, and what follows, is written once beside it.
        freeze(
            "billing_revenuedeclaration",
            *("organisation_id", "entity", '"group"', "amount", "currency", "starts", "ends", "made_at", "made_by"),
            *("evidence_key", "evidence_sha256", "doubts"),
        ),
    ]
