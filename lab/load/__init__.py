"""How requests are sent: load models, HTTP/1.1 connections, the generator, latencies."""
