"""Money under claim is kept, and goes to whoever is right: nothing is lost, nothing is paid twice."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from portal.royalties.world import World
from stemma.errors import InvalidError
from stemma.ids import now
from stemma.rights.shares import Share, split
from stemma_portal.consent import cases
from stemma_portal.consent.models import Claim
from stemma_portal.core.models import AuditEvent
from stemma_portal.royalties import selectors
from stemma_portal.royalties.flows import EARNING
from stemma_portal.royalties.holds import holds_settle
from stemma_portal.royalties.ledger import posting_reverse
from stemma_portal.royalties.models import Account, ClaimHold, Estimate, Posting, Statement, StatementLine
from stemma_portal.royalties.services import estimates_refresh, period_open
from stemma_portal.royalties.verification import ledger_verify

pytestmark = pytest.mark.services
Outcome = Claim.Outcome


def claimed(world: World, number: int, *, kind: str = Claim.Kind.AUTHORSHIP, other: int | None = None, who: str = "X"):
    return cases.case_open(
        kind=kind,
        recording=world.recordings[number],
        other=world.recordings[other] if other is not None else None,
        claimant=who,
        reason="It is ours.",
        by=world.staff,
    )


def resolved(world: World, claim: Claim, outcome: str = Outcome.AS_THEY_ARE, shares=(), down=None) -> Claim:
    return cases.case_resolve(claim=claim, outcome=outcome, reason="So.", shares=shares, down=down, by=world.staff)


def all_to(world: World, party: int) -> list[Share]:
    return [Share(party=world.parties[party].pk, side=side, ppm=1_000_000) for side in ("master", "publishing")]


def held(**which: object) -> int:
    return sum(account.balance for account in Account.objects.filter(kind="hold", **which))


def payable(**which: object) -> int:
    return sum(account.balance for account in Account.objects.filter(kind="payable", **which))


def earned(number: int, world: World, **which: object) -> int:
    lines = StatementLine.objects.filter(recording=world.recordings[number], kind__in=EARNING, **which)
    return sum(line.amount for line in lines)


def sound() -> None:
    report = ledger_verify()
    assert report.holds, report


def test_what_a_claimed_recording_earns_is_on_hold_and_comes_back(world: World) -> None:
    world.made(3)
    claim = claimed(world, 0)
    world.close("p1")
    beech, cedar = world.parties[1], world.parties[2]
    assert held() == earned(0, world) > 0
    assert held(party=beech, side="master") > 0
    statement = Statement.objects.get(period="p1", party=beech)
    assert statement.held == -held(party=beech)
    assert statement.closing == statement.earned + statement.held == payable(party=beech)
    [balance] = selectors.balance(party_id=cedar.pk)
    assert (balance.on_hold, balance.confirmed) == (held(party=cedar), payable(party=cedar))
    [row] = selectors.on_hold(party_id=cedar.pk)
    assert (row.recording, row.claims) == (world.recordings[0], [claim])
    sound()

    before = held(party=beech)
    resolved(world, claim)
    assert held() == before + held(party=cedar)  # no period is open: it waits for one
    period_open(period_id="p2", by=None)
    assert holds_settle() > 0
    assert holds_settle() == 0
    assert held() == 0
    world.close("p2")
    second = Statement.objects.get(period="p2", party=beech)
    assert second.held == before
    assert second.closing == payable(party=beech)
    assert AuditEvent.objects.filter(action="hold.release", subject=claim.pk).exists()
    sound()


def test_the_statement_says_what_is_on_hold_on_paper_and_as_a_table(world: World) -> None:
    world.made(2)
    claimed(world, 0)
    world.close("p1")
    statement = Statement.objects.get(period="p1", party=world.parties[1])
    rows = list(csv.DictReader(io.StringIO(world.lake.get(statement.csv_key).decode("utf-8-sig"))))
    assert sum(int(row["amount_micro"]) for row in rows) == statement.closing
    holds = [row for row in rows if row["kind"] == "hold"]
    assert {row["recording"] for row in holds} == {"Recording 0"}
    assert sum(int(row["amount_micro"]) for row in holds) == statement.held < 0
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(world.lake.get(statement.pdf_key))).pages)
    assert "On hold" in text
    assert "put on hold" in text


def test_a_ruling_gives_what_was_held_and_what_comes_later_to_whoever_is_right(world: World) -> None:
    world.made(2)
    claim = claimed(world, 0)
    world.close("p1")
    kept = held()
    alder, before = world.parties[0], payable(party=world.parties[0])
    period_open(period_id="p2", by=None)
    resolved(world, claim, Outcome.SHARES, shares=all_to(world, 0))
    holds_settle()
    assert (held(), payable(party=alder)) == (0, before + kept)
    world.made(2)
    document = world.close("p2").document
    assert set(document["rulings"]) == {world.recordings[0].pk}
    later = StatementLine.objects.filter(statement__period="p2", recording=world.recordings[0], kind__in=EARNING)
    assert {line.statement.party_id for line in later} == {alder.pk}  # the snapshot is older and says otherwise
    sound()


def test_of_two_recordings_the_money_of_the_one_taken_down_goes_to_the_owners_of_the_other(world: World) -> None:
    world.made(2)
    claim = claimed(world, 0, other=1, kind=Claim.Kind.SAME_IDENTIFIER)
    world.close("p1")
    assert held() == earned(0, world) + earned(1, world)
    down, stays = world.recordings[0], world.recordings[1]
    total = {side: held(recording=down, side=side) for side in ("master", "publishing")}
    expected: dict[str, int] = defaultdict(int)
    for side, amount in total.items():
        shares = sorted((s for s in cases.shares_of(stays) if s.side == side), key=lambda s: s.party)
        for share, part in zip(shares, split(amount, [s.ppm for s in shares]), strict=True):
            expected[share.party] += part
    for account in Account.objects.filter(kind="hold", recording=stays):
        expected[account.party_id] += account.balance
    before = {party.pk: payable(party=party) for party in world.parties}
    period_open(period_id="p2", by=None)
    resolved(world, claim, Outcome.TAKEN_DOWN, down=down)
    holds_settle()
    assert held() == 0
    assert {p.pk: payable(party=p) - before[p.pk] for p in world.parties} == {
        p.pk: expected[p.pk] for p in world.parties
    }
    sound()


def test_a_claim_sets_aside_what_was_earned_lately_and_not_what_is_long_settled(world: World) -> None:
    world.made(2)
    world.close("p1")
    lately = earned(0, world)
    period_open(period_id="p2", by=None)
    claim = claimed(world, 0)
    assert holds_settle() > 0
    assert held() == lately
    assert ClaimHold.objects.get(claim=claim).amount == lately
    resolved(world, claim)
    holds_settle()
    assert held() == 0
    old = claimed(world, 1)
    Claim.objects.filter(pk=old.pk).update(opened_at=now() + timedelta(days=31))
    assert holds_settle() == 0
    assert ClaimHold.objects.get(claim=old).amount == 0
    sound()


def test_no_claim_takes_more_than_a_party_is_still_owed(world: World) -> None:
    world.made(2)
    world.close("p1")
    period_open(period_id="p2", by=None)
    for posting in Posting.objects.filter(period="p1", credit__party=world.parties[1]):
        posting_reverse(posting=posting.pk, reason="wrong party", by=world.staff)
    claimed(world, 0)
    holds_settle()
    assert payable(party=world.parties[1]) == 0
    assert held(party=world.parties[1]) == 0
    assert held(party=world.parties[2]) > 0
    sound()


def test_money_stays_on_hold_until_the_last_claim_on_it_ends(world: World) -> None:
    world.made(2)
    first, second = claimed(world, 0, who="X"), claimed(world, 0, who="Y")
    world.close("p1")
    kept = held()
    period_open(period_id="p2", by=None)
    resolved(world, first, Outcome.SHARES, shares=all_to(world, 0))
    assert holds_settle() == 0
    assert held() == kept
    before = payable(party=world.parties[0])
    resolved(world, second)
    holds_settle()
    assert (held(), payable(party=world.parties[0]) - before) == (0, kept)  # the ruling of the same doubt stands
    sound()


def test_a_correction_holds_no_money(world: World) -> None:
    world.made(1)
    claimed(world, 0, kind=Claim.Kind.CORRECTION)
    world.close("p1")
    assert not Account.objects.filter(kind="hold").exists()


def test_what_is_on_hold_is_moved_by_its_case_alone(world: World) -> None:
    world.made(1)
    claimed(world, 0)
    world.close("p1")
    period_open(period_id="p2", by=None)
    with pytest.raises(InvalidError, match="case it is held for"):
        posting_reverse(posting=Posting.objects.filter(kind="hold").first().pk, reason="x", by=world.staff)


def test_estimates_say_what_would_be_on_hold(world: World) -> None:
    from stemma_portal.metering.services import facts_ingest

    world.made(2)
    claimed(world, 0)
    period_open(period_id="p1", by=None)
    facts_ingest(lake=world.lake)
    estimates_refresh(lake=world.lake)
    estimate = Estimate.objects.get(party=world.parties[1])
    assert 0 < estimate.held < estimate.amount
    world.close("p1")
    assert held(party=world.parties[1]) == estimate.held


def test_tampering_with_what_is_on_hold_is_found(world: World) -> None:
    from portal.royalties.test_verify import broken, tamper

    world.made(2)
    claimed(world, 0)
    world.close("p1")
    tamper("UPDATE royalties_posting SET amount = amount - 1 WHERE kind = 'hold'")
    assert {"checkpoints", "p1: postings", "p1: facts", "statements"} <= broken(ledger_verify())


class Oracle:
    """What each party must have and what must be on hold, kept by other means: two dictionaries."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.free: dict[tuple[str, str, str], int] = defaultdict(int)
        self.kept: dict[tuple[str, str, str], int] = defaultdict(int)

    def opened(self, recording: str) -> None:
        for key in [key for key in self.free if key[1] == recording]:
            self.kept[key] += self.free.pop(key)

    def closed(self, period: str, pending: set[str]) -> None:
        lines = StatementLine.objects.filter(statement__period=period, kind__in=EARNING).select_related("statement")
        for line in lines:
            key = (line.statement.party_id, line.recording_id, line.side)
            (self.kept if line.recording_id in pending else self.free)[key] += line.amount

    def freed(self, recording: str, weights: dict[str, int]) -> None:
        for side in ("master", "publishing"):
            keys = [key for key in self.kept if key[1:] == (recording, side)]
            total = {key: self.kept.pop(key) for key in keys}
            if weights:
                parties = sorted(weights)
                parts = split(sum(total.values()), [weights[p] for p in parties])
                total = {(p, recording, side): part for p, part in zip(parties, parts, strict=True)}
            for key, amount in total.items():
                self.free[key] += amount

    def agrees(self) -> None:
        for name, sums, kind in (("free", self.free, "payable"), ("kept", self.kept, "hold")):
            for party in self.world.parties:
                expected = sum(amount for key, amount in sums.items() if key[0] == party.pk)
                found = sum(a.balance for a in Account.objects.filter(kind=kind, party=party))
                assert found == expected, (name, party.name)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("close"), st.integers(1, 3)),
        st.tuples(st.just("claim"), st.integers(0, 2)),
        st.tuples(st.just("resolve"), st.integers(0, 5)),
    ),
    min_size=3,
    max_size=8,
).filter(lambda steps: 1 <= sum(step == "close" for step, _ in steps) <= 2)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_claimed_and_resolved_nothing_is_lost_or_paid_twice(world: World, steps) -> None:
    with transaction.atomic():
        oracle, pending, ruled = Oracle(world), [], {}
        period_open(period_id="p0", by=None)
        count = 0
        for step, number in [*steps, *[("resolve", 0)] * len(steps)]:
            if step == "close":
                world.made(number)
                world.close(f"p{count}")
                oracle.closed(f"p{count}", {claim.recording_id for claim in pending})
                count += 1
                period_open(period_id=f"p{count}", by=None)
            elif step == "claim":
                pending.append(claimed(world, number, who=f"claimant {len(Claim.objects.all())}"))
                oracle.opened(pending[-1].recording_id)
            elif pending:
                claim = pending.pop(number % len(pending))
                to = number % 3
                weights = {world.parties[to].pk: 600_000, world.parties[(to + 1) % 3].pk: 400_000} if number % 2 else {}
                shares = [Share(party=p, side=s, ppm=n) for s in ("master", "publishing") for p, n in weights.items()]
                resolved(world, claim, Outcome.SHARES if shares else Outcome.AS_THEY_ARE, shares=shares)
                if weights:
                    ruled[claim.recording_id] = weights
                if claim.recording_id not in {other.recording_id for other in pending}:
                    oracle.freed(claim.recording_id, ruled.pop(claim.recording_id, {}))
            holds_settle()
            oracle.agrees()
        assert held() == 0
        totals = [Statement.objects.filter(period=f"p{n}") for n in range(count)]
        assert payable() == sum(s.earned for found in totals for s in found)
        report = ledger_verify(lake=world.lake)
        assert report.holds, report
        transaction.set_rollback(True)
    for key in [*world.lake.keys("usage/"), *world.lake.keys("attribution/")]:
        world.lake.delete(key)
