"""Bearer-token authorisation of writes, with a previous token during rotation."""

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
"""The scope key of a request's owner."""


class WriteToken(SecurityBase):
    """A dependency that requires a valid token; without a configured token every write is rejected."""

    def __init__(self, token: SecretStr, *, previous: SecretStr | None = None) -> None:
        self.model = HTTPBearerModel(description="The service's `WRITE_TOKEN`.")
        self.scheme_name = "write token"
        current = token.get_secret_value().encode()
        rotated = previous.get_secret_value().encode() if previous is not None and current else b""
        self._valid = tuple(one for one in (current, rotated) if one)

    @property
    def owners(self) -> tuple[str, ...]:
        """The SHA-256 of each valid token, the current one first; they share what they own during rotation."""
        return tuple(hashlib.sha256(one).hexdigest() for one in self._valid)

    async def __call__(self, request: Request) -> None:
        """Raise `WritesDisabled` or `Unauthenticated`. The comparison takes constant time."""
        if not self._valid:
            raise WritesDisabled
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not sent.strip(" "):
            raise Unauthenticated("no bearer token was sent", token_was_sent=False)
        token = sent.strip(" ").encode("latin-1")
        matches = [
            hmac.compare_digest(token, one) for one in self._valid
        ]  # compares with every token, whichever matches
        if not any(matches):
            raise Unauthenticated("the bearer token is invalid", token_was_sent=True)
        request.scope[OWNER] = hashlib.sha256(token).hexdigest()


def owner_of(request: Request) -> str:
    """Return the owner of a request that has passed `WriteToken`."""
    owner: str = request.scope[OWNER]
    return owner
