"""Where and when a piece of music has its origin, as codes: unknown stays unknown.

A region is a country of ISO 3166-1 (`IE`), a part of one by ISO 3166-2 (`GB-SCT`), or a macro region of
the UN standard M49 (`419`, Latin America and the Caribbean).  A period is a year (`1731`) or a century
as ISO 8601-2 (EDTF) writes it: `17XX` is some year from 1700 to 1799.
"""

from __future__ import annotations

import re
import unicodedata

_COUNTRIES = """
AD Andorra; AE United Arab Emirates; AF Afghanistan; AG Antigua and Barbuda; AI Anguilla; AL Albania; AM
Armenia; AO Angola; AQ Antarctica; AR Argentina; AS American Samoa; AT Austria; AU Australia; AW Aruba; AX Åland
Islands; AZ Azerbaijan; BA Bosnia and Herzegovina; BB Barbados; BD Bangladesh; BE Belgium; BF Burkina Faso; BG
Bulgaria; BH Bahrain; BI Burundi; BJ Benin; BL Saint Barthélemy; BM Bermuda; BN Brunei; BO Bolivia; BQ Bonaire,
Sint Eustatius and Saba; BR Brazil; BS Bahamas; BT Bhutan; BV Bouvet Island; BW Botswana; BY Belarus; BZ Belize;
CA Canada; CC Cocos (Keeling) Islands; CD Democratic Republic of the Congo; CF Central African Republic; CG
Congo; CH Switzerland; CI Côte d'Ivoire; CK Cook Islands; CL Chile; CM Cameroon; CN China; CO Colombia; CR Costa
Rica; CU Cuba; CV Cabo Verde; CW Curaçao; CX Christmas Island; CY Cyprus; CZ Czechia; DE Germany; DJ Djibouti;
DK Denmark; DM Dominica; DO Dominican Republic; DZ Algeria; EC Ecuador; EE Estonia; EG Egypt; EH Western Sahara;
ER Eritrea; ES Spain; ET Ethiopia; FI Finland; FJ Fiji; FK Falkland Islands; FM Micronesia; FO Faroe Islands; FR
France; GA Gabon; GB United Kingdom; GD Grenada; GE Georgia; GF French Guiana; GG Guernsey; GH Ghana; GI
Gibraltar; GL Greenland; GM Gambia; GN Guinea; GP Guadeloupe; GQ Equatorial Guinea; GR Greece; GS South Georgia
and the South Sandwich Islands; GT Guatemala; GU Guam; GW Guinea-Bissau; GY Guyana; HK Hong Kong; HM Heard
Island and McDonald Islands; HN Honduras; HR Croatia; HT Haiti; HU Hungary; ID Indonesia; IE Ireland; IL Israel;
IM Isle of Man; IN India; IO British Indian Ocean Territory; IQ Iraq; IR Iran; IS Iceland; IT Italy; JE Jersey;
JM Jamaica; JO Jordan; JP Japan; KE Kenya; KG Kyrgyzstan; KH Cambodia; KI Kiribati; KM Comoros; KN Saint Kitts
and Nevis; KP North Korea; KR South Korea; KW Kuwait; KY Cayman Islands; KZ Kazakhstan; LA Laos; LB Lebanon; LC
Saint Lucia; LI Liechtenstein; LK Sri Lanka; LR Liberia; LS Lesotho; LT Lithuania; LU Luxembourg; LV Latvia; LY
Libya; MA Morocco; MC Monaco; MD Moldova; ME Montenegro; MF Saint Martin; MG Madagascar; MH Marshall Islands; MK
North Macedonia; ML Mali; MM Myanmar; MN Mongolia; MO Macao; MP Northern Mariana Islands; MQ Martinique; MR
Mauritania; MS Montserrat; MT Malta; MU Mauritius; MV Maldives; MW Malawi; MX Mexico; MY Malaysia; MZ
Mozambique; NA Namibia; NC New Caledonia; NE Niger; NF Norfolk Island; NG Nigeria; NI Nicaragua; NL Netherlands;
NO Norway; NP Nepal; NR Nauru; NU Niue; NZ New Zealand; OM Oman; PA Panama; PE Peru; PF French Polynesia; PG
Papua New Guinea; PH Philippines; PK Pakistan; PL Poland; PM Saint Pierre and Miquelon; PN Pitcairn; PR Puerto
Rico; PS Palestine; PT Portugal; PW Palau; PY Paraguay; QA Qatar; RE Réunion; RO Romania; RS Serbia; RU Russia;
RW Rwanda; SA Saudi Arabia; SB Solomon Islands; SC Seychelles; SD Sudan; SE Sweden; SG Singapore; SH Saint
Helena, Ascension and Tristan da Cunha; SI Slovenia; SJ Svalbard and Jan Mayen; SK Slovakia; SL Sierra Leone; SM
San Marino; SN Senegal; SO Somalia; SR Suriname; SS South Sudan; ST Sao Tome and Principe; SV El Salvador; SX
Sint Maarten; SY Syria; SZ Eswatini; TC Turks and Caicos Islands; TD Chad; TF French Southern Territories; TG
Togo; TH Thailand; TJ Tajikistan; TK Tokelau; TL Timor-Leste; TM Turkmenistan; TN Tunisia; TO Tonga; TR Türkiye;
TT Trinidad and Tobago; TV Tuvalu; TW Taiwan; TZ Tanzania; UA Ukraine; UG Uganda; UM United States Minor
Outlying Islands; US United States; UY Uruguay; UZ Uzbekistan; VA Holy See; VC Saint Vincent and the Grenadines;
VE Venezuela; VG British Virgin Islands; VI United States Virgin Islands; VN Vietnam; VU Vanuatu; WF Wallis and
Futuna; WS Samoa; YE Yemen; YT Mayotte; ZA South Africa; ZM Zambia; ZW Zimbabwe
"""
_PARTS = "GB-ENG England; GB-NIR Northern Ireland; GB-SCT Scotland; GB-WLS Wales; US-HI Hawaii"
_MACRO = """
001 World; 002 Africa; 005 South America; 009 Oceania; 011 Western Africa; 013 Central America; 014 Eastern Africa;
015 Northern Africa; 017 Middle Africa; 018 Southern Africa; 019 Americas; 021 Northern America; 029 Caribbean;
030 Eastern Asia; 034 Southern Asia; 035 South-eastern Asia; 039 Southern Europe; 053 Australia and New Zealand;
054 Melanesia; 057 Micronesia (region); 061 Polynesia; 142 Asia; 143 Central Asia; 145 Western Asia; 150 Europe;
151 Eastern Europe; 154 Northern Europe; 155 Western Europe; 202 Sub-Saharan Africa;
419 Latin America and the Caribbean
"""
"""Macro regions of M49, which are not countries."""


def _table(text: str) -> dict[str, str]:
    entries = (entry.strip().partition(" ") for entry in text.replace("\n", " ").split(";"))
    return {code: name for code, _, name in entries}


REGIONS: dict[str, str] = {**_table(_COUNTRIES), **_table(_PARTS), **_table(_MACRO)}
"""English names by code.  Other parts of countries (`DE-BY`) are taken by their form and shown as code."""
_COUNTRY, _PART = re.compile(r"[A-Z]{2}").fullmatch, re.compile(r"([A-Z]{2})-[A-Z0-9]{1,3}").fullmatch


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.replace("-", " "))
    return " ".join("".join(char for char in letters if not unicodedata.combining(char)).casefold().split())


_NAMED = {_plain(name): code for code, name in REGIONS.items()} | {
    "usa": "US", "united states of america": "US", "uk": "GB", "great britain": "GB", "czech republic": "CZ",
    "turkey": "TR", "ivory coast": "CI", "latin america": "419", "holland": "NL",
}  # fmt: skip


def region_code(text: str) -> str:
    """The code that a region means, by code or English name; empty where we cannot tell."""
    code = text.strip().upper()
    part = _PART(code)
    if code in REGIONS or (part and part[1] in REGIONS):
        return code
    return _NAMED.get(_plain(text), "")


def region_name(code: str) -> str:
    """A region's English name; of a part of a country that we have no name for, its code."""
    return REGIONS.get(code, code)


_YEAR = re.compile(r"\d{4}", re.ASCII).fullmatch
_CENTURY = re.compile(r"(\d{2})(?:XX|00s)", re.ASCII | re.IGNORECASE).fullmatch
_ORDINAL = re.compile(
    r"(\d{1,2})(?:st|nd|rd|th|\.)? ?(?:century|c\.?|jh\.?|jahrhundert)", re.ASCII | re.IGNORECASE
).fullmatch


def period_code(text: str) -> str:
    """The period that `1731`, `17XX`, `1700s` or `18th century` means; empty where we cannot tell.

    An ordinal century is taken for the hundred years that most call so: the 18th for 1700 to 1799.
    """
    text = " ".join(text.split())
    if _YEAR(text) and text != "0000":
        return text
    if found := _CENTURY(text):
        return f"{found[1]}XX"
    if (found := _ORDINAL(text)) and int(found[1]):
        return f"{int(found[1]) - 1:02d}XX"
    return ""


def century(period: str, year: int | None = None) -> str:
    """The century of a period, else of the year of the work; empty where neither is known."""
    if period:
        return f"{period[:2]}XX"
    return f"{year // 100:02d}XX" if year is not None and 0 < year < 10_000 else ""


def century_name(code: str) -> str:
    """`17XX` in words: 1700–1799."""
    return f"{code[:2]}00–{code[:2]}99" if code else ""
