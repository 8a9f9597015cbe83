import os
import socket

import pytest

from stemma.errors import InvalidError
from stemma.stack.ports import Ports, PortTakenError, check, is_free


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_defaults_are_the_documented_ones():
    ports = Ports.from_environ({})
    assert (ports.postgres, ports.redis, ports.s3) == (15432, 16379, 18333)
    assert (ports.mlflow, ports.portal, ports.serving) == (15000, 18000, 18080)


def test_each_port_can_be_chosen():
    assert Ports.from_environ({"STEMMA_PORT_PORTAL": "18001", "HOME": "/"}).portal == 18001


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"STEMMA_PORT_PORTALL": "1"}, "STEMMA_PORT_PORTALL"),
        ({"STEMMA_PORT_PORTAL": "eighty"}, "STEMMA_PORT_PORTAL"),
        ({"STEMMA_PORT_PORTAL": "80"}, "STEMMA_PORT_PORTAL"),
        ({"STEMMA_PORT_S3": "30000"}, "STEMMA_PORT_S3"),
        ({"STEMMA_PORT_PORTAL": "18080"}, "given to both portal and serving"),
        ({"STEMMA_PORT_PORTAL": "28333"}, "given to both s3 and portal"),
    ],
)
def test_malformed_ports_are_named(variables, said):
    with pytest.raises(InvalidError, match=said):
        Ports.from_environ(variables)


def test_a_taken_port_names_its_holder_and_the_remedy(taken):
    assert not is_free(taken)
    with pytest.raises(PortTakenError) as caught:
        check(Ports(portal=taken), "portal", (taken,))
    assert str(taken) in caught.value.message
    assert f"process {os.getpid()}" in caught.value.message
    assert "STEMMA_PORT_PORTAL=" in caught.value.remedy


def test_a_free_port_passes():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check(Ports(portal=port), "portal", (port,))
