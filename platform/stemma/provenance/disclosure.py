"""What has to be told of an output where music is delivered: that a machine made it, and what people did.

DDEX ERN from 4.3.2 asks it of recordings (`ContainsAI`) and of contributors (`AiContribution`); content
credentials tell it as the digital source type of IPTC.  It follows from the certificate, and from what the
licensee states in a later version of it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from stemma.provenance.certificate import Certificate, Deed
from stemma.provenance.credentials import COMPOSITE, TRAINED

Part = Literal["All", "Partly", "None"]
"""Words of DDEX for how much of something a machine made."""
ROLES: dict[Deed, str] = {"written": "Composer", "played": "Musician", "arranged": "Arranger"}
"""Contributor roles of DDEX."""
DEEDS: dict[Deed, str] = {"written": "wrote", "played": "played", "arranged": "arranged"}


class Contributor(BaseModel):
    """A contributor as a delivery names it."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: str
    ai_contribution: Part


class Disclosure(BaseModel):
    """What to put into a delivery of this output."""

    model_config = ConfigDict(frozen=True)

    contains_ai: Part
    """DDEX `ContainsAI` of the recording."""
    contributors: tuple[Contributor, ...]
    """DDEX contributors, each with its `AiContribution`."""
    source_type: str
    """IPTC digital source type, for content credentials."""
    sentence: str
    """The same for people."""


def disclosure(certificate: Certificate) -> Disclosure:
    """What to tell of the output of a certificate."""
    machine = Contributor(name=f"Stemma {certificate.model_release}", role="Composer", ai_contribution="All")
    said = certificate.authorship
    if said is None:
        sentence = "Made by a machine alone, from licensed music."
        return Disclosure(contains_ai="All", contributors=(machine,), source_type=TRAINED, sentence=sentence)
    people = tuple(Contributor(name=c.name, role=ROLES[c.deed], ai_contribution="None") for c in said.contributions)
    deeds = "; ".join(f"{c.name} {DEEDS[c.deed]} {c.what}".strip() for c in said.contributions)
    return Disclosure(
        contains_ai="Partly",
        contributors=(machine, *people),
        source_type=COMPOSITE,
        sentence=f"Made with a machine from licensed music, and by people: {deeds}.",
    )
