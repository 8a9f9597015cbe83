"""Money set aside for claims: never more than the cap, never less than nothing, moved by two people, conserved."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.indemnity.desk import CAP, MICRO
from stemma.errors import InvalidError, StemmaError
from stemma_portal.core.errors import ConflictError, ForbiddenError

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_from_accepted_to_settled(desk):
    from stemma_portal.indemnity.reserves import move_ask, move_decide, reserve_left
    from stemma_portal.indemnity.services import claim_settle
    from stemma_portal.royalties.ledger import posting_reverse
    from stemma_portal.royalties.models import Account
    from stemma_portal.royalties.selectors import set_aside
    from stemma_portal.royalties.services import period_close
    from stemma_portal.royalties.verification import ledger_verify

    one, other = desk.cast.rights, desk.second
    claim = desk.accepted(1, 900 * MICRO)
    assert reserve_left(claim=claim) == 900 * MICRO
    with pytest.raises(ConflictError, match="not all paid or given back"):
        claim_settle(claim=claim, reason="Done.", by=one)
    payment = move_ask(claim=claim, kind="settle", amount=700 * MICRO, reason="As agreed.", by=one)
    with pytest.raises(ForbiddenError, match="does not approve it"):
        move_decide(move=payment, approve=True, by=one)
    assert reserve_left(claim=claim) == 900 * MICRO
    move_decide(move=payment, approve=True, by=other)
    again = move_decide(move=payment, approve=True, by=other)
    with pytest.raises(InvalidError, match="moved by the claim"):
        posting_reverse(posting=str(again.posting), reason="undo", by=one)
    with pytest.raises(InvalidError, match=r"200\.00 is free"):
        move_ask(claim=claim, kind="relieve", amount=201 * MICRO, reason="Rest.", by=one)
    rest = move_ask(claim=claim, kind="relieve", amount=200 * MICRO, reason="Rest.", by=other)
    with pytest.raises(IntegrityError), transaction.atomic():
        type(rest).objects.filter(pk=rest.pk).update(decided_id=rest.asked_id)
    move_decide(move=rest, approve=True, by=one)
    assert claim_settle(claim=claim, reason="Done.", by=one).state == "settled"
    kinds = {account.kind: account.balance for account in set_aside()}
    assert kinds == {"indemnity": 0, "settlement": 700 * MICRO}
    revenue = Account.objects.get(kind="revenue")
    assert revenue.debits - revenue.credits == 700 * MICRO
    from stemma_portal.royalties.models import Period

    period_close(period_id=Period.objects.get().pk, by=None, early=True, lake=desk.storage)
    report = ledger_verify(lake=desk.storage)
    assert report.holds, [check for check in report.checks if not check.holds]


def test_the_cap_is_for_all_claims_of_a_license_and_use_in_a_year(desk):
    from stemma_portal.indemnity.reserves import cap_free, move_ask, move_decide, reserve_open

    first = desk.accepted(1, (CAP - 10) * MICRO)
    with pytest.raises(InvalidError, match=r"cap leaves 10\.00"):
        desk.accepted(2, 11 * MICRO)
    paid = move_ask(claim=first, kind="settle", amount=100 * MICRO, reason="Paid.", by=desk.cast.rights)
    move_decide(move=paid, approve=True, by=desk.second)
    assert cap_free(claim=first) == 10 * MICRO, "what was paid counts"
    back = move_ask(claim=first, kind="relieve", amount=100 * MICRO, reason="Less.", by=desk.cast.rights)
    move_decide(move=back, approve=True, by=desk.second)
    assert cap_free(claim=first) == 110 * MICRO
    reserve_open(claim=first, amount=110 * MICRO, reason="More.", by=desk.cast.rights)
    assert cap_free(claim=first) == 0


STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["set", "relieve", "settle", "yes", "no"]),
        st.integers(1, 400_000 * MICRO),
        st.booleans(),
    ),
    max_size=10,
)


def test_whatever_is_asked_the_reserve_is_conserved(desk):
    from stemma_portal.indemnity.models import ReserveMove
    from stemma_portal.indemnity.reserves import cap_free, move_ask, move_decide, reserve_left, reserve_open
    from stemma_portal.royalties.models import Account, Posting
    from stemma_portal.royalties.verification import ledger_verify

    people = (desk.cast.rights, desk.second)
    claims = [desk.accepted(seed, 1_000 * MICRO) for seed in (1, 2)]

    @settings(max_examples=8, suppress_health_check=list(HealthCheck))
    @given(STEPS)
    def play(steps):
        with transaction.atomic():
            left, paid = [1_000 * MICRO] * 2, [0, 0]
            for number, what, amount, who in steps:
                claim, by = claims[number], people[who]
                waiting = claim.moves.filter(decided_at=None).first()
                try:
                    if what == "set":
                        reserve_open(claim=claim, amount=amount, reason="more", by=by)
                        left[number] += amount
                    elif what in {"relieve", "settle"}:
                        move_ask(claim=claim, kind=what, amount=amount, reason="less", by=by)
                    elif waiting is not None:
                        move_decide(move=waiting, approve=what == "yes", by=by)
                        if what == "yes":
                            left[number] -= waiting.amount
                            paid[number] += waiting.amount if waiting.kind == "settle" else 0
                except StemmaError:
                    continue
            assert [reserve_left(claim=claim) for claim in claims] == left
            assert min(left) >= 0
            assert cap_free(claim=claims[0]) == CAP * MICRO - sum(left) - sum(paid)
            assert cap_free(claim=claims[0]) >= 0
            accounts = {a.kind: a.balance for a in Account.objects.exclude(license=None)}
            assert accounts["indemnity"] == sum(left)
            assert accounts.get("settlement", 0) == sum(paid)
            approved = ReserveMove.objects.filter(approved=True)
            assert approved.count() == Posting.objects.count()
            for move in approved.exclude(kind="indemnify"):
                assert move.asked_id != move.decided_id
            transaction.set_rollback(True)

    play()
    checks = {check.name: check for check in ledger_verify(lake=desk.storage).checks}
    assert checks["indemnity"].holds
    assert checks["indemnity"].looked_at == 1
