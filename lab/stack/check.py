"""One thing that has to be so, and what to do where it is not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from lab.stack.addresses import Addresses


class Wrong(Exception):
    """What was seen instead."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What checks ask with: addresses, a client, and the traces of the two requests that were made for them."""

    client: httpx.Client
    at: Addresses
    boards: frozenset[str]
    """The uids of the dashboards that the repository has."""
    read_trace: str = ""
    failed_trace: str = ""

    def json(self, url: str, **params: str) -> Any:
        """Return a server's answer; raise `Wrong` unless it is a success and JSON."""
        answer = self.get(url, **params)
        try:
            return answer.json()
        except ValueError as error:
            raise Wrong(f"{url} does not answer JSON but {answer.text[:60]!r}") from error

    def get(self, url: str, **params: str) -> httpx.Response:
        """Return a successful answer; raise `Wrong` for another one, or none."""
        try:
            answer = self.client.get(url, params=params)
        except httpx.HTTPError as error:
            raise Wrong(f"{url}: {error or type(error).__name__}") from error
        if not answer.is_success:
            raise Wrong(f"{url} answers {answer.status_code}: {answer.text[:120].strip()}")
        return answer


@dataclass(frozen=True, kw_only=True)
class Check:
    """A claim about the running stack."""

    part: str
    """The service that it is about, as the compose file calls it."""
    claim: str
    seen: Callable[[Visit], str]
    """Return what was seen, in a few words, or raise `Wrong`."""
    fix: str
    in_core: bool = True
    """Whether it holds in the profile `core` too."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a check."""

    part: str
    claim: str
    ok: bool
    seen: str
    fix: str
    """What to do; empty if all is well."""
