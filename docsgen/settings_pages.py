"""The settings of the service and of telemetry, from their classes."""

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from docsgen.markdown import code, table
from observability.core.settings import TelemetrySettings
from service.settings import Settings

BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def settings_page() -> Mapping[str, str]:
    columns = ["variable", "default", "allowed", "meaning"]
    rows = (
        # In code the default of `techniques` is the set of all names.
        [f"`{name.upper()}`", "`all`" if name == "techniques" else _default(field), _allowed(field), field.description]
        for name, field in Settings.model_fields.items()
    )
    return {"settings": table(columns, rows)}


def telemetry_settings_page() -> Mapping[str, str]:
    columns = ["variable", "in code", "default", "meaning"]
    rows = (
        [f"`{field.alias}`" if field.alias else "in code only", f"`{name}`", _default(field), field.description]
        for name, field in TelemetrySettings.model_fields.items()
    )
    return {"settings": table(columns, rows)}


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(part if isinstance(part, str) else f"{part:g}" for part in value)
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    others = code(choice for choice in choices if choice != value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    default = "none" if value in ("", {}, (), None) else f"`{text}`"
    return f"{default} (or {others})" if others else default


def _allowed(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(constraint, attribute)}"
        for constraint in field.metadata
        for attribute, sign in BOUNDS.items()
        if getattr(constraint, attribute, None) is not None
    ]
    return " and ".join(bounds) or "any"
