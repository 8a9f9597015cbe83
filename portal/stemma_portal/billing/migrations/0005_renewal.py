"""A quote may renew a license under its own terms; a year that is shorter than others says why."""

import django.db.models.deletion
from django.db import migrations, models

from stemma_portal.core.db import freeze

DECLARED = (
    *("organisation_id", "entity", '"group"', "amount", "currency", "starts", "ends", "made_at", "made_by"),
    *("evidence_key", "evidence_sha256", "doubts"),
)
UNFREEZE = "DROP TRIGGER billing_revenuedeclaration_freeze ON billing_revenuedeclaration;"


class Migration(migrations.Migration):
    """What was said of the year stays, as the rest of a declaration does."""

    dependencies = [("billing", "0004_tiers_append_only"), ("licensing", "0006_seats")]
    operations = [
        migrations.AddField(
            "quote",
            "renews",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="renewals",
                to="licensing.license",
            ),
        ),
        migrations.AddField("revenuedeclaration", "short", models.CharField(blank=True, default="", max_length=200), False),
        migrations.RunSQL(UNFREEZE, freeze("billing_revenuedeclaration", *DECLARED).sql),
        freeze("billing_revenuedeclaration", *DECLARED, "short"),
    ]
