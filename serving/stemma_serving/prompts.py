"""Prompts held against the signed list of names that no prompt may name.

The list is read from object storage like the licenses and kept on disk, so that it stands when portal and
storage are away; an older list is never taken for a newer one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from stemma.errors import ProofError
from stemma.proof.keys import Jwks, verify
from stemma.provenance.certificate import PromptRules
from stemma.rights.prompting import PROMPTING, PROMPTING_KEY, Names, Prompting, Why
from stemma.storage import Storage
from stemma_serving.files import write_whole
from stemma_serving.problems import Problem, RefusedError

log = logging.getLogger(__name__)
SAID: dict[Why, str] = {
    "refused": "whose owners do not allow style prompting",
    "withdrawn": "which was withdrawn",
    "custody": "whose custodian allows no style prompting",
}


class Prompts:
    """The newest list, its copy on disk, and its source."""

    def __init__(self, storage: Storage, cache: Path, keys: Jwks) -> None:
        """`keys` are those in trust."""
        self._storage, self._cache = storage, cache
        self._names: Names | None = None
        self._etag = ""
        if cache.exists():
            self._take(cache.read_text(), keys)

    def refresh(self, keys: Jwks) -> None:
        """Read the list where it has changed.  Raises `UnavailableError`."""
        seen = dict(self._storage.entries(PROMPTING_KEY)).get(PROMPTING_KEY, "")
        if seen and seen != self._etag:
            token = self._storage.get(PROMPTING_KEY).decode()
            if self._take(token, keys):
                write_whole(self._cache, token.encode())
            self._etag = seen

    @property
    def rules(self) -> PromptRules | None:
        """The list in force, as a certificate names it."""
        if self._names is None:
            return None
        given = self._names.given
        return PromptRules(sequence=given.sequence, at=given.at, names=self._names.count)

    def check(self, prompt: str) -> None:
        """Raise `RefusedError` when a prompt names whom it may not."""
        found = self._names.find(prompt) if self._names is not None else None
        if found is None:
            return
        raise RefusedError(
            Problem(
                422,
                "prompt-names",
                f"The prompt names “{found.words}”, {SAID[found.why]}.",
                "Describe the music instead: its character, instruments, tempo and form.",
                errors=({"field": "prompt", "rule": f"names “{found.words}”"},),
            )
        )

    def _take(self, token: str, keys: Jwks) -> bool:
        try:
            given = Prompting.model_validate(verify(token, keys, "rights", PROMPTING))
        except (ProofError, ValidationError) as error:
            log.warning("The list of names for prompts is left as it was: %s", error)
            return False
        if self._names is not None and given.order <= self._names.given.order:
            return False
        self._names = Names(given)
        return True
