"""Answers that were given already."""

from django.db import models

from stemma_portal.core.fields import IdField


class AnsweredCall(models.Model):
    """The answer to a call that carried an `Idempotency-Key`: the same call again gets it again."""

    id = IdField()
    caller = models.CharField(max_length=64)
    """SHA-256 of the credential the call was made with."""
    key = models.CharField(max_length=255)
    request_sha256 = models.CharField(max_length=64)
    """Of method, address and body: the same key with another request is a mistake."""
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    sealed = models.BinaryField()
    """The body, encrypted: answers may hold secrets that are shown once."""
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="answered_call_once")]

    def __str__(self) -> str:
        return f"{self.key} {self.status}"
