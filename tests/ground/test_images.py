"""What an image installs is enough for what it runs: the portal's carries neither torch nor Ray."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.unit

IMPORT_ALL = """
import importlib, pkgutil, sys

absent, package = set(sys.argv[1].split(",")), sys.argv[2]

class OnlyInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"{name} is not in this image", name=name)

sys.meta_path.insert(0, OnlyInstalled())
root = importlib.import_module(package)
if package == "stemma_portal":
    import django
    django.setup()
for module in pkgutil.walk_packages(root.__path__, package + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted(set(sys.modules) & {"torch", "ray", "mlflow", "transformers"}))
"""


def installed_by(extra: str) -> set[str]:
    """Names of all distributions that `pip install stemma[extra]` brings."""
    seen: set[tuple[str, str]] = set()
    todo = [("stemma", extra), ("stemma", "")]
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for text in requires:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                needed = canonicalize_name(requirement.name)
                todo += [(needed, ""), *((needed, canonicalize_name(e)) for e in requirement.extras)]
    return {name for name, _ in seen}


def absent_with(distributions: set[str]) -> set[str]:
    """Top-level modules that are here, but that none of these distributions brings."""
    return {
        module
        for module, owners in packages_distributions().items()
        if not any(canonicalize_name(owner) in distributions for owner in owners)
    }


def test_the_portal_needs_only_what_its_image_has(tmp_path, monkeypatch):
    distributions = installed_by("portal")
    assert not {"torch", "ray", "mlflow", "transformers"} & distributions
    environment = {
        "PATH": "",
        "STEMMA_HOME": str(tmp_path),
        "STEMMA_SECRET_KEY": "k" * 50,
        "DJANGO_SETTINGS_MODULE": "stemma_portal.config.settings",
    }
    found = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(sorted(absent_with(distributions))), "stemma_portal"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == ""
