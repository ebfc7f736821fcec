"""The configuration files of the stack, parsed."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
DOCUMENTED: Final = Path(__file__).with_name("documented")

FILES: Final = {
    "collector": "deploy/collector/config.yaml",
    "tempo": "deploy/tempo/tempo.yaml",
    "loki": "deploy/loki/loki.yaml",
    "datasources": "grafana/provisioning/datasources/datasources.yaml",
    "dashboards": "grafana/provisioning/dashboards/dashboards.yaml",
}
"""Files of servers that no test can start, by the name of their schema in `documented/`."""


class _Plain(yaml.SafeLoader):
    """YAML without timestamps: the servers read dates as strings."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def content(path: str) -> Any:
    return yaml.load((ROOT / path).read_text("utf-8"), _Plain)  # noqa: S506 a safe loader


def schema(name: str) -> Any:
    """Return the JSON Schema of the documented settings."""
    return yaml.safe_load((DOCUMENTED / f"{name}.yaml").read_text("utf-8"))


def environment() -> dict[str, str]:
    """Return the variables of `.env`."""
    lines = (ROOT / ".env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def services() -> dict[str, Any]:
    """Return the services of the compose file, with the variables of `.env`."""
    values = environment()
    text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], (ROOT / "docker-compose.yml").read_text("utf-8"))
    return dict(yaml.safe_load(text)["services"])


def datasources() -> dict[str, Any]:
    """Return the provisioned data sources by uid; `$$` is an escaped `$`."""
    text = (ROOT / FILES["datasources"]).read_text("utf-8").replace("$$", "$")
    return {one["uid"]: one for one in yaml.safe_load(text)["datasources"]}


def seconds(duration: str) -> float:
    """Return a duration with one unit in seconds."""
    number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m|h)", duration).groups()  # type: ignore[union-attr]  # or the test fails
    return float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit]


def mebibytes(text: str) -> int:
    number, unit = text[:-1], text[-1]
    return int(number) * {"m": 1, "g": 1024}[unit]
