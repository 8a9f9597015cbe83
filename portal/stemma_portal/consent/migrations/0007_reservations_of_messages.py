import json

from django.db import migrations, models

from stemma.ids import new_id, now
from stemma.proof.canonical import sha256


def take_over(apps, schema_editor):
    """What messages said that came before: each recording has it in its record."""
    recordings = apps.get_model("catalog", "Recording").objects.filter(reservation__source="ern")
    reservations, moment, made = apps.get_model("consent", "Reservation").objects, now(), []
    for recording, said in recordings.values_list("id", "reservation").iterator(chunk_size=2000):
        text = json.dumps(said, ensure_ascii=False, sort_keys=True)
        made.append(
            reservations.model(
                id=new_id(),
                source="ern",
                recording_id=recording,
                uses=said["uses"],
                refused=sorted(scope for scope, use in said["uses"].items() if use != "allowed"),
                constraint=said.get("detail", ""),
                sha256=sha256(text.encode()),
                text=text[:4096],
                read_at=moment,
            )
        )
    reservations.bulk_create(made, batch_size=2000)


class Migration(migrations.Migration):
    """Deals of DDEX messages stand in the one list of reservations."""

    dependencies = [("consent", "0006_granted_releases"), ("catalog", "0008_sounds_by_file")]

    operations = [
        migrations.AlterField(
            "reservation",
            "source",
            models.CharField(
                choices=[
                    ("tdmrep", "tdmrep.json"),
                    ("header", "HTTP header or HTML"),
                    ("cawg", "Content credentials"),
                    ("ern", "DDEX deals"),
                    ("statement", "Statement of a rights-holder"),
                ],
                max_length=10,
            ),
        ),
        migrations.RunPython(take_over, migrations.RunPython.noop),
    ]
