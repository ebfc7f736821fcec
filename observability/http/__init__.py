"""The ASGI middleware and the metrics of HTTP requests and WebSockets."""
