"""How an attempt at an export ends early.

ExportError
├── Interrupted
└── LeaseLost
"""


class ExportError(Exception):
    """The base of both."""


class Interrupted(ExportError):
    """Something that may pass got in the way; the job waits for another attempt."""


class LeaseLost(ExportError):
    """The job is cancelled, or belongs to another attempt."""
