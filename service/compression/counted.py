"""What compression counted for a request, for who sends the same answer again."""

from typing import Final

from starlette.types import Scope

_COUNTED: Final = "service.compression.counted"


def count_as(scope: Scope, encoding: str) -> None:
    """Say that this request's body was counted under the encoding."""
    scope[_COUNTED] = encoding


def counted_in(scope: Scope) -> str:
    """Return the encoding that this request's body was counted under, or nothing if it was not counted."""
    return str(scope.get(_COUNTED, ""))
