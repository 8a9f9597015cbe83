import django.db.models.deletion
from django.db import migrations, models

import stemma.ids
import stemma_portal.core.fields
from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    """Revisions may be planned, and parties are asked about their part in them."""

    dependencies = [("catalog", "0004_search")]

    operations = [
        migrations.AddField(
            model_name="sharerevision", name="planned", field=models.BooleanField(db_default=False, default=False)
        ),
        migrations.AddIndex(
            model_name="sharerevision",
            index=models.Index(
                condition=models.Q(("planned", True)), fields=["valid_from"], name="share_revision_planned"
            ),
        ),
        migrations.CreateModel(
            name="ShareQuestion",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("changes", models.JSONField()),
                ("at", models.DateTimeField()),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="share_questions",
                        to="catalog.party",
                    ),
                ),
                (
                    "revision",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="questions",
                        to="catalog.sharerevision",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("revision", "party"), name="share_question_once"),
                ],
            },
        ),
        append_only("catalog_sharequestion"),
    ]
