"""Money on hold, the least that is paid out, and where it is to go."""

from datetime import UTC, datetime

import django.db.models.deletion
import django.db.models.expressions
import stemma.ids
import stemma_portal.core.fields
from django.db import migrations, models
from stemma.ids import named_id
from stemma_portal.core.db import append_only


def minimums(apps, schema_editor):
    """What a currency is paid out from, until staff say otherwise: fifty of its units."""
    rows = apps.get_model("royalties", "PayoutMinimum")
    start = datetime(2020, 1, 1, tzinfo=UTC)
    rows.objects.bulk_create(
        rows(id=named_id("payout-minimum", currency), currency=currency, amount=50_000_000, valid_from=start)
        for currency in ("USD", "EUR", "GBP")
    )


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0004_search"),
        ("consent", "0003_cases"),
        ("licensing", "0002_append_only"),
        ("royalties", "0002_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="ClaimHold",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("currency", models.CharField(max_length=3)),
                ("amount", models.BigIntegerField()),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="PaymentDetails",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.PositiveIntegerField()),
                ("sealed", models.BinaryField()),
                ("last4", models.CharField(max_length=4)),
                ("country", models.CharField(max_length=2)),
                ("tax_country", models.CharField(max_length=2)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(max_length=254)),
                ("usable_from", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "payment details",
                "ordering": ["party", "-version"],
            },
        ),
        migrations.CreateModel(
            name="PayoutMinimum",
            fields=[
                (
                    "id",
                    stemma_portal.core.fields.IdField(
                        default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("currency", models.CharField(max_length=3)),
                ("amount", models.BigIntegerField()),
                ("valid_from", models.DateTimeField()),
                ("by", models.CharField(blank=True, max_length=254)),
            ],
            options={
                "ordering": ["currency", "-valid_from"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="account",
            name="account_once",
        ),
        migrations.RemoveConstraint(
            model_name="statement",
            name="statement_adds_up",
        ),
        migrations.AddField(
            model_name="account",
            name="recording",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="accounts",
                to="catalog.recording",
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="side",
            field=models.CharField(blank=True, max_length=10),
        ),
        migrations.AddField(
            model_name="estimate",
            name="held",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="statement",
            name="held",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="account",
            name="kind",
            field=models.CharField(
                choices=[
                    ("receivable", "Receivable"),
                    ("revenue", "Revenue"),
                    ("pool", "Pool"),
                    ("reserve", "Reserve"),
                    ("payable", "Payable"),
                    ("hold", "Hold"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="statementline",
            name="kind",
            field=models.CharField(
                choices=[
                    ("training", "Trained on"),
                    ("attribution", "Shaped an output"),
                    ("commons", "Commons"),
                    ("correction", "Correction"),
                    ("hold", "Put on hold"),
                    ("release", "Released"),
                ],
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(
                fields=("kind", "party", "license", "recording", "side", "currency"),
                name="account_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "closing",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("opening"), "+", models.F("earned")
                                ),
                                "+",
                                models.F("corrected"),
                            ),
                            "+",
                            models.F("held"),
                        ),
                    )
                ),
                name="statement_adds_up",
            ),
        ),
        migrations.AddField(
            model_name="claimhold",
            name="claim",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="holds_taken", to="consent.claim"
            ),
        ),
        migrations.AddField(
            model_name="paymentdetails",
            name="party",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="payment_details", to="catalog.party"
            ),
        ),
        migrations.AddConstraint(
            model_name="payoutminimum",
            constraint=models.CheckConstraint(condition=models.Q(("amount__gte", 0)), name="payout_minimum_positive"),
        ),
        migrations.AddConstraint(
            model_name="payoutminimum",
            constraint=models.UniqueConstraint(fields=("currency", "valid_from"), name="payout_minimum_once"),
        ),
        migrations.AddConstraint(
            model_name="claimhold",
            constraint=models.UniqueConstraint(fields=("claim", "currency"), name="claim_hold_once"),
        ),
        migrations.AddConstraint(
            model_name="paymentdetails",
            constraint=models.UniqueConstraint(fields=("party", "version"), name="payment_details_once"),
        ),
        append_only("royalties_claimhold"),
        append_only("royalties_payoutminimum"),
        append_only("royalties_paymentdetails"),
        migrations.RunPython(minimums, migrations.RunPython.noop),
    ]
