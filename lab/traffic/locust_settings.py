"""Settings of the long-running traffic, read from the environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from lab.core.address import Address
from lab.core.errors import BadSetting, BadTarget
from lab.traffic.traffic import MIXES, Request, Traffic, seeded

MAX_LAG_S: Final = 5.0
"""A reader that is further behind its schedule skips requests instead of sending a burst."""


@dataclass(frozen=True, kw_only=True)
class LocustLoad:
    """Readers of every arm; reader n sends the same requests to every arm, on the same schedule."""

    arms: Mapping[str, str]
    """URLs by name."""
    rate_per_s: float = 2.0
    """Per arm, all its readers together."""
    readers: int = 4
    """Per arm; a reader waits for its response, so this limits the requests in flight."""
    mix: str = "whole service"
    seed: int = 1
    token: str = ""
    """Bearer token of writes. Without it, no writes are sent."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read `FLIGHTDECK_ARMS` and the other variables; an empty one is unset, an invalid one is a `BadSetting`."""
        mix = environ.get("FLIGHTDECK_MIX") or cls.mix
        if mix not in MIXES:
            raise BadSetting("FLIGHTDECK_MIX", mix, f"one of {', '.join(MIXES)}")
        return cls(
            arms=parsed_arms(environ.get("FLIGHTDECK_ARMS", ""), name="FLIGHTDECK_ARMS"),
            rate_per_s=_number(environ, "FLIGHTDECK_RATE", cls.rate_per_s),
            readers=int(_number(environ, "FLIGHTDECK_READERS", cls.readers, least=1)),
            mix=mix,
            seed=int(_number(environ, "FLIGHTDECK_SEED", cls.seed, least=0)),
            token=_secret(environ, "WRITE_TOKEN"),
        )

    def requests(self, reader: int) -> Iterator[Request]:
        """Yield the requests of a reader without end."""
        return Traffic(self.mix, seed=self.seed, writes=bool(self.token)).requests(reader)

    def gaps_s(self, reader: int) -> Iterator[float]:
        """Yield exponentially distributed gaps between a reader's requests without end."""
        random = seeded(self.seed, 2, reader)
        while True:
            yield float(random.exponential(self.readers / self.rate_per_s))


class Schedule:
    """When a reader's next request is due; the caller reads the clock."""

    def __init__(self, gaps_s: Iterator[float], *, now: float) -> None:
        self._gaps_s = gaps_s
        self._due = now

    def wait_s(self, now: float) -> float:
        """Return the time until the next request; 0 if the previous response took longer than the gap."""
        self._due = max(self._due + next(self._gaps_s), now - MAX_LAG_S)
        return max(self._due - now, 0.0)


def parsed_arms(text: str, *, name: str) -> dict[str, str]:
    """Parse `name=url,name=url`; raise `BadSetting` for anything else."""
    allowed = "a comma list of name=url, such as baseline=http://127.0.0.1:8001,optimized=http://127.0.0.1:8002"
    arms: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        arm, equals, url = (part.strip() for part in item.partition("="))
        try:
            Address.of(url)
        except BadTarget as error:
            raise BadSetting(name, text, allowed) from error
        if not (arm and equals) or arm in arms:
            raise BadSetting(name, text, allowed)
        arms[arm] = url.rstrip("/")
    if not arms:
        raise BadSetting(name, text, allowed)
    return arms


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float = 0.001) -> float:
    text = environ.get(name, "") or str(default)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number < float("inf"):
        raise BadSetting(name, text, f"a number of at least {least:g}")
    return number


def _secret(environ: Mapping[str, str], name: str) -> str:
    """Return the value of the variable, or the content of the file that `<name>_FILE` names."""
    path = environ.get(f"{name}_FILE", "")
    if not path:
        return environ.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSetting(f"{name}_FILE", path, f"a file that can be read ({error.strerror})") from error
