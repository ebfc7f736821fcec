"""The clients of a workload: logged in once, each with its own cookies and token. One state per arm."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin

import httpx

from lab.core.address import Address
from lab.core.errors import BadTarget
from lab.load.client_state import ClientState, Redirect
from lab.load.cookies import Cookies
from lab.traffic.traffic import Client, Request
from lab.workload.draw import PreparedWorkload, WorkloadRequest
from lab.workload.template import TOKEN, CompiledRequest, Drawn
from lab.workload.workload import Login

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
SEE_OTHER: Final = frozenset({301, 302, 303})
"""As in browsers, anything but GET and HEAD becomes a GET."""
LOGINS_AT_ONCE: Final = 4
LOGIN_TIMEOUT_S: Final = 30.0


@dataclass(slots=True)
class Session:
    cookies: Cookies = field(default_factory=Cookies)
    values: Drawn = field(default_factory=dict)
    """The token, if the login has one."""


class Sessions(ClientState):
    def __init__(self, workload: PreparedWorkload, address: Address) -> None:
        super().__init__()
        self._workload = workload
        self._address = address
        self._sessions: dict[int, Session] = {}

    async def log_in(self, clients: list[Client]) -> None:
        """Log in the clients that have no session yet; raise `BadTarget` if one cannot."""
        new = [client for client in clients if client.number not in self._sessions]
        login = self._workload.login
        if login is None:
            self._sessions |= {client.number: Session() for client in new}
            return
        permits = asyncio.Semaphore(LOGINS_AT_ONCE)
        tls = self._address.tls()

        async def one(client: Client) -> None:
            async with permits:
                values = self._workload.values_of(client)
                self._sessions[client.number] = await _logged_in(self._address, login, values, tls or True)

        await asyncio.gather(*(one(client) for client in new))

    def target(self, request: Request) -> str:
        request = _own(request)
        return request.compiled.path.filled(self._values(request))

    def has_response(self, request: Request, target: str) -> bool:  # noqa: ARG002 no private caches
        return False

    def headers(self, request: Request, target: str) -> list[tuple[str, str]]:
        request = _own(request)
        values = self._values(request)
        headers = [(name, text.filled(values)) for name, text in request.compiled.headers]
        if request.client.accept_encoding and not any(name == "accept-encoding" for name, _ in headers):
            headers.append(("accept-encoding", request.client.accept_encoding))
        cookies = self._sessions[request.client.number].cookies.header(self._path(target))
        return [*headers, ("cookie", cookies)] if cookies else headers

    def body(self, request: Request) -> bytes:
        request = _own(request)
        return request.compiled.body.filled(self._values(request))

    def needs_body(self, request: Request) -> bool:  # noqa: ARG002 no cursors
        return False

    def is_expected(self, request: Request, status: int) -> bool:
        return _own(request).compiled.template.expects(status)

    def redirect(self, request: Request, path: str, status: int, location: str) -> Redirect | None:
        """Return where to go: within the service only, and not where the request expects the redirect itself."""
        if status not in REDIRECTS or not location or self.is_expected(request, status):
            return None
        origin = self._address.origin
        try:
            found = httpx.URL(urljoin(f"{origin}{path}", location))
        except httpx.InvalidURL:
            return None
        if (found.scheme, found.host, found.port) != ((here := httpx.URL(origin)).scheme, here.host, here.port):
            return None
        method = "GET" if status in SEE_OTHER and request.method not in {"GET", "HEAD"} else request.method
        return Redirect(method, found.raw_path.decode("ascii"))

    def update(self, request: Request, target: str, *, status: int, headers: Mapping[str, str], body: bytes) -> None:  # noqa: ARG002
        """Store the cookies of a response."""
        for cookie in filter(None, headers.get("set-cookie", "").split("\n")):
            self._sessions[request.client.number].cookies.store(cookie, target=self._path(target))

    def _path(self, target: str) -> str:
        """Return the whole path; a redirect leads to one."""
        prefix = self._address.prefix
        return target if target.startswith(f"{prefix}/") else f"{prefix}{target}"

    def _values(self, request: WorkloadRequest) -> Drawn:
        session = self._sessions[request.client.number].values
        return {**request.values, **session} if session else request.values


def _own(request: Request) -> WorkloadRequest:
    if not isinstance(request, WorkloadRequest):
        raise TypeError(request)
    return request


async def _logged_in(address: Address, login: CompiledRequest, values: Drawn, tls: Any) -> Session:
    template = login.template
    if not isinstance(template, Login):
        raise TypeError(template)
    where = f"{template.method} {template.path} at {address.origin}"
    is_followed = not (template.expects(302) or template.expects(303))
    async with httpx.AsyncClient(
        verify=tls, trust_env=False, follow_redirects=is_followed, timeout=LOGIN_TIMEOUT_S
    ) as client:
        try:
            response = await client.request(
                template.method,
                f"{address.origin}{address.prefix}{login.path.filled(values)}",
                headers=[(name, text.filled(values)) for name, text in login.headers],
                content=login.body.filled(values),
            )
        except httpx.HTTPError as error:
            raise BadTarget(f"login failed: {where} has no response: {type(error).__name__}") from error
        if not template.expects(response.status_code):
            expected = " or ".join(map(str, template.expect))
            raise BadTarget(f"login failed: {where} responded with {response.status_code}, not {expected}")
        session = Session()
        for cookie in client.cookies.jar:
            session.cookies.store(f"{cookie.name}={cookie.value}; Path={cookie.path}", target="/")
    if template.token:
        session.values = {TOKEN: _token(response, template.token, where)}
    return session


def _token(response: httpx.Response, path: str, where: str) -> str:
    """Return what is at this path of a JSON response; the message of the error has names, no values."""
    try:
        found = response.json()
    except ValueError:
        raise BadTarget(f"login failed: the response to {where} is not JSON, so it has no {path}") from None
    for part in path.split("."):
        try:
            found = found[int(part)] if isinstance(found, list) else found[part]
        except (KeyError, IndexError, TypeError, ValueError):
            names = ", ".join(found) if isinstance(found, dict) else type(found).__name__
            raise BadTarget(f"login failed: no {path} in the response to {where}, but: {names}") from None
    if not isinstance(found, str) or not found or not (found.isascii() and found.isprintable()):
        raise BadTarget(f"login failed: {path} in the response to {where} is not a text that a header can carry")
    return found
