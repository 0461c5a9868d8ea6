"""One number of threads for our own work and for BLAS, and results that do not depend on it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import symgraph as mx
from symgraph.backends.numpy import threads
from symgraph.errors import ArgumentError
from tests.snapshots import ROOT

needs_threadpoolctl = pytest.mark.skipif(
    importlib.util.find_spec("threadpoolctl") is None, reason="the extra `threads` is not installed"
)
#: Run first, it makes the extra look as if it were not installed.
ABSENT = "import sys; sys.modules['threadpoolctl'] = None\n"
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new process, in which only `environment` speaks of threads."""
    silent = (*BLAS_VARIABLES, "SYMGRAPH_NUM_THREADS", "SYMGRAPH_REPRODUCIBLE")
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in silent} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def printed(program: str, **environment: str) -> list[str]:
    done = run(program, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def workers() -> Iterator[Callable[[int], None]]:
    """Set the number of our own threads; the old one comes back."""
    before = threads.worker_count()
    yield threads.set_worker_count
    threads.set_worker_count(before)


# -- the number -------------------------------------------------------------------------------------------------------

SHOW = "import symgraph as mx; print(*mx.engine.num_threads(), mx.engine.is_reproducible())\n"


@needs_threadpoolctl
def test_one_number_holds_for_all() -> None:
    program = SHOW + "print(*mx.engine.set_num_threads(3)); print(*mx.engine.num_threads())"
    assert printed(program)[1:] == ["3 3", "3 3"]


@needs_threadpoolctl
def test_a_product_is_split_over_that_many_threads() -> None:
    program = SHOW + "mx.engine.set_num_threads(1)\n"
    program += "import threadpoolctl; print(*{x['num_threads'] for x in threadpoolctl.threadpool_info()})"
    assert printed(program)[1:] == ["1"]


def test_without_the_extra_the_function_says_what_it_did_not_do() -> None:
    done = run(ABSENT + SHOW + "print(*mx.engine.set_num_threads(3))")
    assert done.returncode == 0
    assert done.stdout.splitlines()[1] == "3 None"
    assert "BLAS is not told to use 3 threads: threadpoolctl is not installed; install" in done.stderr
    assert "line 3" not in done.stderr  # the warning points at the call
    assert done.stderr.count("Warning") == 1


@needs_threadpoolctl
def test_a_thread_that_threadpoolctl_overhears_is_told() -> None:
    program = SHOW + (
        "import threading, warnings\n"
        "mx.engine.set_num_threads(2)\n"
        "def other():\n"
        "    with warnings.catch_warnings(record=True) as told:\n"
        "        warnings.simplefilter('always')\n"
        "        found = mx.engine.set_num_threads(3)\n"
        "    print(found.own, len(told) == (found.blas != 3), found.blas in (2, 3))\n"
        "thread = threading.Thread(target=other); thread.start(); thread.join()\n"
    )
    assert printed(program)[1:] == ["3 True True"]


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2", None])
def test_a_bad_number_is_refused(count: object) -> None:
    before = mx.engine.num_threads()
    with pytest.raises(ArgumentError, match="expected a positive integer"):
        mx.engine.set_num_threads(count)  # type: ignore[arg-type]
    assert mx.engine.num_threads() == before


def test_numpy_integers_are_numbers() -> None:
    before = mx.engine.num_threads()
    if before.blas is None:
        pytest.skip("the extra `threads` is not installed")
    try:
        assert mx.engine.set_num_threads(np.int64(3)).own == 3
    finally:
        mx.engine.set_num_threads(before.own)
        mx.engine._State.count = None


# -- the environment --------------------------------------------------------------------------------------------------


@needs_threadpoolctl
@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"SYMGRAPH_NUM_THREADS": " 3 "}, "3 3 False"),
        ({"SYMGRAPH_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"}, "3 1 False"),
        ({"SYMGRAPH_NUM_THREADS": "3", "SYMGRAPH_REPRODUCIBLE": "1"}, "3 1 True"),
        ({"SYMGRAPH_NUM_THREADS": "3", "SYMGRAPH_REPRODUCIBLE": "0"}, "3 3 False"),
    ],
)
def test_the_environment_sets_both(environment: dict[str, str], shown: str) -> None:
    assert printed(SHOW, **environment) == [shown]


def test_without_the_extra_the_environment_is_not_half_followed_in_silence() -> None:
    done = run(ABSENT + SHOW, SYMGRAPH_NUM_THREADS="3")
    assert done.stdout == "3 None False\n"
    assert "BLAS is not told to use 3 threads: threadpoolctl is not installed" in done.stderr
    assert printed(ABSENT + SHOW, SYMGRAPH_NUM_THREADS="3", OMP_NUM_THREADS="2") == ["3 None False"]


@pytest.mark.parametrize("text", ["0", "1.5", "x"])
def test_a_bad_number_in_the_environment_is_refused(text: str) -> None:
    assert (
        f"SYMGRAPH_NUM_THREADS is {text!r}, expected a positive integer" in run(SHOW, SYMGRAPH_NUM_THREADS=text).stderr
    )


def test_a_bad_mode_in_the_environment_is_refused() -> None:
    assert "SYMGRAPH_REPRODUCIBLE is 'yes', expected 0 or 1" in run(SHOW, SYMGRAPH_REPRODUCIBLE="yes").stderr


# -- the same bits ----------------------------------------------------------------------------------------------------


def depthwise(data: mx.sym.Symbol) -> mx.sym.Symbol:
    net = mx.sym.Convolution(data, num_filter=16, num_group=16, kernel=(3, 3), pad=(1, 1))
    return mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pool_type="avg")


def grouped(data: mx.sym.Symbol) -> mx.sym.Symbol:
    return mx.sym.Convolution(data, num_filter=16, num_group=8, kernel=(5, 5), stride=(2, 2))


def dense(data: mx.sym.Symbol) -> mx.sym.Symbol:
    net = mx.sym.BatchNorm(mx.sym.Convolution(data, num_filter=12, kernel=(3, 3), pad=(1, 1)))
    return mx.sym.Pooling(mx.sym.relu(net), kernel=(2, 2), stride=(2, 2), pool_type="max")


def rows(data: mx.sym.Symbol) -> mx.sym.Symbol:
    net = mx.sym.LayerNorm(mx.sym.reshape(data, (-1, 112)))
    return mx.sym.softmax(mx.sym.exp(mx.sym.tanh(net) * 0.5) + net)


def sums(data: mx.sym.Symbol) -> mx.sym.Symbol:
    return mx.sym.sum(mx.sym.square(data * 3 + 1), axis=(0, 2, 3)) + mx.sym.mean(data, axis=1, exclude=True)


def one_column(data: mx.sym.Symbol) -> mx.sym.Symbol:
    net = mx.sym.reshape(data, (-1, 2))
    return mx.sym.sum(net * net + net, axis=0)


NETS = [depthwise, grouped, dense, rows, sums, one_column]


def bits(loss: mx.sym.Symbol, jit: str) -> list[bytes]:
    """Return outputs, gradients and states after a step."""
    options = mx.executor.Options(jit=jit)
    executor = mx.executor.simple_bind(loss, data=(2, 16, 112, 112), grad_req="write", options=options)
    values = np.random.default_rng(0)
    for x in (*executor.arg_arrays, *executor.aux_arrays):
        x[:] = values.normal(size=x.shape) * 0.3
    executor.forward(is_train=True)
    executor.backward([mx.nd.array(values.normal(size=y.shape)) for y in executor.outputs])
    arrays = [*executor.outputs, *executor.grad_arrays, *executor.aux_arrays]
    return [x.asnumpy().tobytes() for x in arrays if x is not None]


@pytest.mark.parametrize("jit", ["off", "now"])
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_how_our_own_work_is_divided_changes_no_bit(
    net: Callable[[mx.sym.Symbol], mx.sym.Symbol], jit: str, workers: Callable[[int], None]
) -> None:
    loss = net(mx.sym.Variable("data"))
    workers(1)
    alone = bits(loss, jit)
    for count in (2, 5):
        workers(count)
        assert bits(loss, jit) == alone


#: Trains with products that BLAS splits, and prints a digest of all that came of it.
TRAIN = """
import hashlib
import numpy as np
import symgraph as mx
net = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=24, kernel=(3, 3), pad=(1, 1))
net = mx.sym.FullyConnected(mx.sym.relu(net), num_hidden=300)
net = mx.sym.FullyConnected(mx.sym.tanh(net), num_hidden=10)
step = mx.sym.training_step(mx.sym.SoftmaxOutput(net, mx.sym.Variable("label")), "rmsprop_update", lr=0.01)
executor = step.simple_bind(mx.cpu(), data=(20, 8, 20, 20), label=(20,))
values = np.random.default_rng(0)
for name, x in executor.arg_dict.items():
    x[:] = values.integers(0, 10, x.shape) if name == "label" else values.normal(size=x.shape) * 0.1
for _ in range(3):
    executor.forward(is_train=True)
left = mx.nd.array(values.normal(size=(333, 777)))
arrays = [*executor.outputs, *executor.arg_arrays, *executor.aux_arrays, mx.nd.dot(left, left.T)]
print(hashlib.sha256(b"".join(x.asnumpy().tobytes() for x in arrays)).hexdigest())
"""


@needs_threadpoolctl
def test_reproducible_results_are_the_same_whatever_the_number_of_threads() -> None:
    environments = [
        {"SYMGRAPH_NUM_THREADS": "1"},
        {"SYMGRAPH_NUM_THREADS": "2"},
        {"SYMGRAPH_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "4"},
        {"OPENBLAS_NUM_THREADS": "5"},
    ]
    digests = {printed(TRAIN, SYMGRAPH_REPRODUCIBLE="1", **environment)[0] for environment in environments}
    assert len(digests) == 1


@needs_threadpoolctl
def test_reproducible_holds_until_it_is_taken_back() -> None:
    program = SHOW + (
        "before = mx.engine.num_threads().blas\n"
        "mx.engine.set_reproducible(); mx.engine.set_reproducible()\n"
        "print(*mx.engine.set_num_threads(3), mx.engine.is_reproducible())\n"
        "mx.engine.set_reproducible(False); mx.engine.set_reproducible(False)\n"
        "print(*mx.engine.num_threads(), mx.engine.is_reproducible())\n"
    )
    assert printed(program)[1:] == ["3 1 True", "3 3 False"]
    program = SHOW + (
        "before = mx.engine.num_threads().blas\n"
        "mx.engine.set_reproducible(); mx.engine.set_reproducible(False)\n"
        "print(mx.engine.num_threads().blas == before)\n"
    )
    assert printed(program, OPENBLAS_NUM_THREADS="2")[1:] == ["True"]


def test_without_the_extra_reproducible_is_refused() -> None:
    program = (
        ABSENT
        + SHOW
        + (
            "try:\n    mx.engine.set_reproducible()\nexcept mx.errors.UnsupportedError as error:\n    print(error)\n"
            "print(mx.engine.is_reproducible())"
        )
    )
    text = "BLAS cannot be kept to one thread: threadpoolctl is not installed; install threadpoolctl (pip install "
    text += "'symgraph[threads]')"
    assert printed(program)[1:] == [
        f"set_reproducible(): {text}",
        "False",
    ]
    assert (
        "UnsupportedError: set_reproducible(): BLAS cannot be" in run(ABSENT + SHOW, SYMGRAPH_REPRODUCIBLE="1").stderr
    )
