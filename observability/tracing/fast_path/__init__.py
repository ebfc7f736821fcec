"""Server spans that are made on the exporting thread, and their encoding."""
