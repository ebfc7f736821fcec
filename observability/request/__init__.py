"""What is known about one request: its record, its route template, its Server-Timing."""
