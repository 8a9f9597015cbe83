"""What was done, as owners and rights staff read it."""

import csv
import io

import pytest
from django.test import Client

from stemma_portal.accounts.invitations import invite

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def done(cast):
    invite(organisation=cast.label, email="one@stemma.test", role="member", by=cast.owner)
    invite(organisation=cast.other, email="two@stemma.test", role="member", by=cast.stranger)


def test_an_owner_reads_what_their_people_did_and_nobody_elses(cast, done):
    page = signed_in(cast.owner).get("/organisation/trail/?action=invitation").content.decode()
    assert "one@stemma.test" in page
    assert "two@stemma.test" not in page
    assert signed_in(cast.teammate).get("/organisation/trail/").status_code == 403


def test_rights_staff_read_everything_and_look_for_somebody(cast, done):
    staff = signed_in(cast.rights)
    page = staff.get("/organisation/trail/?action=invitation").content.decode()
    assert "one@stemma.test" in page
    assert "two@stemma.test" in page
    page = staff.get("/organisation/trail/", {"who": "stranger", "action": "invitation"}).content.decode()
    assert "one@stemma.test" not in page
    assert "two@stemma.test" in page
    assert staff.get("/organisation/trail/", {"who": "\x00", "subject": "é" * 500}).status_code == 200


def test_the_table_opens_in_a_spreadsheet_and_runs_nothing(cast):
    cast.owner.name = "x"
    invite(organisation=cast.label, email="one@stemma.test", role="member", reason="=1+1", by=cast.owner)
    from stemma_portal.core.services import audit

    audit(by=cast.owner, action="=cmd()", subject=cast.label.id)
    answer = signed_in(cast.owner).get("/organisation/trail/?as=csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert {"invitation.send", "'=cmd()"} <= {row["action"] for row in rows}
