"""Ports of the local stack: one default each, overridable by `STEMMA_PORT_<NAME>`, checked before use."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stemma.config import PREFIX
from stemma.errors import InvalidError, StemmaError

PORT_PREFIX = PREFIX + "PORT_"
LOOPBACK = "127.0.0.1"
GRPC_OFFSET = 10_000
"""SeaweedFS listens for gRPC at each of its ports plus this."""

S3_PORTS = ("s3", "s3_master", "s3_volume", "s3_filer")


class PortTakenError(StemmaError):
    """Another program listens where the stack wants to."""

    code = "port-taken"
    exit_code = 3


class Ports(BaseModel):
    """Where each process listens, always on the loopback address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    postgres: int = Field(15432, ge=1024, le=65535)
    redis: int = Field(16379, ge=1024, le=65535)
    # SeaweedFS's own ports stay below 22000, so that their gRPC twins stay below the ephemeral ports.
    s3: int = Field(18333, ge=1024, le=21999)
    s3_master: int = Field(18334, ge=1024, le=21999)
    s3_volume: int = Field(18335, ge=1024, le=21999)
    s3_filer: int = Field(18336, ge=1024, le=21999)
    mlflow: int = Field(15000, ge=1024, le=65535)
    portal: int = Field(18000, ge=1024, le=65535)
    serving: int = Field(18080, ge=1024, le=65535)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        taken: dict[int, str] = {}
        for name in type(self).model_fields:
            for port in self.listening(name):
                if port in taken:
                    raise ValueError(f"port {port} is given to both {taken[port]} and {name}")
                taken[port] = name
        return self

    def listening(self, name: str) -> tuple[int, ...]:
        """All ports that the process behind a name listens on."""
        port: int = getattr(self, name)
        return (port, port + GRPC_OFFSET) if name in S3_PORTS else (port,)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Ports:
        """The defaults with this environment's `STEMMA_PORT_*`.

        Raises `InvalidError` for an unknown name, a number out of range or one given twice.
        """
        env = os.environ if environ is None else environ
        given = {k.removeprefix(PORT_PREFIX).lower(): v for k, v in env.items() if k.startswith(PORT_PREFIX)}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            lines = [f"{PORT_PREFIX}{'_'.join(map(str, e['loc']))}".upper() + f": {e['msg']}" for e in error.errors()]
            known = ", ".join(PORT_PREFIX + name.upper() for name in cls.model_fields)
            raise InvalidError(f"Ports are malformed. {'; '.join(lines)}.", remedy=f"Known are {known}.") from None


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        # As servers do it: connections of an ended server, still in TIME_WAIT, are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def check(ports: Ports, name: str, numbers: tuple[int, ...]) -> None:
    """Raise `PortTakenError`, naming port, holder and remedy, unless all of a process's ports are free."""
    for port in numbers:
        if not is_free(port):
            variable = next(
                PORT_PREFIX + field.upper() for field in Ports.model_fields if port in ports.listening(field)
            )
            raise PortTakenError(
                f"Port {port}, which {name} needs, is taken by {holder(port) or 'a program of another user'}.",
                remedy=f"End that program, or choose another port: {variable}=NUMBER stemma up.",
            )


def holder(port: int) -> str:
    """Name and process id of whoever listens on a port, where the system tells; otherwise nothing."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.NoSuchProcess:
                return ""
    return ""
