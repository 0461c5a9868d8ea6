"""Work counted in calls: a claim about growth that does not depend on the clock, or on who else uses the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest


def calls(work: Callable[[], object]) -> int:
    """Return how many functions `work` calls, those written in C included; skips where another profiler is at work."""
    if sys.getprofile() is not None or sys.gettrace() is not None:
        pytest.skip("another profiler counts already")
    count = 0

    def see(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def assert_linear(work: Callable[[int], object], small: int, factor: int = 8) -> None:
    """Hold ``work(size)`` to at most `factor` times the calls, and a tenth more, for `factor` times the size."""
    few, many = calls(lambda: work(small)), calls(lambda: work(small * factor))
    assert few > small / 10, "too few calls to tell growth by"
    assert many <= 1.1 * factor * few, f"{few} calls for size {small}, {many} for {small * factor}"
