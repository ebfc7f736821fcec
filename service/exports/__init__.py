"""Exports: the flights of a filter as a CSV or Parquet file, written by the request or by a task-queue worker."""
