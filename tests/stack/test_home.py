import json
import stat

import pytest

from stemma.config import load
from stemma.stack.home import Home, write_private
from stemma.stack.ports import Ports


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.open(Ports())
    return home


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_their_owners_only(home):
    for path in (home.path / "secrets.json", home.path / "env", *(home.path / "keys").glob("*.json")):
        assert mode(path) == 0o600, path
    assert mode(home.path / "keys") == 0o700
    assert mode(home.path) == 0o711  # PostgreSQL passes through as another user, and lists nothing


def test_secrets_are_random_and_stay(home, tmp_path):
    assert Home(home.path).secrets == home.secrets
    assert Home(tmp_path / "other").secrets != home.secrets
    values = list(home.secrets.model_dump().values())
    assert len(set(values)) == len(values)
    assert all(len(value) >= 48 for value in values)


def test_opening_again_keeps_keys_and_secrets(home):
    keys = home.keyring.jwks()
    Home(home.path).open(Ports(portal=18001))
    assert Home(home.path).keyring.jwks() == keys
    assert Home(home.path).secrets == home.secrets


def test_settings_are_read_from_the_home(home):
    settings = load({"STEMMA_HOME": str(home.path)})
    assert settings.portal_url == "http://127.0.0.1:18000"
    assert settings.s3_secret_key.get_secret_value() == home.secrets.s3_secret
    assert home.secrets.s3_secret not in repr(settings)


def test_ports_of_the_last_start_are_remembered(home, monkeypatch):
    home.open(Ports(portal=18001))
    for name in ("PORTAL", "SERVING"):
        monkeypatch.delenv(f"STEMMA_PORT_{name}", raising=False)
    assert home.ports().portal == 18001
    monkeypatch.setenv("STEMMA_PORT_PORTAL", "18002")
    assert home.ports().portal == 18002


def test_a_secret_added_by_a_later_version_is_made(home):
    path = home.path / "secrets.json"
    known = home.secrets.model_dump()
    del known["redis"]
    path.write_text(json.dumps(known))
    Home(home.path).keep_secrets()
    assert Home(home.path).secrets.redis
    assert Home(home.path).secrets.postgres == home.secrets.postgres
    assert mode(path) == 0o600


def test_a_private_file_is_replaced_whole(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    (tmp_path / "secret.part").write_text("left by a kill")
    write_private(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o600
