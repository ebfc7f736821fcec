"""Requests that the state of things does not allow, now or any more."""

from service.errors.base import ServiceError


class ConcurrentUpdate(ServiceError):
    """The flight was changed by others each time this change was about to be written."""

    status = 409
    slug = "concurrent-update"
    title = "Concurrent update"
    meaning = "Others changed the same flight at the same moment; nothing was written."

    def __init__(self, flight_id: int, *, attempts: int) -> None:
        super().__init__(
            f"flight {flight_id} was changed by others during all of {attempts} attempts; nothing was written",
            hint="read the flight and repeat the change if it still makes sense",
        )


class VersionMismatch(ServiceError):
    """The flight is not in the version that the client means to change."""

    status = 412
    slug = "version-mismatch"
    title = "Version mismatch"
    meaning = "`If-Match` names another version than the flight has now; nothing was written."

    def __init__(self, flight_id: int, *, etag: str) -> None:
        super().__init__(
            f"flight {flight_id} is not in the version that If-Match names; nothing was written",
            hint="read the flight and repeat the change if it still makes sense",
            headers={"ETag": etag},
        )


class ExportNotDone(ServiceError):
    """The file of an export that is still being made."""

    status = 409
    slug = "export-not-done"
    title = "Export not done"
    meaning = "The export has no file yet; `Retry-After` says when to look again."

    def __init__(self, state: str) -> None:
        super().__init__(f"the export is {state}", hint="its address tells the progress", headers={"Retry-After": "1"})


class ExportGone(ServiceError):
    """The file of an export that failed, was cancelled or has expired."""

    status = 410
    slug = "export-gone"
    title = "Export gone"
    meaning = "The export failed, was cancelled or has expired; there is no file, and there will be none."

    def __init__(self, state: str) -> None:
        super().__init__(f"the export is {state}", hint="ask for it again: POST /exports")
