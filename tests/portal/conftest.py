"""A standing cast, a catalog and terms, for tests of the portal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import TestCase

from portal.making import Api, Cast, record

# Models are imported where they are used: this file may be read before Django is set up.


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> None:
    """Transactional tests clean up with TRUNCATE, which the database refuses otherwise."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE tgname LIKE '%\\_no\\_truncate'")
        for name, table in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name} ON {table}")


@pytest.fixture(scope="session", autouse=True)
def _static_folder(home) -> None:
    """WhiteNoise warns where nothing was collected."""
    (home / "static").mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def _fast_passwords(settings) -> None:
    """Argon2 is slow on purpose; one test alone looks at it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def committed() -> Callable:
    """`with committed():` runs what waits for the commit at its end."""
    return lambda: TestCase.captureOnCommitCallbacks(execute=True)


@pytest.fixture
def covenant(db, storage):
    """The house covenant, published."""
    from stemma.rights.covenant import house_covenant
    from stemma_portal.licensing.services import covenant_publish

    return covenant_publish(covenant=house_covenant(), by=None)


def _user(name: str, organisation: Any, role: str = "owner") -> Any:
    from stemma_portal.accounts.services import membership_set, user_create

    user = user_create(email=f"{name}@stemma.test", name=name.title(), password="correct horse", by=None)
    membership_set(user=user, organisation=organisation, role=role, by=None)
    return user


@pytest.fixture
def cast(db) -> Cast:
    """Owner, teammate, stranger, licensee, rights staff and operator."""
    from stemma_portal.accounts.models import Organisation
    from stemma_portal.accounts.services import organisation_create

    def organisation(slug: str, kind: str) -> Organisation:
        return organisation_create(name=slug.title(), slug=slug, kind=Organisation.Kind(kind), by=None)

    label, other = organisation("label", "label"), organisation("other", "label")
    studio = organisation("studio", "enterprise")
    rights, ops = organisation("rights", "rights"), organisation("ops", "ops")
    return Cast(
        owner=_user("owner", label),
        teammate=_user("teammate", label, "member"),
        stranger=_user("stranger", other),
        licensee=_user("licensee", studio),
        rights=_user("rights", rights),
        operator=_user("operator", ops),
        label=label,
        other=other,
        studio=studio,
    )


@pytest.fixture
def catalog(cast: Cast) -> dict[str, Any]:
    """Six recordings: 0…2 of the label and an artist, 3 and 4 of the other label, 5 that its source reserves."""
    from stemma_portal.catalog.models import Party
    from stemma_portal.catalog.services import recordings_import

    records = [record(n) for n in range(3)]
    records += [record(n, master="Other", publishing="Other") for n in (3, 4)]
    reserved = {"name": "a book", "license": "Reserved", "free": False, "note": "The edition is protected."}
    records.append(record(5, source=reserved))
    result = recordings_import(records=records, by=cast.rights)
    assert result.created == 6
    parties = {party.name: party for party in Party.objects.all()}
    for organisation, name in ((cast.label, "Label"), (cast.other, "Other")):
        organisation.party = parties[name]
        organisation.save()
    return parties


@pytest.fixture
def recordings(catalog) -> list[Any]:
    """Them, by their number."""
    from stemma_portal.catalog.models import Recording

    return list(Recording.objects.order_by("isrc"))


@pytest.fixture
def api(cast: Cast) -> Callable[[str | None], Api]:
    """`api("owner")` calls as that member of the cast, `api(None)` as nobody."""
    from stemma_portal.accounts.services import token_create

    def call(who: str | None) -> Api:
        return Api(token_create(user=getattr(cast, who), name="test", by=None)[1]) if who else Api()

    return call


@pytest.fixture
def granted(covenant, cast, catalog):
    """Every party has granted everything for training and release."""
    from portal.making import SCOPES
    from stemma_portal.consent.services import consent_grant

    return {
        name: consent_grant(party=party, recordings="all", scopes=SCOPES, by=cast.rights)
        for name, party in catalog.items()
    }


@pytest.fixture
def closed_port() -> int:
    """A port where nobody answers."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def s3_away(settings_changed, closed_port):
    """Object storage does not answer while `with s3_away():` lasts."""
    from contextlib import contextmanager

    from stemma.config import settings

    @contextmanager
    def away():
        there = settings().s3_endpoint
        settings_changed(s3_endpoint=f"http://127.0.0.1:{closed_port}")
        try:
            yield
        finally:
            settings_changed(s3_endpoint=there)

    return away
