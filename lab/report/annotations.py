"""Experiments as annotations on Grafana's dashboards: a region for each, from its beginning to its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from lab.analysis.result import ExperimentResult
from lab.report.formatting import effect, interval
from lab.report.observers import RunStep

TIMEOUT_S: Final = 3.0
TAGS: Final = ("flightdeck", "lab")


@dataclass(frozen=True, kw_only=True)
class Grafana:
    """Where Grafana is."""

    url: str
    token: str = ""
    """Of a service account that may write annotations."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """Return what `GRAFANA_URL` and `GRAFANA_TOKEN` name, None without the first."""
        url = environ.get("GRAFANA_URL", "")
        return cls(url=url.rstrip("/"), token=environ.get("GRAFANA_TOKEN", "")) if url else None


class Annotations:
    """Tells Grafana; where it does not listen, says so once and goes on."""

    def __init__(self, grafana: Grafana, *, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._grafana = grafana
        self._clock = clock
        self._say = say
        self._has_complained = False
        self._open: int | None = None

    async def on_start(self, step: RunStep) -> None:
        """Open a region that on_start now."""
        body = {"time": self._now_ms(), "tags": [*TAGS, step.experiment], "text": f"{step.title}: being measured"}
        answer = await self._send("POST", "/api/annotations", body)
        self._open = answer.get("id") if isinstance(answer.get("id"), int) else None

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        """Close the region with what was found."""
        annotation, self._open = self._open, None
        if annotation is not None:
            body = {"timeEnd": self._now_ms(), "text": f"{step.title}: {_finding(result)}"}
            await self._send("PATCH", f"/api/annotations/{annotation}", body)

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)

    async def _send(self, method: str, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._grafana.token}"} if self._grafana.token else {}
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
                answer = await client.request(method, f"{self._grafana.url}{path}", json=body, headers=headers)
                answer.raise_for_status()
                told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._complain(error)
            return {}
        return told if isinstance(told, dict) else {}

    def _complain(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            why = f"answers {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else repr(error)
            self._say(f"Grafana at {httpx.URL(self._grafana.url).host} is not annotated: {why}")


def _finding(result: ExperimentResult | None) -> str:
    if result is None:
        return "not measured"
    deciding = result.metrics.get(result.headline)
    if deciding is None:
        return "not measured"
    return f"{result.verdict}. {deciding.title} {effect(deciding)}, 95 % interval {interval(deciding)}"
