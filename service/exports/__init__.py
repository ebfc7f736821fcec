"""Exports: the flights of a filter as a CSV or Parquet file, made inside the request or by a task queue."""
