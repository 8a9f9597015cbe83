# ruff: noqa: E501 - messages are wide
"""DDEX messages of our own, in both versions that are read."""

from __future__ import annotations

from xml.sax.saxutils import escape

HEADER = """<MessageHeader>{thread}<MessageId>M1</MessageId><MessageSender><PartyId>PADPIDA2000000000A</PartyId>
<PartyName><FullName>Example Records</FullName></PartyName></MessageSender><MessageRecipient>
<PartyId>PADPIDA2000000000B</PartyId><PartyName><FullName>Stemma</FullName></PartyName></MessageRecipient>
<MessageCreatedDateTime>2026-11-26T12:00:00Z</MessageCreatedDateTime></MessageHeader>"""


def ern43(tracks: int = 3, *, version: str = "432", deal: str = "", per: int = 12, extra: str = "") -> str:
    """A NewReleaseMessage of ERN 4.3: releases of `per` tracks each."""
    releases, deals = [], []
    genre = "Genre" if version == "43" else "DisplayGenre"
    role = "Composer" if version == "43" else "<Value>Composer</Value>"
    recordings = [
        f"""<SoundRecording><ResourceReference>A{n}</ResourceReference>
<Type>MusicalWorkSoundRecording</Type><SoundRecordingEdition><ResourceId><ISRC>QZSTM26{n:05d}</ISRC></ResourceId>
<PLine><Year>2026</Year><PLineText>(P) 2026 Example Records</PLineText></PLine><TechnicalDetails>
<TechnicalResourceDetailsReference>T{n}</TechnicalResourceDetailsReference><DeliveryFile><Type>AudioFile</Type>
<File><URI>resources/EX-{n}.wav</URI></File></DeliveryFile></TechnicalDetails></SoundRecordingEdition>
<DisplayTitleText>Song {n} &amp; more</DisplayTitleText><DisplayTitle ApplicableTerritoryCode="Worldwide" IsDefault="true">
<TitleText>Song {n} &amp; more</TitleText></DisplayTitle>
<DisplayArtistName ApplicableTerritoryCode="Worldwide" IsDefault="true">The Examples</DisplayArtistName>
<DisplayArtist SequenceNumber="1"><ArtistPartyReference>PEx</ArtistPartyReference>
<DisplayArtistRole>MainArtist</DisplayArtistRole></DisplayArtist>
<Contributor SequenceNumber="1"><ContributorPartyReference>PErika</ContributorPartyReference><Role>{role}</Role></Contributor>
<ResourceRightsController SequenceNumber="1"><RightsControllerPartyReference>PLabel</RightsControllerPartyReference>
<RightsControlType>RightsController</RightsControlType><RightSharePercentage>66.67</RightSharePercentage></ResourceRightsController>
<ResourceRightsController SequenceNumber="2"><RightsControllerPartyReference>PErika</RightsControllerPartyReference>
<RightsControlType>RightsController</RightsControlType><RightSharePercentage>33.33</RightSharePercentage></ResourceRightsController>
<Duration>PT3M45S</Duration><ParentalWarningType>NotExplicit</ParentalWarningType>{extra}</SoundRecording>"""
        for n in range(tracks)
    ]
    for first in range(0, tracks, per):
        items = "".join(
            f"<ResourceGroupContentItem><SequenceNumber>{k + 1}</SequenceNumber>"
            f"<ReleaseResourceReference>A{first + k}</ReleaseResourceReference></ResourceGroupContentItem>"
            for k in range(min(per, tracks - first))
        )
        release = first // per
        releases.append(f"""<Release><ReleaseReference>R{release}</ReleaseReference><ReleaseType>Album</ReleaseType>
<ReleaseId><ICPN>036000291452</ICPN></ReleaseId><DisplayTitleText>Album {release}</DisplayTitleText>
<DisplayTitle ApplicableTerritoryCode="Worldwide" IsDefault="true"><TitleText>Album {release}</TitleText></DisplayTitle>
<DisplayArtistName ApplicableTerritoryCode="Worldwide">The Examples</DisplayArtistName>
<DisplayArtist SequenceNumber="1"><ArtistPartyReference>PEx</ArtistPartyReference>
<DisplayArtistRole>MainArtist</DisplayArtistRole></DisplayArtist>
<ReleaseLabelReference ApplicableTerritoryCode="Worldwide">PLabel</ReleaseLabelReference>
<{genre} ApplicableTerritoryCode="Worldwide"><GenreText>Folk</GenreText></{genre}>
<ReleaseDate ApplicableTerritoryCode="Worldwide">2026-03-21</ReleaseDate>
<ParentalWarningType ApplicableTerritoryCode="Worldwide">NotExplicit</ParentalWarningType>
<ResourceGroup>{items}</ResourceGroup></Release>""")
        deals.append(f"""<ReleaseDeal><DealReleaseReference>R{release}</DealReleaseReference><Deal><DealTerms>
<TerritoryCode>Worldwide</TerritoryCode><ValidityPeriod><StartDate>2026-03-21</StartDate>{deal}</ValidityPeriod>
<CommercialModelType>SubscriptionModel</CommercialModelType><UseType>Stream</UseType></DealTerms></Deal></ReleaseDeal>""")
    parties = "".join(
        f"<Party><PartyReference>{ref}</PartyReference><PartyName><FullName>{name}</FullName></PartyName>{ident}</Party>"
        for ref, name, ident in (
            ("PEx", "The Examples", ""),
            ("PLabel", "Example Records", ""),
            ("PErika", "Erika Example", "<PartyId><IpiNameNumber>00014107338</IpiNameNumber></PartyId>"),
        )
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ern:NewReleaseMessage xmlns:ern="http://ddex.net/xml/ern/{version}" AvsVersionId="8" LanguageAndScriptCode="en"
ReleaseProfileVersionId="Audio">{HEADER.format(thread="")}<PartyList>{parties}</PartyList>
<ResourceList>{"".join(recordings)}</ResourceList><ReleaseList>{"".join(releases)}</ReleaseList>
<DealList>{"".join(deals)}</DealList></ern:NewReleaseMessage>"""


def ern38(tracks: int = 2, *, takedown: bool = False) -> str:
    """A NewReleaseMessage of ERN 3.8, which tells artists in line and most things by territory."""
    recordings = "".join(
        f"""<SoundRecording><SoundRecordingType>MusicalWorkSoundRecording</SoundRecordingType>
<SoundRecordingId><ISRC>QZSTM26{n:05d}</ISRC></SoundRecordingId><ResourceReference>A{n}</ResourceReference>
<ReferenceTitle><TitleText>Song {n}</TitleText></ReferenceTitle><Duration>PT2M1S</Duration>
<SoundRecordingDetailsByTerritory><TerritoryCode>Worldwide</TerritoryCode><Title TitleType="DisplayTitle">
<TitleText>Song {n} (Live)</TitleText></Title><DisplayArtist><PartyName><FullName>The Examples</FullName></PartyName>
<ArtistRole>MainArtist</ArtistRole></DisplayArtist><IndirectResourceContributor><PartyName>
<FullName>Erika Example</FullName></PartyName><IndirectResourceContributorRole>Composer</IndirectResourceContributorRole>
</IndirectResourceContributor><Genre><GenreText>Folk</GenreText></Genre><TechnicalSoundRecordingDetails>
<TechnicalResourceDetailsReference>T{n}</TechnicalResourceDetailsReference><File><FileName>EX-{n}.flac</FileName></File>
</TechnicalSoundRecordingDetails></SoundRecordingDetailsByTerritory></SoundRecording>"""
        for n in range(tracks)
    )
    references = "".join(f"<ReleaseResourceReference>A{n}</ReleaseResourceReference>" for n in range(tracks))
    use = "<CommercialModelType>SubscriptionModel</CommercialModelType><Usage><UseType>Stream</UseType></Usage>"
    down = "<TakeDown>true</TakeDown>" if takedown else use
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ernm:NewReleaseMessage xmlns:ernm="http://ddex.net/xml/ern/383" MessageSchemaVersionId="ern/383">
{HEADER.format(thread="<MessageThreadId>T</MessageThreadId>")}<UpdateIndicator>OriginalMessage</UpdateIndicator>
<ResourceList>{recordings}</ResourceList><ReleaseList><Release IsMainRelease="true"><ReleaseId><ICPN>4006381333931</ICPN>
</ReleaseId><ReleaseReference>R0</ReleaseReference><ReferenceTitle><TitleText>{escape("Old & New")}</TitleText>
</ReferenceTitle><ReleaseResourceReferenceList>{references}</ReleaseResourceReferenceList><ReleaseType>Album</ReleaseType>
<ReleaseDetailsByTerritory><TerritoryCode>Worldwide</TerritoryCode><DisplayArtistName>The Examples</DisplayArtistName>
<LabelName>Example Records</LabelName><ReleaseDate>2026-03-21</ReleaseDate></ReleaseDetailsByTerritory></Release>
</ReleaseList><DealList><ReleaseDeal><DealReleaseReference>R0</DealReleaseReference><Deal><DealTerms>{down}
<TerritoryCode>Worldwide</TerritoryCode><ValidityPeriod><StartDate>2026-03-21</StartDate></ValidityPeriod></DealTerms></Deal></ReleaseDeal></DealList>
</ernm:NewReleaseMessage>"""
