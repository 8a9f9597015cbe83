"""Generations: what was made, and who shaped it."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from stemma.music.ngrams import SEED
from stemma.royalties.facts import PPB
from stemma.storage import storage
from stemma_portal.catalog.custody import kept
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.design.paging import page
from stemma_portal.design.svg.shares import Slice, share_bar
from stemma_portal.design.svg.treemap import Leaf, treemap
from stemma_portal.design.svg.whiskers import Spread, whiskers
from stemma_portal.design.templatetags.stemma import ppb
from stemma_portal.metering.access import generation_access
from stemma_portal.metering.heard import (
    generation_beside,
    generation_player,
    generation_record,
    generation_text,
    sound_alone,
)
from stemma_portal.metering.models import GenerationShare
from stemma_portal.metering.selectors import generation_list as generations_of
from stemma_portal.metering.selectors import generation_owners, generation_shares

NAMED = 40
"""Shares that are drawn and listed one by one; those below them are summed up."""
COLOURS = 8
OWNERS = 12
"""Owners listed one by one."""
SPREAD = 9
"""Shares whose intervals are drawn large."""


@login_required
def generation_list(request: HttpRequest) -> HttpResponse:
    """Generations the reader may see, newest first."""
    rows = generations_of(user=request.user)
    return render(request, "metering/generations.html", {"page": page(rows, request.GET, by="at", descending=True)})


@login_required
def generation_detail(request: HttpRequest, generation_id: str) -> HttpResponse:
    """Sound, score and parts; who shaped it; its certificate."""
    generation = generation_access(user=request.user, generation_id=generation_id)
    record = generation_record(generation)
    shares = list(generation_shares(generation=generation))
    seen = set(
        recordings_visible(request.user)
        .filter(id__in=[s.recording_id for s in shares if s.recording_id])
        .values_list("id", flat=True)
    )
    named, rest = shares[:NAMED], shares[NAMED:]
    keepers = kept(share.recording_id for share in named if share.recording_id)
    commons = sum(share.ppb for share in shares if share.recording_id is None)
    context = {
        "generation": generation,
        "record": record,
        "player": generation_player(record) if record else None,
        "attribution": getattr(generation, "attribution", None),
        "shares": named,
        "rest": sum(share.ppb for share in rest),
        "rest_count": len(rest),
        "seen": seen,
        "owners": generation_owners(shares=shares, seen=seen, top=OWNERS) if shares else None,
        "credited": {name: each.custody.community for name, each in keepers.items() if each.credited},
        "short": str(generation.pk)[-8:],
        "whole": PPB,
        "commons": commons,
        "traced": PPB - commons,
        "parts": _parts(commons) if shares else None,
        "picture": _picture(named, sum(share.ppb for share in rest), seen) if shares else None,
        "spread": _spread(named),
        "least": SEED + 1,
        "sound_alone": bool(record) and sound_alone(record),
        "beside": generation_beside(record, [s.recording for s in named if s.recording_id in seen]) if record else [],
        "certificate": _payload(generation_text(generation, "certificate.jws")),
    }
    return render(request, "metering/generation.html", context)


@login_required
def generation_certificate(request: HttpRequest, generation_id: str) -> HttpResponse:
    """The signed certificate, as serving issued it."""
    generation = generation_access(user=request.user, generation_id=generation_id)
    body = storage().get(f"{generation.prefix}certificate.jws")
    response = HttpResponse(body, content_type="application/jose")
    response["Content-Disposition"] = f'attachment; filename="certificate-{generation.pk}.jws"'
    return response


def _picture(shares: list[GenerationShare], rest: int, seen: set[str]) -> str:
    """The explained part of the piece; the commons has its own bar."""
    leaves = []
    for share in (each for each in shares if each.recording is not None):
        href = reverse("dashboards:recording", args=[share.recording_id]) if share.recording_id in seen else None
        composer = share.recording.work.composer or "Composer not named"
        leaves.append(Leaf(share.recording.title, composer, share.ppb, ppb(share.ppb), len(leaves) % COLOURS, href))
    if rest:
        leaves.append(Leaf("Smaller shares", "each listed in the fact", rest, ppb(rest)))
    return treemap(leaves, label="The recordings that shaped this piece: areas as large as shares", height=320)


def _spread(shares: list[GenerationShare]) -> str | None:
    """The largest shares and how far the checkpoints differ about each; None where the fact does not say it."""
    shown, index = [], 0
    for share in shares[:SPREAD]:
        if share.low is None or share.high is None:
            return None
        name = share.recording.title if share.recording else "Commons"
        told = f"{ppb(share.ppb)}, by single checkpoints {ppb(share.low)} to {ppb(share.high)}"
        shown.append(Spread(name, share.ppb, share.low, share.high, told, index % COLOURS if share.recording else None))
        index += share.recording is not None
    label = "; ".join(f"{each.name}: {each.told}" for each in shown)
    return whiskers(shown, label=f"How far checkpoints differ. {label}") if shown else None


def _parts(commons: int) -> str:
    slices = [Slice("Traced to recordings", PPB - commons, 0), Slice("Commons", commons, None)]
    return share_bar(slices, label=f"Traced to recordings {ppb(PPB - commons)}, commons {ppb(commons)}")


def _payload(token: str | None) -> dict[str, Any] | None:
    """What a certificate says.  Shown, not trusted: whoever relies on it verifies the file."""
    if not token:
        return None
    try:
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return None
