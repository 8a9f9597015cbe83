"""What the catalog does in the background."""

from celery import shared_task
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from stemma.config import settings
from stemma_portal.catalog import likeness, sharing, telling
from stemma_portal.catalog.models import Party
from stemma_portal.catalog.search import entries_refresh
from stemma_portal.notices.models import Topic
from stemma_portal.notices.services import notify

CHUNK = 5_000
MENTIONED = 10
"""Recordings that one notice names."""


@shared_task
def shares_due() -> int:
    """Bring shares into force that were stated for today; how many recordings changed."""
    return sharing.shares_due()


@shared_task(autoretry_for=(OSError,), retry_backoff=30, max_retries=8)
def share_questions_tell(party_id: str) -> None:
    """Tell a party which of its shares wait for a yes or no, all in one; nothing where none does.

    Its owners find it among their notices; whoever has no account is written to.
    """
    party = Party.objects.get(id=party_id)
    questions = list(sharing.questions_open([party_id])[:MENTIONED])
    if not questions:
        return
    context = {
        "party": party,
        "questions": questions,
        "more": sharing.questions_open([party_id]).count() - len(questions),
        "url": settings().portal_url,
    }
    title = f"Please confirm what {party.name} owns"
    notify(
        organisations=party.organisations.all(),
        topic=Topic.SHARES,
        title=title,
        text=render_to_string("catalog/share_notice.txt", context),
        href=reverse("dashboards:share_questions"),
        key=f"share-questions:{questions[0].pk}",
    )
    for address in telling.addresses_of(party, questions):
        asked = next(question for question in questions if question.email == address)
        told = {**context, "link": telling.invitation_link(party, asked)}
        send_mail(title, render_to_string("catalog/share_mail.txt", told), None, [address])


@shared_task
def likeness_sweep() -> int:
    """Compare recordings that nobody has compared yet, some at a time; how many."""
    return likeness.likeness_sweep()


@shared_task
def likeness_equal() -> int:
    """Note recordings that are equal by code or file; how many reasons are new."""
    return likeness.likeness_equal()


@shared_task
def search_refresh() -> int:
    """Renew every entry of the search that is behind; how many were."""
    done = 0
    while renewed := entries_refresh(most=CHUNK):
        done += renewed
    return done
