"""Who may write: the bearer of the token."""

import hashlib
import hmac

from fastapi import Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase
from pydantic import SecretStr

from service.errors import Unauthenticated, WritesOff


class WriteToken(SecurityBase):
    """A dependency that lets a request pass if it bears the token; without a token nobody may write."""

    def __init__(self, token: SecretStr) -> None:
        self.model = HTTPBearerModel(description="The service's `WRITE_TOKEN`.")
        self.scheme_name = "write token"
        self._expected = token.get_secret_value().encode()

    @property
    def digest(self) -> str:
        """The SHA-256 of the token, which names its bearer where the token itself must not be kept."""
        return hashlib.sha256(self._expected).hexdigest()

    async def __call__(self, request: Request) -> None:
        """Raise `WritesOff` or `Unauthenticated`; the comparison takes as long for a near miss as for any other."""
        if not self._expected:
            raise WritesOff
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not sent.strip():
            raise Unauthenticated("no bearer token was sent", token_was_sent=False)
        if not hmac.compare_digest(sent.strip().encode("latin-1"), self._expected):
            raise Unauthenticated("the bearer token is not the right one", token_was_sent=True)
