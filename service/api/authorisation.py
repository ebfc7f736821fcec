"""Who may write: the bearer of the token, or of the one before it while tokens are changed."""

import hashlib
import hmac
from typing import Final

from fastapi import Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from pydantic import SecretStr

from service.errors import Unauthenticated, WritesDisabled

TOKEN_PROBLEMS: Final = (Unauthenticated, WritesDisabled)

OWNER: Final = "flightdeck.owner"
"""Where the owner is in the scope of a request that bears a token."""


class WriteToken(SecurityBase):
    """A dependency that lets a request pass if it bears a valid token; without a token nobody may write."""

    def __init__(self, token: SecretStr, *, previous: SecretStr | None = None) -> None:
        self.model = HTTPBearerModel(description="The service's `WRITE_TOKEN`.")
        self.scheme_name = "write token"
        current = token.get_secret_value().encode()
        former = previous.get_secret_value().encode() if previous is not None and current else b""
        self._valid = tuple(one for one in (current, former) if one)

    @property
    def owners(self) -> tuple[str, ...]:
        """Who bears a valid token, by the SHA-256 of each, the current one first: what one asked for is the other's."""
        return tuple(hashlib.sha256(one).hexdigest() for one in self._valid)

    async def __call__(self, request: Request) -> None:
        """Raise `WritesDisabled` or `Unauthenticated`. The comparison takes constant time."""
        if not self._valid:
            raise WritesDisabled
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not sent.strip():
            raise Unauthenticated("no bearer token was sent", token_was_sent=False)
        token = sent.strip().encode("latin-1")
        matches = [hmac.compare_digest(token, one) for one in self._valid]  # with each, whichever it is
        if not any(matches):
            raise Unauthenticated("the bearer token is not the right one", token_was_sent=True)
        request.scope[OWNER] = hashlib.sha256(token).hexdigest()


def owner_of(request: Request) -> str:
    """Return the owner that a request's token names; it has passed `WriteToken`."""
    owner: str = request.scope[OWNER]
    return owner
