"""An unresolvable name costs one lookup, however many callers time out."""

import asyncio
import gc
import logging
import socket
from typing import Any

import pytest

from service.network.dns import resolve
from tests.service.resolver import GONE, Resolver


async def test_after_a_denial_the_name_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resolver = Resolver(monkeypatch)
    with caplog.at_level(logging.ERROR):
        for lookups in (1, 2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await resolve(GONE, 6379)
            resolver.responds.set()
            with pytest.raises(socket.gaierror):
                await resolve(GONE, 6379)
            resolver.responds.clear()
            assert len(resolver.lookups) == lookups
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolve(GONE, 6379)
        resolver.responds.set()
        await asyncio.sleep(0.01)
        gc.collect()
    assert not caplog.records, "no caller waited for the last lookup, so its failure is not logged"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    await resolve(host, 6379)
