"""Who signs in, for which organisation, with which role or token."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower

from stemma.ids import now
from stemma_portal.core.fields import IdField


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user; without a password, one who cannot sign in with one."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A user of the installation's own staff."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Addresses are the same in any case."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by an e-mail address."""

    id = IdField()
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[Iterable[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_lower")]

    def __str__(self) -> str:
        return self.name or self.email


class Organisation(models.Model):
    """A label, an artist, a licensee, or a part of the house itself."""

    class Kind(models.TextChoices):
        LABEL = "label"
        ARTIST = "artist"
        ENTERPRISE = "enterprise"
        RIGHTS = "rights"
        OPS = "ops"

    id = IdField()
    name = models.CharField(max_length=200)
    slug = models.SlugField(unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    party = models.ForeignKey(
        "catalog.Party", on_delete=models.PROTECT, null=True, blank=True, related_name="organisations"
    )
    """The rights-holder that this organisation is, where it is one."""
    demo = models.BooleanField(default=False)
    """Made up for the demonstration; marked as such wherever it is shown."""
    members = models.ManyToManyField(User, through="Membership", related_name="organisations")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's part in an organisation."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        """Acts for the organisation: signs, states shares, invites, sees to money and keys."""
        EDITOR = "editor", "Editor"
        """Brings catalogs and sounds, and signs nothing."""
        MEMBER = "member", "Member"
        """Looks."""

    id = IdField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "organisation"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} of {self.organisation}"


class Token(models.Model):
    """A bearer token of the API, kept as its hash: 256 random bits need no slow one."""

    id = IdField()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now() else "active"


class Invitation(models.Model):
    """Somebody is asked to join an organisation, or to act for a rights-holder who has no organisation here yet."""

    id = IdField()
    email = models.EmailField()
    """Whom it is for; whoever accepts has shown that this address is theirs."""
    organisation = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, null=True, blank=True, related_name="invitations"
    )
    """Which one they join; None: one of their own is made, for `party`."""
    role = models.CharField(max_length=16, choices=Membership.Role, default=Membership.Role.MEMBER)
    party = models.ForeignKey(
        "catalog.Party", on_delete=models.PROTECT, null=True, blank=True, related_name="invitations"
    )
    reason = models.CharField(max_length=500, blank=True)
    """What for, in the words of whoever invites."""
    invited_by = models.CharField(max_length=254)
    inviting = models.ForeignKey(
        Organisation, on_delete=models.CASCADE, null=True, blank=True, related_name="invitations_sent"
    )
    """The organisation that speaks; None: rights staff."""
    nonce = models.CharField(max_length=32)
    """Part of the link: sending it again makes the link before worthless."""
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    made = models.ForeignKey(Organisation, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """The organisation that was made for the rights-holder."""
    confirmed_at = models.DateTimeField(null=True, blank=True)
    """When it became the rights-holder's: at once where rights staff invited, else when they had looked."""
    confirmed_by = models.CharField(max_length=254, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(organisation__isnull=False) ^ models.Q(party__isnull=False),
                name="invitation_to_one_thing",
            )
        ]

    def __str__(self) -> str:
        return self.email


class SignOn(models.Model):
    """Where the people of an organisation sign in: its own OpenID Connect or SAML provider."""

    class Kind(models.TextChoices):
        OIDC = "oidc", "OpenID Connect"
        SAML = "saml", "SAML 2.0"

    id = IdField()
    organisation = models.OneToOneField(Organisation, on_delete=models.CASCADE, related_name="sign_on")
    kind = models.CharField(max_length=8, choices=Kind)
    issuer = models.CharField(max_length=500)
    """OpenID Connect: address of the issuer; SAML: entity ID of the provider."""
    client_id = models.CharField(max_length=300, blank=True)
    secret = models.BinaryField(null=True, blank=True)
    """Sealed; OpenID Connect only."""
    sso_url = models.URLField(max_length=500, blank=True)
    """SAML: where sign-in requests go."""
    certificate = models.TextField(blank=True)
    """SAML: with which the provider signs, as base64 of DER."""
    required = models.BooleanField(default=False)
    """Whether passwords are refused to its people; owners keep theirs, so that a broken provider locks nobody out."""
    enabled = models.BooleanField(default=True)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"sign-on of {self.organisation_id}"


class Domain(models.Model):
    """A domain of e-mail addresses that an organisation says is its own, and perhaps has proved."""

    id = IdField()
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="domains")
    name = models.CharField(max_length=253)
    token = models.CharField(max_length=64)
    """What `https://DOMAIN/.well-known/stemma-domain.txt` has to say."""
    proved_at = models.DateTimeField(null=True, blank=True)
    proved_by = models.CharField(max_length=254, blank=True)
    """`file`, or the operator who vouched for it."""

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="domain_said_once"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(proved_at__isnull=False), name="domain_proved_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name
