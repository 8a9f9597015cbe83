from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stemma.catalog import cast
from stemma.rights.shares import WHOLE, Share, check_shares

names = st.text(min_size=1, max_size=30)
styles = st.sampled_from(sorted(cast.PERFORMERS))


@settings(max_examples=200)
@given(names, names, styles)
def test_shares_always_sum(recording: str, work: str, style: str):
    shares = cast.shares(recording, work, style)
    check_shares(Share(party=s.party.id, side=s.side, ppm=s.ppm, territory=s.territory) for s in shares)
    assert shares == cast.shares(recording, work, style)
    owners = [(share.party.id, share.side) for share in shares]
    assert len(set(owners)) == len(owners)


@given(names, names, names, styles)
def test_owners_of_a_work_are_the_same_for_all_its_recordings(first: str, second: str, work: str, style: str):
    def publishing(recording: str):
        return [share for share in cast.shares(recording, work, style) if share.side == "publishing"]

    assert publishing(first) == publishing(second)


def test_ownership_is_varied():
    patterns = {
        tuple(share.ppm for share in cast.shares(str(i), str(i), "reel") if share.side == "master") for i in range(60)
    }
    assert (WHOLE,) in patterns
    assert (500_000, 500_000) in patterns
    assert (333_334, 333_333, 333_333) in patterns
    assert any(ppm % 1000 for pattern in patterns - {(333_334, 333_333, 333_333)} for ppm in pattern)


def test_nobody_mistakes_the_cast_for_real_people():
    assert len(cast.PARTIES) >= 16
    assert len({party.id for party in cast.PARTIES}) == len(cast.PARTIES)
    for party in cast.PARTIES:
        assert party.demo
        assert party.name.startswith("Demo: ")
        assert party.ipi is None
        assert party.isni is None
    for style in cast.PERFORMERS:
        for i in range(20):
            assert all(share.party in cast.PARTIES for share in cast.shares(str(i), str(i), style))
