"""DDEX messages: what they say of recordings, and what hostile ones do not do."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from catalog.messages import ern38, ern43
from stemma.catalog.reading import open_rows
from stemma.errors import InvalidError

REFERENCE = Path(__file__).parents[3] / "shared" / "ddex"


def read(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, rows = open_rows(path)
    assert found == "ern"
    return list(rows)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "message"


@pytest.mark.parametrize("version", ["43", "432"])
def test_a_message_of_version_four(path, version):
    rows = read(path, ern43(14, version=version))
    assert len(rows) == 14
    record = rows[13].record()
    assert (record.isrc, record.title, record.artist) == ("QZSTM2600013", "Song 13 & more", "The Examples")
    assert (record.duration_ms, record.audio_file, record.composer) == (225_000, "EX-13.wav", "Erika Example")
    assert (record.release.title, record.release.upc, record.track) == ("Album 1", "036000291452", 2)
    assert (record.release.label, record.release.released_on) == ("Example Records", date(2026, 3, 21))
    assert [(s.party.name, s.party.ipi, s.ppm) for s in record.shares] == [
        ("Example Records", None, 666_700),
        ("Erika Example", "00014107338", 333_300),
    ]
    assert not record.takedown
    assert record.style == "folk"


def test_a_message_of_version_three(path):
    one, two = read(path, ern38())
    record = one.record()
    assert (record.isrc, record.title, record.artist) == ("QZSTM2600000", "Song 0 (Live)", "The Examples")
    assert (record.composer, record.audio_file, record.duration_ms) == ("Erika Example", "EX-0.flac", 121_000)
    assert (record.release.title, record.release.label) == ("Old & New", "Example Records")
    assert two.record().isrc == "QZSTM2600001"


@pytest.mark.parametrize("text", [ern38(takedown=True), ern43(deal="<EndDate>2026-04-01</EndDate>")])
def test_takedowns(path, text):
    assert all(row.record().takedown for row in read(path, text))


def test_a_purge_takes_its_recordings_down(path):
    text = """<p:PurgeReleaseMessage xmlns:p="http://ddex.net/xml/ern/43"><PurgedRelease><ReleaseId>
    <ISRC>QZSTM2600001</ISRC></ReleaseId><Title><TitleText>Gone</TitleText></Title></PurgedRelease></p:PurgeReleaseMessage>"""
    (row,) = read(path, text)
    assert (row.record().title, row.record().takedown) == ("Gone", True)


def test_use_for_data_mining_and_ai_are_noticed(path):
    text = ern43(1, extra="<ContainsAI>All</ContainsAI>").replace("Stream<", "UseForDataMining<")
    (row,) = read(path, text)
    assert [p.rule for p in row.problems] == ["contains-ai"]
    assert row.record().reservation.uses == {"data_mining": "allowed"}


def _mined(text: str, *, kind: str = "UseForTrainingGenerativeAI") -> str:
    return text.replace(">Stream<", f">Stream</UseType><UseType>{kind}<")


@pytest.mark.parametrize(
    ("text", "uses", "detail"),
    [
        (_mined(ern43(1)), "allowed", "UseForTrainingGenerativeAI"),
        (_mined(ern43(1), kind="UseForGenerativeAI"), "allowed", "UseForGenerativeAI"),
        (
            _mined(ern43(1)).replace(
                "</DealTerms>",
                "<RightsClaimPolicy><RightsClaimPolicyType>BlockAccess</RightsClaimPolicyType></RightsClaimPolicy></DealTerms>",
            ),
            "notAllowed",
            "UseForTrainingGenerativeAI: BlockAccess",
        ),
        (
            _mined(ern43(1).replace("<TerritoryCode>Worldwide", "<TerritoryCode>FR</TerritoryCode><TerritoryCode>DE")),
            "constrained",
            "UseForTrainingGenerativeAI: only in DE, FR",
        ),
        (
            _mined(ern43(1)).replace(
                "</DealTerms>",
                "<ExcludedDistributionChannel><PartyId>PADPIDA1</PartyId><PartyName><FullName>Other</FullName>"
                "</PartyName></ExcludedDistributionChannel></DealTerms>",
            ),
            "constrained",
            "UseForTrainingGenerativeAI: not through PADPIDA1 Other",
        ),
        (
            _mined(ern43(1)).replace(
                "</DealTerms>",
                "<DistributionChannel><PartyId>PADPIDA1</PartyId></DistributionChannel></DealTerms>",
            ),
            "constrained",
            "UseForTrainingGenerativeAI: only through PADPIDA1",
        ),
        (
            _mined(ern43(1, deal="<EndDate>2031-12-31</EndDate>")),
            "constrained",
            "UseForTrainingGenerativeAI: until 2031-12-31",
        ),
        (
            _mined(ern43(1, deal="<EndDate>2026-04-01</EndDate>")),
            "notAllowed",
            "UseForTrainingGenerativeAI: ended on 2026-04-01",
        ),
    ],
)
def test_what_deals_say_of_training(path, text, uses, detail):
    (row,) = read(path, text)
    reservation = row.record().reservation
    assert (reservation.uses, reservation.detail) == ({"ai_generative_training": uses}, detail)


def test_of_several_deals_a_refusal_counts_and_one_in_force_before_one_that_ended(path):
    whole = _mined(ern43(1), kind="UseForDataMining")
    start = whole.index("<ReleaseDeal>")
    deal = whole[start : whole.index("</ReleaseDeal>") + len("</ReleaseDeal>")]
    policy = (
        "<RightsClaimPolicy><RightsClaimPolicyType>BlockAccess</RightsClaimPolicyType></RightsClaimPolicy></DealTerms>"
    )
    for other, use in (
        (deal.replace("<TerritoryCode>Worldwide", "<TerritoryCode>FR"), "allowed"),
        (deal.replace("</ValidityPeriod>", "<EndDate>2026-04-01</EndDate></ValidityPeriod>"), "allowed"),
        (deal.replace("</DealTerms>", policy), "notAllowed"),
    ):
        assert other != deal
        (row,) = read(path, whole[:start] + other + whole[start:])
        assert row.record().reservation.uses == {"data_mining": use}


def test_a_recording_with_errors_takes_no_other_along(path):
    text = ern43(3).replace("QZSTM2600001", "WRONG").replace(">66.67<", ">60<", 1)
    first, second, third = read(path, text)
    assert {(p.field, p.rule) for p in first.problems} == {("shares", "shares-sum")}
    assert {(p.field, p.rule) for p in second.problems} == {("isrc", "isrc")}
    assert third.record()


def test_a_wrong_product_code_is_told_and_the_recordings_are_taken_without(path):
    rows = read(path, ern43(2).replace("036000291452", "036000291453"))
    assert [[p.severity for p in row.problems] for row in rows] == [["warning"], ["warning"]]
    assert rows[0].record().release.upc == ""


def test_a_message_that_has_an_isrc_twice(path):
    _, second = read(path, ern43(2).replace("QZSTM2600001", "QZSTM2600000"))
    assert [p.rule for p in second.problems] == ["twice"]


BOMB = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">%s]>
<NewReleaseMessage><ResourceList><SoundRecording><DisplayTitleText>&%s;</DisplayTitleText></SoundRecording>
</ResourceList></NewReleaseMessage>"""
LAUGHS = BOMB % ("".join(f'<!ENTITY a{n} "{("&a%s;" % (n - 1 if n else "")) * 10}">' for n in range(12)), "a11")
HOSTILE = {
    "a billion laughs": (LAUGHS, "document type|amplification"),
    "an external entity": (BOMB % ('<!ENTITY x SYSTEM "file:///etc/passwd">', "x"), "document type"),
    "an external document type": (
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><NewReleaseMessage/>',
        "document type",
    ),
    "another XML": ("<html><body/></html>", "no release notification"),
    "broken off": (ern43(2)[:2000], "well-formed"),
    "deep": ("<NewReleaseMessage>" + "<a>" * 100_000, "well-formed"),
    "one huge text": ("<NewReleaseMessage><a>" + "x" * 11_000_000, "well-formed"),
    "a wrong encoding": (ern43(1).replace("Song", "Söng").encode("latin-1"), "well-formed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_refused_in_words(path, name):
    text, told = HOSTILE[name]
    with pytest.raises(InvalidError, match=told) as refused:
        read(path, text)
    assert refused.value.remedy
    assert "root:" not in str(refused.value)


@given(st.data())
def test_no_change_of_a_message_breaks_the_reader(tmp_path_factory, data):
    body = bytearray(ern43(2).encode())
    for _ in range(data.draw(st.integers(1, 20))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.xml"
    path.write_bytes(b"<" + bytes(body)[1:])
    try:
        rows = list(open_rows(path)[1])
    except InvalidError:
        return
    for row in rows:
        assert (row.record() is None) == any(p.severity == "error" for p in row.problems)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the schemas and samples of DDEX are not beside the project")
class TestAgainstTheStandard:
    @pytest.mark.parametrize("version", ["43", "432", "383"])
    def test_our_own_messages_are_valid(self, version):
        schema = etree.XMLSchema(etree.parse(REFERENCE / "xsd" / version / "release-notification.xsd"))
        texts = [ern38(), ern38(takedown=True)] if version == "383" else [ern43(3, version=version)]
        for text in texts:
            schema.assertValid(etree.fromstring(text.encode()))

    def test_the_samples_of_the_standard(self):
        counts = {}
        for path in sorted((REFERENCE / "samples").glob("*.xml")):
            rows = list(open_rows(path)[1])
            counts[path.stem] = (len(rows), sum(row.record() is not None for row in rows))
        assert counts == {"1Audio": (21, 21), "3MixedMedia": (14, 14), "8DjMix": (9, 9)}
