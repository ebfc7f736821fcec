"""A fake weather API with the real hourly readings, configurable latency and faults."""
