"""What all exports have in common: the counts of spans, logs and error reports by outcome, and their queues."""
