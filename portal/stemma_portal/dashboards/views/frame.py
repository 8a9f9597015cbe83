"""What belongs to no page: the theme, and how to verify a file."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from stemma_portal.dashboards.context import THEMES

YEAR = 365 * 24 * 3600


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light or dark, and go back."""
    target = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        target = "/"
    response = redirect(target)
    if (chosen := request.POST.get("theme")) in THEMES:
        # Readable by the script that changes it without a reload; it holds no secret.
        response.set_cookie("theme", chosen, max_age=YEAR, samesite="Lax", secure=request.is_secure())
    return response


def verify(request: HttpRequest) -> HttpResponse:
    """How anyone checks a file without us."""
    return render(request, "dashboards/verify.html")
