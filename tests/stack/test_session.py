"""The test session itself: each worker process has its own home, bucket and databases."""

import os


def test_settings_are_this_workers(session):
    from stemma.config import load, settings

    assert settings() == load()
    assert str(settings().home) == os.environ["STEMMA_HOME"] == str(session.own.path)
    assert settings().s3_bucket == f"stemma-{session.worker}"


def test_django_has_this_workers_settings(session):
    from django.conf import settings

    assert session.home.path.parent in settings.STATIC_ROOT.parents
    assert settings.INSTALLATION.s3_bucket == f"stemma-{session.worker}"
