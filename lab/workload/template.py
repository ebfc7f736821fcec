"""Templates, compiled once: what has no places for values costs nothing per request."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from lab.core.errors import BadTarget
from lab.workload.secrets import PLACE, check_fields, check_header, check_text
from lab.workload.workload import Body, Part, Scalar, Template

Drawn = Mapping[str, Scalar]
JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
BOUNDARY: Final = "flightdeck-6f1d2c8a90"
TOKEN: Final = "token"  # noqa: S105 the name of a value
"""The value that a client gets from its login."""


def as_text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _header_value(value: Scalar) -> str:
    """Return the value, percent-encoded where a header cannot carry it."""
    text = as_text(value)
    return text if text.isascii() and text.isprintable() else quote(text)


def _encoded(value: Scalar) -> str:
    return quote(as_text(value), safe="")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the places of a template may name."""

    where: str
    names: frozenset[str]
    environ: Mapping[str, str]
    is_literal: bool = False
    keeps_unknown: bool = False
    """Whether `{name}` without such a value is text, as in GraphQL."""

    def knows(self, name: str) -> bool:
        """Return whether there is such a value; raise `BadTarget` if there has to be."""
        if name not in self.names and not self.keeps_unknown:
            known = ", ".join(sorted(self.names)) or "none"
            raise BadTarget(f"{self.where}: no value named {name}; there are: {known}")
        return name in self.names

    def secret(self, variable: str) -> str:
        value = self.environ.get(variable, "")
        if not value:
            raise BadTarget(f"{self.where}: set {variable} in the environment")
        if not (value.isascii() and value.isprintable()):
            raise BadTarget(f"{self.where}: the value of {variable} has characters that are not printable ASCII")
        return value


class Text:
    """A text with places; `encode` is applied to what is put there."""

    def __init__(self, text: str, scope: Scope, *, encode: Callable[[Scalar], str] = as_text) -> None:
        self._encode = encode
        self._parts: list[str] = []
        """Text and names in turn, beginning with text."""
        begun, before = 0, ""
        for place in [] if scope.is_literal else PLACE.finditer(text):
            before += text[begun : place.start()]
            begun = place.end()
            if place[1]:
                before += encode(scope.secret(place[2]))
            elif scope.knows(place[2]):
                self._parts += [before, place[2]]
                before = ""
            else:
                before += place[0]
        self._parts.append(before + text[begun:])

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._parts[1::2])

    def filled(self, values: Drawn) -> str:
        if len(self._parts) == 1:
            return self._parts[0]
        return "".join(self._encode(values[part]) if number % 2 else part for number, part in enumerate(self._parts))


@dataclass(frozen=True, kw_only=True)
class CompiledBody:
    content_type: str = ""
    names: frozenset[str] = frozenset()
    filled: Callable[[Drawn], bytes] = lambda _: b""

    def constant_if_possible(self) -> "CompiledBody":
        """Return a body that is built once, if it needs no values."""
        if self.names:
            return self
        built = self.filled({})
        return replace(self, filled=lambda _: built)


@dataclass(frozen=True, kw_only=True)
class CompiledRequest:
    """A request whose secrets are known; only drawn values and the client's token are missing."""

    template: Template
    path: Text
    headers: tuple[tuple[str, Text], ...]
    body: CompiledBody

    @property
    def names(self) -> frozenset[str]:
        """The values that it needs."""
        return self.path.names.union(self.body.names, *(value.names for _, value in self.headers))


def compiled(request: Template, scope: Scope, common: Mapping[str, str]) -> CompiledRequest:
    """Compile a request with the headers of the whole workload; raise `BadTarget` for what cannot be sent."""
    own = replace(scope, is_literal=request.literal)
    texts: dict[str, Text] = {}
    for headers, within in ((common, scope), (request.headers, own)):
        for name, value in headers.items():
            check_header(name, value, where=scope.where)
            texts[name.lower()] = Text(value, within, encode=_header_value)
    body = _body(request, own).constant_if_possible()
    if body.content_type:
        texts.setdefault("content-type", Text(body.content_type, replace(scope, is_literal=True)))
    path = Text(request.path, own, encode=_encoded)
    return CompiledRequest(template=request, path=path, headers=tuple(texts.items()), body=body)


def _body(request: Body, scope: Scope) -> CompiledBody:
    if request.json_value is not None:
        return _json_body(request.json_value, scope)
    if request.form is not None:
        return _form_body(request.form, scope)
    if request.multipart is not None:
        return _multipart_body(request.multipart, scope)
    if request.file is not None:
        content = _content(request.file, scope)
        content_type = guess_type(request.file.name)[0] or "application/octet-stream"
        return CompiledBody(content_type=content_type, filled=lambda _: content)
    if request.text is not None:
        check_text(request.text, where=scope.where)
        text = Text(request.text, replace(scope, keeps_unknown=True))
        content_type = JSON_TYPE if request.text.lstrip()[:1] in {"{", "["} else "text/plain; charset=utf-8"
        return CompiledBody(
            content_type=content_type, names=text.names, filled=lambda values: text.filled(values).encode()
        )
    return CompiledBody()


def _json_body(value: Any, scope: Scope) -> CompiledBody:
    check_fields(value, where=scope.where)
    names: set[str] = set()
    fill = _json_filler(value, scope, names)
    return CompiledBody(
        content_type=JSON_TYPE,
        names=frozenset(names),
        filled=lambda values: json.dumps(fill(values), separators=(",", ":")).encode(),
    )


def _json_filler(value: Any, scope: Scope, names: set[str]) -> Callable[[Drawn], Any]:
    """Return a function of the values; a string that is one place becomes the value with its type."""
    if isinstance(value, dict):
        fields = {key: _json_filler(inner, scope, names) for key, inner in value.items()}
        return lambda values: {key: fill(values) for key, fill in fields.items()}
    if isinstance(value, list):
        items = [_json_filler(inner, scope, names) for inner in value]
        return lambda values: [fill(values) for fill in items]
    if not isinstance(value, str):
        return lambda _: value
    text = Text(value, scope)
    names |= text.names
    place = PLACE.fullmatch(value)
    if place and text.names:
        return lambda values: values[place[2]]
    return text.filled


def _form_body(form: Mapping[str, Scalar], scope: Scope) -> CompiledBody:
    check_fields(form, where=scope.where)
    texts = {name: Text(as_text(value), scope) for name, value in form.items()}
    return CompiledBody(
        content_type=FORM_TYPE,
        names=frozenset[str]().union(*(text.names for text in texts.values())),
        filled=lambda values: urlencode({name: text.filled(values) for name, text in texts.items()}).encode(),
    )


def _multipart_body(parts: Mapping[str, Scalar | Part], scope: Scope) -> CompiledBody:
    files = {
        name: (part.file.name, _content(part.file, scope)) for name, part in parts.items() if isinstance(part, Part)
    }
    fields = {name: as_text(part) for name, part in parts.items() if not isinstance(part, Part)}
    check_fields(fields, where=scope.where)
    texts = {name: Text(value, scope) for name, value in fields.items()}
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}

    def filled(values: Drawn) -> bytes:
        data = {name: text.filled(values) for name, text in texts.items()}
        # httpx encodes a form without files in another way, so that every field is a part here.
        every = [(name, (None, value)) for name, value in data.items()] + list(files.items())
        return httpx.Request("POST", "http://service", headers=headers, files=every).read()

    return CompiledBody(
        content_type=headers["content-type"],
        names=frozenset[str]().union(*(text.names for text in texts.values())),
        filled=filled,
    )


def _content(path: Path, scope: Scope) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadTarget(f"{scope.where}: {path}: {error.strerror}") from error
