"""Generations: what was made, and who shaped it."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from stemma.royalties.facts import PPB
from stemma.storage import storage
from stemma_portal.catalog.selectors import recordings_visible
from stemma_portal.design.paging import page
from stemma_portal.design.svg.treemap import Leaf, treemap
from stemma_portal.metering.access import generation_access
from stemma_portal.metering.heard import generation_player, generation_record, generation_text
from stemma_portal.metering.models import GenerationShare
from stemma_portal.metering.selectors import generation_list as generations_of
from stemma_portal.metering.selectors import generation_shares

NAMED = 40
"""Shares that are drawn and listed one by one; those below them are summed up."""
COLOURS = 8


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
    context = {
        "generation": generation,
        "record": record,
        "player": generation_player(record) if record else None,
        "attribution": getattr(generation, "attribution", None),
        "shares": named,
        "rest": sum(share.ppb for share in rest),
        "rest_count": len(rest),
        "seen": seen,
        "short": str(generation.pk)[-8:],
        "whole": PPB,
        "picture": _picture(named, sum(share.ppb for share in rest), seen) if shares else None,
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
    leaves = []
    for share in shares:
        figure = f"{share.ppb / 10_000_000:.1f} %"
        if share.recording is None:
            leaves.append(Leaf("Commons", "shared by every trained work", share.ppb, figure))
            continue
        href = reverse("dashboards:recording", args=[share.recording_id]) if share.recording_id in seen else None
        index = len([leaf for leaf in leaves if leaf.index is not None]) % COLOURS
        leaves.append(
            Leaf(share.recording.title, share.recording.work.composer or "Anonymous", share.ppb, figure, index, href)
        )
    if rest:
        leaves.append(Leaf("Smaller shares", "each listed in the fact", rest, f"{rest / 10_000_000:.1f} %"))
    return treemap(leaves, label="Who shaped this piece: areas as large as shares")


def _payload(token: str | None) -> dict[str, Any] | None:
    """What a certificate says.  Shown, not trusted: whoever relies on it verifies the file."""
    if not token:
        return None
    try:
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return None
