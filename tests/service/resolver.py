"""A resolver that denies a name as slowly as a test wants."""

import asyncio
import socket
from typing import Any, Final

import pytest

GONE: Final = "gone.invalid"


class Resolver:
    """The loop's lookups of a name that is gone, which take as long as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
            if host not in {GONE, GONE.encode()}:  # anyio asks in bytes
                return await real(host, port, **options)
            self.asked.append(GONE)
            await self.answers.wait()
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
