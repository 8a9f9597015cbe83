"""What was traced to each recording, period by period: a billion parts for each piece, and to the micro-unit."""

from __future__ import annotations

import csv
import io

import pytest

from portal.making import Api
from portal.royalties.world import World
from stemma.ids import new_id
from stemma.royalties.facts import PPB
from stemma_portal.catalog.models import Recording, Share
from stemma_portal.metering.models import GenerationShare
from stemma_portal.royalties.models import Statement, StatementLine
from stemma_portal.royalties.services import period_open
from stemma_portal.royalties.traced import traced_most, traced_rows, traced_sums, traced_table

pytestmark = pytest.mark.services
COMMONS = "commons"


@pytest.fixture
def settled(world: World) -> World:
    """Two closed periods, in one of them a piece whose attribution never came, and pieces that nobody settled yet."""
    world.made(7)
    lost = world.usage()
    world.put_usage(lost)
    world.close("p1")
    world.made(4, of=1)
    world.close("p2")  # settles what was lost through the commons
    world.made(2)
    period_open(period_id="p3", by=None)
    return world


def test_parts_and_money_of_every_period_come_to_the_whole(settled: World) -> None:
    statements = Statement.objects.select_related("period")
    assert statements.count() == 6
    for period in ("p1", "p2"):
        of_all = [traced_sums(statement=each) for each in statements.filter(period=period)]
        pieces = of_all[0].pieces
        assert pieces == {"p1": 7, "p2": 5}[period]
        for sums in of_all:
            rows = list(traced_rows(statement=sums.statement))
            assert sums.pieces == pieces
            assert sums.own + sums.others + sums.commons == pieces * PPB
            assert sums.own == sum(row.ppb for row in rows) > 0
            lines = StatementLine.objects.filter(statement=sums.statement)
            assert (
                sums.amount
                == sum(row.amount for row in rows)
                == sum(x.amount for x in lines.filter(kind="attribution"))
            )
            assert sums.commons_amount == sum(x.amount for x in lines.filter(kind=COMMONS))
            assert [row.recording for row in rows] == sorted(row.recording for row in rows)
            most = traced_most(statement=sums.statement, limit=2)
            assert most == sorted(rows, key=lambda row: (-row.ppb, row.recording))[:2]
        # A writer has a share in every recording, two labels each in half of them.
        parts = sorted(sums.own for sums in of_all)
        assert parts[0] + parts[1] == parts[2]
    assert traced_sums(statement=statements.filter(period="p2")[0]).commons >= PPB  # the piece that was lost
    facts = GenerationShare.objects.filter(generation__settled__period="p1", recording__isnull=False)
    writer = traced_rows(statement=statements.get(period="p1", party=settled.parties[2]))
    assert sum(row.ppb for row in writer) == sum(share.ppb for share in facts)


def test_what_a_party_sold_stays_where_it_was_paid(settled: World) -> None:
    """A statement tells of what it paid for, also when the recording is another's by now."""
    alder = settled.parties[0]
    statement = Statement.objects.get(period="p1", party=alder)
    before = list(traced_rows(statement=statement))
    Share.objects.filter(recording=before[0].recording, party=alder).delete()
    assert list(traced_rows(statement=statement)) == before


def test_the_file_sums_as_the_statement_does(settled: World) -> None:
    Recording.objects.filter(pk=settled.recordings[1].pk).update(title='=HYPERLINK("x")')
    head, *rows = traced_table(party=settled.parties[0])
    table = [dict(zip(head, row, strict=True)) for row in rows]
    assert {row["period"] for row in table} == {"p1", "p2"}
    for statement in Statement.objects.filter(party=settled.parties[0]):
        own = [row for row in table if row["period"] == statement.period_id]
        assert [row["kind"] for row in own[-2:]] == ["others", COMMONS]
        assert sum(int(row["ppb"]) for row in own) == int(own[-1]["pieces"]) * PPB
        training = sum(line.amount for line in statement.lines.filter(kind="training"))
        assert sum(int(row["amount_micro"]) for row in own) + training == statement.earned
    assert any(row["recording"] == '\'=HYPERLINK("x")' for row in table)


def test_page_file_and_api_are_for_the_party_and_the_house(settled: World, client) -> None:
    from stemma_portal.accounts.services import token_create

    alder, statement = settled.parties[0], Statement.objects.get(period="p1", party=settled.parties[0])
    page, file = f"/royalties/parties/{alder.pk}/traced/", f"/royalties/parties/{alder.pk}/traced.csv"
    api = {
        who: Api(token_create(user=getattr(settled, who), name="test", by=None)[1])
        for who in ("owner", "staff", "stranger")
    }
    for who in ("owner", "staff"):
        client.force_login(getattr(settled, who))
        body = client.get(page).content.decode()
        assert body.index(">p2</h2>") < body.index(">p1</h2>")
        assert "Together: a billion for each piece" in body
        assert f"/royalties/parties/{alder.pk}/traced.csv" in body
        answer = client.get(file)
        assert answer.streaming
        sent = b"".join(answer.streaming_content)
        lines = list(csv.DictReader(io.StringIO(sent.decode("utf-8-sig"), newline="")))
        assert {line["kind"] for line in lines} == {"recording", "others", COMMONS}
        assert b"".join(api[who].get(f"parties/{alder.pk}/traced.csv").streaming_content) == sent

        told = api[who].get(f"statements/{statement.pk}/traced").json()
        assert told["own"] + told["others"] + told["commons"] == told["pieces"] * PPB
        assert told["own"] == sum(item["ppb"] for item in told["items"])
        paged, cursor = [], None
        while cursor or not paged:
            more = f"&cursor={cursor}" if cursor else ""
            found = api[who].get(f"statements/{statement.pk}/traced?limit=1{more}").json()
            paged += found["items"]
            cursor = found["next"]
        assert paged == told["items"]
    assert api["owner"].get(f"statements/{statement.pk}/traced?cursor=no").status_code == 422
    client.force_login(settled.stranger)
    for address in (page, file):
        assert client.get(address).status_code == 404
    assert api["stranger"].get(f"parties/{alder.pk}/traced.csv").status_code == 404
    for who, asked in (("stranger", statement.pk), ("owner", new_id())):
        assert api[who].get(f"statements/{asked}/traced").status_code == 404
