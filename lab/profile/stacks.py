"""Sampled stacks, as py-spy writes them, folded to functions of ours and to libraries."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

Stack = tuple[str, ...]
"""Names of frames, the outermost first."""
Sample = tuple[int, Stack]
"""The thread's id in the operating system, and its stack."""

ROOT: Final = Path(__file__).parents[2]
"""Where the packages are, in a checkout and inside of the installed distribution."""
OWN: Final = ("service", "observability")
"""Packages whose functions are shown one by one; of a library only the function that was called."""
EVENT_LOOP: Final = "event loop"
OTHER: Final = "other: rare stacks"
MOST_STACKS: Final = 300
"""Kept of one profile."""

_ENDED: Final = 0
"""Instead of the ids of threads whose CPU time is only known together."""
_THREAD: Final = re.compile(r"(?:^|;)thread \((?P<id>0x[0-9a-fA-F]+|\d+)\)(?:: [^;]*)?(?:;|$)")
_FRAME: Final = re.compile(r"(?P<function>.*) \((?P<file>.+?)(?::\d+)?\)")
_LIBRARY: Final = re.compile(r".*/(?:(?:site|dist)-packages|lib/python3\.\d+t?)/(?P<path>.+)")


@dataclass(frozen=True, kw_only=True)
class Frame:
    function: str
    package: str
    path: str = ""
    """Relative, of our own functions; empty for libraries."""

    @classmethod
    def parsed(cls, text: str, *, root: Path = ROOT) -> "Frame":
        """Read `function (file:line)`; a frame without a file is one of Python itself."""
        found = _FRAME.fullmatch(text)
        if found is None or found["file"].startswith("<"):
            return cls(function=found["function"] if found else text, package="python")
        file = Path(found["file"])
        if file.is_relative_to(root) and file.relative_to(root).parts[0] in OWN:
            path = file.relative_to(root)
            return cls(function=found["function"], package=path.parts[0], path=path.as_posix())
        library = _LIBRARY.fullmatch(found["file"])
        package = Path(library["path"]).parts[0] if library else file.name
        return cls(function=found["function"], package=package.removesuffix(".py"))

    @property
    def name(self) -> str:
        """The function and its file, or the library and its function."""
        return f"{self.function} ({self.path})" if self.path else f"{self.package}: {self.function}"


def is_own(name: str) -> bool:
    """Return whether the frame of this name is a function of ours."""
    return name.endswith(".py)")


def package_of(name: str) -> str:
    """Return the package of a frame: the name of a library, or the first directory of a function of ours."""
    return name.rpartition(" (")[2].partition("/")[0] if is_own(name) else name.partition(": ")[0]


def samples_of(text: str) -> Counter[Sample]:
    """Count the samples in py-spy's raw format with thread ids: a line per stack, with its number at the end.

    Threads without a frame, which run no Python, are left out.
    """
    counted: Counter[Sample] = Counter()
    for line in text.splitlines():
        stack, _, number = line.rpartition(" ")
        thread = _THREAD.search(stack)
        if thread is not None and thread.end() < len(stack):
            counted[int(thread["id"], 0), tuple(stack[thread.end() :].split(";"))] += int(number)
    return counted


def folded(stack: Iterable[str], *, root: Path = ROOT) -> Stack:
    """Return the stack from the event loop on, or from the thread's function on, with one frame per call of a library.

    SQLAlchemy's statements run on a greenlet, whose stack does not contain the coroutine that waits for it.
    """
    frames = [Frame.parsed(text, root=root) for text in stack]
    runners = [number for number, frame in enumerate(frames) if frame.name == "asyncio: Runner.run"]
    names: list[str] = [EVENT_LOOP] if runners else []
    last = "" if runners else "threading"
    for frame in frames[runners[-1] + 1 if runners else 0 :]:
        if frame.path or frame.package != last:
            names.append(frame.name)
        last = "" if frame.path else frame.package
    return tuple(names) or ("threading: Thread",)


def cpu_by_stack(
    samples: Mapping[Sample, int], cpu_s: Mapping[int, float], *, ended_cpu_s: float = 0.0
) -> dict[Stack, float]:
    """Return the CPU time in seconds of each folded stack.

    The CPU time of a thread is shared among its samples: a sampler also sees threads that wait for a processor, or
    were only woken by the sampler. Threads that ended meanwhile share `ended_cpu_s`.
    """
    of_thread: Counter[int] = Counter()
    for (thread, _), number in samples.items():
        of_thread[thread if thread in cpu_s else _ENDED] += number
    found: dict[Stack, float] = {}
    for (thread, stack), number in samples.items():
        known = thread if thread in cpu_s else _ENDED
        spent_s = cpu_s.get(known, ended_cpu_s) * number / of_thread[known]
        if spent_s > 0:
            name = folded(stack)
            found[name] = found.get(name, 0.0) + spent_s
    return found


def shortened(stacks: Mapping[Stack, float], *, most: int = MOST_STACKS) -> dict[Stack, float]:
    """Return at most so many stacks: calls that take the least time are counted in their callers."""
    of_call: dict[Stack, float] = {}
    for stack, spent_s in stacks.items():
        for depth in range(1, len(stack) + 1):
            of_call[stack[:depth]] = of_call.get(stack[:depth], 0.0) + spent_s
    limits = [*sorted({0.0, *of_call.values()}), inf]
    least = bisect_left(limits, True, key=lambda least_s: len(_cut(stacks, of_call, least_s)) <= most)
    return _cut(stacks, of_call, limits[least])


def _cut(stacks: Mapping[Stack, float], of_call: Mapping[Stack, float], least_s: float) -> dict[Stack, float]:
    """Return the stacks without calls that take less time altogether."""
    left: dict[Stack, float] = {}
    for stack, spent_s in stacks.items():
        depth = sum(of_call[stack[:depth]] >= least_s for depth in range(1, len(stack) + 1))
        kept = stack[:depth] or (OTHER,)
        left[kept] = left.get(kept, 0.0) + spent_s
    return left
