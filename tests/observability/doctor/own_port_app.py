"""An application that serves prometheus_client's default registry on a port of its own choice."""

from fastapi import FastAPI
from prometheus_client import start_http_server

start_http_server(0, "127.0.0.1")
app = FastAPI()
