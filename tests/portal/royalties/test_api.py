"""The API of money: who may ask, what it answers, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portal.making import Api
from portal.royalties.world import World
from stemma.ids import new_id
from stemma_portal.consent.models import Claim
from stemma_portal.royalties.models import Period, Statement

pytestmark = pytest.mark.services


@pytest.fixture
def call(world: World) -> Callable[[str | None], Api]:
    from stemma_portal.accounts.services import token_create

    def by(who: str | None) -> Api:
        return Api(token_create(user=getattr(world, who), name="test", by=None)[1]) if who else Api()

    return by


def test_the_whole_way_of_a_period(world: World, call) -> None:
    world.made(3)
    staff, owner, stranger = call("staff"), call("owner"), call("stranger")
    assert staff.post("periods", {"id": "2026-11"}).status_code == 201
    assert staff.post("periods", {"id": "2026-11"}).status_code == 200
    found = staff.post("metering/ingest").json()
    assert (found["objects"], found["taken"]) == (2, 6)
    listed = staff.get("generations?limit=2").json()
    assert [item["attributed"] for item in listed["items"]] == [True, True]
    assert len(staff.get(f"generations?limit=2&cursor={listed['next']}").json()["items"]) == 1

    refused = staff.post("periods/2026-11/close")
    assert refused.status_code == 422
    assert refused.json()["code"] == "period-unfinished"
    closed = staff.post("periods/2026-11/close", {"early": True}).json()
    assert closed["state"] == "closed"
    assert closed["statements"] == 3
    assert closed["creators"] + closed["platform"] == closed["revenue"]
    assert staff.post("periods/2026-11/close", {"early": True}).json() == closed

    statements = staff.get("periods/2026-11/statements").json()
    assert sum(statement["earned"] for statement in statements) == closed["creators"]
    own = owner.get("periods/2026-11/statements").json()
    assert [statement["party"] for statement in own] == [world.parties[0].pk]
    for form, start in (("csv", b"\xef\xbb\xbfperiod,"), ("pdf", b"%PDF-")):
        answer = owner.get(f"statements/{own[0]['id']}.{form}")
        assert answer.content.startswith(start)
        assert "attachment" in answer.headers["Content-Disposition"]
        assert stranger.get(f"statements/{own[0]['id']}.{form}").status_code == 404
    balance = owner.get(f"parties/{world.parties[0].pk}/balance").json()
    assert balance[0]["confirmed"] == own[0]["closing"]

    report = staff.get("ledger/verify").json()
    assert report["holds"], report
    document = staff.get("periods/2026-11/document").json()
    assert document["receipt"]["entry"]["digest"] == document["digest"]


def test_strangers_learn_nothing(world: World, call) -> None:
    world.made(1)
    world.close("p1")
    statement = Statement.objects.first()
    stranger, owner, nobody = call("stranger"), call("owner"), call(None)
    for path in (
        "periods/p1", "periods/p1/statements", f"statements/{statement.pk}.csv", f"statements/{statement.pk}.pdf",
        f"parties/{statement.party_id}/balance", f"statements/{new_id()}.csv", f"parties/{new_id()}/balance",
    ):  # fmt: skip
        assert stranger.get(path).status_code == 404, path
        assert nobody.get(path).status_code == 401, path
    assert stranger.get("periods").json() == []
    assert stranger.get("generations").json()["items"] == []
    for path in ("ledger/verify", "periods/p1/document"):
        assert owner.get(path).status_code == 403
        assert nobody.get(path).status_code == 401
    for path in ("metering/ingest", "periods/p1/close"):
        assert owner.post(path).status_code == 403
        assert nobody.post(path).status_code == 401
    assert owner.post("periods", {"id": "p2"}).status_code == 403
    assert Period.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"id": ""}, {"id": "../up"}, {"id": "p" * 41}, {"id": "p", "starts": "yesterday"}, {"id": "p", "what": 1},
     {"id": "p", "starts": "2026-11-01T00:00:00"}, {"id": "p", "currency": "dollars"}, {"id": "p\x00"}],
)  # fmt: skip
def test_a_malformed_period_is_refused(world: World, call, body: dict) -> None:
    answer = call("staff").post("periods", body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Period.objects.exists()


def test_addresses_of_nothing(world: World, call) -> None:
    staff = call("staff")
    for path in ("periods/never", "periods/never/statements", "statements/what.csv", f"statements/{new_id()}.exe"):
        assert staff.get(path).status_code == 404, path
    assert staff.post("periods/never/close", {"early": True}).status_code == 404


def test_a_gap_and_a_second_open_period_are_conflicts(world: World, call) -> None:
    staff = call("staff")
    staff.post("periods", {"id": "p1"})
    assert staff.post("periods", {"id": "p2"}).json()["code"] == "period-open"
    staff.post("periods/p1/close", {"early": True})
    answer = staff.post("periods", {"id": "p2", "starts": "2030-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["code"]) == (422, "period-gap")


def test_storage_away_closes_nothing(world: World, call, s3_away) -> None:
    staff = call("staff")
    staff.post("periods", {"id": "p1"})
    with s3_away():
        answer = staff.post("periods/p1/close", {"early": True})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert Period.objects.get(pk="p1").state == "open"


def test_a_program_asks_for_the_correction_of_a_line(world: World, call) -> None:
    world.made(2)
    world.close("p1")
    statement = Statement.objects.get(period="p1", party=world.parties[0])
    address, line = f"statements/{statement.pk}/corrections", world.recordings[1]
    said = {"recording": str(line.pk), "reason": "We think it shaped more."}
    made = call("owner").post(address, said)
    assert (made.status_code, made.json()["kind"], made.json()["due_side"]) == (201, "correction", "staff")
    claim = Claim.objects.get()
    assert claim.detail["line"]["total"] == sum(each.amount for each in statement.lines.filter(recording=line))
    assert call("owner").post(address, said).json()["id"] == made.json()["id"], "the same one while it is pending"
    assert call("owner").post(address, said | {"recording": str(world.recordings[0].pk)}).status_code == 404
    assert call("stranger").post(address, said).status_code == 404
    assert Claim.objects.count() == 1
