"""A model release: a folder in the Hugging Face layout that proves what it is and where it comes from.

`build` makes the folder from a finished run, `sign` states and signs its files, `publish` logs and
uploads it and makes it the one in production; `fetch` brings a release back and `verify` refuses one
that is unsigned, altered, or signed by somebody else.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx

from stemma.config import settings
from stemma.errors import NotFoundError, ProofError, StemmaError, UnavailableError
from stemma.ids import now, timestamp
from stemma.models.content import content_key, source_of
from stemma.music import echoes, reference
from stemma.music.echoes import Echoes
from stemma.music.reference import Reference
from stemma.proof.canonical import digest
from stemma.proof.keys import Jwks, KeyRing
from stemma.proof.log import Receipt, check_receipt
from stemma.provenance import release as whole
from stemma.provenance.release import PUBLIC_KEY, RECEIPT, SIGNATURE, STATEMENT, read_about
from stemma.provenance.statement import RELEASE, ReleaseStatement
from stemma.rights import covenant_text
from stemma.rights.covenant import read_covenant
from stemma.rights.facts import read_facts
from stemma.rights.snapshot import Manifest
from stemma.storage import Storage, storage
from stemma.training import gate
from stemma.training.card import model_card
from stemma.training.gate import Progress, silent, trusted_keys

PRODUCTION = "releases/production.json"
SIGNING_KEY = "model-signing.pem"


# Building


def build(
    run: Path, out: Path, *, name: str | None = None, store: Storage | None = None, progress: Progress = silent
) -> Path:
    """The unsigned bundle of a finished run, as `out/<version>`; a run already built is given again.

    Without a name it is `usual_name`.  The version is the next that neither this folder nor object storage has.
    """
    store = store or storage()
    facts = _outcome(run)
    name = name or usual_name(run)
    versions = _versions(out)
    for version, folder in versions.items():
        if read_about(folder).get("run_id") == facts["run_id"]:
            progress(1, 1, f"{name}/{version} stands already")
            return folder
    stored = {key.split("/")[2] for key in store.keys(f"releases/{name}/")}
    free = str(max([0, *versions, *(int(v) for v in stored if v.isdigit())]) + 1)
    manifest = Manifest.model_validate_json((run / "manifest.json").read_bytes())
    covenant = read_covenant(store.get_json(f"covenants/{manifest.covenant}.json"))
    if digest(covenant) != manifest.covenant:
        raise ProofError("The covenant in object storage is not the one of the snapshot.", code="other-document")

    part = out / f"{free}.part"
    shutil.rmtree(part, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run / "model", part)
    shutil.copytree(run / "checkpoints", part / "checkpoints", ignore=shutil.ignore_patterns("*.part"))
    shutil.copy(run / "manifest.json", part / "manifest.json")
    progress(0, 1, "the works, to hold pieces against")
    source = source_of(facts["family"])
    contents = ((r.recording, store.get(content_key(r, source))) for r in manifest.recordings)
    if source == "score":
        Reference.build(contents).save(part / reference.FILE)
    elif not (part / echoes.FILE).exists():  # the run has made it to judge its own pieces
        Echoes.build(contents, folder=part).save(part / echoes.FILE)
    shutil.copy(run / "receipt.json", part / "snapshot_receipt.json")
    for name_of in ("fidelity.json", "fidelity.md"):  # where attribution was evaluated; see `training.fidelity`
        if (run / name_of).exists():
            shutil.copy(run / name_of, part / name_of)
    (part / "LICENSE.md").write_text(covenant_text.markdown(covenant, manifest.covenant))
    beside = read_facts(manifest, store)
    if beside is not None:
        (part / "snapshot_facts.json").write_text(beside.model_dump_json())
    (part / "README.md").write_text(model_card(facts, manifest, name, free, beside))
    # What the model says of itself stays, such as how it is asked; that it is a step of a run no longer matters.
    model = {key: value for key, value in read_about(part).items() if key != "step"}
    about = model | {
        "name": name,
        "version": free,
        "family": facts["family"],
        "snapshot": manifest.id,
        "snapshot_root": manifest.root,
        "covenant": manifest.covenant,
        "run_id": facts["run_id"],
        "code_version": facts["code_version"],
        "styles": facts["styles"],
        "held_out": facts["held_out"],
        "checkpoints": sorted(p.name for p in (part / "checkpoints").iterdir()),
        "created_at": timestamp(now()),
        "license_decisions": facts["license_decisions"],
        **({"pipeline": facts["pipeline"]} if "pipeline" in facts else {}),
        "metrics": facts["figures"] | ({"recordings_without_score": beside.unreadable} if beside else {}),
    }
    (part / "stemma.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    progress(1, 1, f"{name}/{free}")
    return part.replace(out / free)


def usual_name(run: Path) -> str:
    """What a model of a run's family is called unless somebody says otherwise, such as `house-symbolic`."""
    return f"house-{_outcome(run)['family']}"


def _outcome(run: Path) -> dict[str, Any]:
    if not (run / "outcome.json").exists():
        raise NotFoundError(f"{run} holds no finished run.", remedy="Run `stemma train` to its end first.")
    found: dict[str, Any] = json.loads((run / "outcome.json").read_text())
    return found


def _versions(out: Path) -> dict[int, Path]:
    """Bundles in a folder by version."""
    folders = out.iterdir() if out.exists() else ()
    return {int(f.name): f for f in folders if f.name.isdigit() and (f / "stemma.json").exists()}


# Signing


def sign(bundle: Path, keys: KeyRing | None = None) -> ReleaseStatement:
    """State the bundle's files and sign them twice: as a JWS for the log, and with OpenSSF model-signing.

    A bundle that is signed and unchanged is left as it is, so that its statement stays the same.
    """
    keys = keys or KeyRing(settings().keys_path)
    if (bundle / SIGNATURE).exists():
        return verify(bundle, keys.jwks())
    about = read_about(bundle)
    private = signing_key(keys.folder)
    (bundle / PUBLIC_KEY).write_bytes(_public(private))
    statement = ReleaseStatement(
        name=about["name"],
        version=about["version"],
        snapshot=about["snapshot"],
        snapshot_root=about["snapshot_root"],
        covenant=about["covenant"],
        created_at=about["created_at"],
        files=whole.hashes(bundle),
    )
    (bundle / STATEMENT).write_text(keys.sign("release", RELEASE, statement))

    from model_signing import hashing, signing

    ignored = [bundle / SIGNATURE, bundle / RECEIPT]
    config = signing.Config().use_elliptic_key_signer(private_key=private)
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=ignored)).sign(bundle, bundle / SIGNATURE)
    return statement


def signing_key(folder: Path) -> Path:
    """The P-256 key that model-signing needs; made on first use."""
    path = folder / SIGNING_KEY
    if not path.exists():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
        part.replace(path)
    return path


def _public(private: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# Verifying


def verify(bundle: Path, keys: Jwks) -> ReleaseStatement:
    """The statement of a bundle that is whole, unchanged, and signed with a known release key, in both ways.

    Raises `ProofError` with code `unsigned`, `altered`, or what `proof.keys.verify` says of a foreign
    or forged signature.
    """
    statement = whole.verify(bundle, keys)
    _check_signature(bundle, statement)
    return statement


def _check_signature(bundle: Path, statement: ReleaseStatement) -> None:
    """The OpenSSF signature, by the key that the statement vouches for."""
    from model_signing import hashing, verifying

    config = verifying.Config().use_elliptic_key_verifier(public_key=bundle / PUBLIC_KEY)
    config.set_hashing_config(hashing.Config().set_ignored_paths(paths=[bundle / SIGNATURE, bundle / RECEIPT]))
    try:
        config.verify(bundle, bundle / SIGNATURE)
    except Exception as error:
        raise ProofError(
            f"The OpenSSF signature of {statement.id} does not hold.", remedy="Fetch it again.", code="altered"
        ) from error


# Publishing


def publish(bundle: Path, *, store: Storage | None = None, progress: Progress = silent) -> str:
    """Upload, log and register a signed bundle, and make it the release in production; its identifier.

    Rights are asked once more before: a consent withdrawn since the training stops the release.  May
    be repeated at any point.
    """
    store = store or storage()
    keys = trusted_keys(store)
    statement = verify(bundle, keys)
    gate.check(statement.snapshot, store=store, keys=keys, content=False)
    prefix = f"releases/{statement.id}/"
    names = sorted([*statement.files, STATEMENT, SIGNATURE])
    for done, name in enumerate(names):
        progress(done, len(names) + 2, name)
        store.put(prefix + name, bundle / name)
    receipt = _register_portal(bundle, statement)
    check_receipt(receipt, keys, digest=whole.statement_digest((bundle / STATEMENT).read_text()))
    (bundle / RECEIPT).write_text(receipt.model_dump_json())
    store.put(prefix + RECEIPT, (bundle / RECEIPT).read_bytes(), "application/json")
    progress(len(names) + 1, len(names) + 2, "MLflow")
    _register_mlflow(bundle, statement)
    store.put_json(PRODUCTION, {"release": statement.id})
    progress(len(names) + 2, len(names) + 2, statement.id)
    return statement.id


def _register_portal(bundle: Path, statement: ReleaseStatement) -> Receipt:
    """The receipt for the release from the portal's log."""
    config = settings()
    about = read_about(bundle)
    body = {
        "name": statement.name,
        "version": statement.version,
        "statement": (bundle / STATEMENT).read_text().strip(),
        "metrics": {**about["metrics"], "license_decisions": about["license_decisions"]},
        "run_id": about["run_id"],
    }
    try:
        answer = httpx.post(
            f"{config.portal_url}/api/v1/releases",
            json=body,
            headers={"Authorization": f"Bearer {config.portal_token.get_secret_value()}"},
            timeout=60,
        )
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"The portal at {config.portal_url} does not answer ({type(error).__name__}).",
            remedy="See `stemma status`, then publish again.",
        ) from error
    if answer.is_error:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise StemmaError(
            f"The portal refused the release ({answer.status_code}): {problem.get('detail', answer.text[:200])}",
            remedy=str(problem.get("remedy", "Check STEMMA_PORTAL_TOKEN.")),
            code=str(problem.get("code", "refused")),
        )
    return Receipt.model_validate(answer.json()["receipt"])


def _register_mlflow(bundle: Path, statement: ReleaseStatement) -> None:
    """A version of the registered model, with the alias `production`."""
    from mlflow.exceptions import MlflowException

    from stemma.training.tracking import client

    registry = client(settings())
    source = f"s3://{settings().s3_bucket}/releases/{statement.id}"
    try:
        if not registry.search_registered_models(f"name = '{statement.name}'"):
            registry.create_registered_model(statement.name)
        known = registry.search_model_versions(f"name = '{statement.name}'")
        version = next((v.version for v in known if v.tags.get("stemma.release") == statement.id), None)
        if version is None:
            tags = {"stemma.release": statement.id, "stemma.snapshot_root": statement.snapshot_root}
            made = registry.create_model_version(
                statement.name, source, run_id=read_about(bundle)["run_id"], tags=tags, await_creation_for=0
            )
            version = made.version
        registry.set_registered_model_alias(statement.name, "production", version)
    except MlflowException as error:
        raise UnavailableError(
            f"MLflow did not register {statement.id}: {error}.", remedy="See `stemma status`, then publish again."
        ) from error


def fetch(release: str, folder: Path, *, store: Storage | None = None, keys: Jwks | None = None) -> Path:
    """Bring a release from object storage into a folder, which appears only when it is verified."""
    store = store or storage()
    keys = keys or trusted_keys(store)
    if folder.exists():
        if verify(folder, keys).id != release:
            raise ProofError(f"{folder} holds another release than {release}.", code="other-release")
        return folder
    prefix = f"releases/{release}/"
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    found = list(store.keys(prefix))
    if not found:
        raise NotFoundError(f"There is no release {release}.", remedy="See `stemma release list`.")
    for key in found:
        target = (part / key.removeprefix(prefix)).resolve()
        if not target.is_relative_to(part.resolve()):
            raise ProofError(f"The release {release} holds a path that leads outside: {key}.", code="altered")
        store.download(key, target)
    statement = verify(part, keys)
    if statement.id != release:
        raise ProofError(f"Under {release} lies the release {statement.id}.", code="other-release")
    return part.replace(folder)


def production(store: Storage | None = None) -> str:
    """Identifier of the release in production."""
    return str((store or storage()).get_json(PRODUCTION)["release"])
