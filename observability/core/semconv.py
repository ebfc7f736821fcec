"""Which semantic conventions the official instrumentations use."""

import os
from typing import Final

from opentelemetry.instrumentation._semconv import OTEL_SEMCONV_STABILITY_OPT_IN

STABLE: Final = "http,database"


def prefer_stable_conventions() -> None:
    """Let instrumentations that start later use the stable conventions, unless the environment says otherwise.

    They read this variable, and nothing else, when the first of them starts; without it they use names of 2022.
    """
    os.environ.setdefault(OTEL_SEMCONV_STABILITY_OPT_IN, STABLE)
