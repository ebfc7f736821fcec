"""Load models, HTTP/1.1 connections, the load generator, recordings."""
