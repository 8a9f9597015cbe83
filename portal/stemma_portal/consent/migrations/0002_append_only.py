from django.db import migrations

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]
    operations = [
        append_only("consent_consent"),
        append_only("consent_consentrecording"),
        append_only("consent_withdrawal"),
    ]
