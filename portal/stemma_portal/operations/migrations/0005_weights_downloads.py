import django.db.models.deletion
import stemma.ids
import stemma_portal.core.fields
from django.db import migrations, models

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    """Who was given which file of a release."""

    dependencies = [
        ('licensing', '0005_offline_append_only'),
        ('operations', '0004_diversity'),
    ]

    operations = [
        migrations.CreateModel(
            name='WeightsDownload',
            fields=[
                ('id', stemma_portal.core.fields.IdField(default=stemma.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('file', models.CharField(max_length=300)),
                ('by', models.EmailField(max_length=254)),
                ('at', models.DateTimeField()),
                ('covenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='licensing.covenantversion')),
                ('license', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='downloads', to='licensing.license')),
                ('release', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='downloads', to='operations.modelrelease')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        append_only("operations_weightsdownload"),
    ]
