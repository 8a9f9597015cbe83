import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, transaction
from django.test import Client

from portal.billing.shop import shop_open
from portal.making import problem
from stemma.errors import InvalidError, ProofError, UnavailableError
from stemma.ids import new_id, now, timestamp
from stemma.proof.keys import KeyRing
from stemma.rights.entitlement import check_logged
from stemma.rights.offline import Binding, Seen, binding_of, check, open_license
from stemma.royalties.receipts import ReceiptBook, Use
from stemma_portal.billing.spending import invoice_facts, usage_invoice
from stemma_portal.core.models import AuditEvent
from stemma_portal.licensing.models import License, LicenseFile, OfflineReceipt, ReceiptChain
from stemma_portal.licensing.offline import license_file_issue, receipts_take
from stemma_portal.licensing.services import license_grant, license_revoke
from stemma_portal.metering.models import FactConflict, FactObject, Generation
from stemma_portal.metering.services import facts_ingest

pytestmark = [pytest.mark.services, pytest.mark.django_db]
MACHINE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def license_(covenant, cast) -> License:
    return license_grant(organisation=cast.studio, tier="professional", months=12, by=cast.rights)


class Machine:
    """A machine of the licensee's own, with its key and its receipts."""

    def __init__(self, folder: Path, license_: License) -> None:
        folder.mkdir()
        self.ring = KeyRing(folder)
        self.ring.rotate("receipt")
        self.key = self.ring.public("receipt")
        self.license, self.path = license_, folder / "receipts.jws"

    def book(self, file: LicenseFile) -> ReceiptBook:
        return ReceiptBook(self.path, file.offline(), self.ring)

    def make(self, file: LicenseFile, count: int = 1, **changes) -> None:
        for _ in range(count):
            self.book(file).append(use(**changes))


def use(**changes) -> Use:
    fields = {
        "generation": new_id(), "at": timestamp(now()), "model_release": "house-symbolic/1", "snapshot": "s",
        "style": "fiddle", "seed": 7, "billable_ms": 16_000, "prompt_sha256": "0" * 64, "audio_sha256": "1" * 64,
        "midi_sha256": "2" * 64,
    }  # fmt: skip
    return Use(**{**fields, **changes})


@pytest.fixture
def machine(tmp_path, license_) -> Machine:
    return Machine(tmp_path / "machine", license_)


@pytest.fixture
def file(machine, license_, cast) -> LicenseFile:
    return license_file_issue(license_=license_, keys=[machine.key], by=cast.licensee)


def test_a_file_holds_without_the_portal(license_, cast, keyring):
    bound = Binding(kind="machine", sha256=binding_of("machine", MACHINE, license_.id))
    file = license_file_issue(license_=license_, binding=bound, by=cast.licensee)
    opened = open_license(file.text, keyring.jwks())
    assert (opened.license, opened.licensee_name, opened.tier, opened.sequence) == (
        license_.id, "Studio", "professional", 1,
    )  # fmt: skip
    assert check_logged(opened.terms(), opened.receipt, keyring.jwks()) is not None
    assert check(opened, at=now(), seen=Seen(license=license_.id), identifiers={"machine": MACHINE})
    with pytest.raises(ProofError, match="another machine"):
        check(opened, at=now(), seen=Seen(license=license_.id), identifiers={"machine": MACHINE[::-1]})


def test_a_renewal_has_the_next_number_and_names_the_one_before(license_, cast):
    one = license_file_issue(license_=license_, by=cast.licensee)
    two = license_file_issue(license_=license_, by=cast.licensee)
    assert (two.sequence, two.offline().supersedes) == (2, one.id)
    with pytest.raises(DatabaseError), transaction.atomic():
        LicenseFile.objects.filter(id=one.id).update(text="")


def test_no_file_without_a_license_that_covers_weights(license_, cast, covenant):
    evaluation = license_grant(organisation=cast.studio, tier="evaluation", months=1, by=cast.rights)
    with pytest.raises(InvalidError) as refused:
        license_file_issue(license_=evaluation, by=cast.licensee)
    assert refused.value.code == "not-covered"
    license_revoke(license_=license_, by=cast.rights)
    with pytest.raises(InvalidError, match="revoked"):
        license_file_issue(license_=license_, by=cast.licensee)


def test_a_private_key_is_not_taken_for_a_public_one(license_, machine, cast):
    private = json.loads((machine.ring.folder / "receipt.json").read_text())["keys"][0]
    for wrong in (private, {"kty": "OKP"}, {**machine.key, "x": "A"}):
        with pytest.raises(InvalidError) as refused:
            license_file_issue(license_=license_, keys=[wrong], by=cast.licensee)
        assert refused.value.code == "bad-receipt-key"
        assert private["d"] not in str(refused.value)


def test_receipts_become_usage_facts_once(license_, machine, file, cast, storage):
    machine.make(file, 3)
    medium = machine.book(file).export()
    taken = receipts_take(license_=license_, data=medium, by=cast.licensee)
    assert (taken.first, taken.last, taken.repeated, taken.billable_ms, taken.outside_term) == (1, 3, 0, 48_000, 0)
    facts_ingest()
    made = list(Generation.objects.filter(license=license_.id))
    assert len(made) == 3
    assert {(g.key, g.licensee_id, g.tier, g.billable_ms) for g in made} == {
        (machine.key["kid"], cast.studio.id, "professional", 16_000)
    }
    with pytest.raises(ProofError) as refused:
        receipts_take(license_=license_, data=medium, by=cast.licensee)
    assert refused.value.code == "receipts-replayed"
    machine.make(file, 2)
    again = receipts_take(license_=license_, data=machine.book(file).export(), by=cast.licensee)
    assert (again.first, again.last, again.repeated) == (4, 5, 3)
    facts_ingest()
    assert Generation.objects.filter(license=license_.id).count() == OfflineReceipt.objects.count() == 5
    assert FactConflict.objects.count() == 0
    assert FactObject.objects.filter(state="quarantined").count() == 0
    shop_open(cast)
    invoice = usage_invoice(license_=license_, until=now() + timedelta(minutes=1))
    line = invoice.lines.get()
    minute = license_.covenant.covenant().schedule("professional").price("minute")
    assert (line.quantity, line.amount, line.trace["facts"]) == (80_000, minute.amount(80_000), 5)
    assert [row[0] for row in invoice_facts(invoice)][1:] == sorted(
        str(each) for each in OfflineReceipt.objects.values_list("id", flat=True)
    )


def test_a_chain_goes_on_over_a_renewal(license_, machine, file, cast, storage):
    machine.make(file)
    renewed = license_file_issue(license_=license_, keys=[machine.key], by=cast.licensee)
    machine.make(renewed)
    taken = receipts_take(license_=license_, data=machine.book(renewed).export(), by=cast.licensee)
    assert (taken.first, taken.last) == (1, 2)


def test_gaps_and_forks_are_refused_whole_and_written_down(license_, machine, file, cast, storage):
    machine.make(file, 2)
    copy = machine.path.read_bytes()
    receipts_take(license_=license_, data=machine.book(file).export(), by=cast.licensee)
    machine.make(file, 2)
    with pytest.raises(ProofError) as refused:
        receipts_take(license_=license_, data=machine.book(file).export(after=3), by=cast.licensee)
    assert refused.value.code == "receipts-gap"
    assert "--after 2" in refused.value.remedy
    receipts_take(license_=license_, data=machine.book(file).export(after=2), by=cast.licensee)
    machine.path.write_bytes(copy)
    machine.make(file, 3)
    with pytest.raises(ProofError) as refused:
        receipts_take(license_=license_, data=machine.book(file).export(), by=cast.licensee)
    assert refused.value.code == "receipts-forked"
    assert OfflineReceipt.objects.count() == 4
    codes = AuditEvent.objects.filter(action="receipts.refused").order_by("at").values_list("detail__code", flat=True)
    assert list(codes) == ["receipts-gap", "receipts-forked"]


def test_a_use_does_not_hide_behind_a_generation_that_is_known(license_, machine, file, cast, storage, tmp_path):
    known = new_id()
    machine.make(file, generation=known)
    receipts_take(license_=license_, data=machine.book(file).export(), by=cast.licensee)
    other = Machine(tmp_path / "other", license_)
    two = license_file_issue(license_=license_, keys=[machine.key, other.key], by=cast.licensee)
    other.make(two, generation=known)
    with pytest.raises(ProofError) as refused:
        receipts_take(license_=license_, data=other.book(two).export(), by=cast.licensee)
    assert refused.value.code == "generation-twice"


def test_a_file_that_does_not_name_the_machine_is_none_of_its_own(license_, machine, file, cast, storage):
    bare = license_file_issue(license_=license_, by=cast.licensee)
    book = machine.book(file)
    book._license = bare.offline()
    book.append(use())
    with pytest.raises(ProofError) as refused:
        receipts_take(license_=license_, data=book.export(), by=cast.licensee)
    assert refused.value.code == "other-file"


def test_clocks_of_machines_are_not_believed_beyond_measure(license_, machine, file, cast, storage):
    machine.make(file, at=timestamp(now() - timedelta(days=3)))
    taken = receipts_take(license_=license_, data=machine.book(file).export(), by=cast.licensee)
    assert taken.outside_term == 1, "it is billed, and told"
    machine.make(file, at=timestamp(now() + timedelta(days=3)))
    with pytest.raises(InvalidError) as refused:
        receipts_take(license_=license_, data=machine.book(file).export(), by=cast.licensee)
    assert refused.value.code == "receipt-of-the-future"


def test_receipts_that_cannot_be_stored_are_brought_again(license_, machine, file, cast, storage, s3_away):
    machine.make(file, 2)
    medium = machine.book(file).export()
    with s3_away(), pytest.raises(UnavailableError):
        receipts_take(license_=license_, data=medium, by=cast.licensee)
    assert ReceiptChain.objects.count() == 0
    assert receipts_take(license_=license_, data=medium, by=cast.licensee).last == 2


def test_facts_that_lie_in_the_lake_already_are_not_doubled(license_, machine, file, cast, storage, monkeypatch):
    """The portal dies between the lake and its own commit, and the facts are ingested before it is asked again."""
    machine.make(file, 2)
    medium = machine.book(file).export()

    class DiedError(Exception):
        pass

    def die(**_):
        raise DiedError

    from stemma_portal.licensing import offline

    ship = offline._ship
    monkeypatch.setattr(offline, "_ship", lambda facts, chain: (ship(facts, chain), die()))
    with pytest.raises(DiedError):
        receipts_take(license_=license_, data=medium, by=cast.licensee)
    monkeypatch.undo()
    facts_ingest()
    assert Generation.objects.filter(license=license_.id).count() == 2
    assert receipts_take(license_=license_, data=medium, by=cast.licensee).last == 2
    facts_ingest()
    assert Generation.objects.filter(license=license_.id).count() == 2


def test_through_the_api(license_, machine, api, cast, storage, keyring):
    owner = api("licensee")
    body = {"binding": {"kind": "cluster", "sha256": "0" * 64}, "receipt_keys": [machine.key]}
    made = owner.post(f"licenses/{license_.id}/files", body)
    assert made.status_code == 201, made.content
    said = made.json()
    assert (said["sequence"], said["bound_to"], said["machines"]) == (1, "cluster", [machine.key["kid"]])
    assert open_license(said["text"], keyring.jwks()).id == said["id"]
    assert [row["id"] for row in owner.get(f"licenses/{license_.id}/files").json()] == [said["id"]]
    file = LicenseFile.objects.get(id=said["id"])
    machine.make(file, 2)
    medium = machine.book(file).export()
    brought = owner.upload(f"licenses/{license_.id}/receipts", "r.jws", medium, {})
    assert brought.status_code == 200, brought.content
    assert (brought.json()["first"], brought.json()["last"], brought.json()["billable_ms"]) == (1, 2, 32_000)
    again = owner.upload(f"licenses/{license_.id}/receipts", "r.jws", medium, {})
    problem(again, 422, "receipts-replayed")
    problem(owner.upload(f"licenses/{license_.id}/receipts", "r.jws", b"x\n", {}), 422, "no-receipts")
    problem(api("stranger").upload(f"licenses/{license_.id}/receipts", "r.jws", medium, {}), 404)
    for wrong in ({"binding": {"kind": "moon", "sha256": "0" * 64}}, {"receipt_keys": [{"kty": "RSA"}]}, {"x": 1}):
        problem(owner.post(f"licenses/{license_.id}/files", wrong), 422)


def test_on_the_pages(license_, machine, cast, storage, keyring, redis):
    browser = Client()
    browser.post("/accounts/login/", {"login": "licensee@stemma.test", "password": "correct horse"})
    browser.post("/accounts/reauthenticate/", {"password": "correct horse"})
    base = f"/license/{license_.id}/"
    refused = browser.post(base + "files/", {"kind": "machine", "binding": "", "keys": "none"})
    assert refused.status_code == 422
    issued = browser.post(base + "files/", {"kind": "", "binding": "", "keys": json.dumps(machine.key)})
    assert issued.status_code == 302, issued.content
    file = LicenseFile.objects.get()
    fetched = browser.get(f"{base}files/{file.id}.license")
    assert open_license(fetched.content.decode(), keyring.jwks()).id == file.id
    machine.make(file, 2)
    medium = machine.book(file).export()
    brought = browser.post(base + "receipts/", {"file": SimpleUploadedFile("r.jws", medium)})
    assert brought.status_code == 302
    again = browser.post(base + "receipts/", {"file": SimpleUploadedFile("r.jws", medium)})
    assert again.status_code == 422
    assert "taken already" in again.content.decode()
    page = browser.get(base).content.decode()
    assert "File 1" in page
    assert machine.key["kid"][:16] in page
    key = browser.post(base + "keys/", {"name": "k", "scopes": ["read"], "days": "3"}).content.decode()
    assert "stm_" in key
    rotated = browser.post(f"{base}keys/{license_.keys.get().id}/rotation/", {"hours": "1"}).content.decode()
    assert "stm_" in rotated
    assert "read only" in browser.get(base).content.decode()
