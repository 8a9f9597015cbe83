"""What a sound from outside says of mining and training, in its content credentials (C2PA, CAWG): read and written.

The file is hostile until proven otherwise, and what reads and writes credentials is native code: it works in a
process of its own, with bounds on time and memory and without the network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from stemma import __version__
from stemma.errors import InvalidError
from stemma.provenance.apart import GaveUpError, answer_of
from stemma.provenance.authority import Authority
from stemma.rights.reservations import ASSERTIONS, Mining, of_assertion

MIME = {"flac": "audio/flac", "wav": "audio/wav", "mp3": "audio/mpeg"}
"""Formats that can carry credentials; AIFF and Ogg have no place for them that could be read."""
MOST_BYTES = 1 << 30
_SETTINGS = {"verify": {"verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False}}


class Marked(NamedTuple):
    """An assertion that a file carries."""

    mining: Mining
    label: str
    text: str
    """The assertion as it stands there, as JSON."""
    issuer: str
    """Whoever signed it, by their own word."""
    intact: bool
    """Whether signature and hashes hold.  A refusal counts even where they do not: it takes nothing from anyone."""


def mining_of(path: Path, form: str) -> Marked | None:
    """The training and data mining assertion of a file; None where it has none.

    That of the newest manifest that has one counts.  Raises `InvalidError` where the credentials are
    there and cannot be read, or the file is too large to look.
    """
    mime = MIME.get(form)
    if mime is None:
        return None
    if path.stat().st_size > MOST_BYTES:
        raise InvalidError(
            f"Content credentials are read of files up to {MOST_BYTES >> 30} GiB.", remedy="Say yourself what they say."
        )
    try:
        told = answer_of("stemma.provenance.mining", str(path), mime)
    except GaveUpError as error:
        raise _unreadable(error.message) from error
    return marked(told)


def marked(told: dict[str, Any]) -> Marked | None:
    """What was found by `look`.  Raises `InvalidError` for credentials that cannot be read."""
    if "problem" in told:
        raise _unreadable(str(told["problem"])[:200])
    found = told.get("found")
    if found is None:
        return None
    data = found["data"]
    return Marked(
        of_assertion(data),
        str(found["label"])[:100],
        json.dumps(data, ensure_ascii=False, sort_keys=True),
        " ".join(str(found["issuer"]).split())[:200],
        bool(found["intact"]),
    )


def mining_mark(path: Path, form: str, into: Path, *, data: dict[str, Any], keys_path: Path) -> None:
    """Write a file anew with an assertion, signed with the installation's content certificate; its sound is the same.

    Credentials that it carries stay, as those of what it was made from.  `data` is of
    `stemma.rights.reservations.assertion`.  Raises `InvalidError` for a format that carries none, and a file that
    cannot be marked.
    """
    if (mime := MIME.get(form)) is None:
        raise InvalidError(f"{form} carries no content credentials.", remedy="Use WAV, FLAC or MP3.", code="format")
    Authority(keys_path).chain()  # says what to do where there is none
    words = (str(path), mime, str(into), json.dumps(data), str(keys_path))
    try:
        why = answer_of("stemma.provenance.mining", *words).get("problem")
    except GaveUpError as error:
        why = error.message
    if why is not None:
        raise InvalidError(
            f"The file cannot be marked: {str(why)[:200]}.", remedy="Bring it anew, as WAV or FLAC.", code="credentials"
        )


def _unreadable(why: str) -> InvalidError:
    return InvalidError(
        f"The file's content credentials cannot be read: {why}.",
        remedy="Look whether they reserve anything, and say so if they do.",
        code="credentials",
    )


# --- In the other process ---------------------------------------------------------------------------


def look(path: str, mime: str) -> dict[str, Any]:
    """`found`, the assertion and who signed it, or `problem`."""
    import c2pa

    try:
        with Path(path).open("rb") as file, c2pa.Reader(mime, file, context=c2pa.Context(_settings())) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error) or "no JUMBF" in str(error):
            return {"found": None}
        return {"problem": str(error)}
    return {"found": newest(store)}


def mark(path: str, mime: str, into: str, data: str, keys: str) -> dict[str, Any]:
    """Nothing, or `problem`."""
    import c2pa

    manifest = {
        "claim_generator_info": [{"name": "Stemma", "version": __version__}],
        "format": mime,
        "assertions": [{"label": ASSERTIONS[0], "data": json.loads(data)}],
    }
    authority = Authority(Path(keys))
    info = c2pa.C2paSignerInfo(
        alg=b"es256", sign_cert=authority.chain(), private_key=authority.private_key(), ta_url=None
    )
    try:
        with (
            c2pa.Builder(json.dumps(manifest), c2pa.Context(_settings())) as builder,
            Path(path).open("rb") as file,
            Path(into).open("w+b") as made,
        ):
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)  # opened, with the file before as its parent
            builder.sign(c2pa.Signer.from_info(info), mime, file, made)
    except c2pa.C2paError as error:
        return {"problem": str(error)}
    return {}


def _settings() -> Any:
    import c2pa

    return c2pa.Settings.from_dict(_SETTINGS)


def newest(store: dict[str, Any]) -> dict[str, Any] | None:
    """The assertion in the active manifest, else in that of what it was made from, and so on."""
    manifests, at, seen = store.get("manifests", {}), [store.get("active_manifest")], set()
    intact = store.get("validation_state", "Invalid") != "Invalid"
    while at:
        name = at.pop(0)
        manifest = manifests.get(name)
        if manifest is None or name in seen:
            continue
        seen.add(name)
        for one in manifest.get("assertions", []):
            if one.get("label", "").partition("__")[0] in ASSERTIONS:
                issuer = manifest.get("signature_info", {})
                who = issuer.get("common_name") or issuer.get("issuer") or ""
                return {"label": one["label"], "data": one.get("data"), "issuer": who, "intact": intact}
        at += [each.get("active_manifest") for each in manifest.get("ingredients", [])]
    return None


if __name__ == "__main__":
    sys.stdout.write(json.dumps((look if len(sys.argv) == 3 else mark)(*sys.argv[1:])))
