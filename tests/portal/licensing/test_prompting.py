"""What owners, custodians and withdrawals say of style prompting reaches serving as one signed list."""

from __future__ import annotations

import pytest

from portal.making import SCOPES
from stemma.proof.keys import verify
from stemma.rights.prompting import PROMPTING, PROMPTING_KEY, Names, Prompting
from stemma_portal.catalog.custody import custody_set
from stemma_portal.catalog.models import Recording, Work
from stemma_portal.consent.services import consent_grant, consent_withdraw
from stemma_portal.licensing.tasks import prompting_publish

pytestmark = [pytest.mark.services, pytest.mark.django_db]
STYLE = [*SCOPES, "style_prompting"]


@pytest.fixture
def named(covenant, recordings, storage):
    """Recordings 0 and 1 are by one artist, 3 by another; nobody has granted anything yet."""
    for number, artist, title in ((0, "Ada Example", "Harbour Lights"), (1, "Ada Example", "Silver Thread"),
                                  (3, "Bo Sample", "Northern Rain")):  # fmt: skip
        recording = recordings[number]
        Recording.objects.filter(pk=recording.pk).update(artist=artist, title=title)
        Work.objects.filter(pk=recording.work_id).update(title=title)
    return recordings


def listed(storage, keyring) -> Names:
    prompting_publish()
    token = storage.get(PROMPTING_KEY).decode()
    return Names(Prompting.model_validate(verify(token, keyring.jwks(), "rights", PROMPTING)))


def why(names: Names, prompt: str) -> str:
    found = names.find(prompt)
    return found.why if found else ""


def test_a_grant_without_style_prompting_closes_names_and_one_with_it_leaves_them_open(
    named, cast, catalog, storage, keyring
):
    assert why(listed(storage, keyring), "like Ada Example") == "", "who said nothing has not said no"
    for party in ("Artist", "Label"):
        consent_grant(party=catalog[party], recordings=[named[0].id], scopes=SCOPES, by=cast.rights)
        consent_grant(party=catalog[party], recordings=[named[1].id], scopes=STYLE, by=cast.rights)
    consent_grant(party=catalog["Other"], recordings=[named[3].id], scopes=SCOPES, by=cast.rights)
    names = listed(storage, keyring)
    assert why(names, "a tune like Harbour Lights") == "refused"
    assert why(names, "Silver Thread again") == ""
    assert why(names, "in the style of Ada Example") == "", "something of hers is open"
    assert why(names, "in the style of bo sample") == "refused"
    assert why(names, "a traditional tune") == ""


def test_a_withdrawal_and_a_custodian_close_what_was_open(named, cast, catalog, storage, keyring):
    for party in ("Artist", "Label"):
        consents = [
            consent_grant(party=catalog[party], recordings=[named[n].id], scopes=STYLE, by=cast.rights) for n in (0, 1)
        ]
    first = listed(storage, keyring)
    assert why(first, "Ada Example") == why(first, "Harbour Lights") == ""
    consent_withdraw(consent=consents[0], recording_id=None, by=cast.owner)
    custody_set(
        recordings=[named[1].id], party=catalog["Artist"], terms="Not this.", conditions=["no_style_prompting"],
        by=None, by_staff=True,
    )  # fmt: skip
    names = listed(storage, keyring)
    assert why(names, "Harbour Lights") == "withdrawn"
    assert why(names, "Silver Thread") == "custody"
    assert why(names, "Ada Example") in {"withdrawn", "custody"}
    assert names.given.sequence > first.given.sequence
    assert listed(storage, keyring).given == names.given, "nothing changed, nothing new is signed"


def test_composers_who_are_long_dead_may_be_named_whoever_refuses_but_for_a_custodian(
    named, cast, catalog, storage, keyring
):
    for recording, composer in ((named[3], "Bach, Johann Sebastian (1685-1750)"), (named[4], "Stephen Foster")):
        Work.objects.filter(pk=recording.work_id).update(composer=composer)
        consent_grant(party=catalog["Other"], recordings=[recording.id], scopes=SCOPES, by=cast.rights)
    names = listed(storage, keyring)
    assert why(names, "a chorale in the style of Johann Sebastian Bach") == why(names, "like Bach") == ""
    assert why(names, "like Stephen Foster") == ""
    assert why(names, "Northern Rain") == why(names, "like Bo Sample") == "refused"
    custody_set(
        recordings=[named[3].id], party=catalog["Artist"], terms="Not this.", conditions=["no_style_prompting"],
        by=None, by_staff=True,
    )  # fmt: skip
    assert why(listed(storage, keyring), "like Johann Sebastian Bach") == "custody"
    cast.other.kind, cast.other.party.name = "artist", "Stephen Foster"
    cast.other.save()
    cast.other.party.save()
    assert why(listed(storage, keyring), "like Stephen Foster"), "a living artist bears the name"
