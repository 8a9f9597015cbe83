"""What people were told, and how they want to hear of each topic."""

from django.db import models
from django.db.models import Q

from stemma_portal.accounts.models import Organisation, User
from stemma_portal.core.fields import IdField


class Topic(models.TextChoices):
    """What a notice is about."""

    CLAIMS = "claims", "Claims"
    SHARES = "shares", "Shares"
    CONSENT = "consent", "Consent"
    IMPORTS = "imports", "Imports"
    AUDIO = "audio", "Audio"
    MONEY = "money", "Money"
    ACCOUNT = "account", "Account and security"


ALWAYS = frozenset({Topic.CLAIMS, Topic.ACCOUNT})
"""Mailed at once to everybody: a deadline runs, or somebody else may be acting in the reader's name."""


class Mail(models.TextChoices):
    """When a notice is also mailed."""

    AT_ONCE = "at-once", "At once"
    DAILY = "daily", "In one mail a day"
    NEVER = "never", "Not at all"


class Notice(models.Model):
    """Something that one person was told."""

    id = IdField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices", db_index=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    """As whose owner they are told; None: as themselves."""
    topic = models.CharField(max_length=16, choices=Topic)
    title = models.CharField(max_length=200)
    text = models.TextField()
    href = models.CharField(max_length=500)
    """The page that it leads to, within the portal."""
    key = models.CharField(max_length=200, blank=True)
    """What makes saying it twice harmless; empty: it is always said."""
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)
    mail = models.CharField(max_length=8, choices=Mail)
    mail_due_at = models.DateTimeField(null=True, blank=True)
    """When it is mailed next; None once that is over, or was never wanted."""
    mail_tries = models.PositiveSmallIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True, blank=True)
    mail_error = models.CharField(max_length=300, blank=True)
    """Why mailing it was given up."""

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["user", "read_at", "-created_at"], name="notice_of_user"),
            models.Index(fields=["mail_due_at"], condition=Q(mail_due_at__isnull=False), name="notice_mail_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], condition=~Q(key=""), name="notice_once"),
            # A single slash: what begins with two is an address of another host.
            models.CheckConstraint(condition=Q(href__regex=r"^/([^/\\]|$)"), name="notice_leads_nowhere_else"),
        ]

    def __str__(self) -> str:
        return self.title


class Preference(models.Model):
    """When a person wants to be mailed about a topic; at once where they have said nothing."""

    id = IdField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notice_preferences", db_index=False)
    topic = models.CharField(max_length=16, choices=Topic)
    mail = models.CharField(max_length=8, choices=Mail)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "topic"], name="notice_preference_once"),
            models.CheckConstraint(condition=~Q(topic__in=sorted(ALWAYS)), name="notice_preference_of_free_topic"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.topic}: {self.mail}"
