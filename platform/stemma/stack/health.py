"""How the stack fares: one line per process, from the supervisor, its health check and the system."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from pydantic import BaseModel

from stemma.stack.local import Stack, first_line
from stemma.stack.processes import marked, memory
from stemma.stack.services import Service


class Status(BaseModel):
    """One process of the stack."""

    name: str
    title: str
    state: Literal["running", "unhealthy", "starting", "stopped", "failed", "orphaned"]
    """*unhealthy*: it runs and does not answer; *orphaned*: it runs without its supervisor."""
    pid: int | None = None
    ports: list[int] = []
    memory_bytes: int = 0
    """Of the process and its children, proportionally shared."""
    uptime_seconds: int = 0
    url: str = ""
    problem: str = ""


def status(stack: Stack) -> list[Status]:
    """State of every process; checks them all at once, so it takes as long as the slowest (≤ 2 s)."""
    known = stack.supervisor.info()
    found = marked(stack.home.path)

    def look(service: Service) -> Status:
        mine = found.get(service.name, [])
        line = Status(
            name=service.name,
            title=service.title,
            state="stopped",
            ports=list(service.ports[:1]),
            memory_bytes=memory(mine),
            url=service.url,
        )
        info = known.get(service.name)
        if info is None:
            if not mine:
                return line
            return line.model_copy(
                update={"state": "orphaned", "pid": mine[0].pid, "problem": "its supervisor is gone"}
            )
        if info["statename"] in {"STOPPED", "STOPPING"}:
            return line
        if info["statename"] in {"FATAL", "EXITED", "UNKNOWN"}:
            problem = info["spawnerr"] or f"ended with {info['exitstatus']}"
            return line.model_copy(update={"state": "failed", "problem": problem})
        live = {"pid": info["pid"] or None, "uptime_seconds": max(0, info["now"] - info["start"])}
        try:
            service.healthy()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            state = "starting" if info["statename"] != "RUNNING" else "unhealthy"
            return line.model_copy(update={**live, "state": state, "problem": first_line(error)})
        return line.model_copy(update={**live, "state": "running"})

    with ThreadPoolExecutor(len(stack.services)) as pool:
        return list(pool.map(look, stack.services.values()))
