"""Running a function so that Ctrl-C cannot cut it in two.

Python runs signal handlers in the main thread, between bytecodes. NumPy functions called in a row from C are therefore
never interrupted; Python code that must not be is run in another thread, and the main thread waits for it whatever
happens, then lets the interrupt through.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable

__all__ = ["shielded"]


def shielded(task: Callable[[], object]) -> Callable[[], None]:
    """Return a callable that runs `task` as a whole or not at all, whatever signals arrive meanwhile.

    An exception of the task's own is raised in the caller. An interrupt that arrives before the task has begun is
    raised at once, and the task never runs; one that arrives later is raised when the task has finished.
    """

    def run() -> None:
        begin, wake = threading.Lock(), threading.Lock()
        wake.acquire()
        finished: list[BaseException | None] = []

        def body() -> None:
            if not begin.acquire(blocking=False):
                return
            error: BaseException | None = None
            try:
                task()
            except BaseException as raised:  # noqa: BLE001 - the caller raises it
                error = raised
            finished.append(error)
            wake.release()

        try:
            _thread.start_new_thread(body, ())
            wake.acquire()
        except BaseException:
            if begin.acquire(blocking=False):
                raise
            while not finished:
                try:
                    time.sleep(0.001)
                except BaseException:  # noqa: BLE001 - one interrupt is enough; it is raised below
                    continue
            raise
        if finished[0] is not None:
            raise finished[0]

    return run
