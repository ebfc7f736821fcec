"""An application that several workers serve, with telemetry from the environment."""

import os

from fastapi import FastAPI

from observability import instrument

app = FastAPI(title="shop")


@app.get("/hello/{name}")
async def hello(name: str) -> dict[str, str | int]:
    """Say who answers."""
    return {"hello": name, "worker": os.getpid()}


instrument(app)
