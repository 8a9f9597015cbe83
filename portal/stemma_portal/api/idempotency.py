"""Calls that may be repeated: the second one with the same key gets the answer of the first.

What a call changes and the note that it was answered are committed together, so that a crash
between them cannot happen: after it, either both are there or neither.  A call that was refused has
changed nothing; its key is free again.  (After draft-ietf-httpapi-idempotency-key-header.)
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from stemma.ids import now
from stemma_portal.api.models import AnsweredCall
from stemma_portal.api.problems import problem
from stemma_portal.core.sealing import seal, unseal

PREFIX = "/api/v1/"
METHODS = {"POST", "PUT", "PATCH", "DELETE"}
KEPT = timedelta(hours=48)
"""For how long an answer is remembered."""
PURPOSE = "idempotency"
LONGEST = 255

Next = Callable[[HttpRequest], HttpResponse]


class IdempotencyMiddleware:
    """Serves `Idempotency-Key` on every call of the API that changes something."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, made now or before."""
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method not in METHODS or not request.path.startswith(PREFIX):
            return self.get_response(request)
        if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
            remedy = f"Send 1 to {LONGEST} printable ASCII characters, such as a UUID."
            return problem(400, "idempotency-key", "This Idempotency-Key is not one.", remedy=remedy)
        caller = _caller(request)
        if caller is None:
            return self.get_response(request)  # which says that this needs an account
        try:
            digest = _digest(request)
        except RequestDataTooBig:
            return problem(413, "too-large", "The body is too large.", remedy="Send it in smaller parts.")
        except MultiPartParserError:
            return problem(400, "not-multipart", "The form cannot be read.", remedy="Send multipart/form-data.")
        return self._once(request, caller, key, digest)

    def _once(self, request: HttpRequest, caller: str, key: str, digest: str) -> HttpResponse:
        with transaction.atomic():
            if not _alone(caller, key):
                answer = problem(409, "in-progress", "The first call with this key is still running.")
                answer["Retry-After"] = "1"
                return answer
            known = AnsweredCall.objects.filter(caller=caller, key=key, at__gt=now() - KEPT).first()
            if known is not None:
                return _again(known, digest)
            response = self.get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
            elif response.status_code < 400:
                AnsweredCall.objects.filter(caller=caller, key=key).delete()  # one that is too old
                AnsweredCall.objects.create(
                    caller=caller,
                    key=key,
                    request_sha256=digest,
                    status=response.status_code,
                    content_type=response.headers.get("Content-Type", ""),
                    sealed=seal(PURPOSE, response.content),
                    at=now(),
                )
        return response


def _again(known: AnsweredCall, digest: str) -> HttpResponse:
    if known.request_sha256 != digest:
        return problem(
            422,
            "idempotency-key-reused",
            "This Idempotency-Key was sent with another request before.",
            remedy="Take a new key for a new request.",
        )
    body = unseal(PURPOSE, known.sealed)
    return HttpResponse(
        body, status=known.status, content_type=known.content_type, headers={"Idempotent-Replayed": "true"}
    )


def _caller(request: HttpRequest) -> str | None:
    """Who calls, as far as keys go: nobody sees the answer to another's call."""
    credential = request.headers.get("Authorization") or request.session.session_key
    return hashlib.sha256(credential.encode()).hexdigest() if credential else None


def _digest(request: HttpRequest) -> str:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if request.content_type == "multipart/form-data":
        _add_form(digest, request)
    else:
        digest.update(request.body)
    return digest.hexdigest()


def _add_form(digest: Any, request: HttpRequest) -> None:
    """Its fields and files rather than its bytes: these differ at every sending, and a file may be large."""
    fields = [[name, request.POST.getlist(name)] for name in sorted(request.POST)]
    digest.update(json.dumps(fields).encode())
    for name in sorted(request.FILES):
        for file in request.FILES.getlist(name):
            digest.update(json.dumps([name, file.name, file.size]).encode())
            for chunk in file.chunks():
                digest.update(chunk)
            file.seek(0)


def _alone(caller: str, key: str) -> bool:
    """Whether no other call with this key runs; holds until the transaction ends."""
    number = int.from_bytes(hashlib.sha256(f"{caller} {key}".encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return bool(cursor.fetchone()[0])
