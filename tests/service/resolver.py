"""A resolver with names that fail slowly."""

import asyncio
import socket
from typing import Any, Final

import pytest

GONE: Final = "gone.invalid"
BACK: Final = "back.invalid"
"""Resolves at once."""


class Resolver:
    """The loop's lookups of `GONE`, which last until the test ends them, and of `BACK`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lookups: list[str] = []
        self.responds = asyncio.Event()
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host  # anyio passes bytes
            if name not in {GONE, BACK}:
                return await real(host, port, **options)
            self.lookups.append(name)
            if name == BACK:
                return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]
            await self.responds.wait()
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
