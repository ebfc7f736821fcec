"""An OpenAPI 3 document: its GET operations whose required parameters have examples."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
import yaml
from pydantic import ValidationError

from lab.core.errors import BadTarget
from lab.workload.imported import Imported, imported
from lab.workload.secrets import is_sensitive
from lab.workload.workload import RequestTemplate, Scalar

NO_EXAMPLE: Final = "operations with a required parameter that has no example"
SECRET: Final = "operations with a required parameter that may be a secret"  # noqa: S105 a sentence
Object = Mapping[str, Any]


def read_openapi(source: str) -> Imported:
    """Read the document from a file or a URL; raise `BadTarget` if no operation of it can be sent."""
    document = _document(source)
    left_out = Counter[str]()
    requests = []
    try:
        servers = document.get("servers") or [{"url": ""}]
        prefix = urlsplit(servers[0].get("url", "")).path.rstrip("/")
        for path, item in document["paths"].items():
            item = _resolved(item, document)  # noqa: PLW2901 the item itself may be a reference
            if "get" not in item:
                continue
            listed = [*item.get("parameters", []), *item["get"].get("parameters", [])]
            parameters = [_resolved(parameter, document) for parameter in listed]
            request = _request(prefix, path, parameters, document)
            if isinstance(request, str):
                left_out[request] += 1
            else:
                requests.append(request)
    except (KeyError, TypeError, AttributeError, ValueError, ValidationError) as error:
        raise BadTarget(f"{source} is not a valid OpenAPI 3 document: {type(error).__name__} in its paths") from error
    return imported(requests, left_out, source=source)


def _document(source: str) -> dict[str, Any]:
    try:
        if source.startswith(("http://", "https://")):
            text = httpx.get(source, timeout=10, follow_redirects=True).raise_for_status().text
        else:
            text = Path(source).read_text(encoding="utf-8")
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadTarget(f"{source}: {error}") from error
    except OSError as error:
        raise BadTarget(f"{source}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise BadTarget(f"{source} is neither JSON nor YAML") from error
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise BadTarget(f"{source} is not an OpenAPI 3 document")
    return document


def _request(prefix: str, path: str, parameters: list[Object], document: Object) -> RequestTemplate | str:
    """Return the request, or why it cannot be sent."""
    places: dict[str, str] = {}
    query: list[str] = []
    headers: dict[str, str] = {}
    values: dict[str, list[Scalar]] = {}
    for parameter in {(each["in"], each["name"]): each for each in parameters}.values():
        name, place, is_required = parameter["name"], parameter["in"], parameter.get("required", False)
        examples = _examples(parameter, document, is_required=is_required)
        if is_sensitive(name) or place == "cookie" or not examples:
            if is_required:
                return SECRET if is_sensitive(name) else NO_EXAMPLE
            continue
        value = f"value_{len(values)}"
        values[value] = examples
        if place == "path":
            places[name] = f"{{{value}}}"
        elif place == "query":
            query.append(f"{quote(name, safe='')}={{{value}}}")
        else:
            headers[name] = f"{{{value}}}"
    target = path
    for name, value in places.items():
        target = target.replace(f"{{{name}}}", value)
    return RequestTemplate(
        name=f"GET {path}",
        path=f"{prefix}{target}{'?' if query else ''}{'&'.join(query)}",
        headers=headers,
        values=values,
    )


def _examples(parameter: Object, document: Object, *, is_required: bool) -> list[Scalar]:
    """Return the examples of a parameter; for a required one also its default or its allowed values."""
    schema = _resolved(parameter.get("schema", {}), document)
    found: list[Any] = [parameter["example"]] if "example" in parameter else []
    found += [_resolved(each, document).get("value") for each in parameter.get("examples", {}).values()]
    if not found:
        found = [schema["example"]] if "example" in schema else list(schema.get("examples", []))
    if not found and is_required:
        found = [schema["default"]] if "default" in schema else list(schema.get("enum", []))
    flat = [item for each in found for item in (each if isinstance(each, list) else [each])]
    return [item for item in flat if isinstance(item, str | int | float | bool) and item != ""]


def _resolved(value: Object, document: Object) -> Object:
    """Follow a reference within the document."""
    for _ in range(20):
        if "$ref" not in value:
            return value
        found: Any = document
        for part in str(value["$ref"]).removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        value = found
    raise ValueError("circular references")
