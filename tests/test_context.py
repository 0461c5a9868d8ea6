"""Contexts: names, equality, the `with` statement, and what a GPU context refuses."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest

from symgraph.context import Context, as_context, cpu, cpu_pinned, current_context, gpu, num_gpus
from symgraph.errors import ArgumentError, UnsupportedError
from tests.snapshots import Snapshots


def test_kinds_numbers_and_text() -> None:
    # As MXNet 1.9.1 shows them.
    shown = [
        (str(c), repr(c), c.device_type, c.device_id, c.device_typeid) for c in (cpu(), cpu(2), gpu(), cpu_pinned())
    ]
    assert shown == [
        ("cpu(0)", "cpu(0)", "cpu", 0, 1),
        ("cpu(2)", "cpu(2)", "cpu", 2, 1),
        ("gpu(0)", "gpu(0)", "gpu", 0, 2),
        ("cpu_pinned(0)", "cpu_pinned(0)", "cpu_pinned", 0, 3),
    ]
    assert Context("cpu_shared").device_typeid == 5
    assert Context.devtype2str == {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
    assert num_gpus() == 0


def test_equality_and_hash() -> None:
    assert cpu() == cpu(0)
    assert cpu() != cpu(1)
    assert cpu() != gpu()
    assert cpu() != "cpu(0)"
    assert {cpu(1): "here"}[Context("cpu", 1)] == "here"
    assert Context(gpu(3)) == gpu(3)
    assert cpu(np.int64(1)) == cpu(1)
    assert type(cpu(np.int64(1)).device_id) is int


def test_pickle() -> None:
    assert pickle.loads(pickle.dumps(gpu(3))) == gpu(3)  # noqa: S301


def test_with_nests_and_restores() -> None:
    same = cpu(4)
    with same, cpu(2), same:
        assert current_context() == cpu(4)
    assert current_context() == cpu(0)
    with pytest.raises(ZeroDivisionError), gpu(1):
        divmod(current_context() == gpu(1), 0)
    assert current_context() == cpu(0)


def test_with_is_of_one_thread() -> None:
    seen = []
    with cpu(3):
        thread = threading.Thread(target=lambda: seen.append(current_context()))
        thread.start()
        thread.join()
    assert seen == [cpu(0)]


@pytest.mark.parametrize(
    ("given", "found"),
    [(None, cpu()), (gpu(2), gpu(2)), ("cpu(1)", cpu(1)), ("gpu", gpu(0)), ("cpu_pinned(0)", cpu_pinned())],
)
def test_as_context(given: object, found: Context) -> None:
    assert as_context(given) == found


@pytest.mark.parametrize("given", ["cpu(", "cpu)", "cpu(-1)", "cpu(x)", "", "cpu(1) ", 3, "cpu(1" + 20 * "0" + ")"])
def test_what_names_no_context(given: object) -> None:
    with pytest.raises(ArgumentError, match="is no context"):
        as_context(given)


def test_error_texts(snapshot: Snapshots) -> None:
    with snapshot.raises(ArgumentError, "context_unknown_kind"):
        Context("cpux")
    with snapshot.raises(ArgumentError, "context_bad_number"):
        cpu(-1)
    with snapshot.raises(ArgumentError, "context_bad_value"):
        as_context(1.5)
    with snapshot.raises(UnsupportedError, "context_gpu_memory"):
        gpu(1).require_memory()
