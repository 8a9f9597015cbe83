"""What `stemma up` shows: one catalog travels the whole way, from scores to paid, verifiable music.

Every chapter goes through the doors its users have (the portal's API, the training command's
functions, serving's API) and leaves its result in `story.json` in the home folder, so that a second
telling skips it and an interrupted one goes on where it stopped.  Each chapter may be repeated from
its beginning without harm.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from stemma.catalog.record import RecordingRecord
from stemma.cli.portal_client import Portal
from stemma.client import Client
from stemma.config import Settings, settings
from stemma.errors import StemmaError, UnavailableError
from stemma.ids import now
from stemma.storage import Storage, storage

MODEL = "house-symbolic"
WITHHELD = 8
"""Free recordings whose owners are asked last and have not answered: the gate must refuse them."""
PIECES: tuple[tuple[str, dict[str, Any]], ...] = (
    # licensee, prompt and what else is asked of the model
    ("enterprise", {"prompt": "a lively reel in D major for fiddle", "style": "reel", "bars": 16}),
    ("enterprise", {"prompt": "a solemn four-part chorale in G minor", "style": "chorale", "bars": 12}),
    ("film", {"prompt": "a bright classical minuet for strings", "bars": 16}),
    ("indie", {"prompt": "an old song, calm and simple", "bars": 12}),
    ("indie", {"prompt": "early polyphony for a small choir", "bars": 12}),
)
INDEMNIFIED = "film"
"""The licensee whose license comes with an indemnity."""
CLAIMANT = "A. N. Other Music (demonstration)"
LETTER = f"""{CLAIMANT}

Dear Sir or Madam,

your trailer uses a minuet that is ours. Please tell us by what right you use it, and whom we have to turn to.

This letter is made up: it belongs to the demonstration.
"""
ATTRIBUTION_PATIENCE = 180
SERVING_PATIENCE = 180


def run(
    *,
    full: bool = False,
    limit: int | None = None,
    preset: str = "up",
    until: str = "verification",
    console: Console | None = None,
) -> None:
    """Tell the story, or what is left of it.

    `full` takes every recording of the corpus that qualifies, `limit` only so many (for tests);
    `preset` is one of training's; `until` names the last chapter.  Raises `StemmaError` where a chapter cannot be told.
    """
    story = Story(settings(), console or Console(), full=full, limit=limit, preset=preset)
    for chapter in CHAPTERS:
        story.tell(chapter)
        if chapter.name == until:
            return


@dataclass
class Story:
    """One telling: where things are, what is done, and the chapters."""

    config: Settings
    console: Console
    full: bool = False
    limit: int | None = None
    preset: str = "up"
    state: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = self.config.home / "story.json"
        if self.path.exists():
            self.state = json.loads(self.path.read_text())
        self.demo = json.loads((self.config.home / "demo.json").read_text())
        self.portal = Portal(self.config)
        self.storage: Storage = storage()

    # How a chapter is told

    def tell(self, chapter: Chapter) -> None:
        """Run one chapter unless it is done, with its progress and its one-line result."""
        told = self.state.setdefault("chapters", {})
        if chapter.name not in told:
            started = time.monotonic()
            with self._progress(chapter.title) as progress:
                result = chapter.run(self, progress)
            told[chapter.name] = {"result": result, "seconds": round(time.monotonic() - started, 1)}
            self.remember("chapters", told)
        done = told[chapter.name]
        line = f"  [green]✓[/] [bold]{chapter.title}[/]  {escape(done['result'])}  [dim]{done['seconds']} s[/]"
        self.console.print(line, soft_wrap=True)

    def remember(self, name: str, value: Any) -> None:
        """Keep a fact of the story; it survives a kill at any moment."""
        self.state[name] = value
        part = self.path.with_suffix(".part")
        with part.open("w") as file:
            json.dump(self.state, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)

    @contextmanager
    def _progress(self, title: str) -> Iterator[Callable[..., None]]:
        columns = (SpinnerColumn(), TextColumn("[bold]{task.description}[/]"), BarColumn(bar_width=32))
        more = (TextColumn("{task.fields[note]}"), TimeElapsedColumn())
        # Without a terminal there is nothing to redraw: the chapters' own lines tell enough.
        hidden = not self.console.is_terminal
        with Progress(*columns, *more, console=self.console, transient=True, disable=hidden) as bar:
            task = bar.add_task(title, total=None, note="")

            def progress(done: float, total: float | None = None, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

            yield progress

    # The chapters

    def catalog(self, progress: Callable[..., None]) -> str:
        """Engrave and render the house catalog, and bring it in through the portal's API."""
        from stemma.catalog import house

        records = list(house.build(self.storage, self.config.home, full=self.full, limit=self.limit, progress=progress))
        counts: Counter[str] = Counter()
        for start in range(0, len(records), 200):
            batch = [record.model_dump(mode="json") for record in records[start : start + 200]]
            answer = self.portal.post("catalog/recordings", {"records": batch})
            if answer["rejected"]:
                first = answer["rejected"][0]
                raise StemmaError(f"The portal rejected {len(answer['rejected'])} recordings: {first}.")
            counts.update({name: answer[name] for name in ("created", "same", "changed")})
            progress(start + len(batch), len(records), "into the portal")
        _write_records(self.config.home, records)
        styles = {record.style for record in records}
        free = sum(record.free for record in records)
        return f"{len(records)} recordings in {len(styles)} repertoires, {free} of them free to use"

    def consent(self, progress: Callable[..., None]) -> str:
        """Each demo party grants what it owns; some works stay without consent, one is withdrawn, one claimed."""
        records = _read_records(self.config.home)
        free = [record for record in records if record.free]
        withheld = {record.id for record in free[:: max(1, len(free) // WITHHELD)][:WITHHELD]}
        by_party: dict[str, list[str]] = {}
        for record in free:
            if record.id not in withheld:
                for party in {share.party.id for share in record.shares}:
                    by_party.setdefault(party, []).append(record.id)
        consents: dict[str, str] = self.state.get("consents", {})
        for done, (party, recordings) in enumerate(sorted(by_party.items())):
            progress(done, len(by_party), "grants")
            if party not in consents:
                grant = {"party": party, "recordings": recordings, "territory": "WORLD", "scopes": list(_SCOPES)}
                consents[party] = self.portal.post("consents", grant)["id"]
                self.remember("consents", consents)

        granted = [record for record in free if record.id not in withheld]
        leaver, disputed = granted[len(granted) // 3], granted[2 * len(granted) // 3]
        owner = leaver.shares[0].party
        if "withdrawal" not in self.state:
            answer = self.portal.post(f"consents/{consents[owner.id]}/withdrawals", {"recording": leaver.id})
            self.remember("withdrawal", {"recording": leaver.id, "title": leaver.title, "answer": answer.get("id")})
        if "claim" not in self.state:
            claimant = next(
                party for party in sorted(by_party) if party not in {share.party.id for share in disputed.shares}
            )
            reason = "Another setting of the same tune is registered in our catalog."
            claim = self.portal.post("claims", {"recording": disputed.id, "claimant": claimant, "reason": reason})
            self.remember("claim", {"recording": disputed.id, "title": disputed.title, "id": claim["id"]})
        return f"{len(consents)} signed grants; {len(withheld)} works unanswered, 1 withdrawn, 1 under claim"

    def refusal(self, progress: Callable[..., None]) -> str:
        """Offer everything to the gate, which must refuse it and say why."""
        from stemma.training import gate

        snapshot = self.state.get("everything")
        if snapshot is None:
            snapshot = self.portal.post(
                "snapshots", {"name": "Everything offered", "include": "all", "scopes": list(_SCOPES)}
            )["id"]
            self.remember("everything", snapshot)
        try:
            gate.check(snapshot, progress=progress)
        except gate.GateRefusal as refusal:
            rules = Counter(offence.rule for offence in refusal.offences)
            told = ", ".join(f"{count} {rule}" for rule, count in rules.most_common())
            return f"the gate refused {len({o.recording for o in refusal.offences})} recordings: {told}"
        raise StemmaError("The gate let a snapshot through that holds recordings without consent.")

    def snapshot(self, progress: Callable[..., None]) -> str:
        """Freeze what every owner granted."""
        progress(0, 1)
        answer = self.portal.post(
            "snapshots", {"name": "House catalog", "include": "eligible", "scopes": list(_SCOPES)}
        )
        self.remember("snapshot", answer["id"])
        return f"{answer['recordings']} recordings under root {answer['root'][:16]}…"

    def training(self, progress: Callable[..., None]) -> str:
        """Train on the snapshot, past the gate; resumes the run when interrupted."""
        from stemma.capacity.energy import watt_hours
        from stemma.training import run as training

        outcome = training.train(self.state["snapshot"], preset=self.preset, progress=progress, energy=watt_hours)
        self.remember("run", str(outcome.folder))
        return outcome.summary()

    def release(self, progress: Callable[..., None]) -> str:
        """Build, sign and publish the bundle; its statement goes into the log."""
        from stemma.training import release

        folder = self.config.home / "releases" / MODEL
        bundle = release.build(Path(self.state["run"]), folder, name=MODEL, progress=progress)
        release.sign(bundle)
        identifier = release.publish(bundle, progress=progress)
        self.remember("release", identifier)
        self.remember("bundle", str(bundle))
        return f"{identifier}, signed, logged and in production"

    def attribution(self, progress: Callable[..., None]) -> str:
        """Build the store from which later outputs are traced back."""
        from stemma.attribution.store import Contents, Store
        from stemma.attribution.workers import processes, room

        bundle = Path(self.state["bundle"])
        out = self.config.home / "stores" / self.state["release"]
        with processes(room()) as workers:
            store = Store.build(bundle, out, Contents(bundle, self.storage), progress=progress, workers=workers)
        store.publish(self.storage)
        return f"{len(store.manifest.recordings)} recordings × {store.checkpoints} checkpoints"

    def generations(self, progress: Callable[..., None]) -> str:
        """Three licensees make music through the API; the files land in the folder `listen`."""
        listen = self.config.home / "listen"
        listen.mkdir(exist_ok=True)
        self._wait_for_serving(progress)
        made: list[dict[str, Any]] = self.state.get("made", [])
        for number, (licensee, request) in enumerate(PIECES[len(made) :], start=len(made)):
            progress(number, len(PIECES), request["prompt"])
            serving = Client(self.config.serving_url, self.demo["api_keys"][licensee])
            record = serving.generate(**request, seed=100 + number)
            name = f"{number + 1}-{record.style}.flac"
            serving.save(record, listen / name)
            made.append({"id": record.id, "file": name, "prompt": request["prompt"], "licensee": licensee})
            self.remember("made", made)
        return f"{len(made)} pieces in {listen}"

    def facts(self, progress: Callable[..., None]) -> str:
        """Wait until every piece is attributed, and its facts have reached the portal."""
        wanted = {piece["id"]: piece["licensee"] for piece in self.state["made"]}
        deadline = time.monotonic() + ATTRIBUTION_PATIENCE
        pending = dict(wanted)
        while pending:
            progress(len(wanted) - len(pending), len(wanted), "attributed")
            for generation, licensee in list(pending.items()):
                serving = Client(self.config.serving_url, self.demo["api_keys"][licensee])
                if serving.attribution(generation) is not None:
                    del pending[generation]
            if pending and time.monotonic() > deadline:
                raise UnavailableError(
                    f"{len(pending)} pieces are not attributed after {ATTRIBUTION_PATIENCE} s.",
                    remedy="See `stemma logs serving`, then run `stemma up` again.",
                )
            time.sleep(0.5 if pending else 0)
        while True:
            answer = self.portal.post("metering/ingest", {})
            if self._ingested(wanted):
                return f"{len(wanted)} uses and their attributions in the lake and in the portal"
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"The facts have not reached the portal: {answer}.", remedy="See `stemma logs worker`."
                )
            time.sleep(1)

    def period(self, progress: Callable[..., None]) -> str:
        """Close the royalty period: pools, allocations, postings, statements."""
        if "period" not in self.state:
            self.remember("period", now().strftime("%Y-%m"))
        period = self.state["period"]
        self.portal.post("periods", {"id": period})
        progress(1, 3, "closing")
        totals = self.portal.post(f"periods/{period}/close", {"early": True})
        progress(2, 3, "checking the ledger")
        report = self.portal.get("ledger/verify")
        if not report["holds"]:
            raise StemmaError(f"The ledger does not hold: {report}.", remedy="Run `stemma ledger verify`.")
        return _closing(totals)

    def claim(self, progress: Callable[..., None]) -> str:
        """A licensee with an indemnity got a letter: the claim goes in, and a worker looks for the output."""
        progress(0, 1)
        piece = next((piece for piece in self.state["made"] if piece["licensee"] == INDEMNIFIED), None)
        if piece is None:  # told by an earlier version, which had no such licensee
            return "nothing was made here under an indemnity"
        license_ = self.portal.get(f"licenses/{self.demo['licenses'][INDEMNIFIED]}")
        sound = (self.config.home / "listen" / piece["file"]).read_bytes()
        answer = Portal(self.config, token=self.demo["tokens"][INDEMNIFIED]).upload(
            "indemnity-claims",
            {"sound": (piece["file"], sound), "letter": ("letter.txt", LETTER.encode())},
            organisation=license_["organisation"],
            claimant=CLAIMANT,
            use="api_outputs",
            story="They say that the piece is theirs. We used it in a trailer.",
        )
        self.remember("output_claim", answer["id"])
        due = "".join(f", {due['what']} by {due['at'][:10]}" for due in answer["due"])
        return f"{piece['file']}: {answer['state']} and in the log{due}"

    def verification(self, progress: Callable[..., None]) -> str:
        """Walk back from one of the files, offline."""
        from stemma.provenance import bundle
        from stemma.provenance.verify import verify_file

        progress(0, 1)
        path = self.config.home / "listen" / self.state["made"][0]["file"]
        proof = bundle.parse(path.with_name(path.name + ".proof.json").read_bytes())
        report = verify_file(path, proof)
        if report.verdict.exit_code:
            raise StemmaError(f"{path} is not verified: {report.steps[-1].detail}")
        return f"{path.name}: {report.verdict.code}, from the sound to {len(proof.manifest.consents)} signed grants"

    # Helpers

    def _wait_for_serving(self, progress: Callable[..., None]) -> None:
        serving = Client(self.config.serving_url, self.demo["api_keys"]["enterprise"])
        deadline = time.monotonic() + SERVING_PATIENCE
        while (said := serving.health()).get("release") != self.state["release"]:
            progress(0, None, "serving loads the release")
            if time.monotonic() > deadline:
                why = said.get("detail") or said.get("release")
                raise UnavailableError(
                    f"Serving has not loaded {self.state['release']} after {SERVING_PATIENCE} s: {why}",
                    remedy="See `stemma logs serving`, then run `stemma up` again.",
                )
            time.sleep(1)

    def _ingested(self, wanted: dict[str, str]) -> bool:
        answer = self.portal.get("generations", limit=100)
        known = {row["id"] for row in answer["items"] if row["attributed"]}
        return set(wanted) <= known


@dataclass(frozen=True)
class Chapter:
    """A step of the story: its name in `story.json`, its title, and what it does."""

    name: str
    title: str
    run: Callable[[Story, Callable[..., None]], str]


CHAPTERS = (
    Chapter("catalog", "House catalog", Story.catalog),
    Chapter("consent", "Consent", Story.consent),
    Chapter("refusal", "Gate", Story.refusal),
    Chapter("snapshot", "Snapshot", Story.snapshot),
    Chapter("training", "Training", Story.training),
    Chapter("release", "Release", Story.release),
    Chapter("attribution", "Attribution store", Story.attribution),
    Chapter("generations", "Generations", Story.generations),
    Chapter("facts", "Facts", Story.facts),
    Chapter("period", "Royalty period", Story.period),
    Chapter("output claim", "Claim against an output", Story.claim),
    Chapter("verification", "Verification", Story.verification),
)

_SCOPES = ("ai_generative_training", "open_weights_release")


def _records_path(home: Path) -> Path:
    return home / "catalog.jsonl"


def _write_records(home: Path, records: list[RecordingRecord]) -> None:
    part = _records_path(home).with_suffix(".part")
    with part.open("w") as file:
        file.writelines(record.model_dump_json() + "\n" for record in records)
    part.replace(_records_path(home))


def _read_records(home: Path) -> list[RecordingRecord]:
    with _records_path(home).open() as file:
        return [RecordingRecord.model_validate_json(line) for line in file]


def _closing(totals: dict[str, Any]) -> str:
    """What a closed period says in a line.  Amounts are micro-units; cents are cut, not rounded."""
    revenue, creators = (
        f"{totals[name] // 10**6:,}.{totals[name] % 10**6 // 10**4:02}" for name in ("revenue", "creators")
    )
    return (
        f"{totals['currency']} {creators} of {revenue} to creators, {totals['statements']} statements, "
        f"{totals['postings']} postings; the ledger holds"
    )


def table(home: Path) -> Table | None:
    """What there is to listen to, once the story has been told."""
    path = home / "story.json"
    if not path.exists():
        return None
    made = json.loads(path.read_text()).get("made", [])
    listing = Table(title="Listen", box=None, title_justify="left", padding=(0, 2, 0, 0))
    for column in ("file", "asked for", "licensee"):
        listing.add_column(column)
    for piece in made:
        listing.add_row(str(home / "listen" / piece["file"]), piece["prompt"], piece["licensee"])
    return listing
