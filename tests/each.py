"""One test that walks through many values: as tests of their own, each would cost more than its assertions."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

Tests = TypeVar("Tests", bound=Callable[..., Any])


def each(
    name: str, values: Callable[[], Iterable[Any]], *, ids: Callable[[Any], str] = str
) -> Callable[[Tests], Tests]:
    """Return a decorator of a test, or of a class of tests, that runs it with every value as the argument `name`.

    The test fails with all failures, each with the id of its value. `values` is called when the test runs, so that
    collecting it costs nothing.
    """

    def decorated(tests: Any) -> Any:
        if isinstance(tests, type):
            for method in [method for method in vars(tests) if method.startswith("test_")]:
                setattr(tests, method, decorated(vars(tests)[method]))
            return tests

        @wraps(tests)
        def run(*arguments: Any, **fixtures: Any) -> None:
            failures: list[Exception] = []
            every = list(values())
            for value in every:
                try:
                    tests(*arguments, **fixtures, **{name: value})
                except Exception as failure:  # noqa: BLE001 all are raised together
                    failure.add_note(f"{name}: {ids(value)}")
                    failures.append(failure)
            assert every, f"there is no {name}"
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(every)}", failures)

        signature = inspect.signature(tests)
        others = [parameter for parameter in signature.parameters.values() if parameter.name != name]
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]  # read by pytest
        return run

    return decorated
