"""The page that publishes what the benchmarks printed."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

PACKAGES: Final = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "zstandard", "zlib-ng", "fastapi-cache2")

_TEXT: Final = """\
<!-- Made by `make bench RECORD=1`; edit bench/page.py instead. -->
# Benchmarks

You will see here how fast the service is where it must be fast, always beside what it replaces. Repeat it:

```sh
make bench
```

You should now see the tables below for your machine; the command fails if a goal is missed. Everything is measured in
turns on one processor, and every ratio is a median over the rounds. CPU time is that of the whole process, with its
threads; throughput is its inverse, because the worker is what limits it. `python -m bench NAME` runs one of them.
What instrumentation costs is on [a page of its own](overhead.md).

## A cached board (`cache`)

A departure board of the busiest day, kept in the memory of the process, asked for over eight connections. The bare
route is a Starlette application without middleware that sends the same bytes. Ours looks the answer up, counts the
hit, times it, names the route, has a trace, sends validators and says how old the answer is. fastapi-cache2 decodes and
encodes the answer for every hit.

Where the rest goes: the second row of each coding sends what the first does, but under all of our headers (validators,
freshness, surrogate keys, cache status), each of which the server checks and copies. The third finds the same answer by
its key, ahead of every other middleware and of the router, so it may take less than the second. What the fourth takes
beside the third is the instrumentation: its steps for [any request](overhead.md), and then this answer's lookup, its
body and its database statements, of which there are none, counted and timed. These are the same microseconds for every
answer; a compressed board is small and costs the bare route little, so that they are a larger share of it.

```text
{cache}
```

## Compression (`compression`)

Bodies that the service really sends, through our middleware and through Starlette's with its defaults, and the curve
behind our levels.

```text
{compression}
```

## A page of a long list (`list-page`)

The same question to a service with a tenth of the flights and to one with all of them. A page by keyset over an index
reads as many rows in both; without the index it reads the table; without pages the answer itself is ten times as long.

```text
{list_page}
```

## Where it was measured

Python {python} on {system}, {machine}, {processors} processors; {packages}.

## Verify

`make bench` exits with 0 and prints `met` after every goal.

## Troubleshooting

A goal is missed by a little: another program ran on the machine; close it and repeat. The paths are short, so a busy
neighbour is visible.

`the server closed the connection`: a worker did not start. Start it by the command in its module's docstring and read
what it says.
"""


def page(printed: Mapping[str, str]) -> str:
    """Return the page in Markdown."""
    return _TEXT.format(
        **{
            name.replace("-", "_"): "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
            for name, text in printed.items()
        },
        python=platform.python_version(),
        system=platform.system(),
        machine=platform.machine(),
        processors=os.cpu_count(),
        packages=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )
