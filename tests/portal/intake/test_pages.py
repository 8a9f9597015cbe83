"""The pages on which a catalog is brought in."""

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from portal.intake.conftest import HEAD, line, table
from stemma_portal.catalog.models import Recording
from stemma_portal.intake.models import Import

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture
def browse(labels, committed):
    """`browse("owner").get(…)`: what waits for a commit runs when a request has ended."""

    class Browser:
        def __init__(self, who: str | None) -> None:
            self.client = Client()
            if who:
                self.client.force_login(getattr(labels, who))

        def get(self, path, **query):
            return self.client.get(path, query_params=query)

        def post(self, path, **fields):
            with committed():
                return self.client.post(path, fields)

        def text(self, path, **query):
            answer = self.get(path, **query)
            assert answer.status_code == 200, answer
            return answer.content.decode()

    return Browser


def test_from_a_file_to_the_catalog(browse, labels):
    owner = browse("owner")
    assert "Nothing was brought yet" in owner.text("/imports/")
    body = table(line(1), line(2, isrc="NOT"), line(3, artist="Аdele"))
    sent = owner.post("/imports/", file=SimpleUploadedFile("My catalog.csv", body))
    batch = Import.objects.get()
    assert sent["Location"] == f"/imports/{batch.id}/"
    columns = owner.text(sent["Location"])
    assert "What do the columns mean?" in columns
    assert '<option value="isrc" selected>' in columns
    chosen = {f"column-{i}": batch.mapping.get(name, "") for i, name in enumerate(batch.headings)}
    owner.post(f"/imports/{batch.id}/columns/", **chosen)
    rejected = owner.text(f"/imports/{batch.id}/")
    assert "This is not an ISRC" in rejected
    assert "Take 2 rows into the catalog" in rejected
    assert "mixes Cyrillic and Latin" in owner.text(f"/imports/{batch.id}/", show="new")
    owner.post(f"/imports/{batch.id}/action/", action="confirm")
    assert Recording.objects.count() == 2
    done = owner.text(f"/imports/{batch.id}/")
    assert "See the catalog" in done
    assert "My catalog.csv" in owner.text("/imports/")
    owner.post("/imports/", file=SimpleUploadedFile("again.csv", table(line(1, title="Other"))))
    again = Import.objects.first()
    owner.post(f"/imports/{again.id}/columns/", **chosen)
    assert "<del>Song 1</del> → <ins>Other</ins>" in owner.text(f"/imports/{again.id}/", show="changed")


def test_rows_to_correct_come_as_a_table_that_no_spreadsheet_runs(browse, bring):
    batch = bring(table(line(1), line(2, isrc="NOT", artist="=cmd()")))
    answer = browse("owner").get(f"/imports/{batch.id}/to-correct.csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert rows[0] == [*HEAD.split(","), "What to correct"]
    assert len(rows) == 2
    assert rows[1][1] == "'=cmd()"
    assert rows[1][-1].startswith("isrc [isrc]: ")
    assert "not an ISRC" in rows[1][-1]
    assert "<code>isrc</code>" in browse("owner").text(f"/imports/{batch.id}/")


def test_a_file_that_cannot_be_read_is_told_on_the_page(browse):
    owner = browse("owner")
    owner.post("/imports/", file=SimpleUploadedFile("x.csv", b"\x00\x01\x02"))
    assert "neither a table" in owner.text("/imports/")
    owner.post("/imports/")
    assert "Choose a file first." in owner.text("/imports/")
    assert not Import.objects.exists()


def test_a_mapping_without_a_title_is_told_on_the_page(browse):
    owner = browse("owner")
    owner.post("/imports/", file=SimpleUploadedFile("x.csv", b"A,B\n1,2\n"))
    batch = Import.objects.get()
    owner.post(f"/imports/{batch.id}/columns/", **{"column-0": "artist"})
    assert "No column is said to be the title" in owner.text(f"/imports/{batch.id}/")


def test_the_template_is_understood_at_once(browse, bring):
    body = browse("owner").get("/imports/template.csv").content
    assert bring(body).counts["new"] == 1


@pytest.mark.parametrize("who", [None, "stranger", "teammate", "licensee", "rights"])
def test_who_may_look_and_who_may_act(browse, bring, who):
    """ASVS 8.2.2, 8.4.1."""
    batch = bring(table(line(1)), confirm=False)
    one = browse(who)
    seen = one.get(f"/imports/{batch.id}/").status_code
    assert seen == {None: 302, "stranger": 404, "licensee": 404}.get(who, 200)
    acted = one.post(f"/imports/{batch.id}/action/", action="confirm").status_code
    assert acted == {None: 302, "teammate": 403, "rights": 302}.get(who, 404)
    batch.refresh_from_db()
    assert (batch.state == "staged") == (who != "rights")
