"""Amounts in another currency, from an upstream by httpx, and a streamed table."""

from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse


def upstream(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"rate": 2.0}) if request.url.path == "/eur" else httpx.Response(404)


client = httpx.AsyncClient(base_url="http://rates.test", transport=httpx.MockTransport(upstream))
app = FastAPI(title="rates")
DEPENDENCIES = {"http_clients": {"rates": client}}


@app.get("/convert/{currency}")
async def convert(currency: str, amount: float) -> float:
    response = await client.get(f"/{currency}")
    if response.status_code == 404:
        raise HTTPException(404)
    return amount * float(response.json()["rate"])


@app.get("/table")
async def table() -> StreamingResponse:
    async def rows() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return StreamingResponse(rows(), media_type="text/csv")
