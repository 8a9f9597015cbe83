"""Object storage, as it is and when it is not there."""

import httpx
import pytest

from stemma.errors import NotFoundError, UnavailableError
from stemma.storage import storage as current

pytestmark = pytest.mark.services


def test_what_is_put_is_read_back_listed_and_deleted(storage, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"from a file")
    storage.put("a/1", b"bytes")
    storage.put("a/2", file)
    storage.put_json("b/3", {"title": "Ça ira"})
    assert storage.get("a/1") == b"bytes"
    assert storage.get("a/2") == b"from a file"
    assert storage.get_json("b/3") == {"title": "Ça ira"}
    assert list(storage.keys("a/")) == ["a/1", "a/2"]
    assert storage.exists("a/1")
    storage.delete("a/1")
    storage.delete("a/1")
    assert not storage.exists("a/1")


def test_a_download_appears_whole_or_not_at_all(storage, tmp_path):
    storage.put("x", b"content")
    storage.download("x", tmp_path / "deep" / "x")
    assert (tmp_path / "deep" / "x").read_bytes() == b"content"
    with pytest.raises(NotFoundError):
        storage.download("y", tmp_path / "y")
    assert not (tmp_path / "y").exists()


def test_a_signed_address_needs_no_credentials_and_cannot_be_moved(storage):
    storage.put("open", b"for whoever holds the address")
    storage.put("closed", b"not for them")
    url = storage.url("open", filename="piece.flac")
    answer = httpx.get(url)
    assert answer.content == b"for whoever holds the address"
    assert 'filename="piece.flac"' in answer.headers["content-disposition"]
    assert httpx.get(url.replace("/open", "/closed")).status_code == 403


def test_what_is_not_there_is_named(storage):
    with pytest.raises(NotFoundError, match="no such/thing"):
        storage.get("no such/thing")


def test_storage_that_is_down_is_told_with_a_remedy(settings_changed):
    settings_changed(s3_endpoint="http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match="does not answer") as error:
        current().get("anything")
    assert "stemma status" in error.value.remedy


def test_a_wrong_secret_is_told_as_such(s3, settings_changed):
    settings_changed(s3_secret_key="wrong")
    with pytest.raises(UnavailableError, match="refused") as error:
        current().get("anything")
    assert "STEMMA_S3_SECRET_KEY" in error.value.remedy
