"""Sign-on by an organisation's own provider: a real HTTP server for OpenID Connect, a real signature for SAML."""

from __future__ import annotations

import base64
import json
import threading
import time
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.core.cache import cache
from django.test import Client
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils as Saml

from portal.making import problem
from stemma.errors import InvalidError
from stemma.ids import now
from stemma_portal.accounts.models import Domain, Organisation, SignOn, User
from stemma_portal.accounts.services import user_create
from stemma_portal.accounts.signing_on import domain_add, domain_prove, sign_on_set
from stemma_portal.core.errors import ConflictError
from stemma_portal.core.models import AuditEvent

pytestmark = [pytest.mark.services, pytest.mark.django_db]
HOST = "testserver"


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def _fresh(redis, settings_changed):
    cache.clear()
    settings_changed(sign_on_private_hosts="localhost")


def signed_in(user: User) -> Client:
    """A browser whose owner has signed in a moment ago."""
    client = Client()
    client.post("/accounts/login/", {"login": user.email, "password": "correct horse"})
    assert client.session["_auth_user_id"] == user.id
    client.post("/accounts/reauthenticate/", {"password": "correct horse"})
    return client


@pytest.fixture
def client() -> Client:
    return Client(headers={"host": HOST})


def proved(organisation: Organisation, name: str = "label.test") -> Domain:
    return Domain.objects.create(organisation=organisation, name=name, token="t", proved_at=now(), proved_by="test")


# --- Domains ----------------------------------------------------------------------------------------


class Site(BaseHTTPRequestHandler):
    """A domain that shows one file."""

    def do_GET(self):
        body = self.server.text.encode()
        status = 200 if self.path == "/.well-known/stemma-domain.txt" else 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def served(handler, **given):
    """Answers on a free port of loopback; what is given is the server's own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.__dict__.update(given)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_domain_is_proved_by_the_line_it_shows(cast, monkeypatch):
    domain = domain_add(organisation=cast.label, name="Label.Test", by=cast.owner)
    assert domain.name == "label.test"
    with served(Site, text="nothing") as site:
        there = f"http://localhost:{site.server_port}/.well-known/stemma-domain.txt"
        from stemma_portal.accounts import signing_on

        fetch = signing_on.fetch
        monkeypatch.setattr(signing_on, "fetch", lambda _, **given: fetch(there, **given))  # a port that is free
        with pytest.raises(InvalidError, match="does not hold the line") as caught:
            domain_prove(domain=domain, by=cast.owner)
        assert domain.token in caught.value.remedy
        site.text = f"# ours\n{domain.token}\n"
        assert domain_prove(domain=domain, by=cast.owner).proved_at


def test_a_program_has_a_domain_proved_by_the_line_it_shows(api, cast, monkeypatch):
    owner = api("owner")
    domain = owner.post("domains", {"organisation": cast.label.id, "name": "label.test"}).json()
    with served(Site, text="nothing") as site:
        there = f"http://localhost:{site.server_port}/.well-known/stemma-domain.txt"
        from stemma_portal.accounts import signing_on

        fetch = signing_on.fetch
        monkeypatch.setattr(signing_on, "fetch", lambda _, **given: fetch(there, **given))  # a port that is free
        assert domain["line"] in problem(owner.post(f"domains/{domain['id']}/proof"), 422, "domain")["remedy"]
        site.text = domain["line"]
        assert owner.post(f"domains/{domain['id']}/proof").json()["proved_by"] == "file"


def test_a_private_address_is_not_looked_at(cast):
    domain = domain_add(organisation=cast.label, name="localhost.localdomain", by=cast.owner)
    with pytest.raises(InvalidError):
        domain_prove(domain=domain, by=cast.owner)


@pytest.mark.parametrize(
    "name", ["gmail.com", "label", "a b.com", "http://label.test", "-a.com", "", "a" * 260 + ".de"]
)
def test_what_is_nobodys_own_is_no_domain(cast, name):
    with pytest.raises(InvalidError):
        domain_add(organisation=cast.label, name=name, by=cast.owner)


def test_a_domain_belongs_to_one_organisation(cast):
    proved(cast.label)
    other = domain_add(organisation=cast.other, name="label.test", by=cast.stranger)
    with pytest.raises(ConflictError, match="Another organisation"):
        domain_prove(domain=other, by=cast.operator)


def test_operators_vouch_without_the_file(cast):
    domain = domain_add(organisation=cast.label, name="label.test", by=cast.owner)
    operator = signed_in(cast.operator)
    operator.post("/organisation/domains/", {"action": "prove", "domain": domain.id})
    domain.refresh_from_db()
    assert domain.proved_by == cast.operator.email


@pytest.mark.parametrize("who", ["teammate", "stranger"])
def test_only_owners_see_to_sign_on(cast, who):
    domain = domain_add(organisation=cast.label, name="label.test", by=cast.owner)
    page = signed_in(getattr(cast, who))
    assert page.post("/organisation/domains/", {"action": "remove", "domain": domain.id}).status_code in {403, 404}
    assert Domain.objects.filter(id=domain.id).exists()
    if who == "teammate":
        assert page.get("/organisation/sign-on/").status_code == 403


# --- OpenID Connect ---------------------------------------------------------------------------------


class Provider(BaseHTTPRequestHandler):
    """A small provider of OpenID Connect: it says of everybody what `claims` says."""

    def do_GET(self):
        base = f"http://localhost:{self.server.server_port}"
        path = urlsplit(self.path).path
        if path == "/.well-known/openid-configuration":
            self.answer(
                issuer=base,
                authorization_endpoint=f"{base}/authorize",
                token_endpoint=f"{base}/token",
                jwks_uri=f"{base}/jwks",
                userinfo_endpoint=f"{base}/userinfo",
                token_endpoint_auth_methods_supported=["client_secret_post"],
                id_token_signing_alg_values_supported=["RS256"],
                response_types_supported=["code"],
                subject_types_supported=["public"],
            )
        elif path == "/jwks":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.server.key.public_key()))
            self.answer(keys=[{**public, "kid": "1", "use": "sig", "alg": "RS256"}])
        elif path == "/userinfo":
            self.answer(**self.server.claims)
        else:
            self.send_error(404)

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append(form)
        base = f"http://localhost:{self.server.server_port}"
        claims = {
            "iss": base,
            "aud": "stemma",
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
            "nonce": self.server.nonce,
            **self.server.claims,
        }
        token = jwt.encode(claims, self.server.key, "RS256", headers={"kid": "1"})
        self.answer(access_token="a", token_type="Bearer", expires_in=300, id_token=token)

    def answer(self, **told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def provider(key):
    claims = {"sub": "42", "email": "eve@label.test", "email_verified": True, "name": "Eve Label"}
    with served(Provider, key=key, claims=claims, asked=[], nonce="") as server:
        yield server


@pytest.fixture
def oidc(cast, provider):
    proved(cast.label)
    return sign_on_set(
        organisation=cast.label,
        kind=SignOn.Kind.OIDC,
        issuer=f"http://localhost:{provider.server_port}",
        client_id="stemma",
        secret="hush",
        by=cast.owner,
    )


def go(client: Client, email: str = "eve@label.test"):
    """To the provider; what it is asked."""
    shown = client.post("/sign-on/", {"email": email})
    assert "On to Label" in shown.content.decode()
    away = client.get("/sign-on/go/")
    assert away.status_code == 302, away.content.decode()[:2000]
    return away["Location"]


def back(client: Client, provider, **changes):
    """The whole way there and back again."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(go(client)).query).items()}
    provider.nonce = asked.get("nonce", "")
    callback = urlsplit(asked["redirect_uri"]).path
    return asked, client.get(callback, {"code": "c", "state": asked["state"], **changes})


def test_somebody_of_the_organisation_comes_in_by_its_provider(cast, oidc, provider):
    client = Client()
    asked, answer = back(client, provider)
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert answer.status_code == 302, answer.content.decode()[:3000]
    user = User.objects.get(email="eve@label.test")
    assert client.session["_auth_user_id"] == user.id
    assert user.name == "Eve Label"
    assert cast.label.memberships.get(user=user).role == "member"
    assert provider.asked[0]["client_secret"] == ["hush"]
    assert not user.has_usable_password()


def test_whoever_has_an_account_keeps_it_and_their_role(cast, oidc, provider):
    owner = user_create(email="eve@label.test", name="Eve", password="correct horse", by=None)
    cast.label.memberships.create(user=owner, role="owner")
    for _ in range(2):
        client = Client()
        back(client, provider)
        assert client.session["_auth_user_id"] == owner.id
    assert cast.label.memberships.get(user=owner).role == "owner"


@pytest.mark.parametrize("email", ["eve@other.test", "eve@sub.label.test", "eve@label.test.evil.test", "", None])
def test_a_provider_is_not_believed_for_other_domains(oidc, provider, email):
    provider.claims = {**provider.claims, "email": email}
    client = Client()
    _, answer = back(client, provider)
    assert answer.status_code == 403
    assert "_auth_user_id" not in client.session
    assert not User.objects.filter(name="Eve Label").exists()


def test_a_label_cannot_speak_for_the_house(cast, oidc, provider):
    User.objects.filter(id=cast.rights.id).update(email="eve@label.test")
    client = Client()
    _, answer = back(client, provider)
    assert answer.status_code == 403
    assert "_auth_user_id" not in client.session


def test_an_account_that_moved_to_another_domain_is_not_followed(cast, oidc, provider):
    client = Client()
    back(client, provider)
    User.objects.filter(email="eve@label.test").update(email="eve@private.test")
    client = Client()
    _, answer = back(client, provider)
    assert answer.status_code == 403
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("claim", [{"aud": "another"}, {"iss": "https://evil.test"}, {"exp": 1}])
def test_a_token_for_somebody_else_is_refused(oidc, provider, claim):
    provider.claims = {**provider.claims, **claim}
    client = Client()
    back(client, provider)
    assert "_auth_user_id" not in client.session


def test_a_state_of_nobody_is_refused(oidc, provider):
    client = Client()
    back(client, provider, state="made-up")
    assert "_auth_user_id" not in client.session


def test_a_provider_that_is_away_is_told_as_such(oidc, provider, cast, closed_port):
    SignOn.objects.update(issuer=f"http://localhost:{closed_port}")
    client = Client()
    client.post("/sign-on/", {"email": "eve@label.test"})
    answer = client.get("/sign-on/go/")
    assert answer.status_code == 503
    assert "The sign-on of Label does not answer" in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_provider_inside_the_network_is_not_asked(cast, provider, settings_changed):
    settings_changed(sign_on_private_hosts="")
    with pytest.raises(InvalidError, match="https"):
        sign_on_set(
            organisation=cast.label,
            kind=SignOn.Kind.OIDC,
            issuer=f"http://localhost:{provider.server_port}",
            client_id="a",
            secret="b",
            by=cast.owner,
        )
    proved(cast.label)
    SignOn.objects.create(
        organisation=cast.label, kind="oidc", issuer="https://localhost", client_id="a", updated_at=now()
    )
    client = Client()
    client.post("/sign-on/", {"email": "eve@label.test"})
    client.get("/sign-on/go/")
    assert not provider.asked


def test_the_secret_is_sealed_and_never_shown(cast, oidc):
    assert b"hush" not in bytes(SignOn.objects.get().secret)
    page = signed_in(cast.owner).get("/organisation/sign-on/").content.decode()
    assert "hush" not in page
    told = str(list(AuditEvent.objects.values("detail")))
    assert "hush" not in told


def test_passwords_can_be_refused_to_all_but_owners(cast, oidc, provider):
    SignOn.objects.update(required=True)
    user_create(email="dan@label.test", name="Dan", password="correct horse", by=None)
    boss = user_create(email="boss@label.test", name="Boss", password="correct horse", by=None)
    cast.label.memberships.create(user=boss, role="owner")
    client = Client()
    answer = client.post("/accounts/login/", {"login": "dan@label.test", "password": "correct horse"})
    assert answer["Location"] == "/sign-on/"
    assert "_auth_user_id" not in client.session
    signed_in(boss)
    client = Client()
    back(client, provider)
    assert client.session["_auth_user_id"] == User.objects.get(email="eve@label.test").id


def test_whoever_has_no_password_shows_at_the_provider_again_who_they_are(cast, oidc, provider, client):
    back(client, provider)
    cast.label.memberships.update(role="owner")
    assert client.get("/organisation/sign-on/").status_code == 200, "they came in a moment ago"
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3600
    session.save()
    answer = client.get("/organisation/sign-on/?a=b")
    assert answer["Location"] == "/sign-on/go/"
    asked = {
        name: values[0] for name, values in parse_qs(urlsplit(client.get("/sign-on/go/")["Location"]).query).items()
    }
    assert asked["prompt"] == "login"
    answer = client.get(urlsplit(asked["redirect_uri"]).path, {"code": "c", "state": asked["state"]})
    assert answer["Location"] == "/organisation/sign-on/?a=b"
    assert client.get("/organisation/sign-on/?a=b").status_code == 200


def test_an_address_without_sign_on_is_told_so(client, db):
    assert "No organisation signs on" in client.post("/sign-on/", {"email": "a@nowhere.test"}).content.decode()
    assert client.get("/sign-on/go/").status_code == 302


# --- SAML -------------------------------------------------------------------------------------------

ENTITY = "https://idp.label.test"


@pytest.fixture(scope="module")
def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.label.test")])
    day = timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - day)
        .not_valid_after(datetime.now(UTC) + day)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def saml(cast, certificate):
    proved(cast.label)
    return sign_on_set(
        organisation=cast.label,
        kind=SignOn.Kind.SAML,
        issuer=ENTITY,
        sso_url=f"{ENTITY}/sso",
        certificate=certificate,
        by=cast.owner,
    )


def response_for(request_id: str, acs: str, audience: str, email: str, *, key, certificate, minutes: int = 5) -> str:
    """What a provider posts: an assertion about one address, signed."""

    def at(shift: int) -> str:
        return (datetime.now(UTC) + timedelta(minutes=shift)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assertion = f"""<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a{time.time_ns()}" Version="2.0" IssueInstant="{at(0)}"><saml:Issuer>{ENTITY}</saml:Issuer><saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">{email}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{at(minutes)}" Recipient="{acs}" InResponseTo="{request_id}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{at(-5)}" NotOnOrAfter="{at(minutes)}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{at(0)}" SessionIndex="_s"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>{email}</saml:AttributeValue></saml:Attribute><saml:Attribute Name="givenName"><saml:AttributeValue>Eve</saml:AttributeValue></saml:Attribute><saml:Attribute Name="sn"><saml:AttributeValue>Label</saml:AttributeValue></saml:Attribute><saml:Attribute Name="urn:oasis:names:tc:SAML:attribute:subject-id"><saml:AttributeValue>{email}</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>"""  # noqa: E501 - whitespace inside would be signed too
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    signed = Saml.add_sign(
        assertion,
        private,
        certificate,
        sign_algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        digest_algorithm="http://www.w3.org/2001/04/xmlenc#sha256",
    )
    signed = signed.decode() if isinstance(signed, bytes) else signed
    return f"""<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r{time.time_ns()}" Version="2.0" IssueInstant="{at(0)}" Destination="{acs}" InResponseTo="{request_id}"><saml:Issuer>{ENTITY}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>{signed}</samlp:Response>"""  # noqa: E501


def answer_saml(client: Client, *, email="eve@label.test", key, certificate, change=lambda text: text, minutes=5):
    """There and back again, as a browser is led."""
    away = urlsplit(go(client))
    assert away.netloc == "idp.label.test"
    asked = parse_qs(away.query)
    xml = zlib.decompress(base64.b64decode(asked["SAMLRequest"][0]), -15)
    root = etree.fromstring(xml)
    acs = root.get("AssertionConsumerServiceURL")
    audience = root.find("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer").text
    text = response_for(root.get("ID"), acs, audience, email, key=key, certificate=certificate, minutes=minutes)
    body = {
        "SAMLResponse": base64.b64encode(change(text).encode()).decode(),
        "RelayState": asked.get("RelayState", [""])[0],
    }
    answer = client.post(urlsplit(acs).path, body)
    hops = 0
    while answer.status_code == 302 and answer["Location"].startswith("/accounts/saml/") and hops < 3:
        answer, hops = client.get(answer["Location"]), hops + 1
    return answer


def test_somebody_of_the_organisation_comes_in_by_saml(client, cast, saml, key, certificate):
    answer = answer_saml(client, key=key, certificate=certificate)
    assert answer.status_code == 302, answer.content.decode()[:3000]
    user = User.objects.get(email="eve@label.test")
    assert client.session["_auth_user_id"] == user.id
    assert cast.label.memberships.get(user=user).role == "member"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("eve@label.test", "owner@label.test"),
        lambda text: text.replace("<ds:SignatureValue>", "<ds:SignatureValue>AAAA", 1),
        lambda text: text[: text.index("<ds:Signature")] + text[text.index("</ds:Signature>") + 15 :],
        lambda text: "<!DOCTYPE a [<!ENTITY b 'c'>]>" + text,
        lambda text: text[:500],
    ],
    ids=["another address", "another signature", "no signature", "entities", "cut off"],
)
def test_an_assertion_that_was_changed_is_refused(client, saml, key, certificate, change):
    answer_saml(client, key=key, certificate=certificate, change=change)
    assert "_auth_user_id" not in client.session
    assert not User.objects.filter(email__endswith="@label.test").exists()


def test_an_assertion_that_has_run_out_is_refused(client, saml, key, certificate):
    answer_saml(client, key=key, certificate=certificate, minutes=-10)
    assert "_auth_user_id" not in client.session


def test_saml_is_not_believed_for_other_domains(client, saml, key, certificate):
    answer = answer_saml(client, email="eve@other.test", key=key, certificate=certificate)
    assert answer.status_code == 403
    assert "_auth_user_id" not in client.session


def test_an_answer_to_a_question_nobody_asked_is_refused(client, saml, key, certificate):
    text = response_for("_none", f"http://{HOST}/accounts/saml/label/acs/", f"http://{HOST}/accounts/saml/label/metadata/",
                        "eve@label.test", key=key, certificate=certificate)  # fmt: skip
    answer = client.post("/accounts/saml/label/acs/", {"SAMLResponse": base64.b64encode(text.encode()).decode()})
    if answer.status_code == 302:
        client.get(answer["Location"])
    assert "_auth_user_id" not in client.session


def test_the_provider_reads_our_metadata(saml, client):
    answer = client.get("/accounts/saml/label/metadata/")
    assert answer.status_code == 200
    assert etree.fromstring(answer.content).tag.endswith("EntityDescriptor")


def test_a_certificate_that_is_none_is_refused(cast):
    with pytest.raises(InvalidError, match=r"no X\.509 certificate"):
        sign_on_set(
            organisation=cast.label, kind="saml", issuer=ENTITY, sso_url=f"{ENTITY}/sso", certificate="x", by=cast.owner
        )
