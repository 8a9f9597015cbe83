"""`python -m stemma_serving.keeper`: ships and attributes what a gateway in the same pod leaves in the spool.

It outlives the gateway: after SIGTERM it goes on until nothing waits any more, or until its patience
or that of whoever stops it ends.  What waits then stays in the spool.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from stemma.config import settings
from stemma.errors import StemmaError
from stemma.storage import Storage
from stemma_serving import pending
from stemma_serving.attributor import Desk
from stemma_serving.config import ServingConfig
from stemma_serving.usage import Shipper

log = logging.getLogger("stemma_serving.keeper")


class Keeper:
    """Two loops, since a slow attribution must not hold up a fact."""

    def __init__(self, spool: Path, storage: Storage, home: Path, config: ServingConfig) -> None:
        self._spool, self._config = spool, config
        self._shipper, self._desk = Shipper(spool, storage), Desk(spool, storage, home, config.spool)
        self._stop = threading.Event()
        self._shipped = {"usage": 0, "attribution": 0}

    def run(self, patience: float) -> int:
        """Keep until asked to stop, then drain for at most so many seconds; how much is left waiting."""
        attributing = threading.Thread(target=self._attribute, name="attribution", daemon=True)
        attributing.start()
        while not self._stop.wait(self._config.spool.segment_seconds / 2):
            self._ship()
        until = time.monotonic() + patience
        # A gateway that was killed has left its segment open: its lock is free, so it is adopted.
        while time.monotonic() < until:
            self._ship()
            if not self.waiting():
                break
            time.sleep(0.2)
        attributing.join(max(0.0, until - time.monotonic()))
        if not attributing.is_alive():
            self._desk.close()
        self._ship()
        return self.waiting()

    def stop(self, *_: object) -> None:
        """Drain and end."""
        self._stop.set()

    def waiting(self) -> int:
        """Segments and generations that are not done with."""
        found = sum(1 for kind in self._shipped for _ in (self._spool / kind).glob("*.ready"))
        found += sum(1 for _ in (self._spool / "usage").glob("*.open"))
        return found + pending.count(self._spool)

    def figures(self) -> str:
        """What Prometheus reads."""
        lines = []
        for kind, count in self._shipped.items():
            waiting = list((self._spool / kind).glob("*.ready"))
            oldest = min((path.stat().st_mtime for path in waiting if path.exists()), default=time.time())
            lines += [
                f'stemma_keeper_facts_shipped_total{{kind="{kind}"}} {count}',
                f'stemma_keeper_spool_segments{{kind="{kind}"}} {len(waiting)}',
                f'stemma_keeper_spool_age_seconds{{kind="{kind}"}} {max(0.0, time.time() - oldest):.1f}',
            ]
        lines.append(f"stemma_keeper_attributions_pending {pending.count(self._spool)}")
        lines.append(f"stemma_keeper_attributions_aside {pending.count(self._spool, pending.ASIDE)}")
        return "\n".join(lines) + "\n"

    def _ship(self) -> None:
        try:
            for kind, count in self._shipper.ship().items():
                self._shipped[kind] += count
        except (StemmaError, OSError) as error:
            log.warning("Facts stay on disk until the storage takes them: %s", error)
        except Exception:
            log.exception("Shipping failed; it is tried again.")

    def _attribute(self) -> None:
        import torch

        torch.set_num_threads(self._config.attributor.threads)
        while not (self._stop.is_set() and not pending.count(self._spool)):
            try:
                self._desk.work()
            except (StemmaError, OSError) as error:
                log.warning("Attribution waits: %s", error)
            except Exception:
                log.exception("Attribution failed; it is tried again.")
                time.sleep(5)
            time.sleep(self._config.attributor.poll_seconds)


def serve_figures(keeper: Keeper, port: int) -> ThreadingHTTPServer:
    """`/metrics` and `/livez` on every interface of the pod."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/metrics": keeper.figures, "/livez": lambda: "ok\n"}
            answer = known.get(self.path)
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(answer().encode() if answer else b"")

        def log_message(self, *_: object) -> None:
            """Nothing: probes are many."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="figures", daemon=True).start()
    return server


def main() -> int:
    """Entry; exit code 1 when something still waits."""
    parser = argparse.ArgumentParser(prog="python -m stemma_serving.keeper", description=__doc__)
    parser.add_argument("--config", default="{}", help="the configuration of serving, as JSON")
    parser.add_argument("--port", type=int, default=9103, help="of figures for Prometheus")
    parser.add_argument("--patience", type=float, default=60, help="seconds to drain in")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    where = settings()
    config = ServingConfig.model_validate(json.loads(given.config))
    where.spool_path.mkdir(parents=True, exist_ok=True)
    keeper = Keeper(where.spool_path, Storage(where), where.home / "serving", config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, keeper.stop)
    server = serve_figures(keeper, given.port)
    left = keeper.run(given.patience)
    server.shutdown()
    if left:
        log.error("%d segments and attributions still wait in %s.", left, where.spool_path)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
