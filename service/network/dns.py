"""DNS lookups, one at a time per name.

A lookup of a name that no longer exists, such as that of a stopped container, can take ten seconds. Callers time out
and try again long before, until the few threads of the resolver are all busy with abandoned lookups, and no other name
in the process can be resolved either, not even that of the database.
"""

import asyncio
from functools import partial
from ipaddress import ip_address
from socket import SOCK_STREAM
from typing import Any, Final
from weakref import WeakKeyDictionary

Address = tuple[str, int]
Lookups = dict[Address, "asyncio.Task[Any]"]

_in_progress: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Lookups]] = WeakKeyDictionary()


async def resolve(host: str, port: int) -> None:
    """Return when the name is resolved; raise `OSError` if it cannot be.

    A lookup continues after its caller timed out, and the next caller joins it.
    """
    if _is_address(host):
        return
    loop = asyncio.get_running_loop()
    lookups = _in_progress.setdefault(loop, {})
    lookup = lookups.get((host, port))
    if lookup is None:
        lookup = lookups[host, port] = asyncio.create_task(_addresses(loop, host, port))
        lookup.add_done_callback(partial(_remove, lookups, (host, port)))
    await asyncio.shield(lookup)


async def _addresses(loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
    await loop.getaddrinfo(host, port, type=SOCK_STREAM)


def _remove(lookups: Lookups, address: Address, lookup: "asyncio.Task[Any]") -> None:
    lookups.pop(address, None)
    if not lookup.cancelled():
        lookup.exception()  # retrieved, so that asyncio does not log the failure of an abandoned lookup


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
