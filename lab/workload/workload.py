"""A workload: requests with weights, expected statuses and places for values, as plain data."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

Scalar = str | int | float | bool
Values = dict[str, Annotated[list[Scalar], Field(min_length=1)]]

METHOD: Final = re.compile(r"[A-Z][A-Z-]*")
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
STATUSES: Final = re.compile(r"[1-5](?:xx|\d\d)")
OWN_HEADERS: Final = frozenset({"host", "connection", "content-length", "transfer-encoding", "cookie"})
"""Set by the lab."""
READS: Final = frozenset({"GET", "HEAD"})


def _method(text: str) -> str:
    if not METHOD.fullmatch(text.upper()):
        raise ValueError(f"{text!r} is not a method such as GET or POST")
    return text.upper()


def _path(text: str) -> str:
    if not text.startswith("/") or not (text.isascii() and text.isprintable()) or " " in text or "#" in text:
        raise ValueError(f"{text!r} is not a path such as /items/17?full=1, percent-encoded")
    return text


def _header_names(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if name.lower() in OWN_HEADERS:
            raise ValueError(f"the lab sets the header {name} itself")
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"the value of {name} has characters that no header can carry")
    return headers


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _statuses(value: list[int | str]) -> list[str]:
    for status in value:
        if not STATUSES.fullmatch(str(status)):
            raise ValueError(f"{status!r} is not a status such as 201 or '2xx'")
    return [str(status) for status in value]


def _beside(path: Path, info: ValidationInfo) -> Path:
    """Return the path relative to the folder of the workload's file, if the context has one."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path


File = Annotated[Path, AfterValidator(_beside)]
Headers = Annotated[dict[str, str], AfterValidator(_header_names)]
Statuses = Annotated[list[int | str], BeforeValidator(_as_list), AfterValidator(_statuses)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Part(_Strict):
    """A file in a multipart form."""

    file: File


class Body(_Strict):
    """At most one of the forms of a body."""

    json_value: Any = Field(default=None, alias="json")
    form: dict[str, Scalar] | None = None
    multipart: dict[str, Scalar | Part] | None = None
    file: File | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _has_one_body(self) -> "Body":
        if len(self.body_forms) > 1:
            raise ValueError(f"a request has one body, not {' and '.join(self.body_forms)}")
        return self

    @property
    def body_forms(self) -> list[str]:
        """The form of the body, if it has one."""
        named = {
            "json": self.json_value,
            "form": self.form,
            "multipart": self.multipart,
            "file": self.file,
            "text": self.text,
        }
        return [name for name, value in named.items() if value is not None]


class Template(Body):
    """A request with places for values: `{name}` in the path, headers and body, `${NAME}` for the environment."""

    method: Annotated[str, AfterValidator(_method)] = "GET"
    path: Annotated[str, AfterValidator(_path)]
    headers: Headers = {}
    expect: Statuses = ["2xx"]
    literal: bool = False
    """Whether braces are sent as they are."""

    def expects(self, status: int) -> bool:
        return any(str(status) == each or f"{status // 100}xx" == each for each in self.expect)


class RequestTemplate(Template):
    """One of the requests that are drawn by weight."""

    name: str = ""
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    values: Values = {}

    @property
    def kind(self) -> str:
        return self.name or f"{self.method} {self.path}"


class Login(Template):
    """Sent once per client, before its first request."""

    method: Annotated[str, AfterValidator(_method)] = "POST"
    token: str = ""
    """Where the JSON response has the token, as `data.access_token`; empty: the session is a cookie."""


class Workload(_Strict):
    """What clients send."""

    requests: Annotated[list[RequestTemplate], Field(min_length=1)]
    clients: Annotated[int, Field(ge=1, le=1000)] = 20
    headers: Headers = {}
    values: Values = {}
    csv: File | None = None
    """Its columns are values; the values of a request come from the same row."""
    login: Login | None = None

    @classmethod
    def of(cls, *targets: str) -> Self:
        """Return a workload of GET requests to these targets, in equal shares."""
        return cls(requests=[RequestTemplate(path=target, literal=True) for target in targets])

    def encode(self) -> str:
        """Return it as JSON, without any secret: it has the names of variables only."""
        return self.model_dump_json(by_alias=True)

    @property
    def writes(self) -> list[str]:
        """The kinds of requests that may change something."""
        return list(dict.fromkeys(each.kind for each in self.requests if each.method not in READS))

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(each.kind for each in self.requests))
