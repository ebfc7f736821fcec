"""What is common to every export: how many spans, logs and errors were exported, failed or dropped."""
