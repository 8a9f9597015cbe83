"""Whether the indemnity behind a certificate holds, judged from what the certificate says and the covenant.

No person decides here: the same facts and the same terms give the same answer, offline too.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from stemma.provenance.certificate import Certificate
from stemma.rights.covenant import AnyCovenant, Exclusion
from stemma.rights.indemnity import Coverage, Evidence, coverage

State = Literal["holds", "conditional", "lapsed", "none"]


class Reason(NamedTuple):
    """Why it does not hold, or on what it depends."""

    code: str
    """The exclusion of the covenant; `no-indemnity` for a tier without."""
    text: str


class Standing(NamedTuple):
    """How the indemnity behind a certificate stands."""

    state: State
    said: str
    """In one sentence."""
    lapsed: tuple[Reason, ...]
    depends: tuple[Reason, ...]
    """What nobody can tell from the certificate alone."""
    coverage: Coverage


def standing(certificate: Certificate, terms: AnyCovenant, *, altered: bool | None = None) -> Standing:
    """How the indemnity stands under the covenant of the certificate.

    `altered` says whether the sound in hand differs from the one certified; None: it was not compared.
    """
    found = coverage(terms, certificate.tier, "api_outputs", evidence(certificate, altered))
    if found.verdict == "not-covered":
        why = f"The {certificate.tier} tier comes without indemnity: covenant {terms.version} promises none."
        return Standing("none", why, (Reason("no-indemnity", why),), (), found)
    lapsed = tuple(
        Reason(g.exclusion, f"{g.why.removesuffix('.')}, which the covenant excludes.")
        for g in found.grounds
        if g.applies
    )
    depends = tuple(Reason(g.exclusion, OPEN[g.exclusion]) for g in found.grounds if g.applies is None)
    if lapsed:
        return Standing("lapsed", " ".join(reason.text for reason in lapsed), lapsed, depends, found)
    limit = f"up to {found.currency} {found.cap:,} a year" if found.cap is not None else "without limit"
    if depends:
        return Standing("conditional", f"It holds {limit}, on the conditions named.", (), depends, found)
    return Standing("holds", f"It holds {limit}.", (), (), found)


def evidence(certificate: Certificate, altered: bool | None) -> Evidence:
    """What a certificate says of the output, and whether the sound in hand differs from it."""
    foreign = certificate.tuned is not None and not certificate.tuned.attested
    filters_off = certificate.filters.off if certificate.filters is not None else None
    return Evidence(altered=altered, served=not foreign, foreign=foreign, filters_off=filters_off)


OPEN: dict[Exclusion, str] = {
    "altered_after": "The sound is used as it was handed over: compare the file with the certificate.",
    "notice_removed": "The notice stands where the covenant asks for it.",
    "other_training_data": "The weights were not tuned on music that is not licensed.",
    "prompted_likeness": "The prompt did not ask for the likeness of a named person.",
    "no_attribution": "The attribution that goes with the weights was not left out.",
    "filters_off": "No filter was off: this certificate is of a form that does not say.",
}
"""What has to be so, where the certificate does not tell."""
