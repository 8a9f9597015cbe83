"""The typefaces (SIL Open Font License), taken from packages so that no font file is copied into the repository."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

PREFIX = "fonts"
FACES = {
    "font_source_serif_pro": ("SourceSerifPro-Light.ttf", "SourceSerifPro-Regular.ttf", "SourceSerifPro-It.ttf"),
    "font_source_sans_pro": ("SourceSansPro-Regular.ttf", "SourceSansPro-It.ttf", "SourceSansPro-Semibold.ttf"),
}
"""The faces the style sheets name, by package; the packages carry many more."""


def folder(package: str) -> Path:
    """Where a typeface package keeps its files; it is looked up, never imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: the pages would have no typeface")
    return Path(spec.origin).parent / "files"


class FontFinder(BaseFinder):
    """Lets `collectstatic` and the development server find the faces under `fonts/`."""

    def find(self, path: str, find_all: bool = False, **_kwargs: Any) -> Any:
        """The file behind a static path, or all of them."""
        for package, names in FACES.items():
            for name in names:
                if path == f"{PREFIX}/{name}":
                    found = str(folder(package) / name)
                    return [found] if find_all else found
        return []

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, FileSystemStorage]]:  # noqa: ARG002 (Django's signature)
        """Every face with the storage it lies in."""
        for package, names in FACES.items():
            storage = FileSystemStorage(location=folder(package))
            storage.prefix = PREFIX  # type: ignore[attr-defined]
            for name in names:
                yield name, storage
