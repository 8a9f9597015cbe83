import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

WORDS = r"""
CREATE FUNCTION catalog_fold(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT RETURN
    CASE WHEN octet_length($1) = char_length($1) THEN lower($1)
         ELSE lower(regexp_replace(normalize($1, NFKD), '[\u0300-\u036f]', '', 'g')) END;
CREATE FUNCTION catalog_words(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT RETURN
    ARRAY(SELECT left(word, 64) FROM regexp_split_to_table(catalog_fold($1), '[^[:alnum:]]+') AS word
          WHERE word <> '');
"""

NOTES = """
CREATE FUNCTION catalog_stale_recordings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_stale (recording_id) SELECT id FROM changed;
    RETURN NULL;
END $$;
CREATE FUNCTION catalog_stale_recordings_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_stale (recording_id)
    SELECT n.id FROM changed n JOIN before o USING (id)
    WHERE (n.title, n.artist, n.collection, n.isrc, n.reference, n.style, n.work_id, n.release_id,
           n.organisation_id, n.audio_sha256 = '', n.source_free, n.taken_down_at IS NULL)
       IS DISTINCT FROM
          (o.title, o.artist, o.collection, o.isrc, o.reference, o.style, o.work_id, o.release_id,
           o.organisation_id, o.audio_sha256 = '', o.source_free, o.taken_down_at IS NULL);
    RETURN NULL;
END $$;
CREATE FUNCTION catalog_stale_shares() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_stale (recording_id) SELECT DISTINCT recording_id FROM changed;
    RETURN NULL;
END $$;
CREATE FUNCTION catalog_stale_works() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_stale (recording_id)
    SELECT r.id FROM changed n JOIN before o USING (id) JOIN catalog_recording r ON r.work_id = n.id
    WHERE (n.title, n.composer, n.iswc) IS DISTINCT FROM (o.title, o.composer, o.iswc);
    RETURN NULL;
END $$;
CREATE FUNCTION catalog_stale_releases() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_stale (recording_id)
    SELECT r.id FROM changed n JOIN before o USING (id) JOIN catalog_recording r ON r.release_id = n.id
    WHERE (n.title, n.artist, n.upc) IS DISTINCT FROM (o.title, o.artist, o.upc);
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_stale_insert AFTER INSERT ON catalog_recording
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_stale_recordings();
CREATE TRIGGER catalog_stale_update AFTER UPDATE ON catalog_recording
    REFERENCING NEW TABLE AS changed OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stale_recordings_updated();
CREATE TRIGGER catalog_stale_insert AFTER INSERT ON catalog_share
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_stale_shares();
CREATE TRIGGER catalog_stale_update AFTER UPDATE ON catalog_share
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_stale_shares();
CREATE TRIGGER catalog_stale_delete AFTER DELETE ON catalog_share
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION catalog_stale_shares();
CREATE TRIGGER catalog_stale_update AFTER UPDATE ON catalog_work
    REFERENCING NEW TABLE AS changed OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stale_works();
CREATE TRIGGER catalog_stale_update AFTER UPDATE ON catalog_release
    REFERENCING NEW TABLE AS changed OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stale_releases();
INSERT INTO catalog_stale (recording_id) SELECT id FROM catalog_recording;
"""


class Migration(migrations.Migration):
    """The catalog is searched in a table of its own, which the database says when to renew."""

    dependencies = [("catalog", "0003_append_only")]

    operations = [
        migrations.RemoveIndex(model_name="recording", name="recording_search"),
        migrations.RemoveField(model_name="recording", name="search"),
        migrations.CreateModel(
            name="Entry",
            fields=[
                (
                    "recording",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="entry",
                        serialize=False,
                        to="catalog.recording",
                    ),
                ),
                ("title_key", models.CharField(db_collation="C", max_length=200)),
                ("search", django.contrib.postgres.search.SearchVectorField()),
            ],
            options={"verbose_name_plural": "entries"},
        ),
        migrations.CreateModel(
            name="Stale",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("recording_id", models.UUIDField()),
            ],
            options={"verbose_name_plural": "stale"},
        ),
        migrations.AddIndex(
            model_name="entry",
            index=django.contrib.postgres.indexes.GinIndex(fields=["search"], name="entry_search"),
        ),
        migrations.AddIndex(
            model_name="entry", index=models.Index(fields=["title_key", "recording"], name="entry_by_title")
        ),
        migrations.RunSQL(WORDS, "DROP FUNCTION catalog_words(text); DROP FUNCTION catalog_fold(text);"),
        migrations.RunSQL(
            NOTES,
            """
            DROP TRIGGER catalog_stale_insert ON catalog_recording;
            DROP TRIGGER catalog_stale_update ON catalog_recording;
            DROP TRIGGER catalog_stale_insert ON catalog_share;
            DROP TRIGGER catalog_stale_update ON catalog_share;
            DROP TRIGGER catalog_stale_delete ON catalog_share;
            DROP TRIGGER catalog_stale_update ON catalog_work;
            DROP TRIGGER catalog_stale_update ON catalog_release;
            DROP FUNCTION catalog_stale_recordings();
            DROP FUNCTION catalog_stale_recordings_updated();
            DROP FUNCTION catalog_stale_shares();
            DROP FUNCTION catalog_stale_works();
            DROP FUNCTION catalog_stale_releases();
            """,
        ),
    ]
