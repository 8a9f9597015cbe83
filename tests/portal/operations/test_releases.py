import pytest

from portal.making import SCOPES, sha
from stemma.errors import InvalidError, NotFoundError, ProofError
from stemma.ids import new_id, now, timestamp
from stemma.proof.canonical import sha256
from stemma.proof.keys import KeyRing
from stemma.proof.log import Receipt, check_receipt
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import LogEntry
from stemma_portal.operations.models import ModelRelease, Snapshot
from stemma_portal.operations.services import release_register, snapshot_create

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def snapshot(granted, storage) -> Snapshot:
    return snapshot_create(name="s", include=Snapshot.Include.ELIGIBLE, scopes=SCOPES, by=None)


def statement(of: Snapshot, **changes) -> ReleaseStatement:
    said = {
        "name": "house-symbolic",
        "version": "1",
        "snapshot": of.id,
        "snapshot_root": of.root,
        "covenant": of.covenant,
        "created_at": timestamp(now()),
        "files": {"model.safetensors": sha("weights")},
    }
    return ReleaseStatement.model_validate({**said, **changes})


def register(token: str, **more) -> ModelRelease:
    return release_register(**{"statement": token, "run_id": "run", "metrics": {"loss": 0.7}, "by": None, **more})


def test_a_release_is_logged_by_its_signed_statement(snapshot, keyring):
    token = keyring.sign("release", RELEASE, statement(snapshot))
    release = register(token + "\n")
    assert (release.id, release.snapshot, release.metrics) == ("house-symbolic/1", snapshot, {"loss": 0.7})
    check_receipt(Receipt.model_validate(release.receipt), keyring.jwks(), digest=sha256(token.encode()))
    assert register(token) == release
    assert LogEntry.objects.filter(kind="release").count() == 1


def test_a_version_has_one_statement(snapshot, keyring):
    register(keyring.sign("release", RELEASE, statement(snapshot)))
    other = keyring.sign("release", RELEASE, statement(snapshot, files={"model.safetensors": sha("others")}))
    with pytest.raises(ConflictError, match="registered already"):
        register(other)


def test_a_statement_of_another_root_or_snapshot_is_refused(snapshot, keyring):
    with pytest.raises(ProofError, match="names root") as refused:
        register(keyring.sign("release", RELEASE, statement(snapshot, snapshot_root="0" * 64)))
    assert refused.value.code == "snapshot-root"
    with pytest.raises(NotFoundError, match="no snapshot"):
        register(keyring.sign("release", RELEASE, statement(snapshot, snapshot=new_id())))
    assert ModelRelease.objects.count() == 0


def test_only_release_keys_of_this_house_speak_for_releases(snapshot, keyring, tmp_path):
    foreign = KeyRing(tmp_path / "keys")
    foreign.create()
    said = statement(snapshot)
    good = keyring.sign("release", RELEASE, said)
    header, payload, signature = good.split(".")
    for token in (
        foreign.sign("release", RELEASE, said),
        keyring.sign("rights", RELEASE, said),
        keyring.sign("release", "stemma-certificate+jws", said),
        f"{header}.{payload[:-4]}AAAA.{signature}",
        "nonsense",
        "",
        "..",
    ):
        with pytest.raises(ProofError):
            register(token)
    with pytest.raises(ProofError, match="not one of a release"):
        register(keyring.sign("release", RELEASE, {"name": "x"}))


def test_what_is_sent_beside_the_statement_must_agree_with_it(snapshot, keyring):
    token = keyring.sign("release", RELEASE, statement(snapshot))
    for wrong in ({"name": "other"}, {"version": "2"}):
        with pytest.raises(InvalidError, match="The statement is of"):
            register(token, **wrong)
