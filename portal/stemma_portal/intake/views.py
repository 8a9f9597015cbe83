"""Bringing a catalog in, as pages: upload, columns, what was found, what would change, progress, result."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from stemma.catalog.columns import FIELDS, OWNER, SIDES, heading_of, template
from stemma.errors import InvalidError, StemmaError
from stemma_portal.accounts.access import access_organisation, may_bring
from stemma_portal.accounts.acting import acting
from stemma_portal.design.paging import page
from stemma_portal.intake.access import access_import, imports_visible
from stemma_portal.intake.corrections import corrections_file
from stemma_portal.intake.models import Import, ImportRow
from stemma_portal.intake.selectors import changes_of
from stemma_portal.intake.services import (
    MOST_BYTES,
    import_cancel,
    import_confirm,
    import_create,
    import_map,
    import_resume,
)

OWNERS_OFFERED = 6
VERDICTS = {
    "rejected": "To correct",
    "new": "New",
    "changed": "Changed",
    "conflicting": "Contested",
    "same": "Same as before",
}


@login_required
def import_list(request: HttpRequest) -> HttpResponse:
    """What was brought so far, and a form to bring a file."""
    organisation = acting(request)
    may = organisation is not None and may_bring(request.user, organisation)
    if request.method == "POST":
        if organisation is None:
            raise Http404
        organisation = access_organisation(request.user, organisation.id, editor=True)
        file = request.FILES.get("file")
        if file is None:
            messages.error(request, "Choose a file first.")
            return redirect("intake:imports")
        try:
            batch = import_create(organisation=organisation, file=file.file, name=file.name or "", by=request.user)
        except InvalidError as error:
            messages.error(request, str(error))
            return redirect("intake:imports")
        return redirect("intake:import", batch.id)
    rows = imports_visible(request.user)
    if organisation is not None and organisation.kind in {"label", "artist"}:
        rows = rows.filter(organisation=organisation)
    shown = page(rows, request.GET, by="created_at", descending=True)
    return render(
        request,
        "intake/imports.html",
        {"page": shown, "may": may, "organisation": organisation, "most": MOST_BYTES // 2**20},
    )


@login_required
def import_template(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django's signature
    """A table with the headings that are understood at once, and one row that shows what to write."""
    return _download(template(), "catalog-template.csv")


@login_required
def import_detail(request: HttpRequest, import_id: str) -> HttpResponse:
    """Where a file stands, and what can be done next."""
    batch = access_import(request.user, import_id)
    context: dict[str, Any] = {"batch": batch, "may": may_bring(request.user, batch.organisation)}
    if batch.state == Import.State.MAPPING:
        return render(request, "intake/mapping.html", context | _columns(batch))
    if batch.state in {Import.State.STAGING, Import.State.IMPORTING}:
        return render(request, "intake/progress.html", context)
    counts = batch.counts
    tabs = [(name, title, counts.get(name, 0)) for name, title in VERDICTS.items() if counts.get(name)]
    wanted = request.GET.get("show")
    chosen = wanted if any(name == wanted for name, _, _ in tabs) else (tabs[0][0] if tabs else "")
    rows = batch.rows.filter(verdict=chosen) if chosen else batch.rows.none()
    shown = page(rows, request.GET, by="number")
    context |= {
        "tabs": tabs,
        "chosen": chosen,
        "page": shown,
        "rows": [_shown(batch, row) for row in shown.items],
        "good": counts.get("rows", 0) - counts.get("errors", 0),
        "to_do": sum(counts.get(name, 0) for name in ("new", "changed", "conflicting")),
        "begun": batch.rows.filter(done=True).exists(),
    }
    return render(request, "intake/import.html", context)


@login_required
@require_POST
def import_columns(request: HttpRequest, import_id: str) -> HttpResponse:
    """Say what the columns mean."""
    batch = access_import(request.user, import_id, act=True)
    mapping = {
        heading: field for i, heading in enumerate(batch.headings) if (field := request.POST.get(f"column-{i}", ""))
    }
    try:
        import_map(batch=batch, mapping=mapping, by=request.user)
    except StemmaError as error:
        messages.error(request, str(error))
    return redirect("intake:import", batch.id)


@login_required
@require_POST
def import_act(request: HttpRequest, import_id: str) -> HttpResponse:
    """Confirm, stop, or go on."""
    batch = access_import(request.user, import_id, act=True)
    action = {"confirm": import_confirm, "cancel": import_cancel, "resume": import_resume}.get(
        request.POST.get("action", "")
    )
    if action is None:
        raise InvalidError("There is nothing of this name to do.", remedy="Use the buttons of the page.")
    try:
        action(batch=batch, by=request.user)
    except StemmaError as error:
        messages.error(request, str(error))
    return redirect("intake:import", batch.id)


@login_required
def import_corrections(request: HttpRequest, import_id: str) -> HttpResponse:
    """The rows to correct, as a table to mend and bring again."""
    return corrections_file(access_import(request.user, import_id))


def _columns(batch: Import) -> dict[str, Any]:
    choices = [(field, heading_of(field)) for field in FIELDS]
    owners = [
        (
            SIDES[side][0],
            [(name := f"{side}.{n}.{part}", heading_of(name)) for n in range(1, OWNERS_OFFERED + 1) for part in OWNER],
        )
        for side in SIDES
    ]
    columns = [
        {
            "name": f"column-{i}",
            "heading": heading,
            "chosen": batch.mapping.get(heading, ""),
            "sample": [row[i] for row in batch.sample if i < len(row) and row[i]][:3],
        }
        for i, heading in enumerate(batch.headings)
    ]
    return {"columns": columns, "choices": choices, "owners": owners}


def _shown(batch: Import, row: ImportRow) -> dict[str, Any]:
    record = row.record or {}
    raw = row.raw or {}
    inverse = {field: heading for heading, field in batch.mapping.items()}
    title = record.get("title") or raw.get(inverse.get("title", ""), "") or "–"
    problems = [
        {"where": inverse.get(p[0], p[0]) or "row", "value": p[1], "rule": p[2], "remedy": p[3], "severity": p[4]}
        for p in row.problems
    ]
    return {
        "row": row,
        "title": title,
        "code": record.get("isrc") or record.get("reference") or "",
        "problems": problems,
        "changes": changes_of(row) if row.verdict == ImportRow.Verdict.CHANGED and not row.done else [],
        "href": reverse("dashboards:recording", args=[row.recording]) if row.recording else "",
    }


def _download(text: str, name: str) -> HttpResponse:
    response = HttpResponse("\ufeff" + text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
