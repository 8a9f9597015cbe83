import pytest
from celery.beat import Service
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client

from stemma.errors import InvalidError
from stemma_portal.config import settings as project
from stemma_portal.config.celery import app
from stemma_portal.config.database import database
from stemma_portal.core.checks import MIDDLEWARE, check_csp

pytestmark = pytest.mark.unit


def test_the_policy_denies_what_it_does_not_name(settings):
    directives = project.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == directives["style-src"] == ["'self'"]
    assert check_csp() == []


def test_a_missing_or_loose_policy_is_found(settings):
    directives = project.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {**directives, "default-src": ["*"]}}
    assert [error.id for error in check_csp()] == ["stemma.E002"]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {**directives, "style-src": ["'unsafe-inline'"]}}
    assert [error.id for error in check_csp()] == ["stemma.E003"]
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != MIDDLEWARE]
    assert [error.id for error in check_csp()] == ["stemma.E001"]


def test_a_deployment_over_https_passes_djangos_own_checks(settings):
    settings.DEBUG = False
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.SECRET_KEY = "x1y2" * 20 + "abcdefghij"
    assert run_checks(include_deployment_checks=True) == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p%40ss@h:1234/n", ("h", 1234, "u", "p@ss", "n")),
        ("postgres://u@h/n", ("h", 5432, "u", "", "n")),
    ],
)
def test_addresses_of_databases(url, expected):
    made = database(url, pool_size=3)
    assert (made["HOST"], made["PORT"], made["USER"], made["PASSWORD"], made["NAME"]) == expected
    assert made["OPTIONS"]["pool"]["max_size"] == 3


def test_options_of_the_address_reach_the_driver():
    assert database("postgresql://u@h/n?sslmode=require", pool_size=1)["OPTIONS"]["sslmode"] == "require"


@pytest.mark.parametrize("url", ["mysql://h/n", "postgresql:///n", "postgresql://h/", "nonsense", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InvalidError, match="STEMMA_DATABASE_URL"):
        database(url, pool_size=1)


def test_background_work_ends_before_redis_hands_it_out_again():
    """celery#5935."""
    assert app.conf.task_time_limit < app.conf.broker_transport_options["visibility_timeout"]
    assert (app.conf.task_acks_late, app.conf.task_reject_on_worker_lost) == (True, True)
    assert app.conf.worker_prefetch_multiplier == 1


def test_everything_on_the_clock_exists():
    app.loader.import_default_modules()
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        assert entry["options"]["expires"] <= entry["schedule"]


@pytest.mark.services
@pytest.mark.django_db
def test_every_answer_carries_the_headers(engines):
    response = Client().get("/.well-known/jwks.json")
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]


def test_settings_pass_the_checks():
    call_command("check")


def test_the_clock_leaves_a_sign_that_it_lives(tmp_path):
    clock = Service(app, schedule_filename=str(tmp_path / "schedule"), scheduler_cls=app.conf.beat_scheduler).scheduler
    assert not (sign := tmp_path / "schedule-alive").exists()
    clock.tick()
    clock.close()
    assert sign.exists()
