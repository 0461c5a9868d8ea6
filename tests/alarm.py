"""Interrupts at any moment, as Ctrl-C gives them, but from a timer of the system."""

from __future__ import annotations

import contextlib
import gc
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Alarm(contextlib.AbstractContextManager["Alarm"]):
    """Turns the system's alarm into a KeyboardInterrupt in the main thread, between any two bytecodes."""

    def __enter__(self) -> Alarm:
        gc.disable()  # Hypothesis is called back by the collector, and an exception raised there is lost
        self.before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)
        gc.enable()

    def during(self, function: Callable[[], object], delay: float) -> bool:
        """Call a function and interrupt after `delay` seconds; returns whether it was still running."""
        done = False
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            function()
            done = True
            for _ in range(10_000):
                time.sleep(0.0005)  # short: a signal that comes just before a sleep does not cut it
        except KeyboardInterrupt:
            return not done
        raise AssertionError("no signal came")


def duration(function: Callable[[], object]) -> float:
    """Return how many seconds a call takes, mostly."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return sorted(times)[4]


def interrupted(
    arrays: Sequence[Array], run: Callable[[], object], trials: int, reset: Callable[[], object] = lambda: None
) -> dict[str, int]:
    """Interrupt a run at random moments; count how often nothing, everything or a part of it had taken effect.

    Parameters
    ----------
    arrays
        What the run renews; a run from the same start gives the same end, and leaves no array as it was.
    run
        What to interrupt.
    trials
        How often.
    reset
        Puts right whatever else a run changes.
    """
    start = [x.copy() for x in arrays]
    reset()
    run()
    end = [x.copy() for x in arrays]
    assert all(not np.array_equal(x, y) for x, y in zip(start, end, strict=True))
    span = duration(run)
    rng = np.random.default_rng(0)
    seen = {"nothing": 0, "everything": 0, "part": 0, "cut": 0}
    with Alarm() as alarm:
        for _ in range(trials):
            for x, y in zip(arrays, start, strict=True):
                x[...] = y
            reset()
            seen["cut"] += alarm.during(run, max(1e-6, rng.uniform(0, 1.5) * span))
            if all(np.array_equal(x, y) for x, y in zip(arrays, start, strict=True)):
                seen["nothing"] += 1
            elif all(np.array_equal(x, y) for x, y in zip(arrays, end, strict=True)):
                seen["everything"] += 1
            else:
                seen["part"] += 1
    for x, y in zip(arrays, start, strict=True):
        x[...] = y
    reset()
    run()
    assert all(np.array_equal(x, y) for x, y in zip(arrays, end, strict=True)), "usable after interrupts"
    return seen
