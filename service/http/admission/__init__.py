"""Admission control: a limit of requests in progress, and a bounded queue with a timeout."""
