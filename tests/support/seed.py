"""A small house to look at: real rows made by the portal's own services, with music that can be heard.

`python -m support.seed` runs it against the portal that `STEMMA_*` names; a second run changes nothing.
The notes are made here by rule, four parts in thirds and sixths, so that no engine of music is needed.
"""

from __future__ import annotations

import io
import json
import random
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import soundfile
import symusic

from stemma.ids import named_id, new_id, now, timestamp
from stemma.proof.canonical import sha256
from stemma.rights.identifiers import iswc_check
from support.card import card

RATE = 22050
PARTS = ("Soprano", "Alto", "Tenor", "Bass")
SCALE = (0, 2, 4, 5, 7, 9, 11)
PIECES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "chorale": (
        "Chorales",
        "Johann Sebastian Bach",
        ("Wachet auf", "Jesu, meine Freude", "O Haupt voll Blut und Wunden", "Nun danket alle Gott", "Ein feste Burg"),
    ),
    "polyphony": ("Early polyphony", "Giovanni Pierluigi da Palestrina", ("Kyrie", "Sanctus", "Agnus Dei", "Gloria")),
    "reel": (
        "Ryan’s Mammoth Collection",
        "",
        ("Flowers of Edinburgh", "Devil’s Dream", "Money Musk", "Miss McLeod’s Reel", "Soldier’s Joy"),
    ),
    "song": ("Folk songs", "", ("Der Mond ist aufgegangen", "Es waren zwei Königskinder", "Ade zur guten Nacht")),
    "ragtime": ("Ragtime", "Scott Joplin", ("Maple Leaf Rag", "The Entertainer")),
}
RESERVED = dict.fromkeys(("Agnus Dei", "Gloria"), "The edition’s encoder reserves commercial use.")
ORIGINS: dict[str, tuple[str, int | None, str]] = {
    "chorale": ("Germany", 1731, ""),
    "polyphony": ("Italy", None, "15XX"),
    "reel": ("United States", 1883, ""),
    "ragtime": ("United States", None, ""),
}
"""Region, year and period by repertoire; of the songs nothing is known."""
MASTERS = ("Northlight Demo Records", "Tidewater Demo Recordings")
PUBLISHERS = ("Alma Demo-Reyes", "Jonas Demo-Hale", "Mirei Demo-Sato")
ONE = 1_000_000


def compose(name: str, bars: int = 8) -> tuple[bytes, list[tuple[int, int, float, float]], float]:
    """A MIDI file of four parts, its notes (part, pitch, start, end in seconds), and its tempo."""
    chance = random.Random(name)  # noqa: S311 - music, not secrets
    tempo = chance.choice((72.0, 84.0, 96.0, 112.0))
    root = chance.choice((57, 60, 62, 55))
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, tempo))
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    degree, notes = 7, []
    tracks = [symusic.Track(part, 52, False) for part in PARTS]
    beat = 0.0
    while beat < bars * 4:
        length = chance.choice((1, 1, 1, 2, 0.5)) if beat % 4 else chance.choice((1, 2))
        length = min(length, bars * 4 - beat)
        degree = max(4, min(13, degree + chance.choice((-2, -1, -1, 0, 1, 1, 2))))
        for part, below in enumerate((0, 2, 5, 9)):
            octave, step = divmod(degree - below, 7)
            pitch = root + 12 * octave + SCALE[step] - (12 if part == 3 else 0)
            tracks[part].notes.append(symusic.Note(int(beat * 480), int(length * 480), pitch, 80))
            notes.append((part, pitch, beat * 60 / tempo, (beat + length) * 60 / tempo))
        beat += length
    for track in tracks:
        score.tracks.append(track)
    return score.dumps_midi(), notes, tempo


def sound(notes: list[tuple[int, int, float, float]]) -> np.ndarray:
    """The notes as decaying tones, −1…1."""
    end = max(note[3] for note in notes) + 0.6
    out = np.zeros(int(end * RATE))
    for part, pitch, start, stop in notes:
        n = int((stop - start + 0.4) * RATE)
        t = np.arange(n) / RATE
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * frequency * k * t) / k**1.6 for k in range(1, 5))
        at = int(start * RATE)
        shape = np.minimum(t / 0.02, 1) * np.exp(-t * 1.6)
        out[at : at + n] += (tone * shape * (0.5 if part else 0.7))[: len(out) - at]
    return out / max(1e-9, np.abs(out).max()) * 0.8


def flac(samples: np.ndarray) -> bytes:
    """The samples as a FLAC file."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="FLAC")
    return file.getvalue()


def peaks(samples: np.ndarray, count: int = 400) -> list[int]:
    """Peak of each of equal parts, 0…255."""
    return [int(np.abs(part).max() * 255) for part in np.array_split(samples, count)]


def records() -> list[dict[str, Any]]:
    """Recordings of the small house, with their content put into object storage."""
    from stemma.storage import storage

    found, number = [], 0
    for style, (collection, composer, titles) in PIECES.items():
        for title in titles:
            number += 1
            midi, notes, tempo = compose(title)
            samples = sound(notes)
            audio = flac(samples)
            storage().put(f"midi/{sha256(midi)}.mid", midi, "audio/midi")
            storage().put(f"audio/{sha256(audio)}.flac", audio, "audio/flac")
            digits = f"{900_000_000 + number}"
            free = title not in RESERVED
            found.append(
                {
                    "id": named_id("seed", "recording", title),
                    "isrc": f"QZTST26{number:05d}",
                    "title": title,
                    "work_id": named_id("seed", "work", title),
                    "work_title": title,
                    "iswc": f"T-{digits[:3]}.{digits[3:6]}.{digits[6:]}-{iswc_check(digits)}",
                    "composer": composer,
                    "style": style,
                    "collection": collection,
                    **dict(zip(("region", "year", "period"), ORIGINS.get(style, ("", None, "")), strict=True)),
                    "tempo": tempo,
                    "key": "G major",
                    "time_signature": "4/4",
                    "instruments": ["choir aahs"] * 4,
                    "duration_ms": int(len(samples) / RATE * 1000),
                    "midi_sha256": sha256(midi),
                    "audio_sha256": sha256(audio),
                    "loudness_lufs": -19.4,
                    "peaks": peaks(samples),
                    "shares": _shares(number),
                    "source": {
                        "name": f"music made by rule: {title}",
                        "license": "Public domain" if free else "Encoding: all rights reserved",
                        "free": free,
                        "note": RESERVED.get(title, ""),
                    },
                }
            )
    return found


def _shares(number: int) -> list[dict[str, Any]]:
    def party(name: str) -> dict[str, Any]:
        return {"id": named_id("seed", "party", name), "name": name, "demo": True}

    first, second = PUBLISHERS[number % 3], PUBLISHERS[(number + 1) % 3]
    return [
        {"party": party(MASTERS[number % 3 == 0]), "side": "master", "ppm": ONE},
        {"party": party(first), "side": "publishing", "ppm": 700_000},
        {"party": party(second), "side": "publishing", "ppm": 300_000},
    ]


def rights() -> None:
    """Every party grants; one recording stays out, one is withdrawn, one is claimed, one says that it is reserved."""
    from stemma_portal.accounts.models import User
    from stemma_portal.catalog.demo import demo_link
    from stemma_portal.catalog.models import Party, Recording
    from stemma_portal.catalog.selectors import recordings_of_party
    from stemma_portal.consent.models import Claim, Consent, Reservation
    from stemma_portal.consent.reservations import reservation_state
    from stemma_portal.consent.services import claim_open, consent_grant, consent_withdraw

    demo_link(by=None)
    staff = User.objects.get(email="rights@stemma.test")
    scopes = ["ai_generative_training", "open_weights_release", "style_prompting"]
    silent = Recording.objects.get(title="Ade zur guten Nacht").id
    for party in Party.objects.all():
        if not Consent.objects.filter(party=party).exists():
            own = recordings_of_party(party_id=party.id).filter(source_free=True).exclude(id=silent)
            consent_grant(party=party, recordings=list(own.values_list("id", flat=True)), scopes=scopes, by=staff)
    withdrawn = Recording.objects.get(title="Money Musk")
    consent_withdraw(
        consent=Consent.objects.filter(items__recording=withdrawn).first(), recording_id=withdrawn.id, by=staff
    )
    if not Reservation.objects.exists():
        marked = Recording.objects.get(title="Ein feste Burg")
        owner = Party.objects.get(name=MASTERS[0])
        reason = "Not in the style of ours."
        reservation_state(recording=marked, party=owner, refused=["style_prompting"], reason=reason, by=staff)
    if not Claim.objects.exists():
        claimed = Recording.objects.get(title="The Entertainer")
        claim_open(
            recording=claimed,
            claimant="Estate of a demo composer",
            reason="We say that the arrangement is ours.",
            by=staff,
        )


def model() -> str:
    """Two snapshots and a release of the eligible one; returns the identifier of that snapshot."""
    from stemma.provenance.statement import RELEASE, ReleaseStatement
    from stemma.storage import storage
    from stemma.training.fidelity import words
    from stemma_portal.core.keys import keyring
    from stemma_portal.operations.models import ModelRelease, Snapshot
    from stemma_portal.operations.services import release_register, snapshot_create

    if known := ModelRelease.objects.first():
        return known.snapshot_id
    scopes = ["ai_generative_training", "open_weights_release"]
    snapshot_create(name="everything", include=Snapshot.Include.ALL, scopes=scopes, by=None)
    snapshot = snapshot_create(name="house", include=Snapshot.Include.ELIGIBLE, scopes=scopes, by=None)
    files = {
        "README.md": b"---\nlicense: other\n---\n# House model\n\nMade for tests; it has learned nothing.\n",
        "model.safetensors": bytes(100_000),
        "stemma.json": json.dumps({"styles": list(PIECES), "snapshot": snapshot.id}).encode(),
    }
    statement = ReleaseStatement(
        name="house-symbolic",
        version="1",
        snapshot=snapshot.id,
        snapshot_root=snapshot.root,
        covenant=snapshot.covenant,
        created_at=timestamp(now()),
        files={name: sha256(body) for name, body in files.items()},
    )
    token = keyring().sign("release", RELEASE, statement)
    metrics = {"nats_per_note": 0.62, "curve": [[0, 4.1], [100, 1.2], [200, 0.7]]}
    release_register(statement=token, run_id=new_id().replace("-", ""), metrics=metrics, by=None)
    for name, body in {**files, "statement.jws": token.encode()}.items():
        storage().put(f"releases/house-symbolic/1/{name}", body)
    storage().put_json("stores/house-symbolic/1/manifest.json", {"lds": 0.71, "lds_low": 0.64, "lds_high": 0.77})
    storage().put_json("fidelity/house-symbolic/1/fidelity.json", card())
    storage().put("fidelity/house-symbolic/1/fidelity.md", words(card()).encode())
    storage().put_json("releases/production.json", {"release": "house-symbolic/1"})
    return snapshot.id


def weights() -> None:
    """The first licensee has accepted its terms and taken the weights."""
    from stemma_portal.accounts.models import User
    from stemma_portal.licensing.models import License
    from stemma_portal.licensing.services import covenant_accept
    from stemma_portal.operations.models import ModelRelease, WeightsDownload
    from stemma_portal.operations.weights import weights_hand_out

    if WeightsDownload.objects.exists():
        return
    license_ = License.objects.get(tier="professional")
    user = User.objects.get(email="enterprise@stemma.test")
    covenant_accept(license_=license_, covenant=license_.covenant, replaces=license_.covenant_id, by=user)
    weights_hand_out(release=ModelRelease.objects.get(), by=user)


def generations(snapshot: str, count: int = 4) -> None:
    """Pieces of the first licensee, with their facts in the lake, taken into the portal."""
    from stemma.provenance.certificate import Certificate, Filters, LicenseState, Similarity, Verbatim, issue
    from stemma.royalties.facts import (
        COMMONS,
        PPB,
        AttributionFact,
        CertificateFact,
        UsageFact,
        certificate_table,
        to_parquet,
    )
    from stemma.royalties.lake import put_attribution, put_usage
    from stemma.storage import storage
    from stemma_portal.core.keys import keyring
    from stemma_portal.licensing.models import License
    from stemma_portal.metering.models import Generation
    from stemma_portal.metering.services import facts_ingest
    from stemma_portal.operations.models import Snapshot

    if Generation.objects.exists():
        return
    license_ = License.objects.select_related("organisation", "covenant").get(tier="professional")
    members = list(Snapshot.objects.get(id=snapshot).members.order_by("id").values_list("id", flat=True))
    usage, attribution, issued = [], [], []
    for number in range(count):
        identifier, at = named_id("seed", "generation", str(number)), timestamp(now())
        midi, notes, tempo = compose(f"generated {number}")
        samples = sound(notes)
        audio = flac(samples)
        prefix, files = f"generations/{identifier}", {}
        for kind, name, body in (("flac", "audio.flac", audio), ("midi", "score.mid", midi)):
            storage().put(f"{prefix}/{name}", body)
            files[kind] = {"object": f"{prefix}/{name}", "sha256": sha256(body), "bytes": len(body)}
        stems = {}
        for part, name in enumerate(PARTS):
            body = flac(sound([note for note in notes if note[0] == part]))
            storage().put(f"{prefix}/stems/{name.lower()}.flac", body)
            stems[name] = {"object": f"{prefix}/stems/{name.lower()}.flac", "sha256": sha256(body), "bytes": len(body)}
        length = int(len(samples) / RATE * 1000)
        common = {"model_release": "house-symbolic/1", "snapshot": snapshot, "style": "chorale", "seed": number}
        record = {**common, "id": identifier, "created_at": at, "tempo": tempo, "key": "G major", "bars": 8}
        record |= {"duration_ms": length, "peaks": peaks(samples), "parts": list(PARTS), "files": files, "stems": stems}
        storage().put_json(f"{prefix}/generation.json", record)
        certificate = Certificate(
            generation=identifier,
            at=at,
            license=license_.id,
            licensee=license_.organisation_id,
            licensee_name=license_.organisation.name,
            tier=license_.tier,
            indemnified=False,
            covenant=license_.covenant_id,
            entitlement_sha256="0" * 64,
            model_release="house-symbolic/1",
            snapshot=snapshot,
            snapshot_root=Snapshot.objects.get(id=snapshot).root,
            style="chorale",
            seed=number,
            prompt_sha256=sha256(b""),
            pcm_sha256=sha256(samples.tobytes()),
            midi_sha256=sha256(midi),
            duration_ms=length,
            covenant_version=license_.covenant.version,
            license_state=LicenseState(
                not_before=timestamp(license_.not_before),
                expires_at=timestamp(license_.expires_at),
                revocations_sequence=1,
                revocations_at=at,
            ),
            filters=Filters(
                verbatim=Verbatim(notes=8, limit=32, works=len(members), index_sha256="0" * 64),
                similarity=Similarity(shared_ppm=21_000, limit_ppm=600_000),
            ),
        )
        token = issue(certificate, keyring())
        storage().put(f"{prefix}/certificate.jws", token.encode())
        issued.append(CertificateFact(id=identifier, at=at, certificate=token))
        usage.append(
            UsageFact(
                id=identifier,
                at=at,
                license=license_.id,
                licensee=license_.organisation_id,
                key="seed",
                tier=license_.tier,
                covenant=license_.covenant_id,
                prompt_sha256=sha256(b""),
                billable_ms=length,
                audio_sha256=sha256(audio),
                midi_sha256=sha256(midi),
                **common,
            )
        )
        if number < count - 1:  # the newest is still being traced
            chance = random.Random(number)  # noqa: S311 - as above
            weights = [chance.random() ** 3 for _ in members]
            parts = [int(0.8 * PPB * weight / sum(weights)) for weight in weights]
            shares = {member: ppb for member, ppb in zip(members, parts, strict=True) if ppb}
            shares[COMMONS] = PPB - sum(shares.values())
            spread = {name: (ppb // 3, ppb + (PPB - ppb) // 9) for name, ppb in shares.items()}
            attribution.append(
                AttributionFact(
                    id=new_id(),
                    generation=identifier,
                    at=at,
                    model_release="house-symbolic/1",
                    snapshot=snapshot,
                    method="exact-dual/1",
                    store="seed",
                    checkpoints=4,
                    lds=None,
                    lds_low=None,
                    lds_high=None,
                    shares=shares,
                    # The first was traced before there were intervals.
                    **({"version": 2, "intervals": spread} if number else {}),
                )
            )
    put_usage(storage(), usage)
    put_attribution(storage(), attribution)
    body = to_parquet(certificate_table(issued))
    storage().put(f"certificates/day={now():%Y-%m-%d}/{new_id()}.parquet", body)
    facts_ingest()


def output_claim() -> None:
    """Somebody says that a piece of the licensee is theirs; what evidence there is is put together."""
    from stemma.config import settings
    from stemma.provenance.authority import Authority
    from stemma.storage import storage
    from stemma_portal.accounts.models import User
    from stemma_portal.core.keys import keyring
    from stemma_portal.indemnity.models import OutputClaim
    from stemma_portal.indemnity.services import claim_submit
    from stemma_portal.indemnity.tasks import examine
    from stemma_portal.metering.models import Generation
    from stemma_portal.operations.models import ModelRelease

    if OutputClaim.objects.exists():
        return
    Authority(settings().keys_path).create()
    release = ModelRelease.objects.select_related("snapshot").get()
    folder = f"releases/{release.id}/"
    storage().put(folder + "manifest.json", storage().get(release.snapshot.manifest_key))
    storage().put(folder + "statement.jws", release.statement.encode())
    storage().put_json(folder + "receipt.json", release.receipt)
    storage().put_json("keys/jwks.json", keyring().jwks())
    made = Generation.objects.exclude(attribution=None).latest("at")
    claim, _ = claim_submit(
        organisation=made.licensee, claimant="Estate of a demo composer", use="api_outputs",
        story="Their letter says that the second half is theirs. We used it in the trailer of a game.",
        sound=io.BytesIO(storage().get(f"{made.prefix}audio.flac")), sound_name="trailer.flac",
        letter=io.BytesIO(b"Dear Sirs, the second half is ours."), letter_name="letter.txt",
        by=User.objects.get(email="enterprise@stemma.test"),
    )  # fmt: skip
    examine(claim.pk)


def money() -> None:
    """One closed period, and an open one with estimates."""
    from stemma_portal.royalties.models import Period
    from stemma_portal.royalties.services import estimates_refresh, period_close, period_open

    if not Period.objects.exists():
        name = f"{now():%Y-%m}"
        period_open(period_id=name, by=None)
        period_close(period_id=name, by=None, early=True)
        period_open(period_id=f"{name}-b", by=None)
    estimates_refresh()


def label() -> None:
    """The label has an album; a share on it waits for the artist's yes; two tracks may be one and the same."""
    from stemma.rights.shares import Share
    from stemma_portal.accounts.models import Organisation, User
    from stemma_portal.catalog.models import Likeness, Recording, Release
    from stemma_portal.catalog.sharing import current, shares_set

    organisation = Organisation.objects.get(slug="label")
    artist = Organisation.objects.get(slug="artist")
    own = Recording.objects.filter(shares__party=organisation.party, shares__side="master", style="chorale")
    album, _ = Release.objects.get_or_create(
        organisation=organisation,
        upc="4006381333931",
        defaults={"title": "Evening chorales", "artist": "The demo choir", "label": organisation.name},
    )
    tracks = list(own.order_by("title"))
    for number, track in enumerate(tracks, 1):
        Recording.objects.filter(id=track.id).update(organisation=organisation, release=album, track=number)
    Likeness.objects.get_or_create(
        one=min(tracks[:2], key=lambda each: each.id),
        other=max(tracks[:2], key=lambda each: each.id),
        kind="score",
        defaults={"score": 0.81, "detail": {"shared": 0.81, "limit": 0.7}, "found_at": now()},
    )
    shared = Recording.objects.filter(id__in=[each.id for each in tracks], shares__party=artist.party).first()
    assert shared is not None
    stated = current(shared.id)
    if not shared.share_revisions.filter(cause__startswith="editor").exists():
        writers = [each for each in stated if each["side"] == "publishing"]
        writers.sort(key=lambda each: each["party"] != artist.party_id)
        writers[0]["ppm"] -= 50_000
        writers[1]["ppm"] += 50_000
        user = User.objects.get(email="label@stemma.test")
        shares_set(recording=shared, shares=[Share(**each) for each in stated], by=user, cause="editor: contract 12")


def custody() -> None:
    """The artist's community looks after the early polyphony, and is asked to look after a chorale."""
    from stemma_portal.accounts.models import Organisation, User
    from stemma_portal.catalog.custody import custody_set
    from stemma_portal.catalog.models import Custody, Recording

    if Custody.objects.exists():
        return
    party = Organisation.objects.get(slug="artist").party
    assert party is not None
    users = {name: User.objects.get(email=f"{name}@stemma.test") for name in ("rights", "label")}
    named = Recording.objects.filter(style="polyphony")
    custody_set(
        recordings=list(named.values_list("id", flat=True)), party=party, community="Demo choir of the old town",
        terms="We have sung these for six generations. Say so wherever they are heard.",
        conditions=["attribution", "no_style_prompting"], collection="Early polyphony",
        by=users["rights"], by_staff=True,
    )  # fmt: skip
    custody_set(
        recordings=[Recording.objects.get(title="Wachet auf").id], party=party, conditions=["ask_first"],
        terms="It belongs to Advent. Ask us before a model learns from it.", by=users["label"], by_staff=False,
    )  # fmt: skip


def dispute() -> None:
    """Another label claims a share of a recording which has earned; the owner has answered, and its money is held."""
    from stemma_portal.accounts.models import Organisation, User
    from stemma_portal.catalog.models import Recording
    from stemma_portal.consent import cases
    from stemma_portal.consent.case_access import seat_of
    from stemma_portal.consent.evidence import evidence_add
    from stemma_portal.consent.models import Claim
    from stemma_portal.royalties.holds import holds_settle

    if Claim.objects.filter(kind=Claim.Kind.SHARE).exists():
        return
    other = Organisation.objects.get(slug="label-two")
    claimant, owner = (User.objects.get(email=f"{name}@stemma.test") for name in ("label-two", "label"))
    case = cases.case_open(
        kind=Claim.Kind.SHARE,
        recording=Recording.objects.get(title="Nun danket alle Gott"),
        party=other.party,
        organisation=other,
        reason="Half of the master is ours: we paid for the session.",
        by=claimant,
    )
    evidence_add(
        claim=case, seat=seat_of(claimant, case), by=claimant, title="The bill of the session",
        link="https://example.org/sessions/12",
    )  # fmt: skip
    answer = "The bill is of another session: ours was a year before."
    cases.case_say(claim=case, seat=seat_of(owner, case), text=answer, answer=True, by=owner)
    holds_settle()


def imports() -> None:
    """The label has brought a table, has another one to confirm, and one whose columns wait to be told."""
    from stemma.catalog.columns import template
    from stemma_portal.accounts.models import Organisation, User
    from stemma_portal.intake.models import Import
    from stemma_portal.intake.services import import_confirm, import_create, import_map
    from stemma_portal.intake.tasks import import_run, import_stage
    from stemma_portal.webhooks.models import Endpoint
    from stemma_portal.webhooks.services import endpoint_create

    label, user = Organisation.objects.get(slug="label"), User.objects.get(email="label@stemma.test")
    if Import.objects.exists():
        return
    example = template()
    bad = example.replace("QZSTM2600001", "QZSTM26-1").splitlines()[1]
    later = example.replace("Morning in March", "Evening in March").replace("QZSTM2600001", "QZSTM2600001")
    files = {
        "spring.csv": example,
        "corrections.csv": f"{later}{bad.replace('EX-0001', 'EX-0002')}\n",
        "columns.csv": "Wie es heisst,Von wem,ISRC\nLied,Erika,QZSTM2600009\n",
    }
    for name, text in files.items():
        batch = import_create(organisation=label, file=io.BytesIO(text.encode()), name=name, by=user)
        if name == "columns.csv":
            continue
        import_stage(import_map(batch=batch, mapping=batch.mapping, by=user).id)
        if name == "spring.csv":
            import_run(import_confirm(batch=batch, by=user).id, user.id)
    if not Endpoint.objects.filter(organisation=label).exists():
        endpoint_create(organisation=label, url="https://example.com/stemma", events=["import.finished"], by=user)


def audio() -> None:
    """The label has brought a sound that nobody knows, one that is longer than it should be, and a text."""
    import httpx

    from stemma_portal.accounts.models import Organisation, User
    from stemma_portal.audio.models import Upload
    from stemma_portal.audio.services import upload_addresses, upload_begin, upload_finish
    from stemma_portal.audio.tasks import upload_take

    label, user = Organisation.objects.get(slug="label"), User.objects.get(email="label@stemma.test")
    if Upload.objects.exists():
        return
    files = {
        "untitled mix 3.flac": flac(sound(compose("untitled")[1])),
        "QZ-STM-26-00001.flac": flac(sound(compose("Morning in March")[1])),
        "liner notes.wav": b"Thanks to everyone.",
    }
    for name, body in files.items():
        upload = upload_begin(organisation=label, name=name, size=len(body), by=user)
        httpx.put(upload_addresses(upload=upload, numbers=[1])[1], content=body).raise_for_status()
        upload_take(upload_finish(upload=upload, by=user).id)


def notices() -> None:
    """What the label was told while all this was made, partly read; one mail of it was refused."""
    from stemma_portal.accounts.models import User
    from stemma_portal.notices.models import Notice, Topic
    from stemma_portal.notices.services import notify

    user = User.objects.get(email="label@stemma.test")
    notify(
        users=[user],
        topic=Topic.ACCOUNT,
        title="Your password was changed",
        text="Your password was changed, from 203.0.113.7. If that was you, there is nothing to do.",
        href="/accounts/password/change/",
        key="seed",
    )
    own = Notice.objects.filter(user=user)
    own.filter(topic=Topic.MONEY).update(read_at=now())
    own.filter(key="seed").update(mail_due_at=None, mail_error="550 5.1.1 There is no such person here")


def desk() -> None:
    """What waits for staff: a year declared without a rate for it, a payment that names no invoice, a breach of terms.

    And a license file, whose receipts its machine will bring.
    """
    from billing.making import statement, transaction
    from stemma_portal.accounts.models import User
    from stemma_portal.billing.banking import statements_import
    from stemma_portal.billing.deadlines import breach_state
    from stemma_portal.billing.declaring import declaration_make
    from stemma_portal.billing.demo import ACCOUNT
    from stemma_portal.billing.models import Deadline
    from stemma_portal.licensing.models import License
    from stemma_portal.licensing.offline import license_file_issue

    if Deadline.objects.exists():
        return
    indie, rights = (User.objects.get(email=f"{name}@stemma.test") for name in ("indie", "rights"))
    license_ = License.objects.get(organisation__slug="indie")
    last = now().year - 1
    declaration_make(
        organisation=license_.organisation, entity=license_.organisation.name, amount=40_000 * 10**6, currency="CHF",
        starts=date(last, 1, 1), ends=date(last, 12, 31), by=indie,
        evidence=io.BytesIO(b"%PDF-1.7\nsmall\n%%EOF"), evidence_name="accounts.pdf",
    )  # fmt: skip
    statements_import(body=statement(transaction("120.00", text="thank you"), account=ACCOUNT), by=rights)
    license_file_issue(license_=License.objects.get(tier="professional"), by=None)
    breach_state(license_=license_, reason="A piece was handed on without its credits.", by=rights)


def links() -> dict[str, str]:
    """Addresses that no page links: in mails to the invited, the forgetful and the tired; a quote."""
    from allauth.account.utils import user_pk_to_url_str
    from django.contrib.auth.tokens import default_token_generator
    from django.urls import reverse

    from stemma_portal.accounts.invitations import invite, link_of
    from stemma_portal.accounts.models import Invitation, Organisation, User
    from stemma_portal.accounts.services import user_create
    from stemma_portal.billing.models import Quote
    from stemma_portal.notices.models import Topic
    from stemma_portal.notices.unsubscribing import sign

    user, organisation = User.objects.get(email="label@stemma.test"), Organisation.objects.get(slug="label")
    # Signing in makes such a link worthless, so it is of somebody who never does.
    forgetful = User.objects.filter(email="forgetful@stemma.test").first() or user_create(
        email="forgetful@stemma.test", name="Forgetful", password=new_id(), by=None
    )
    invited = Invitation.objects.filter(email="new@stemma.test").first() or invite(
        organisation=organisation, email="new@stemma.test", role="member", by=user
    )
    key = {"uidb36": user_pk_to_url_str(forgetful), "key": default_token_generator.make_token(forgetful)}
    return {
        "invitation": urlsplit(link_of(invited)).path,
        "reset": reverse("account_reset_password_from_key", kwargs=key),
        "off": reverse("notices:off", args=[sign(user.pk, Topic.SHARES)]),
        "quote": reverse("billing:quote", args=[Quote.objects.earliest("pk").pk]),
    }


def _later_terms() -> None:
    """A second version of the terms, a little wider, so that there is something to compare and to accept."""
    from stemma.rights.covenant import house_covenant
    from stemma_portal.licensing.services import covenant_publish

    house = house_covenant()
    growth = house.growth.model_copy(update={"grace_days": 120})
    covenant_publish(covenant=house.model_copy(update={"version": "3.1.0", "growth": growth}), by=None)


def seed() -> dict[str, Any]:
    """All of it; what `demo.json` holds."""
    import django

    django.setup()
    from stemma_portal.billing.demo import billing_demo
    from stemma_portal.catalog.models import Recording
    from stemma_portal.catalog.services import recordings_import
    from stemma_portal.operations.demo import demo_seed

    known = demo_seed()
    billing_demo()
    _later_terms()
    if not Recording.objects.exists():
        result = recordings_import(records=records(), by=None)
        assert not result.rejected, result.rejected
    rights()
    generations(model())
    output_claim()
    weights()
    money()
    label()
    custody()
    dispute()
    imports()
    audio()
    notices()
    desk()
    return known | {"links": links()}


if __name__ == "__main__":
    import os

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stemma_portal.config.settings")
    print(json.dumps(seed()))
