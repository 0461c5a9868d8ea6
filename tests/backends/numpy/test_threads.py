"""The worker threads: all tasks run, once, and what goes wrong in one reaches the caller."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.backends.numpy import threads


@pytest.fixture
def four() -> Iterator[None]:
    """Four workers, whatever the machine has."""
    before = threads.worker_count()
    threads.set_worker_count(4)
    yield
    threads.set_worker_count(before)


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("count", [1, 2, 4, 50])
def test_each_task_runs_once_a_call(count: int) -> None:
    done = [0] * count

    def task(k: int) -> None:
        done[k] += 1

    run = threads.parallel([lambda k=k: task(k) for k in range(count)])  # type: ignore[misc]
    for calls in range(1, 30):
        run()
        assert done == [calls] * count


@pytest.mark.usefixtures("four")
def test_tasks_run_at_the_same_time() -> None:
    meeting = threading.Barrier(4, timeout=30)
    threads.parallel([meeting.wait] * 4)()


@pytest.mark.usefixtures("four")
def test_an_error_is_raised_when_no_task_is_running() -> None:
    running = []

    def slow() -> None:
        running.append(1)
        time.sleep(0.05)
        running.pop()

    def wrong() -> None:
        raise KeyError("one task")

    for tasks in ([slow, wrong, slow], [wrong, slow, slow]):
        with pytest.raises(KeyError, match="one task"):
            threads.parallel(tasks)()
        assert running == []


@pytest.mark.usefixtures("four")
def test_after_an_error_no_more_tasks_begin() -> None:
    begun = []

    def wrong() -> None:
        raise KeyError

    def later() -> None:
        begun.append(1)
        time.sleep(0.002)

    with pytest.raises(KeyError):
        threads.parallel([wrong, *[later] * 200])()
    assert len(begun) < 150


@pytest.mark.usefixtures("four")
def test_a_task_may_be_parallel_itself() -> None:
    done = []
    inner = threads.parallel([lambda: done.append(1)] * 3)
    threads.parallel([inner] * 5)()
    assert len(done) == 15


@pytest.mark.usefixtures("four")
def test_several_callers_at_once() -> None:
    done: list[int] = []

    def caller() -> None:
        for _ in range(50):
            threads.parallel([lambda: done.append(1)] * 4)()

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert len(done) == 3 * 50 * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("four")
def test_a_forked_child_has_workers_of_its_own() -> None:
    threads.parallel([lambda: None] * 4)()
    child = os.fork()
    if child == 0:
        meeting = threading.Barrier(4, timeout=30)
        try:
            threads.parallel([meeting.wait] * 4)()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@given(st.integers(1, 1000), st.integers(1, 40))
def test_ranges_cover_everything_evenly(length: int, parts: int) -> None:
    cut = threads.ranges(length, parts)
    assert [k for begin, end in cut for k in range(begin, end)] == list(range(length))
    sizes = {end - begin for begin, end in cut}
    assert len(cut) == min(length, parts)
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.usefixtures("four")
def test_only_large_calls_are_split() -> None:
    assert len(threads.split(100, threads.SPLIT_ELEMENTS)) == 4
    assert threads.split(100, threads.SPLIT_ELEMENTS - 1) == [(0, 100)]
    assert len(threads.split(2, threads.SPLIT_ELEMENTS)) == 2


@pytest.mark.usefixtures("four")
@pytest.mark.filterwarnings("error")
def test_workers_do_not_warn_of_infinities() -> None:
    meeting = threading.Barrier(4, timeout=30)
    results: list[float] = []

    def task() -> None:
        meeting.wait()  # so that each thread has a task
        results.append(float(np.divide(np.ones(1), 0)[0]))

    with np.errstate(all="ignore"):
        threads.parallel([task] * 4)()
    assert results == [np.inf] * 4
