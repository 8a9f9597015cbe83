import django.contrib.postgres.fields
import django.db.models.deletion
import stemma.ids
import stemma_portal.core.fields
from django.db import migrations, models

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_invitations_and_sign_on'),
        ('catalog', '0008_sounds_by_file'),
        ("consent", "0004_scope_conditions"),
    ]

    operations = [
        migrations.CreateModel(
            name='DomainReading',
            fields=[
                ('domain', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='reading', serialize=False, to='accounts.domain')),
                ('at', models.DateTimeField()),
                ('told', models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name='Reservation',
            fields=[
                ('id', stemma_portal.core.fields.IdField(default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('source', models.CharField(choices=[('tdmrep', 'tdmrep.json'), ('header', 'HTTP header or HTML'), ('cawg', 'Content credentials'), ('statement', 'Statement of a rights-holder')], max_length=10)),
                ('party', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reservations', to='catalog.party')),
                ('place', models.CharField(blank=True, max_length=300)),
                ('uses', models.JSONField(default=dict)),
                ('refused', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), default=list, size=None)),
                ('constraint', models.TextField(blank=True)),
                ('policy', models.CharField(blank=True, max_length=2048)),
                ('sha256', models.CharField(max_length=64)),
                ('text', models.CharField(blank=True, max_length=4096)),
                ('read_at', models.DateTimeField()),
                ('read_by', models.CharField(blank=True, max_length=254)),
                ('organisation', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reservations', to='accounts.organisation')),
                ('recording', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reservations', to='catalog.recording')),
                ('supersedes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='consent.reservation')),
            ],
            options={
                'ordering': ['-read_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='Settlement',
            fields=[
                ('id', stemma_portal.core.fields.IdField(default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('reason', models.TextField()),
                ('at', models.DateTimeField()),
                ('signed_by', models.EmailField(max_length=254)),
                ('party', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settlements', to='catalog.party')),
                ('reservation', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='settlement', to='consent.reservation')),
            ],
            options={
                'ordering': ['-at', '-id'],
            },
        ),
        migrations.AddIndex(
            model_name='reservation',
            index=models.Index(condition=models.Q(('refused', []), _negated=True), fields=['recording'], name='reservation_refusing'),
        ),
        migrations.AddConstraint(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('recording', None), ('organisation', None), _connector='XOR'), name='reservation_of_one'),
        ),
        append_only("consent_reservation"),
        append_only("consent_settlement"),
    ]
