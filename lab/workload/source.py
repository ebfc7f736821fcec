"""Where a workload comes from: single requests, a file, an OpenAPI document or an access log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lab.core.errors import BadTarget
from lab.workload.access_log import read_access_log
from lab.workload.draw import PreparedWorkload
from lab.workload.har import read_har
from lab.workload.imported import Imported
from lab.workload.openapi import read_openapi
from lab.workload.secrets import redacted
from lab.workload.toml_file import read_toml
from lab.workload.workload import RequestTemplate, Workload

SOURCES: Final = ("--request", "--requests", "--openapi", "--access-log")


def selected(*, requests: Sequence[str], file: Path | None, openapi: str, access_log: Path | None) -> Imported:
    """Return the workload of the one source that is given; raise `BadTarget` for none, several or a wrong one."""
    given = [name for name, value in zip(SOURCES, (requests, file, openapi, access_log), strict=True) if value]
    if len(given) != 1:
        raise BadTarget(f"name the requests with one of {', '.join(SOURCES)}{f', not {len(given)}' if given else ''}")
    if file is not None:
        if file.suffix.lower() == ".toml":
            return Imported(workload=read_toml(file))
        if file.suffix.lower() == ".har":
            return read_har(file)
        raise BadTarget(f"{file} is neither a .toml nor a .har file")
    if access_log is not None:
        return read_access_log(access_log)
    if openapi:
        return read_openapi(openapi)
    return Imported(workload=Workload(requests=[parsed_request(text) for text in requests]))


def parsed_request(text: str) -> RequestTemplate:
    """Return the request of `GET /path` or `/path`; raise `BadTarget` for anything else."""
    method, _, target = text.strip().rpartition(" ")
    try:
        return RequestTemplate(
            name=f"{method.strip().upper() or 'GET'} {redacted(target)}",
            method=method.strip() or "GET",
            path=target,
            literal=True,
        )
    except ValidationError as error:
        raise BadTarget(f"{redacted(text)!r} is not a request such as 'GET /path?query'") from error


def parsed_header(text: str) -> tuple[str, str]:
    """Return name and value of `Name: value`; raise `BadTarget` for anything else."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise BadTarget("a header looks like 'Accept: application/json'")
    return name.strip(), value.strip()


def checked(workload: Workload, headers: Sequence[str], environ: Mapping[str, str], *, allow_writes: bool) -> Workload:
    """Return the workload with further headers, if it can be sent; raise `BadTarget` otherwise."""
    try:
        added = {**workload.headers, **dict(map(parsed_header, headers))}
        workload = Workload.model_validate_json(
            workload.model_copy(update={"headers": added}).model_dump_json(by_alias=True)
        )
    except ValidationError as error:
        raise BadTarget(error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")) from None
    if workload.writes and not allow_writes:
        raise BadTarget(f"{redacted(workload.writes[0])} may change data: send it with --allow-writes, or remove it")
    PreparedWorkload(workload, environ)
    return workload
