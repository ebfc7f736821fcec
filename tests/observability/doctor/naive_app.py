"""What people put together from the packages' own examples: nearly everything the doctor knows is wrong with it."""

import logging
import os
import sys
import time

import sentry_sdk
from fastapi import FastAPI, Request
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from prometheus_fastapi_instrumentator import Instrumentator
from sqlalchemy import create_engine
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

logging.basicConfig(stream=sys.stderr)
chatty = logging.getLogger("bookshop")
chatty.addHandler(logging.StreamHandler(sys.stdout))

provider = TracerProvider(resource=Resource({}))
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=open(os.devnull, "w"))))  # noqa: PTH123, SIM115 it lives as long as the process
trace.set_tracer_provider(provider)
sentry_sdk.init(traces_sample_rate=1.0)

engine = create_engine("sqlite://")
app = FastAPI()


@app.middleware("http")
async def add_process_time_header(request: Request, call_next: RequestResponseEndpoint) -> Response:
    started = time.time()
    response = await call_next(request)
    response.headers["X-Process-Time"] = str(time.time() - started)
    return response


@app.get("/")
async def start() -> None:
    time.sleep(0.01)  # noqa: ASYNC251 what the doctor is to find


FastAPIInstrumentor.instrument_app(app)
Instrumentator().instrument(app).expose(app)
