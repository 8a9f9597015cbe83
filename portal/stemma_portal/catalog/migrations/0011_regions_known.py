from django.db import migrations

from stemma.catalog.origin import region_code


def code(apps, schema_editor):
    """The codes of the regions that works have in words."""
    works = apps.get_model("catalog", "Work").objects
    for region in works.exclude(region="").order_by().values_list("region", flat=True).distinct():
        if known := region_code(region):
            works.filter(region=region).update(region_code=known)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0010_origins")]

    operations = [migrations.RunPython(code, migrations.RunPython.noop)]
