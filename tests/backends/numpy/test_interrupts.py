"""Whatever signal arrives, a shielded function runs as a whole or not at all, and no worker goes on unseen."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph.backends.numpy import interrupts, threads
from symgraph.backends.numpy.interrupts import shielded
from tests.alarm import Alarm


def test_a_task_runs_once_and_has_ended_when_the_call_returns() -> None:
    done: list[int] = []
    run = shielded(lambda: (time.sleep(0.01), done.append(threading.get_ident())))
    run()
    run()
    assert len(done) == 2
    assert threading.get_ident() not in done, "in the main thread a signal could cut it"


def test_an_error_of_the_task_is_raised_in_the_caller() -> None:
    error = OSError("no room")

    def task() -> None:
        raise error

    with pytest.raises(OSError, match="no room") as caught:
        shielded(task)()
    assert caught.value is error


def test_it_works_in_other_threads() -> None:
    done: list[int] = []
    thread = threading.Thread(target=shielded(lambda: done.append(1)))
    thread.start()
    thread.join()
    assert done == [1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("can't start new thread")])
def test_a_task_that_has_not_begun_never_runs(monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    done: list[int] = []
    started: list[Callable[[], None]] = []

    def refused(function: Callable[[], None], arguments: tuple[()]) -> None:
        started.append(function)
        raise error

    monkeypatch.setattr(interrupts._thread, "start_new_thread", refused)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        shielded(lambda: done.append(1))()
    started[0]()  # the thread starts after all, too late
    assert done == []


def test_an_interrupt_waits_for_the_task() -> None:
    state = np.zeros(2)

    def task() -> None:
        state[0] = trial
        time.sleep(0.002)
        state[1] = trial

    run = shielded(task)
    seen = {"before": 0, "during": 0, "after": 0}
    rng = np.random.default_rng(0)
    with Alarm() as alarm:
        for trial in range(1, 200):
            cut = alarm.during(run, rng.uniform(1e-6, 0.0025))
            assert state[0] == state[1], "cut in two"
            seen["before" if state[0] != trial else "during" if cut else "after"] += 1
    assert seen["during"] > 0
    assert sum(seen.values()) == 199


def test_a_real_ctrl_c() -> None:
    done: list[int] = []

    def task() -> None:
        time.sleep(0.05)
        done.append(1)

    def press() -> None:
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        shielded(task)()
    assert done == [1]
    presser.join()


def test_an_interrupt_of_a_parallel_call_waits_for_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_count", 3)
    working = [0]
    lock = _thread.allocate_lock()

    def task() -> None:
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.0003)  # may be cut
            return
        with lock:
            working[0] += 1
        time.sleep(0.0003)
        with lock:
            working[0] -= 1

    run = threads.parallel([task] * 9)
    rng = np.random.default_rng(0)
    cut = 0
    with Alarm() as alarm:
        for _ in range(300):
            cut += alarm.during(run, rng.uniform(1e-6, 0.0015))
            assert working == [0], "a worker is still at work"
    assert cut > 0
    run()
