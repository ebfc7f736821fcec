"""Where an arm's CPU time goes: stacks sampled from outside, and the time of each function per request."""
