"""Looking at files in the background: each task may be given twice, late, or after a crash."""

import logging
from datetime import timedelta

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import Exists, OuterRef
from kombu.exceptions import OperationalError as BrokerError

from stemma.errors import UnavailableError
from stemma.ids import now
from stemma.storage import storage
from stemma_portal.accounts.models import Organisation
from stemma_portal.audio import taking
from stemma_portal.audio.models import Upload
from stemma_portal.intake.models import Import

log = logging.getLogger(__name__)
ABANDONED = timedelta(days=7)
"""After which a file that was begun is let go."""
LATE = timedelta(minutes=20)
"""After which a file that nobody has looked at is handed out again."""


@shared_task(autoretry_for=(UnavailableError,), retry_backoff=2, max_retries=8, soft_time_limit=1800, time_limit=1860)
def upload_take(upload_id: str) -> None:
    """Look at a file.  Several workers may look; the first to finish says what it is."""
    rows = Upload.objects.select_related("organisation", "recording", "batch")
    upload = rows.filter(id=upload_id, state=Upload.State.CHECKING).first()
    if upload is None:
        return
    try:
        made = taking.take(upload)
    except UnavailableError:
        raise
    except SoftTimeLimitExceeded:
        _end(upload_id, "It took too long to look at: bring it in parts.")
        return
    except Exception as error:
        log.exception("Upload %s failed", upload_id)
        _end(upload_id, f"Something is wrong on our side ({type(error).__name__}). Bring it again later.")
        return
    for one in made:
        if one.state == Upload.State.CHECKING:
            upload_take_soon(one.id)


def _end(upload_id: str, told: str) -> None:
    with transaction.atomic():
        ended = Upload.objects.filter(id=upload_id, state=Upload.State.CHECKING).update(
            state=Upload.State.REFUSED, message=told, updated_at=now()
        )
        if ended:
            taking.attention_told(Upload.objects.get(id=upload_id))


def upload_take_soon(upload_id: str) -> None:
    """Hand it to a worker once this is committed."""

    def send() -> None:
        try:
            upload_take.delay(upload_id)
        except BrokerError:
            log.warning("The broker is away; the periodic run hands it out.")

    transaction.on_commit(send, robust=True)


@shared_task
def uploads_heal() -> None:
    """Hand out again what no worker has had, and let go of what nobody has gone on with for a week."""
    late = Upload.objects.filter(state=Upload.State.CHECKING, updated_at__lt=now() - LATE)
    for identifier in late.values_list("id", flat=True)[:200]:
        upload_take.delay(identifier)
    old = Upload.objects.filter(state=Upload.State.UPLOADING, updated_at__lt=now() - ABANDONED)
    for upload in old[:200]:
        storage().parts_abandon(upload.key, upload.multipart)
        Upload.objects.filter(id=upload.id).update(state=Upload.State.CANCELLED, updated_at=now())


@shared_task
def batches_take() -> None:
    """Take the sounds of ERN batches that were imported since."""
    from stemma_portal.audio import services

    for batch in Import.objects.filter(state=Import.State.DONE, format="batch", sounds=None)[:20]:
        services.upload_of_batch(batch)


@shared_task
def uploads_match() -> int:
    """Look again for recordings of waiting files, where a catalog was imported since; how many have found theirs."""
    from stemma_portal.audio import services

    fresh = Import.objects.filter(
        organisation=OuterRef("pk"), state=Import.State.DONE, finished_at__gt=now() - timedelta(minutes=10)
    )
    waiting = Upload.objects.filter(organisation=OuterRef("pk"), state=Upload.State.WAITING, recording=None)
    rows = Organisation.objects.filter(Exists(fresh), Exists(waiting))
    return sum(services.uploads_match(organisation=organisation) for organisation in rows)
