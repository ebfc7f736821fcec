"""Instrumentation for any FastAPI or Starlette app."""
