"""Uncaught exceptions and warnings as log records, which Python writes to standard error otherwise."""

import logging
import sys
import threading
import warnings
from types import TracebackType
from typing import Final

logger: Final = logging.getLogger("observability.uncaught")


def log_uncaught() -> None:
    """Log warnings, and exceptions that end the process or a thread; hooks of the application stay."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_exception
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _log_unraisable
    logging.captureWarnings(True)


def restore_hooks() -> None:
    if sys.excepthook is _log_exception:
        sys.excepthook = sys.__excepthook__
    if threading.excepthook is _log_thread:
        threading.excepthook = threading.__excepthook__
    if sys.unraisablehook is _log_unraisable:
        sys.unraisablehook = sys.__unraisablehook__
    if warnings.showwarning.__module__ == "logging":
        logging.captureWarnings(False)


def _log_exception(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    logger.critical("uncaught exception", exc_info=error)


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        name = failed.thread.name if failed.thread is not None else ""
        logger.error("uncaught exception in thread %s", name, exc_info=failed.exc_value)


def _log_unraisable(failed: "sys.UnraisableHookArgs") -> None:
    logger.error("%s: %r", failed.err_msg or "exception ignored in", failed.object, exc_info=failed.exc_value)
