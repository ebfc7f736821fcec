"""What this package emits beyond the semantic conventions, from its registry for Weaver."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

import yaml

from docsgen.markdown import code, table

REGISTRY: Final = files("observability") / "semconv"


def groups(kind: str) -> list[dict[str, Any]]:
    """Return the registry's groups of one type: `attribute_group`, `event`, `metric`."""
    contents = [yaml.safe_load(file.read_text("utf-8")) for file in REGISTRY.iterdir() if file.name.endswith(".yaml")]
    found = [group for content in contents for group in content.get("groups", ()) if group["type"] == kind]
    return sorted(found, key=lambda group: str(group["id"]))


def attributes() -> list[dict[str, Any]]:
    return [attribute for group in groups("attribute_group") for attribute in group["attributes"]]


def semantic_conventions_page() -> Mapping[str, str]:
    return {
        "attributes": table(
            ["attribute", "type", "meaning", "values"],
            ([f"`{one['id']}`", _type(one["type"]), one["brief"], _values(one)] for one in attributes()),
        ),
        "events": table(
            ["event", "meaning", "attributes"],
            ([f"`{one['name']}`", one["brief"], code(a["ref"] for a in one["attributes"])] for one in groups("event")),
        ),
        "metrics": table(
            ["metric", "instrument", "unit"],
            ([f"`{one['metric_name']}`", one["instrument"], f"`{one['unit']}`"] for one in groups("metric")),
        ),
    }


def _type(kind: str | Mapping[str, Any]) -> str:
    return kind if isinstance(kind, str) else "string"


def _values(attribute: Mapping[str, Any]) -> str:
    kind = attribute["type"]
    if isinstance(kind, dict):
        return code(member["value"] for member in kind["members"])
    return f"such as {code(map(str, attribute['examples']))}" if "examples" in attribute else "`true`"
