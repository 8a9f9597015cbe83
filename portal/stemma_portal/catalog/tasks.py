"""What the catalog does in the background."""

from celery import shared_task
from django.core.mail import send_mail
from django.template.loader import render_to_string

from stemma.config import settings
from stemma_portal.catalog import likeness, sharing, telling
from stemma_portal.catalog.models import Party
from stemma_portal.catalog.search import entries_refresh

CHUNK = 5_000
MENTIONED = 10
"""Recordings that one mail names."""


@shared_task
def shares_due() -> int:
    """Bring shares into force that were stated for today; how many recordings changed."""
    return sharing.shares_due()


@shared_task(autoretry_for=(OSError,), retry_backoff=30, max_retries=8)
def share_questions_tell(party_id: str) -> None:
    """Tell a party by mail which of its shares wait for a yes or no, all in one; nothing where none does."""
    party = Party.objects.get(id=party_id)
    questions = list(sharing.questions_open([party_id])[:MENTIONED])
    addresses = telling.addresses_of(party, questions)
    if not questions or not addresses:
        return
    context = {
        "party": party,
        "questions": questions,
        "more": sharing.questions_open([party_id]).count() - len(questions),
        "known": party.organisations.exists(),
        "url": settings().portal_url,
    }
    text = render_to_string("catalog/share_mail.txt", context)
    for address in addresses:
        send_mail(f"Please confirm what {party.name} owns", text, None, [address])


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
