"""A catalog is brought, read, looked at and taken by a program."""

import csv
import io
import json

import pytest

from portal.intake.conftest import HEAD, at_once, line, table  # noqa: F401 - a fixture of every test
from portal.making import ident, problem
from stemma_portal.api import idempotency
from stemma_portal.catalog.models import Recording
from stemma_portal.intake.models import Import

pytestmark = [pytest.mark.services, pytest.mark.django_db]
KEY = "3f2b7f0e-96ad-4a1f-9a5e-0b1d6c8f2f11"


@pytest.fixture
def owner(labels, api):
    return api("owner")


def brought(owner, labels, body, **headers):
    return owner.upload("imports", "catalog.csv", body, {"organisation": labels.label.id}, **headers)


def staged(owner, labels, body):
    made = brought(owner, labels, body).json()
    assert made["state"] == "mapping"
    owner.send("PUT", f"imports/{made['id']}/columns", {"mapping": made["mapping"]})
    return owner.get(f"imports/{made['id']}").json()


def test_from_a_file_to_the_catalog(owner, labels):
    sent = brought(owner, labels, table(line(1), line(2, isrc="NOT"), line(3)))
    assert sent.status_code == 201
    made = sent.json()
    assert (made["name"], made["format"], made["state"]) == ("catalog.csv", "csv", "mapping")
    assert made["headings"] == HEAD.split(",")
    mapped = owner.send("PUT", f"imports/{made['id']}/columns", {"mapping": made["mapping"]})
    assert mapped.status_code == 202
    read = owner.get(f"imports/{made['id']}").json()
    assert read["state"] == "staged"
    assert (read["counts"]["rows"], read["counts"]["new"], read["counts"]["errors"]) == (3, 2, 1)
    assert owner.post(f"imports/{made['id']}/confirmation").status_code == 202
    done = owner.get(f"imports/{made['id']}").json()
    assert (done["state"], done["progress"], done["total"]) == ("done", 2, 2)
    assert Recording.objects.count() == 2
    listed = owner.get("imports", state="done", organisation=labels.label.id).json()["items"]
    assert [row["id"] for row in listed] == [made["id"]]
    assert owner.get("imports", state="failed").json() == {"items": [], "next": None}
    assert owner.get("imports", organisation=labels.other.id).json()["items"] == []


def test_bad_rows_say_what_to_write_and_come_as_a_table(owner, labels):
    batch = staged(owner, labels, table(line(1), line(2, isrc="NOT", artist="=cmd()"), line(3, isrc="NO")))
    found = owner.get(f"imports/{batch['id']}/rows", verdict="rejected", limit=1).json()
    [row] = found["items"]
    [wrong] = [each for each in row["problems"] if each["field"] == "isrc"]
    assert (wrong["heading"], wrong["value"], wrong["severity"]) == ("ISRC", "NOT", "error")
    assert wrong["remedy"]
    rest = owner.get(f"imports/{batch['id']}/rows", verdict="rejected", cursor=found["next"]).json()
    assert [each["number"] for each in rest["items"]] == [row["number"] + 1]
    assert rest["next"] is None
    answer = owner.get(f"imports/{batch['id']}/to-correct.csv")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0][-1] == "What to correct"
    assert rows[1][1] == "'=cmd()"
    assert len(rows) == 3


def test_what_an_import_would_change_is_told_before_it_is_confirmed(owner, labels):
    first = staged(owner, labels, table(line(1), line(2), line(3)))
    owner.post(f"imports/{first['id']}/confirmation")
    again = staged(
        owner, labels, table(line(1, title="Other"), line(2, artist="Others", title="New"), line(3), line(4))
    )
    diff = owner.get(f"imports/{again['id']}/diff").json()
    assert diff["to_take"] == 3
    assert diff["fields"]["title"] == 2
    assert diff["fields"]["artist"] == 1
    assert diff["looked_at"] == 2
    assert (diff["counts"]["changed"], diff["counts"]["same"], diff["counts"]["new"]) == (2, 1, 1)
    rows = owner.get(f"imports/{again['id']}/rows", verdict="changed").json()["items"]
    assert {"field": "title", "before": "Song 1", "after": "Other"} in rows[0]["changes"]
    owner.post(f"imports/{again['id']}/confirmation")
    assert owner.get(f"imports/{again['id']}/diff").json()["to_take"] == 0


def test_an_import_is_stopped_and_gone_on_with(owner, labels):
    batch = staged(owner, labels, table(line(1)))
    problem(owner.post(f"imports/{batch['id']}/resumption"), 409, "conflict")
    assert owner.post(f"imports/{batch['id']}/cancellation").json()["state"] == "cancelled"
    problem(owner.post(f"imports/{batch['id']}/confirmation"), 409, "conflict")
    assert owner.post(f"imports/{batch['id']}/resumption").json()["state"] == "staged"
    owner.post(f"imports/{batch['id']}/confirmation")
    assert owner.get(f"imports/{batch['id']}").json()["state"] == "done"


def test_a_file_sent_twice_with_one_key_is_brought_once(owner, labels):
    """The bytes of a form differ at every sending: what is in it counts."""
    body = table(line(1))
    first = brought(owner, labels, body, idempotency_key=KEY)
    again = brought(owner, labels, body, idempotency_key=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Idempotent-Replayed"] == "true"
    assert Import.objects.count() == 1
    problem(brought(owner, labels, table(line(2)), idempotency_key=KEY), 422, "idempotency-key-reused")
    other = owner.upload("imports", "other.csv", body, {"organisation": labels.label.id}, idempotency_key=KEY)
    problem(other, 422, "idempotency-key-reused")
    assert Import.objects.count() == 1


def test_a_file_with_a_key_may_be_larger_than_other_bodies(owner, labels, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = table(*(line(n) for n in range(1, 100)))
    assert len(body) > 5000
    assert brought(owner, labels, body, idempotency_key=KEY).status_code == 201


def test_a_confirmation_sent_twice_is_done_once(owner, labels):
    batch = staged(owner, labels, table(line(1)))
    first = owner.post(f"imports/{batch['id']}/confirmation", idempotency_key=KEY)
    assert owner.post(f"imports/{batch['id']}/confirmation", idempotency_key=KEY).content == first.content
    assert Recording.objects.count() == 1


def test_files_that_are_none_are_refused_and_nothing_is_kept(owner, labels, monkeypatch):
    problem(brought(owner, labels, b""), 422, "empty")
    problem(brought(owner, labels, b"\x89PNG\r\n\x1a\n\x00\x00"), 422)
    from stemma_portal.intake import services

    monkeypatch.setattr(services, "MOST_BYTES", 10)
    told = problem(brought(owner, labels, table(line(1))), 422, "too-large")
    assert told["remedy"]
    assert not Import.objects.exists()


def test_forms_that_are_none_are_refused(owner, labels):
    problem(owner.post("imports", {"organisation": labels.label.id}), 422, "invalid")
    problem(owner.upload("imports", "a.csv", table(line(1)), {}), 422, "invalid")
    problem(owner.upload("imports", "a.csv", table(line(1)), {"organisation": "label"}), 422, "invalid")
    for headers in ({}, {"Idempotency-Key": KEY}):
        answer = owner.client.generic(
            "POST",
            "/api/v1/imports",
            data=b"--x\r\nnothing",
            content_type="multipart/form-data; boundary=",
            headers=owner.headers | headers,
        )
        problem(answer, 400, "not-multipart")


def test_columns_that_cannot_be_are_refused(owner, labels):
    made = brought(owner, labels, table(line(1))).json()
    address = f"imports/{made['id']}/columns"
    problem(owner.send("PUT", address, {"mapping": {}}), 422, "mapping")
    problem(owner.send("PUT", address, {"mapping": {"Title": "colour"}}), 422, "mapping")
    problem(owner.send("PUT", address, {"mapping": {"No such column": "title"}}), 422, "mapping")
    problem(owner.send("PUT", address, {"mapping": {"Title": 7}}), 422, "invalid")
    problem(owner.send("PUT", address, {"mapping": {"Title\x00": "title"}}), 422, "invalid")
    problem(owner.post(f"imports/{made['id']}/confirmation"), 409, "conflict")
    assert owner.get(f"imports/{made['id']}").json()["state"] == "mapping"


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 5000, "1 OR 1=1", "٣", "", "1\x00"])
def test_a_hostile_cursor_is_refused(owner, labels, cursor):
    batch = staged(owner, labels, table(line(1)))
    problem(owner.get(f"imports/{batch['id']}/rows", cursor=cursor), 422, "cursor")
    problem(owner.get("imports", cursor=cursor), 422, "cursor")


def test_an_import_of_others_is_not_there(owner, labels, api):
    batch = staged(owner, labels, table(line(1)))
    stranger, before = api("stranger"), Recording.objects.count()
    for address in ("", "/rows", "/diff", "/to-correct.csv"):
        problem(stranger.get(f"imports/{batch['id']}{address}"), 404)
        problem(owner.get(f"imports/{ident('none')}{address}"), 404)
    for action in ("confirmation", "cancellation", "resumption"):
        problem(stranger.post(f"imports/{batch['id']}/{action}"), 404)
        problem(api("teammate").post(f"imports/{batch['id']}/{action}"), 403)
    problem(brought(stranger, labels, table(line(1))), 404)
    assert stranger.get("imports").json()["items"] == []
    assert Recording.objects.count() == before


def test_the_digest_of_a_form_tells_its_files_apart(rf):
    def of(files, **fields):
        from django.core.files.uploadedfile import SimpleUploadedFile

        sent = {name: SimpleUploadedFile(called, body) for name, (called, body) in files.items()}
        return idempotency._digest(rf.post("/api/v1/imports", {**fields, **sent}))

    one = of({"file": ("a", b"1")}, x="y")
    assert one == of({"file": ("a", b"1")}, x="y")
    others = [of({"file": ("a", b"2")}, x="y"), of({"file": ("b", b"1")}, x="y"), of({"other": ("a", b"1")}, x="y")]
    others += [of({"file": ("a", b"1")}, x="z"), of({}, x="y"), of({"file": ("a", b"")}, x=json.dumps(["y"]))]
    assert len({one, *others}) == 7
