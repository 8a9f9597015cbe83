"""The command line as its users meet it: fast, and clear when something is wrong."""

import json
import os
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from stemma.cli import COMMANDS, build


def stemma(*words, **more):
    environ = {k: v for k, v in os.environ.items() if not k.startswith("STEMMA_")} | {"COLUMNS": "160"} | more
    command = [sys.executable, "-c", "from stemma.cli import main; main()", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_help_names_every_command():
    done = stemma("--help")
    assert done.returncode == 0
    for name, entry in COMMANDS.items():
        assert name in done.stdout
        assert entry.help in done.stdout


def test_help_is_fast():
    """Within 0.4 s of processor time: nothing heavy is loaded to print it."""
    heavy = "{'boto3', 'torch', 'django', 'mlflow', 'httpx', 'psycopg', 'numpy', 'music21', 'ray'}"
    code = f"import sys, time, stemma.cli as c; c.build(()); print({heavy} & set(sys.modules), time.process_time())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, seconds = done.stdout.rsplit(maxsplit=1)
    assert modules == "set()"
    assert float(seconds) < 0.4


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = CliRunner().invoke(build({name}), [name, "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage" in done.output
    assert "no help" not in done.output


def test_no_command_is_no_crash():
    assert "Usage" in stemma().stdout + stemma().stderr


def test_version():
    from stemma import __version__

    assert stemma("--version").stdout == f"stemma {__version__}\n"


def test_an_unknown_command_is_refused():
    done = stemma("sing")
    assert done.returncode == 2
    assert "sing" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_a_message_and_a_remedy(tmp_path):
    done = stemma("logs", "postgress", STEMMA_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "There is no 'postgress'." in done.stderr
    assert "Choose among postgres, redis" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("STEMMA_PORT_PORTALL", "18000", "STEMMA_PORT_PORTALL"),
        ("STEMMA_PORT_PORTAL", "99999", "STEMMA_PORT_PORTAL"),
        ("STEMMA_HOMER", "/tmp", "STEMMA_HOMER"),  # noqa: S108 - a misspelt variable
    ],
)
def test_a_misspelt_setting_is_named(variable, value, said, tmp_path):
    done = stemma("status", **{"STEMMA_HOME": str(tmp_path), variable: value})
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_status_of_nothing(tmp_path):
    done = stemma("status", "--json", STEMMA_HOME=str(tmp_path / "home"))
    assert done.returncode == 3
    assert {line["state"] for line in json.loads(done.stdout)} == {"stopped"}
    assert not (tmp_path / "home").exists()


def test_down_of_nothing(tmp_path):
    done = stemma("down", STEMMA_HOME=str(tmp_path / "home"))
    assert done.returncode == 0
    assert not (tmp_path / "home").exists()


def test_a_mistake_of_ours_is_kept_for_the_report(tmp_path):
    """No traceback on the screen; it lies in the home folder."""
    code = (
        "import sys; sys.argv = ['stemma', 'status']\n"
        "import stemma.stack.health as h; h.status = lambda stack: 1 / 0\n"
        "from stemma.cli import main; main()"
    )
    environ = {**os.environ, "STEMMA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in (tmp_path / "logs" / "last-mistake.txt").read_text()


def test_a_half_installed_environment_is_told(tmp_path):
    code = (
        "import sys; sys.argv = ['stemma', 'status']; sys.modules['psutil'] = None\nfrom stemma.cli import main; main()"
    )
    environ = {**os.environ, "STEMMA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "psutil is not installed" in done.stderr
    assert "make install" in done.stderr


def test_keys_are_made_and_shown(tmp_path):
    home = {"STEMMA_HOME": str(tmp_path)}
    assert stemma("keys", "create", **home).returncode == 0
    first = json.loads(stemma("keys", "show", **home).stdout)["keys"]
    assert "d" not in first[0]
    refused = stemma("keys", "rotate", "sing", **home)
    assert refused.returncode == 2
    assert "log, rights, license, certificate, release" in refused.stderr


def test_logs_follow_a_growing_file_over_its_rotation(tmp_path):
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "redis.log"
    log.write_text("first\n")
    command = [sys.executable, "-uc", "from stemma.cli import main; main()", "logs", "redis", "-f"]
    environ = {**os.environ, "STEMMA_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "first\n"
        time.sleep(0.5)
        with log.open("a") as file:
            file.write("second\n")
        assert process.stdout.readline() == "second\n"
        log.rename(tmp_path / "logs" / "redis.log.1")
        log.write_text("third\n")
        assert process.stdout.readline() == "third\n"
        process.terminate()
