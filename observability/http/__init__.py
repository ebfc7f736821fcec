"""What the server side of HTTP and WebSocket needs: the ASGI middleware, the request cycle that it creates, and the
metrics. Everything that runs for each request starts here.
"""
