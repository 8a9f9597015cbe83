import json
import stat

import pytest
from django.core.management import call_command

from stemma.errors import UnavailableError
from stemma.rights.entitlement import hash_api_key
from stemma_portal.accounts.models import Organisation, Token, User
from stemma_portal.accounts.selectors import user_of_token
from stemma_portal.billing.invoicing import open_amount
from stemma_portal.billing.models import Invoice, RevenueDeclaration
from stemma_portal.core.models import AuditEvent, LogEntry
from stemma_portal.licensing.models import ApiKey, CovenantVersion, License
from stemma_portal.operations.demo import demo_seed

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_the_demonstration_is_made_once(storage, tmp_path, committed):
    path = tmp_path / "demo.json"
    with committed():
        known = demo_seed(path)
    text = path.read_text()
    assert json.loads(text) == known
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    counts = [model.objects.count() for model in (User, Organisation, License, ApiKey, Token, LogEntry, AuditEvent)]
    with committed():
        assert demo_seed(path) == known
    assert path.read_text() == text
    assert counts == [m.objects.count() for m in (User, Organisation, License, ApiKey, Token, LogEntry, AuditEvent)]


def test_what_it_says_is_true(storage, tmp_path, committed):
    with committed():
        known = demo_seed(tmp_path / "demo.json")
    for login in known["logins"]:
        user = User.objects.get(email=login["email"])
        assert user.check_password(login["password"])
        assert user.organisations.get().kind == login["role"]
        assert user.organisations.get().demo
    assert [login["role"] for login in known["logins"]].count("label") == 2
    assert user_of_token(known["operator_token"]).email == "ops@stemma.test"
    assert user_of_token(known["tokens"]["film"]).email == "film@stemma.test"
    for slug, tier in (("enterprise", "professional"), ("indie", "community"), ("film", "enterprise")):
        key = ApiKey.objects.get(sha256=hash_api_key(known["api_keys"][slug]))
        assert (key.license.tier, key.license_id) == (tier, known["licenses"][slug])
    assert CovenantVersion.objects.count() == 1
    assert {key.split("/")[0] for key in storage.keys("")} == {"covenants", "licenses", "rights"}


def test_lost_secrets_are_made_again(storage, tmp_path):
    path = tmp_path / "demo.json"
    first = demo_seed(path)
    path.unlink()
    second = demo_seed(path)
    assert first["licenses"] == second["licenses"]
    assert first["api_keys"] != second["api_keys"]
    assert User.objects.count() == len(second["logins"])
    assert all(User.objects.get(email=x["email"]).check_password(x["password"]) for x in second["logins"])


def test_the_installations_own_token_is_taken(storage, tmp_path, settings_changed):
    settings_changed(portal_token="brought along")
    assert demo_seed(tmp_path / "demo.json")["operator_token"] == "brought along"
    assert user_of_token("brought along") is not None


def test_without_storage_nothing_is_made(db, storage, tmp_path, s3_away):
    with s3_away(), pytest.raises(UnavailableError):
        demo_seed(tmp_path / "demo.json")
    assert (User.objects.count(), CovenantVersion.objects.count()) == (0, 0)
    assert not (tmp_path / "demo.json").exists()


def test_the_command_says_what_there_is(storage, capsys, settings_changed, tmp_path):
    settings_changed(home=str(tmp_path))
    from stemma.config import settings
    from stemma.proof.keys import KeyRing

    KeyRing(settings().keys_path).create()
    call_command("seed_demo")
    assert "8 demo logins, 3 licenses" in capsys.readouterr().out
    call_command("seed_demo")
    invoice, declaration = Invoice.objects.get(), RevenueDeclaration.objects.get()
    assert (invoice.organisation.slug, declaration.organisation.slug) == ("enterprise", "enterprise")
    assert (open_amount(invoice), declaration.state) == (invoice.total, "accepted")
