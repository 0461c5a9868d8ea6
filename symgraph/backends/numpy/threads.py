"""The worker threads of the NumPy engine: one pool, one setting for its width.

NumPy releases the interpreter lock in copies, ufuncs and BLAS calls of more than a few hundred elements, so a large
call split in parts runs on all cores. Starting the parts costs some 25 us, hence `SPLIT_ELEMENTS`: below it a call
stays in the calling thread. BLAS has threads of its own and is called by one thread at a time, except where each call
is too small for BLAS to split (matrix times vector), so cores are not oversubscribed.

What does not belong here: any knowledge of what the tasks compute.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np

__all__ = [
    "SPLIT_ELEMENTS",
    "Parallel",
    "is_worker",
    "longest",
    "parallel",
    "ranges",
    "set_worker_count",
    "slices",
    "split",
    "worker_count",
]

Task = Callable[[], object]

#: Elements copied by a call below which splitting it does not pay (measured: break-even at 1 to 2 million).
SPLIT_ELEMENTS = 1 << 21


def _available() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


_count: int | None = None
_queue: SimpleQueue[_Job] = SimpleQueue()
_started = 0
_lock = threading.Lock()
_local = threading.local()


def worker_count() -> int:
    """Return how many threads work on one task list, the calling one included."""
    global _count
    if _count is None:
        _count = _available()
    return _count


def set_worker_count(count: int) -> None:
    """Set how many threads work on one task list; plans made before keep the number of parts they were made with."""
    global _count
    assert count >= 1
    _count = count


def is_worker() -> bool:
    """Return whether the calling thread is a worker, which does all that it is told itself."""
    return getattr(_local, "busy", False)


class _Job:
    """One task list under way: whoever is free takes the next task.

    The caller waits for those who are at work, not for a number of tasks: an interrupt may strike the caller between
    taking a task and running it.
    """

    __slots__ = ("active", "closed", "error", "idle", "lock", "tasks", "tickets")

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks
        self.tickets = itertools.count()
        self.lock = threading.Lock()
        self.active, self.closed = 0, False
        self.idle = threading.Lock()
        self.idle.acquire()
        self.error: BaseException | None = None

    def work(self) -> None:
        """Run tasks until none is left or one has failed."""
        tasks, total = self.tasks, len(self.tasks)
        while self.error is None and (ticket := next(self.tickets)) < total:
            tasks[ticket]()

    def help(self) -> None:
        """Work on the job in another thread than the caller's, if the caller has not closed it yet."""
        with self.lock:
            late = self.closed
            self.active += not late
        if late:
            return
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self.error = error
        with self.lock:
            self.active -= 1
            if self.closed and not self.active:
                self.idle.release()

    def close(self) -> None:
        """Let nobody else begin, and wait until no task is running any more: tasks write into shared buffers."""
        with self.lock:
            self.closed = True
        while self.active:
            self.idle.acquire()


def _serve() -> None:
    _local.busy = True
    np.seterr(all="ignore")  # as in the thread that runs a plan: an infinity or a NaN is a result like another
    while True:
        _queue.get().help()


def _start(count: int) -> None:
    global _started
    with _lock:
        while _started < count:
            threading.Thread(target=_serve, name=f"symgraph-{_started + 1}", daemon=True).start()
            _started += 1


def _forget() -> None:
    """After a fork the child has no workers: start again with none."""
    global _queue, _started, _lock, _local
    _queue, _started, _lock, _local = SimpleQueue(), 0, threading.Lock(), threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Parallel:
    """A callable that runs all `tasks`, on all workers; see `parallel`."""

    __slots__ = ("tasks",)

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)

    def __call__(self) -> None:
        """Run the tasks."""
        tasks = self.tasks
        helpers = min(len(tasks), worker_count()) - 1
        if helpers < 1 or is_worker():
            for task in tasks:
                task()
            return
        if _started < helpers:
            _start(helpers)
        job = _Job(tasks)
        try:
            for _ in range(helpers):
                _queue.put(job)
            job.work()
        except BaseException as error:  # noqa: BLE001 - raised below, when no task is running any more
            job.error = error
        while True:
            try:
                job.close()
                break
            except BaseException as error:  # noqa: BLE001 - an interrupt: raised below, too
                job.error = error
        if job.error is not None:
            raise job.error


def parallel(tasks: Sequence[Task]) -> Task:
    """Return a callable that runs all `tasks`, on all workers, and returns when the last one has finished.

    Tasks must be independent of each other. A task that itself calls a parallel callable runs that one serially. The
    first exception stops tasks not yet begun and is raised in the caller once none is running.

    >>> out = [0, 0]
    >>> parallel([lambda: out.__setitem__(0, 1), lambda: out.__setitem__(1, 2)])()
    >>> out
    [1, 2]
    """
    return tasks[0] if len(tasks) == 1 else Parallel(tasks)


def ranges(length: int, parts: int) -> list[tuple[int, int]]:
    """Cut ``range(length)`` into at most `parts` runs of nearly equal length, as (begin, end) pairs.

    >>> ranges(5, 2)
    [(0, 3), (3, 5)]
    """
    parts = max(1, min(parts, length))
    size, extra = divmod(length, parts)
    bounds = list(itertools.accumulate((size + (k < extra) for k in range(parts)), initial=0))
    return list(itertools.pairwise(bounds))


def slices(length: int, parts: int) -> list[slice]:
    """Cut ``range(length)`` as `ranges` does, into slices.

    >>> slices(5, 2)
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return [slice(*part) for part in ranges(length, parts)]


def longest(cuts: Sequence[slice]) -> int:
    """Return the length of the longest of some slices."""
    return max(s.stop - s.start for s in cuts)


def split(length: int, elements: int) -> list[tuple[int, int]]:
    """Cut ``range(length)`` for the workers if `elements`, written in all, are worth it; else return it whole."""
    return ranges(length, worker_count() if elements >= SPLIT_ELEMENTS else 1)
