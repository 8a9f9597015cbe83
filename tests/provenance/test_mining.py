"""What brought sounds say of mining and training in their content credentials."""

import io
import json

import c2pa
import numpy as np
import pytest
import soundfile

from stemma.errors import InvalidError, NotFoundError
from stemma.provenance import apart, mining
from stemma.provenance.authority import Authority
from stemma.provenance.mining import mining_mark, mining_of, newest
from stemma.rights.reservations import assertion

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("keys"))
    authority.create()
    info = c2pa.C2paSignerInfo(
        alg=b"es256", sign_cert=authority.chain(), private_key=authority.private_key(), ta_url=None
    )
    return c2pa.Signer.from_info(info)


def sound(form="wav"):
    raw = io.BytesIO()
    soundfile.write(raw, (np.sin(np.arange(44_100) / 20) * 9000).astype(np.int16), 44_100, format=form)
    return raw.getvalue()


def marked(signer, path, *assertions):
    form = path.suffix[1:]
    created = {
        "action": "c2pa.created",
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
    }
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [created]}}
    manifest = {"title": "A song", "format": mining.MIME[form], "assertions": [actions, *assertions]}
    output = io.BytesIO()
    c2pa.Builder(json.dumps(manifest)).sign(signer, mining.MIME[form], io.BytesIO(sound(form)), output)
    path.write_bytes(output.getvalue())
    return path


REFUSES = {
    "label": "cawg.training-mining",
    "data": {
        "entries": {
            "cawg.ai_generative_training": {"use": "notAllowed"},
            "cawg.ai_training": {"use": "constrained", "constraint_info": "Ask us"},
            "cawg.ai_inference": {"use": "allowed"},
        }
    },
}


@pytest.mark.parametrize("form", ["wav", "flac", "mp3"])
def test_an_assertion_is_read(signer, tmp_path, form) -> None:
    found = mining_of(marked(signer, tmp_path / f"song.{form}", REFUSES), form)
    assert found is not None
    assert found.mining.refused == ("ai_training", "ai_generative_training")
    assert found.mining.uses["ai_inference"] == "allowed"
    assert (found.mining.constraint, found.label, found.intact) == ("Ask us", "cawg.training-mining", True)
    assert json.loads(found.text) == REFUSES["data"]


def test_the_older_assertion_is_read(signer, tmp_path) -> None:
    data = {"entries": {"c2pa.data_mining": {"use": "notAllowed"}, "c2pa.ai_training": {"use": "allowed"}}}
    path = marked(signer, tmp_path / "song.wav", {"label": "c2pa.training-mining", "data": data})
    found = mining_of(path, "wav")
    assert found is not None
    assert found.mining.refused == ("data_mining",)


def test_a_changed_file_still_says_it(signer, tmp_path) -> None:
    path = marked(signer, tmp_path / "song.wav", REFUSES)
    at = path.read_bytes().index(b"data") + 100
    path.write_bytes(path.read_bytes()[:at] + b"\x01" + path.read_bytes()[at + 1 :])
    found = mining_of(path, "wav")
    assert found is not None
    assert found.mining.refused == ("ai_training", "ai_generative_training")
    assert not found.intact


def test_most_files_say_nothing(signer, tmp_path) -> None:
    plain = tmp_path / "plain.wav"
    plain.write_bytes(sound())
    assert mining_of(plain, "wav") is None
    assert mining_of(marked(signer, tmp_path / "other.flac"), "flac") is None
    assert mining_of(plain, "ogg") is None


def test_what_cannot_be_read_is_said(signer, tmp_path, monkeypatch) -> None:
    path = marked(signer, tmp_path / "song.wav", {"label": "cawg.training-mining", "data": {"entries": []}})
    with pytest.raises(InvalidError, match="no entries"):
        mining_of(path, "wav")
    body = path.read_bytes()
    at = body.index(b"jumb")
    path.write_bytes(body[: at + 4] + b"\xff" * 60 + body[at + 64 :])
    with pytest.raises(InvalidError, match="cannot be read"):
        mining_of(path, "wav")
    monkeypatch.setattr(mining, "MOST_BYTES", 10)
    with pytest.raises(InvalidError, match="up to"):
        mining_of(path, "wav")


def test_it_has_no_more_time_than_it_is_given(signer, tmp_path, monkeypatch) -> None:
    path = marked(signer, tmp_path / "song.wav", REFUSES)
    monkeypatch.setattr(apart, "PATIENCE", 0.001)
    with pytest.raises(InvalidError, match="too long"):
        mining_of(path, "wav")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    Authority(folder).create()
    return folder


@pytest.mark.parametrize("form", ["wav", "flac", "mp3"])
def test_a_file_says_what_is_written_into_it_and_sounds_the_same(keys, tmp_path, form) -> None:
    plain, into = tmp_path / f"plain.{form}", tmp_path / f"marked.{form}"
    plain.write_bytes(sound(form))
    before = plain.read_bytes()
    uses = {"data_mining": "notAllowed", "ai_training": "constrained", "ai_generative_training": "constrained"}
    said = assertion(uses, {"ai_training": "Ask us", "ai_generative_training": "Only in Norway"})
    mining_mark(plain, form, into, data=said, keys_path=keys)
    found = mining_of(into, form)
    assert found is not None
    assert (found.mining.uses, found.mining.constraint) == (uses, "Ask us · Only in Norway")
    assert (found.intact, json.loads(found.text)) == (True, said)
    assert np.array_equal(soundfile.read(into)[0], soundfile.read(plain)[0])
    assert plain.read_bytes() == before


def test_what_a_file_said_before_stays_beneath_what_is_written_into_it(signer, keys, tmp_path) -> None:
    path, into = marked(signer, tmp_path / "song.wav", REFUSES), tmp_path / "anew.wav"
    mining_mark(path, "wav", into, data=assertion({"ai_training": "allowed"}), keys_path=keys)
    found = mining_of(into, "wav")
    assert found is not None
    assert found.mining.uses == {"ai_training": "allowed"}
    with into.open("rb") as file, c2pa.Reader("audio/wav", file) as reader:
        store = json.loads(reader.json())
    manifests = store["manifests"]
    [parent] = manifests[store["active_manifest"]]["ingredients"]
    assert parent["relationship"] == "parentOf"
    assert REFUSES["data"] in [each["data"] for each in manifests[parent["active_manifest"]]["assertions"]]


def test_what_cannot_be_marked_is_said(keys, tmp_path, monkeypatch) -> None:
    path, into, said = tmp_path / "song.wav", tmp_path / "marked", assertion({"ai_training": "notAllowed"})
    path.write_bytes(b"no sound")
    with pytest.raises(InvalidError, match="cannot be marked"):
        mining_mark(path, "wav", into, data=said, keys_path=keys)
    with pytest.raises(InvalidError, match="carries no content credentials"):
        mining_mark(path, "ogg", into, data=said, keys_path=keys)
    with pytest.raises(NotFoundError, match=r"chain\.pem"):
        mining_mark(path, "wav", into, data=said, keys_path=tmp_path)
    path.write_bytes(sound())
    monkeypatch.setattr(apart, "PATIENCE", 0.001)
    with pytest.raises(InvalidError, match="too long"):
        mining_mark(path, "wav", into, data=said, keys_path=keys)


def test_a_file_made_from_another_keeps_its_word() -> None:
    store = {
        "active_manifest": "b",
        "validation_state": "Valid",
        "manifests": {
            "a": {"assertions": [REFUSES], "signature_info": {"common_name": "Label"}},
            "b": {"assertions": [], "ingredients": [{"active_manifest": "a"}, {"active_manifest": "b"}, {}]},
        },
    }
    found = newest(store)
    assert found is not None
    assert found["issuer"] == "Label"
    assert newest({"manifests": {}}) is None
