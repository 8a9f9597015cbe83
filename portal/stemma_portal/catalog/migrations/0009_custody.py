import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import stemma.ids
import stemma_portal.core.fields
from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    """Custody as statements and answers.  The table that stood for it before was never written to."""

    dependencies = [("catalog", "0008_sounds_by_file")]

    operations = [
        migrations.DeleteModel(name="Custody"),
        migrations.CreateModel(
            name="Custody",
            fields=[
                ("id", stemma_portal.core.fields.IdField(default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("community", models.CharField(max_length=200)),
                ("terms", models.TextField(blank=True, max_length=4000)),
                ("conditions", django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[("attribution", "Attribution"), ("no_style_prompting", "No Style Prompting"), ("ask_first", "Ask First")], max_length=20), blank=True, default=list, size=None)),
                ("ended", models.BooleanField(default=False)),
                ("by_staff", models.BooleanField()),
                ("collection", models.CharField(blank=True, max_length=200)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(blank=True, max_length=254)),
                ("party", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="custody", to="catalog.party")),
            ],
            options={
                "verbose_name_plural": "custodies",
                "ordering": ["-at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="CustodyAnswer",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("answer", models.CharField(choices=[("accepted", "Accepted"), ("declined", "Declined"), ("agreed", "Agreed"), ("taken-back", "Taken Back")], max_length=16)),
                ("note", models.TextField(blank=True)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(max_length=254)),
                ("custody", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="answers", to="catalog.custody")),
                ("recording", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="custody_answers", to="catalog.recording")),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["custody", "-id"], name="custody_answers")],
            },
        ),
        migrations.CreateModel(
            name="CustodyRecording",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("custody", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="items", to="catalog.custody")),
                ("recording", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="custody_items", to="catalog.recording")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("recording", "number"), name="custody_number_once"), models.UniqueConstraint(fields=("custody", "recording"), name="custody_recording_once")],
            },
        ),
        append_only("catalog_custody"),
        append_only("catalog_custodyrecording"),
        append_only("catalog_custodyanswer"),
    ]
