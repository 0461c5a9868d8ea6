"""The garbage collector is paused, and runs again afterwards."""

from __future__ import annotations

import gc
import threading

import pytest

from symgraph.errors import GraphFormatError
from symgraph.formats.collector import paused
from symgraph.formats.symbol_json import parse


def test_it_runs_again() -> None:
    assert gc.isenabled()
    with paused():
        assert not gc.isenabled()
        with paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(GraphFormatError):
        parse("{}")
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_last_of_several_threads_wakes_it() -> None:
    inside, leave = threading.Barrier(3), threading.Event()

    def work() -> None:
        with paused():
            inside.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    with paused():
        pass
    assert not gc.isenabled()
    leave.set()
    for thread in threads:
        thread.join()
    assert gc.isenabled()
