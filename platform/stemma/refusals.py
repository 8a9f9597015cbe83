"""Why serving refuses, as its callers tell reasons apart: the one list of codes.

Serving describes its API with it and the portal shows it to developers; a test holds it against every refusal in
serving's code.
"""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """One reason, by its stable code."""

    status: int
    code: str
    when: str
    """In words, after “when”."""
    remedy: str
    """What the caller does."""


REFUSALS = (
    Refusal(401, "missing-key", "no API key came with the request", "Send Authorization: Bearer stm_…"),
    Refusal(401, "unknown-key", "the key is not known", "Look for missing characters; make a new key."),
    Refusal(401, "revoked-key", "the key was revoked", "Make a new key."),
    Refusal(401, "expired-key", "the key has expired", "Make a new key, or rotate keys before they end."),
    Refusal(402, "expired-license", "the license has ended", "Renew it in the portal."),
    Refusal(403, "revoked-license", "the license was revoked", "Ask the licensor why."),
    Refusal(403, "not-yet", "the license has not begun", "Come back when it has."),
    Refusal(403, "use-not-licensed", "the tier does not cover outputs of the API", "Choose a tier that does."),
    Refusal(403, "scope", "the key is not for this", "Use a key with the scope that is named."),
    Refusal(403, "model-not-licensed", "the license does not cover the model", "Ask for a license of this release."),
    Refusal(
        403, "territory-not-licensed", "the model's music is licensed in another country", "Ask for a license there."
    ),
    Refusal(404, "not-found", "there is no such address or generation under the license", "Check the identifier."),
    Refusal(405, "method", "the address is asked in another way", "See the description."),
    Refusal(409, "running", "the first call with this Idempotency-Key is at work", "Wait Retry-After, send it again."),
    Refusal(413, "too-large", "the body is too large", "Shorten the prompt."),
    Refusal(422, "invalid", "a field is wrong; errors names it", "Correct the field."),
    Refusal(422, "unknown-style", "the model knows no such style", "Choose one of GET /v1/models."),
    Refusal(422, "unknown-instrument", "there is no such instrument", "Choose one of GET /v1/models."),
    Refusal(422, "prompt-names", "the prompt names whom it may not", "Describe the music instead."),
    Refusal(422, "too-close", "the piece came out too close to a work; nothing was billed", "Try another seed."),
    Refusal(422, "idempotency-key", "the Idempotency-Key is not one", "Send 1 to 255 printable ASCII characters."),
    Refusal(422, "key-reused", "the Idempotency-Key came with another request before", "Take a new one."),
    Refusal(429, "rate", "more requests than the license allows a minute", "Wait Retry-After."),
    Refusal(429, "spending-cap", "the monthly cap leaves less than was asked for", "Ask for less, or raise the cap."),
    Refusal(500, "internal", "serving failed in a way nobody foresaw; nothing was billed", "Tell the operators."),
    Refusal(503, "starting", "serving is starting", "Wait Retry-After."),
    Refusal(503, "loading", "the model is being loaded", "Wait Retry-After."),
    Refusal(503, "no-release", "no model is in production", "Wait until one is published."),
    Refusal(503, "release-broken", "the model in production cannot be loaded", "Tell the operators."),
    Refusal(503, "no-generator", "no generator answers; one is being started", "Wait Retry-After."),
    Refusal(503, "generator-lost", "the generator stopped at work; nothing was billed", "Send it again."),
    Refusal(503, "busy", "all generators are at work", "Wait Retry-After."),
    Refusal(503, "too-slow", "the piece was not ready in time; nothing was billed", "Ask for less."),
    Refusal(503, "given-up", "the request was given up; nothing was billed", "Send it again."),
    Refusal(503, "cap-unknown", "what the monthly cap leaves cannot be told now", "Wait Retry-After."),
    Refusal(503, "storage-unavailable", "object storage does not answer; nothing was billed", "Wait Retry-After."),
    Refusal(503, "stale-revocations", "it is not known which keys were revoked", "Wait; tell the operators."),
    Refusal(503, "spool-full", "the use cannot be recorded, so nothing is made", "Wait; tell the operators."),
    Refusal(503, "unavailable", "a part behind serving does not answer", "Wait Retry-After."),
)
"""By status, then as they are found out."""
