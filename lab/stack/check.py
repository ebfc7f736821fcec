"""One check of the running stack: what it needs, and its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from lab.stack.addresses import Addresses


class CheckFailed(Exception):
    """The message says what was observed instead."""


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """A client, the addresses, and the trace ids of two requests made for the checks."""

    client: httpx.Client
    addresses: Addresses
    dashboards: frozenset[str]
    """The uids of the committed dashboards."""
    read_trace_id: str = ""
    failed_trace_id: str = ""

    def json(self, url: str, **params: str) -> Any:
        """Return a server's JSON; raise `CheckFailed` unless the response is a success and JSON."""
        response = self.get(url, **params)
        try:
            return response.json()
        except ValueError as error:
            raise CheckFailed(f"{url} returned no JSON: {response.text[:60]!r}") from error

    def get(self, url: str, **params: str) -> httpx.Response:
        """Return a successful response; raise `CheckFailed` for any other, or none."""
        return self._success(self.client.build_request("GET", url, params=params))

    def post(self, url: str, body: Any) -> httpx.Response:
        """Return the successful response to a JSON body; raise `CheckFailed` for any other, or none."""
        return self._success(self.client.build_request("POST", url, json=body))

    def _success(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url.copy_with(query=None))
        try:
            response = self.client.send(request)
        except httpx.HTTPError as error:
            raise CheckFailed(f"{url}: {error or type(error).__name__}") from error
        if not response.is_success:
            raise CheckFailed(f"{url} returned {response.status_code}: {response.text[:120].strip()}")
        return response


@dataclass(frozen=True, kw_only=True)
class Check:
    service: str
    """The service it is about, as the compose file names it."""
    description: str
    run: Callable[[CheckContext], str]
    """Returns what was observed, in a few words, or raises `CheckFailed`."""
    fix: str
    in_core: bool = True
    """Whether it applies to the profile `core` too."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    service: str
    description: str
    ok: bool
    message: str
    fix: str
    """What to do; empty if the check passed."""
