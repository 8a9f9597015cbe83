"""The catalog is found by words, codes and marks, the same whichever way the search takes."""

import unicodedata
from types import SimpleNamespace

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.making import ident, sha
from stemma_portal.catalog import search
from stemma_portal.catalog.models import Entry, Party, Recording, Release, Share, Stale, Work
from stemma_portal.catalog.search import entries_refresh, find, styles
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.catalog.tasks import search_refresh

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def titles(user, size=25, **wanted) -> list[str]:
    """Titles of every page, from the first to the last."""
    found, query = [], {}
    while True:
        page = find(user=user, wanted=wanted, query=query, size=size).page
        found += [row.title for row in page.items]
        if page.next is None:
            return found
        query = {"after": page.next}


@pytest.fixture
def music(cast):
    """A few recordings of the label with everything that can be searched for."""
    work = Work.objects.create(title="Serenade", composer="Antonín Dvořák", iswc="T0345246801")
    album = Release.objects.create(title="Evening", upc="0602445790128", artist="Quartet", organisation=cast.label)
    party = Party.objects.create(name="Somebody")
    made = []
    for number, title in enumerate(("Éclair", "Eclipse of the heart", "Zug", "日本の歌", "a-ha! again")):
        made.append(
            Recording.objects.create(
                title=title,
                work=work if number < 2 else Work.objects.create(title=title),
                release=album if number == 1 else None,
                organisation=cast.label,
                isrc=f"QZSTM260000{number}",
                reference=f"LAB-{number:03}/x",
                audio_sha256=sha(title) if number % 2 else "",
                style="chamber" if number < 3 else "",
            )
        )
        Share.objects.create(recording=made[-1], party=party, side="master", ppm=1_000_000)
    return SimpleNamespace(recordings=made, album=album, party=party, work=work)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("eclair", ["Éclair"]),
        ("ÉCLAIR", ["Éclair"]),
        ("ecl", ["Éclair", "Eclipse of the heart"]),
        ("heart eclipse", ["Eclipse of the heart"]),
        ("dvorak zug", []),
        ("dvorak", ["Éclair", "Eclipse of the heart"]),
        ("QZ-STM-26-00002", ["Zug"]),
        ("qzstm2600002", ["Zug"]),
        ("T-034.524.680-1", ["Éclair", "Eclipse of the heart"]),
        ("0602445790128", ["Eclipse of the heart"]),
        ("LAB-003/x", ["日本の歌"]),
        ("evening", ["Eclipse of the heart"]),
        ("日本", []),
        ("日本の", ["日本の歌"]),
        ("a-ha!", ["a-ha! again"]),
        ("' | & ! :* \\ ( <-> #=", ["a-ha! again", "Éclair", "Eclipse of the heart", "Zug", "日本の歌"]),
        ("nobody", []),
        ("\x00zug\x00", ["Zug"]),
    ],
)
def test_words_and_codes_find(cast, music, asked, expected):
    assert sorted(titles(cast.owner, q=asked)) == sorted(expected)


def test_lists_are_ordered_without_case_and_accents(cast, music):
    assert titles(cast.owner) == ["a-ha! again", "Éclair", "Eclipse of the heart", "Zug", "日本の歌"]


def test_marks_narrow(cast, music):
    assert titles(cast.owner, sound="yes") == ["Eclipse of the heart", "日本の歌"]
    assert titles(cast.owner, sound="no", style="chamber") == ["Éclair", "Zug"]
    assert titles(cast.owner, release=music.album.id) == ["Eclipse of the heart"]
    assert titles(cast.rights, organisation=cast.other.id) == []
    assert len(titles(cast.rights, organisation=cast.label.id)) == 5
    assert titles(cast.owner, source="not-free") == []
    assert titles(cast.owner, style="x' | '#up") == titles(cast.owner)


def test_what_changes_is_found_as_it_is_now(cast, music):
    assert titles(cast.owner, q="zug") == ["Zug"]
    Recording.objects.filter(title="Zug").update(title="Train", taken_down_at="2026-01-01T00:00Z")
    Work.objects.filter(id=music.work.id).update(composer="Clara Schumann")
    Release.objects.filter(id=music.album.id).update(title="Morning")
    assert titles(cast.owner, q="zug") == ["Train"]  # its work still has the name
    assert titles(cast.owner, q="train", state="down") == ["Train"]
    assert titles(cast.owner, q="schumann morning") == ["Eclipse of the heart"]
    assert titles(cast.owner, q="dvorak") == []
    search_refresh()
    Recording.objects.update(tempo=100)
    assert not Stale.objects.exists()  # nothing that a search looks at


def test_a_share_given_and_taken_shows_and_hides(cast, music):
    cast.other.party = music.party
    cast.other.save()
    assert len(titles(cast.stranger)) == 5
    Share.objects.filter(recording=music.recordings[0]).delete()
    assert "Éclair" not in titles(cast.stranger)
    cast.other.party = None
    cast.other.save()
    assert titles(cast.stranger) == []


def test_many_that_are_behind_are_left_to_the_task(cast, music, monkeypatch):
    monkeypatch.setattr(search, "AT_ONCE", 2)
    found = find(user=cast.rights, wanted={}, query={})
    assert found.waiting == Stale.objects.count() > 0
    assert search_refresh() == found.waiting
    assert find(user=cast.rights, wanted={}, query={}).total == 5


def test_only_these_may_be_asked_for(cast, music):
    two = [music.recordings[2].id, music.recordings[0].id]
    entries_refresh(most=100)
    found = find(user=cast.owner, wanted={"style": "chamber"}, query={}, among=two, size=1)
    assert ([row.title for row in found.page.items], found.total, found.exact) == (["Éclair"], 2, True)
    found = find(user=cast.owner, wanted={}, query={"after": found.page.next}, among=two, size=1)
    assert ([row.title for row in found.page.items], found.page.next) == (["Zug"], None)
    assert find(user=cast.owner, wanted={}, query={}, among=[]).total == 0


def test_repertoires_are_listed_once(cast, music):
    assert styles() == ["chamber"]


WORDS = ("sun", "sunday", "moon", "éa", "b")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), min_size=1, max_size=20),
    asked=st.lists(st.sampled_from(("sun", "moon", "sunday", "ea", "b", "moo")), max_size=2),
    few=st.sampled_from((0, 100)),
    near=st.sampled_from((1, 3, 100)),
    most=st.sampled_from((2, 100)),
)
def test_every_way_of_searching_finds_the_same(cast, monkeypatch, names, asked, few, near, most):
    """Whatever is near and whatever is many: all pages together are what one would find by reading everything."""
    Entry.objects.all().delete()
    Recording.objects.all().delete()
    work = Work.objects.create(title="w")
    made = [Recording.objects.create(title=" ".join(name), work=work, organisation=cast.label) for name in names]
    entries_refresh(most=1000)

    def plain(text: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))

    def matches(title: str) -> bool:
        return all(
            any(word == own or (len(word) >= 3 and own.startswith(word)) for own in plain(title).split())
            for word in asked
        )

    expected = sorted((plain(row.title), row.id) for row in made if matches(row.title))
    with monkeypatch.context() as patched:
        for name, value in (("FEW", few), ("NEAR", near), ("FAR", near)):
            patched.setattr(search, name, value)
        patched.setattr(search, "MOST", most)
        found, query, wanted = [], {}, {"q": " ".join(asked)}
        while True:
            answer = find(user=cast.owner, wanted=wanted, query=query, size=3)
            found += [row.id for row in answer.page.items]
            assert not answer.exact or answer.total == len(expected)
            if answer.page.next is None:
                break
            query = {"after": answer.page.next}
        assert found == [identifier for _, identifier in expected]
        back, query = [], {"before": found[-1]} if found else {}
        while query:
            answer = find(user=cast.owner, wanted=wanted, query=query, size=3)
            back = [row.id for row in answer.page.items] + back
            query = {"before": answer.page.previous} if answer.page.previous else {}
        assert back == found[:-1]


def test_the_same_rule_says_what_may_be_seen(cast, catalog):
    for user in (cast.owner, cast.teammate, cast.stranger, cast.licensee, cast.rights):
        seen = {row.id for row in find(user=user, wanted={}, query={}).page.items}
        assert seen == set(recordings_visible(user).values_list("id", flat=True))


def test_the_page_tells_how_many_and_keeps_what_was_asked(client, cast, music, django_assert_max_num_queries):
    client.force_login(cast.rights)
    client.get(reverse("dashboards:recordings"))
    with django_assert_max_num_queries(24):
        text = client.get(reverse("dashboards:recordings"), {"q": "ecl", "sound": "yes"}).content.decode()
    assert "1 recording<" in text
    assert "Eclipse of the heart" in text
    assert '<option value="yes" selected>' in text
    held = client.get(reverse("dashboards:recordings"), {"state": "held"}).content.decode()
    assert "Nothing matches" in held


def test_a_release_shows_its_tracks(client, cast, music):
    client.force_login(cast.owner)
    text = client.get(reverse("dashboards:release", args=[music.album.id])).content.decode()
    assert "Eclipse of the heart" in text
    assert "No owner has consented." in text
    assert reverse("dashboards:recording", args=[music.recordings[1].id]) in text
    listed = client.get(reverse("dashboards:releases"), {"q": "evening"}).content.decode()
    assert "Evening" in listed
    assert "0602445790128" in client.get(reverse("dashboards:releases"), {"q": "060-2445790128"}).content.decode()
    client.force_login(cast.stranger)
    assert client.get(reverse("dashboards:release", args=[music.album.id])).status_code == 404
    assert client.get(reverse("dashboards:release", args=[ident("no")])).status_code == 404


def test_consent_is_granted_for_a_release(client, cast, covenant, catalog, recordings, redis):
    """The link of a release leads to a form over its tracks, and over nothing else."""
    album = Release.objects.create(title="Two of them", organisation=cast.label)
    Recording.objects.filter(id__in=[row.id for row in recordings[:2]]).update(release=album)
    client.force_login(cast.owner)
    link = f"{reverse('consent:grant')}?release={album.id}"
    assert link in client.get(reverse("dashboards:release", args=[album.id])).content.decode()
    asked = client.get(link)
    text = client.post(asked.url, {"password": "correct horse"}, follow=True).content.decode()
    assert "Only the 2 chosen" in text
