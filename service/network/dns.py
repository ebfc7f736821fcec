"""The addresses of servers, looked up once at a time.

A name that is gone, as that of a stopped container is, can take the resolver ten seconds to deny. Whoever waits for the
server gives up long before, and tries again; the resolver's few threads are then all busy with lookups that nobody
waits for any more, and nothing else in the process finds an address either, not even of the database.
"""

import asyncio
from functools import partial
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import Any, Final
from weakref import WeakKeyDictionary

Address = tuple[str, int]
Lookups = dict[Address, "asyncio.Task[Any]"]

_under_way: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Lookups]] = WeakKeyDictionary()


async def resolve(host: str, port: int) -> None:
    """Return once the host has an address; raise `OSError` if it has none.

    A lookup that its caller gave up goes on, and serves the next caller.
    """
    if _is_address(host):
        return
    loop = asyncio.get_running_loop()
    lookups = _under_way.setdefault(loop, {})
    lookup = lookups.get((host, port))
    if lookup is None:
        lookup = lookups[host, port] = asyncio.create_task(_addresses(loop, host, port))
        lookup.add_done_callback(partial(_ended, lookups, (host, port)))
    await asyncio.shield(lookup)


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
    await loop.getaddrinfo(host, port, type=SOCK_STREAM)


def _ended(lookups: Lookups, address: Address, lookup: "asyncio.Task[Any]") -> None:
    lookups.pop(address, None)
    if not lookup.cancelled():
        lookup.exception()  # looked at, so that one which nobody waits for is no error in the log


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
