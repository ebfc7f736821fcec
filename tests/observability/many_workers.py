"""An application that several workers serve, with telemetry from the environment."""

import os

from fastapi import FastAPI

from observability import instrument

app = FastAPI(title="shop")


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str | int]:
    """Return the id of the worker."""
    return {"hello": name, "worker": os.getpid()}


instrument(app)
