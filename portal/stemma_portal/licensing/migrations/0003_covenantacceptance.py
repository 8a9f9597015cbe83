import django.db.models.deletion
from django.db import migrations, models

import stemma.ids
import stemma_portal.core.fields
from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("licensing", "0002_append_only")]
    operations = [
        migrations.CreateModel(
            name="CovenantAcceptance",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                ("accepted_by", models.EmailField(max_length=254)),
                ("document", models.JSONField()),
                ("receipt", models.JSONField()),
                (
                    "covenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="licensing.covenantversion"
                    ),
                ),
                (
                    "license",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="acceptances",
                        to="licensing.license",
                    ),
                ),
                (
                    "replaces",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="licensing.covenantversion"
                    ),
                ),
            ],
            options={"ordering": ["at", "id"]},
        ),
        append_only("licensing_covenantacceptance"),
    ]
