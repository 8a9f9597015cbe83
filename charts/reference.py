"""Makes values.schema.json and the table in README.md of the chart from values.yaml: `reference.py [--check]`.

values.yaml is the one source: the comments above a key are its documentation, its default tells its
type, and a line `# @schema {…}` adds what a default cannot say.  Every object is closed: a key that
values.yaml does not know is refused.  What `serving.config` may hold comes from the typed
configuration of serving itself.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from stemma_serving.config import ServingConfig

CHART = Path(__file__).parent / "stemma"
TEXTS = {"type": "object", "additionalProperties": {"type": ["string", "integer", "number"]}}
RESOURCES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"requests": TEXTS, "limits": TEXTS},
}
TOLERATIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "key": {"type": "string"},
            "operator": {"enum": ["Exists", "Equal"]},
            "value": {"type": "string"},
            "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
            "tolerationSeconds": {"type": "integer"},
        },
    },
}
GROUP = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "min", "max", "cpus", "resources"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$"},
        "min": {"type": "integer", "minimum": 0},
        "max": {"type": "integer", "minimum": 1},
        "cpus": {"type": "number", "exclusiveMinimum": 0},
        "gpu": {"type": "integer", "minimum": 0},
        "gpuResource": {"type": "string", "pattern": "^[a-z0-9.-]+/[A-Za-z0-9._-]+$"},
        "nodeSelector": {"type": "object", "additionalProperties": {"type": "string"}},
        "tolerations": {"$ref": "#/$defs/tolerations"},
        "affinity": {"type": "object", "description": "As Kubernetes has it, which checks it."},
        "spread": {"type": "boolean"},
        "priorityClassName": {"type": "string"},
        "resources": {"$ref": "#/$defs/resources"},
    },
}
ENGINE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "size": {"type": "string"},
        "storageClass": {"type": "string"},
        "resources": {"$ref": "#/$defs/resources"},
    },
}
KEY = re.compile(r"^( *)([A-Za-z][\w.-]*):")


def comments(text: str) -> dict[tuple[str, ...], tuple[str, dict[str, Any]]]:
    """For each key, by its path: its documentation and what its `@schema` line adds."""
    found, path, said, more = {}, [], [], {}
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# @schema "):
            more = json.loads(bare.removeprefix("# @schema "))
        elif bare.startswith("#"):
            said.append(bare.lstrip("# "))
        elif match := KEY.match(line):
            path = [*path[: len(match[1]) // 2], match[2]]
            found[tuple(path)] = (" ".join(said), more)
            said, more = [], {}
        else:
            said, more = [], {}
    return found


def schema(values: Any, known: dict, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON schema of a value, from its default and its comments."""
    said, more = known.get(path, ("", {}))
    described = {"description": said} if said else {}
    if "$ref" in more:
        return more | described
    match values:
        case bool():
            made: dict[str, Any] = {"type": "boolean"}
        case int():
            made = {"type": "integer", "minimum": -1_000_000_000 if path[:1] == ("priorityClasses",) else 0}
        case float():
            made = {"type": "number"}
        case str():
            made = {"type": "string"}
        case list():
            made = {"type": "array"}
        case _:
            inner = {key: schema(value, known, (*path, key)) for key, value in values.items()}
            made = {"type": "object", "additionalProperties": False, "properties": inner}
    if "additionalProperties" in more:
        made.pop("properties", None)
    return made | more | described


def serving() -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of serving as a schema, and the definitions that it refers to."""
    made = ServingConfig.model_json_schema(ref_template="#/$defs/serving-{model}")
    parts = {f"serving-{name}": part for name, part in made.pop("$defs").items()}
    return made, parts


def values_schema() -> str:
    """The text of values.schema.json."""
    text = (CHART / "values.yaml").read_text()
    config, parts = serving()
    definitions = {"resources": RESOURCES, "tolerations": TOLERATIONS, "group": GROUP, "engine": ENGINE}
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of the chart stemma"}
    whole |= schema(yaml.safe_load(text), comments(text))
    whole["properties"]["global"] = {"type": "object", "description": "Helm's own; nothing here reads it."}
    whole["$defs"] = definitions | {"serving": config} | parts
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def readme(old: str) -> str:
    """README.md with its table of values made anew."""
    text = (CHART / "values.yaml").read_text()
    known, values = comments(text), yaml.safe_load(text)
    rows = ["| value | default | |", "|---|---|---|"]
    for path, (said, _) in known.items():
        value: Any = values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict) and value and any((*path, key) in known for key in value):
            rows.append(f"| **`{'.'.join(path)}`** | | {said} |")
            continue
        shown = json.dumps(value, ensure_ascii=False)
        shown = shown if len(shown) < 60 else "see values.yaml"
        rows.append(f"| `{'.'.join(path)}` | `{shown}` | {said} |")
    begin, end = "<!-- values -->\n", "<!-- /values -->"
    head, rest = old.split(begin, 1)
    return head + begin + "\n".join(rows) + "\n" + end + rest.split(end, 1)[1]


def main(arguments: list[str]) -> int:
    """Write both files; with --check, tell which are not as they would be written."""
    page = CHART / "README.md"
    wanted = {CHART / "values.schema.json": values_schema(), page: readme(page.read_text())}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path} is not made from values.yaml as it is: run `make chart`.", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
