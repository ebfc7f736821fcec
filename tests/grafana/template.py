"""Interpolates variables and intervals into a query, as Grafana does before it sends it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REFERENCE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)")
ALL = "$__all"


@dataclass(frozen=True)
class Choice:
    """A variable with what is chosen of it; `options` are what All stands for."""

    name: str
    value: str | tuple[str, ...]
    options: tuple[str, ...] = ()
    all_value: str = ""
    is_regex: bool = False
    """Whether several can be chosen: then Grafana writes values as regular expressions."""

    def text(self, form: str) -> str:
        """Return what Grafana writes in place of the name, in this format; without one, as for Prometheus."""
        if self.value == ALL and self.all_value:
            return self.all_value
        values = self.options if self.value == ALL else (self.value,) if isinstance(self.value, str) else self.value
        match form:
            case "raw" | "csv":
                return ",".join(values)
            case "pipe":
                return "|".join(values)
            case "regex":
                return _any_of(re.sub(r"([.*+?^${}()|\[\]\\/])", r"\\\1", value) for value in values)
            case "" if self.is_regex:
                return _any_of(
                    re.sub(r"([.*+?^${}()|\[\]])", r"\\\\\1", value.replace("\\", "\\\\")) for value in values
                )
            case "":
                return "".join(values).replace("\\", "\\\\").replace('"', '\\"')
        raise ValueError(f"${{{self.name}:{form}}}: this format is not known here")


@dataclass(frozen=True, kw_only=True)
class Range:
    """The range of time that a board shows, and how often Prometheus scrapes."""

    begins: float
    ends: float
    step_s: int
    scrape_s: int

    def builtins(self) -> Mapping[str, str]:
        """Return Grafana's own variables."""
        span_s = round(self.ends - self.begins)
        return {
            "__interval": f"{self.step_s}s",
            "__interval_ms": str(self.step_s * 1000),
            "__rate_interval": f"{max(self.step_s + self.scrape_s, 4 * self.scrape_s)}s",
            "__range": f"{span_s}s",
            "__range_s": str(span_s),
            "__range_ms": str(span_s * 1000),
            "__from": str(int(self.begins * 1000)),
            "__to": str(int(self.ends * 1000)),
        }


def filled(expression: str, choices: Mapping[str, Choice], range_: Range) -> str:
    """Return the expression as Grafana sends it; raise `KeyError` for a variable that the board does not have."""
    builtins = range_.builtins()

    def written(found: re.Match[str]) -> str:
        braced, form, bracketed, bracket_form, plain = found.groups()
        name = braced or bracketed or plain
        if name.isdigit():
            return found.group()  # a group of a regular expression, as in label_replace
        return builtins[name] if name in builtins else choices[name].text(form or bracket_form or "")

    return REFERENCE.sub(written, expression)


def choice(variable: Mapping[str, Any], options: Iterable[str]) -> Choice:
    """Return what is chosen when the board is opened: the saved choice if it exists, else the first option."""
    found = tuple(options)
    saved = (variable.get("current") or {}).get("value") or ""
    value = saved[0] if isinstance(saved, list) and saved else saved
    if value == ALL and not variable.get("includeAll"):
        value = ""
    if value != ALL and value not in found:
        value = ALL if variable.get("includeAll") else next(iter(found), "")
    is_regex = bool(variable.get("multi") or variable.get("includeAll"))
    return Choice(variable["name"], value, found, variable.get("allValue") or "", is_regex)


def _any_of(patterns: Iterable[str]) -> str:
    listed = list(patterns)
    return listed[0] if len(listed) == 1 else f"({'|'.join(listed)})"
