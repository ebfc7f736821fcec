"""Where drills run, embedded or on the compose stack, and the servers that they start."""
