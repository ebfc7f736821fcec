"""What happens to an engine or a client that is instrumented twice."""


class AlreadyAttached(ValueError):
    """An engine or a client was attached twice and would be counted twice."""

    def __init__(self, kind: str, name: str, attached_as: str) -> None:
        super().__init__(f"the {kind} {name!r} is already attached as {attached_as!r}; attach each {kind} once")
