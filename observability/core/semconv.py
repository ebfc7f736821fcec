"""Which semantic conventions the official instrumentations use."""

import os


def prefer_stable_conventions() -> None:
    """Let instrumentations that start later use the stable conventions, unless the environment says otherwise.

    They read this variable when the first of them starts; without it they use the names of 2022.
    """
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database")
