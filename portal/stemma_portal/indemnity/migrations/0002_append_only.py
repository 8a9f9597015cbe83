"""What came in, was said, was sealed, and what was decided about money stays as it was."""

from django.db import migrations

from stemma_portal.core.db import append_only, freeze

DECIDED = """
CREATE TRIGGER indemnity_reservemove_decided BEFORE UPDATE ON indemnity_reservemove
    FOR EACH ROW WHEN (OLD.decided_at IS NOT NULL) EXECUTE FUNCTION stemma_refuse();
CREATE TRIGGER indemnity_reservemove_kept BEFORE DELETE ON indemnity_reservemove
    FOR EACH ROW EXECUTE FUNCTION stemma_refuse();
"""


class Migration(migrations.Migration):
    """The database refuses, whoever asks."""

    dependencies = [("indemnity", "0001_initial"), ("royalties", "0005_indemnity")]
    operations = [
        *(append_only(f"indemnity_{table}") for table in ("claimevent", "claimpaper", "claimdossier")),
        freeze(
            "indemnity_outputclaim",
            *("organisation_id", "claimant", "use", "story", "file_sha256", "letter_sha256", "received_at"),
            *("submitted_by", "acknowledge_due", "dossier_due", "letter_due", "receipt"),
        ),
        freeze(
            "indemnity_reservemove",
            *("claim_id", "license_id", "kind", "amount", "currency", "reason", "asked_at", "asked_by", "asked_id"),
        ),
        migrations.RunSQL(
            DECIDED,
            "DROP TRIGGER indemnity_reservemove_decided ON indemnity_reservemove;"
            "DROP TRIGGER indemnity_reservemove_kept ON indemnity_reservemove;",
        ),
    ]
