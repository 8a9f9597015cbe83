"""Claims become cases: kinds, sides, deadlines, evidence, events and rulings."""

import django.db.models.deletion
import stemma.ids
import stemma_portal.core.fields
from django.db import migrations, models
from stemma_portal.core.db import append_only


def seats(apps, schema_editor):
    """Seat the parties of claims of before, which were known by the shares alone."""
    claims, rows = apps.get_model("consent", "Claim"), apps.get_model("consent", "ClaimParty")
    shares = apps.get_model("catalog", "Share")
    for claim in claims.objects.all():
        owners = set(shares.objects.filter(recording=claim.recording_id).values_list("party_id", flat=True))
        seated = [(claim.claimant_party_id, "claimant")] if claim.claimant_party_id else []
        seated += [(party, "owners") for party in sorted(owners - {claim.claimant_party_id})]
        rows.objects.bulk_create(rows(claim=claim, party_id=party, side=side) for party, side in seated)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("catalog", "0005_share_questions"),
        ("consent", "0002_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClaimEvent",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opened", "opened the case"),
                            ("message", "wrote"),
                            ("answer", "answered"),
                            ("note", "noted, for staff only"),
                            ("evidence", "brought evidence"),
                            ("review", "took it under review"),
                            ("extended", "gave more time"),
                            ("reminded", "reminded"),
                            ("resolved", "resolved the case"),
                            ("withdrawn", "withdrew the claim"),
                            ("lapsed", "let the claim lapse"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "side",
                    models.CharField(
                        blank=True,
                        choices=[("claimant", "Claimant"), ("owners", "Owners"), ("staff", "Rights staff")],
                        max_length=10,
                    ),
                ),
                ("speaker", models.CharField(max_length=200)),
                ("by", models.CharField(blank=True, max_length=254)),
                ("text", models.TextField(blank=True)),
                ("before", models.CharField(blank=True, max_length=16)),
                ("after", models.CharField(blank=True, max_length=16)),
                ("detail", models.JSONField(default=dict)),
            ],
            options={
                "ordering": ["at", "id"],
            },
        ),
        migrations.CreateModel(
            name="ClaimEvidence",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "side",
                    models.CharField(
                        choices=[("claimant", "Claimant"), ("owners", "Owners"), ("staff", "Rights staff")],
                        max_length=10,
                    ),
                ),
                ("speaker", models.CharField(max_length=200)),
                ("by", models.CharField(max_length=254)),
                ("title", models.CharField(max_length=200)),
                ("text", models.TextField(blank=True)),
                ("link", models.URLField(blank=True, max_length=500)),
                ("key", models.CharField(blank=True, max_length=200)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("format", models.CharField(blank=True, max_length=8)),
                ("size", models.PositiveIntegerField(default=0)),
                ("sha256", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "verbose_name_plural": "claim evidence",
                "ordering": ["at", "id"],
            },
        ),
        migrations.CreateModel(
            name="ClaimParty",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "side",
                    models.CharField(
                        choices=[("claimant", "Claimant"), ("owners", "Owners"), ("staff", "Rights staff")],
                        max_length=10,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "claim parties",
            },
        ),
        migrations.CreateModel(
            name="Ruling",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("shares", models.JSONField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "ordering": ["at", "id"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="claim",
            name="claim_open_once",
        ),
        migrations.AddField(
            model_name="claim",
            name="claimant_organisation",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="claims",
                to="accounts.organisation",
            ),
        ),
        migrations.AddField(
            model_name="claim",
            name="detail",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="claim",
            name="due_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="claim",
            name="due_side",
            field=models.CharField(
                blank=True,
                choices=[("claimant", "Claimant"), ("owners", "Owners"), ("staff", "Rights staff")],
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="claim",
            name="kind",
            field=models.CharField(
                choices=[
                    ("over-claim", "Shares above the whole"),
                    ("same-identifier", "One identifier, two organisations"),
                    ("authorship", "Disputed authorship"),
                    ("share", "Disputed share"),
                    ("correction", "Correction of a statement"),
                ],
                default="authorship",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="claim",
            name="other",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="claims_beside",
                to="catalog.recording",
            ),
        ),
        migrations.AddField(
            model_name="claim",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[
                    ("as-they-are", "Everything stays as it is"),
                    ("shares", "The shares are changed"),
                    ("taken-down", "One of the two recordings is taken down"),
                    ("same", "Both are one and the same, and stay"),
                    ("corrected", "The statement is corrected"),
                    ("explained", "The statement is right, and here is why"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="claim",
            name="subject",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AlterField(
            model_name="claim",
            name="state",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("answered", "Answered"),
                    ("under-review", "Under review"),
                    ("resolved", "Resolved"),
                    ("withdrawn", "Withdrawn"),
                    ("lapsed", "Lapsed"),
                ],
                db_index=True,
                default="open",
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="claim",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["open", "answered", "under-review"])),
                fields=("recording", "claimant", "kind", "subject"),
                name="claim_pending_once",
            ),
        ),
        migrations.AddField(
            model_name="claimevent",
            name="claim",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="events", to="consent.claim"
            ),
        ),
        migrations.AddField(
            model_name="claimevidence",
            name="claim",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="evidence", to="consent.claim"
            ),
        ),
        migrations.AddField(
            model_name="claimparty",
            name="claim",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="parties", to="consent.claim"
            ),
        ),
        migrations.AddField(
            model_name="claimparty",
            name="party",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="cases", to="catalog.party"
            ),
        ),
        migrations.AddField(
            model_name="ruling",
            name="claim",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="rulings", to="consent.claim"
            ),
        ),
        migrations.AddField(
            model_name="ruling",
            name="recording",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="rulings", to="catalog.recording"
            ),
        ),
        migrations.AddConstraint(
            model_name="claimparty",
            constraint=models.UniqueConstraint(fields=("claim", "party"), name="claim_party_once"),
        ),
        migrations.AddConstraint(
            model_name="ruling",
            constraint=models.UniqueConstraint(fields=("claim", "recording"), name="ruling_once"),
        ),
        append_only("consent_claimevent"),
        append_only("consent_claimevidence"),
        append_only("consent_ruling"),
        migrations.RunPython(seats, migrations.RunPython.noop),
    ]
