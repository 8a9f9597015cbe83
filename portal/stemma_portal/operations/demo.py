"""The demonstration: made-up organisations and people, real terms, licenses and keys.

Secrets are made at random and kept in `demo.json` in the home folder, readable by its owner only.
Running it again changes nothing; what was lost on either side is made again.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from stemma.catalog.cast import EDITORS, LABELS, party
from stemma.config import settings
from stemma.rights.entitlement import hash_api_key
from stemma_portal.accounts.models import Membership, Organisation, Token, User
from stemma_portal.accounts.services import (
    hash_token,
    membership_set,
    organisation_create,
    token_create,
    user_create,
)
from stemma_portal.catalog.demo import demo_link
from stemma_portal.consent.tasks import rights_status_publish
from stemma_portal.licensing.models import ApiKey, License
from stemma_portal.licensing.services import api_key_create, covenant_begin, license_grant
from stemma_portal.licensing.tasks import revocations_publish

Kind = Organisation.Kind


@dataclass(frozen=True)
class Cast:
    """One made-up organisation and its person."""

    slug: str
    name: str
    kind: Kind
    person: str
    tier: str | None = None

    @property
    def email(self) -> str:
        """An address under a domain that cannot exist (RFC 6761)."""
        return f"{self.slug}@stemma.test"


CAST = (
    # Rights-holders of the house catalog, found there by name.
    Cast("label", party(LABELS[0]).name, Kind.LABEL, "Lena Hart"),
    Cast("label-two", party(LABELS[1]).name, Kind.LABEL, "Luis Ferrer"),
    Cast("artist", party(EDITORS[0]).name, Kind.ARTIST, EDITORS[0]),
    Cast("enterprise", "Wide Screen Games", Kind.ENTERPRISE, "Elio Brandt", tier="professional"),
    Cast("indie", "Small Hours Studio", Kind.ENTERPRISE, "Ines Okoye", tier="community"),
    Cast("film", "Harbour Light Films", Kind.ENTERPRISE, "Hanne Lund", tier="enterprise"),
    Cast("rights", "Stemma Rights", Kind.RIGHTS, "Ruth Sand"),
    Cast("ops", "Stemma Operations", Kind.OPS, "Omar Lind"),
)
OPERATOR = "ops"
CLAIMANT = "film"
"""Licensed with an indemnity: the demonstration sends a claim against an output in its name."""
LICENSE_MONTHS = 12


def demo_seed(path: Path | None = None) -> dict[str, Any]:
    """Make whatever of the demonstration is missing; returns what `demo.json` holds then."""
    path = path or settings().home / "demo.json"
    kept = _read(path)
    with transaction.atomic():
        covenant_begin(by=None)
        users = {cast.slug: _person(cast, kept) for cast in CAST}
        licensed = {cast.slug: _license(cast, kept) for cast in CAST if cast.tier}
        demo_link(by=None)
        known = {
            "logins": [_login(cast, password) for cast, (_, password) in zip(CAST, users.values(), strict=True)],
            "operator_token": _operator_token(users[OPERATOR][0], kept),
            "tokens": {CLAIMANT: _token(users[CLAIMANT][0], kept.get("tokens", {}).get(CLAIMANT, ""))},
            "api_keys": {slug: key for slug, (_, key) in licensed.items()},
            "licenses": {slug: license_.id for slug, (license_, _) in licensed.items()},
        }
        _write(path, known)
    # What readers expect to find before anything has changed.
    rights_status_publish()
    revocations_publish()
    return known


def _person(cast: Cast, kept: dict[str, Any]) -> tuple[User, str]:
    organisation = Organisation.objects.filter(slug=cast.slug).first() or organisation_create(
        name=cast.name, slug=cast.slug, kind=cast.kind, demo=True, by=None
    )
    known = {login["email"]: login["password"] for login in kept.get("logins", [])}
    password = known.get(cast.email) or secrets.token_urlsafe(15)
    user = User.objects.filter(email=cast.email).first()
    if user is None:
        user = user_create(email=cast.email, name=cast.person, password=password, by=None)
    elif cast.email not in known:
        user.set_password(password)
        user.save(update_fields=["password"])
    if not Membership.objects.filter(user=user, organisation=organisation).exists():
        membership_set(user=user, organisation=organisation, role=Membership.Role.OWNER, by=None)
    return user, password


def _login(cast: Cast, password: str) -> dict[str, str]:
    organisation = Organisation.objects.get(slug=cast.slug)
    return {"email": cast.email, "password": password, "role": cast.kind.value, "organisation": organisation.name}


def _license(cast: Cast, kept: dict[str, Any]) -> tuple[License, str]:
    organisation = Organisation.objects.get(slug=cast.slug)
    running = organisation.licenses.filter(state=License.State.ACTIVE, tier=cast.tier).first()
    license_ = running or license_grant(organisation=organisation, tier=str(cast.tier), months=LICENSE_MONTHS, by=None)
    secret = kept.get("api_keys", {}).get(cast.slug, "")
    if not ApiKey.objects.filter(sha256=hash_api_key(secret), license=license_, revoked_at=None).exists():
        _, secret = api_key_create(license_=license_, name="Demo", by=None)
    return license_, secret


def _operator_token(user: User, kept: dict[str, Any]) -> str:
    """The token that the installation brings, or else one of our own."""
    secret = settings().portal_token.get_secret_value() or kept.get("operator_token", "")
    if secret and Token.objects.filter(sha256=hash_token(secret), revoked_at=None).exists():
        return str(secret)
    return token_create(user=user, name="Operator's command line", secret=secret or None, by=None)[1]


def _token(user: User, secret: str) -> str:
    """A token with which the demonstration speaks for a person."""
    if secret and Token.objects.filter(sha256=hash_token(secret), revoked_at=None).exists():
        return secret
    return token_create(user=user, name="Demonstration", by=None)[1]


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _write(path: Path, value: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
