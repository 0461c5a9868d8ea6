"""Random arrays: seeds, steps, and that the distributions are what they are called."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

import symgraph as mx
from symgraph.backends.numpy import random_bits
from symgraph.errors import ArgumentError, ShapeError
from symgraph.ndarray.random_state import next_state
from tests.snapshots import Snapshots

#: As in tests/backends/numpy/test_random_bits.py: truly random numbers would fail a bound with a probability of 1e-7.
SIGMAS = 5.33
N = 100_000


@pytest.fixture(autouse=True)
def _seeded() -> None:
    mx.random.seed(5)


def draw(*args: object, **kwargs: object) -> np.ndarray:
    return mx.nd.random.uniform(*args, **kwargs).asnumpy()


def test_a_seed_begins_anew() -> None:
    first = [draw(shape=(3,)), mx.random.normal(shape=(3,)).asnumpy(), draw(shape=(3,))]
    assert not np.array_equal(first[0], first[2])
    mx.random.seed(5)
    again = [draw(shape=(3,)), mx.random.normal(shape=(3,)).asnumpy(), draw(shape=(3,))]
    for x, y in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, y)
    mx.random.seed(6)
    assert not np.array_equal(draw(shape=(3,)), first[0])


def test_numbers_are_those_of_seed_and_step() -> None:
    for step in (0, 1):
        expected = random_bits.uniform(np.array([5, step], np.uint64), 0, (4,), "float32")
        np.testing.assert_array_equal(draw(shape=(4,)), expected)


def test_seeds_count_modulo_2_64() -> None:
    mx.random.seed(-1)
    assert next_state().tolist() == [2**64 - 1, 0]
    mx.random.seed(np.int64(2**40), ctx=mx.cpu())
    assert next_state().tolist() == [2**40, 0]


def test_what_is_run_for_a_look_gives_its_numbers_back() -> None:
    expected = draw(shape=(3,))
    noise = mx.sym.Dropout(mx.sym.Variable("x"), p=0.5)
    executor = noise.bind(mx.cpu(), {"x": mx.nd.ones((100,))}, grad_req="null")
    mx.random.seed(5)
    executor.explain(analyze=True, training=True)
    with executor.preserved():
        mx.random.seed(6)
        executor.forward(is_train=True)
    np.testing.assert_array_equal(draw(shape=(3,)), expected)


def test_the_seed_decides_what_a_graph_draws() -> None:
    noise = mx.sym.Dropout(mx.sym.Variable("x"), p=0.5)
    executor = noise.bind(mx.cpu(), {"x": mx.nd.ones((100,))}, grad_req="null")
    mx.random.seed(5)
    first, second = (executor.forward(is_train=True)[0].asnumpy() for _ in range(2))
    assert (first != second).any()
    mx.random.seed(5)
    np.testing.assert_array_equal(executor.forward(is_train=True)[0].asnumpy(), first)


def test_threads_do_not_share_steps() -> None:
    found: list[int] = []

    def work() -> None:
        found.extend(int(next_state()[1]) for _ in range(1000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(4000))


def test_shapes_types_and_places() -> None:
    random = mx.nd.random
    assert random.uniform().shape == (1,)
    assert random.uniform(shape=3).shape == (3,)
    assert random.uniform(0, 1, (2, 3)).dtype is np.float32
    assert random.randn(2, 3, dtype="float64").dtype is np.float64
    assert random.normal(shape=(2,), dtype="float16").dtype is np.float16
    assert random.randint(0, 9, shape=(2,)).dtype is np.int32
    assert random.randint(0, 9, shape=(2,), dtype="int64").dtype is np.int64
    assert random.uniform(shape=(1,), ctx=mx.cpu(2)).context == mx.cpu(2)
    out = mx.nd.zeros((2, 2))
    assert random.normal(out=out) is out
    assert np.all(out.asnumpy() != 0)
    like = mx.nd.zeros((2, 2), dtype="float64")
    assert random.uniform_like(like).dtype is np.float64
    assert mx.random.uniform is random.uniform
    assert mx.rnd is mx.random
    assert mx.nd.random_uniform(low=1, high=2, shape=(2,)).shape == (2,)


def test_uniform_and_normal_moments() -> None:
    x = draw(-1, 3, shape=(N,)).astype(float)
    assert -1 <= x.min() < x.max() < 3
    assert abs(x.mean() - 1) < SIGMAS * math.sqrt(16 / 12 / N)
    z = mx.nd.random.normal(2, 0.5, shape=(N,)).asnumpy().astype(float)
    assert abs(z.mean() - 2) < SIGMAS * 0.5 / math.sqrt(N)
    assert abs(z.var() - 0.25) < SIGMAS * 0.25 * math.sqrt(2 / N)


def test_randint_is_even() -> None:
    x = mx.nd.random.randint(-3, 5, shape=(N,)).asnumpy()
    counts = np.bincount(x + 3, minlength=8)
    assert len(counts) == 8
    statistic = float(np.sum((counts - N / 8) ** 2) / (N / 8))
    bound = -math.log(1e-7)  # Laurent and Massart (2000): P(chi2_k > k + 2 sqrt(k t) + 2 t) <= exp(-t)
    assert statistic < 7 + 2 * math.sqrt(7 * bound) + 2 * bound


def test_exponential_mean_is_the_scale() -> None:
    x = mx.nd.random.exponential(2.5, shape=(N,)).asnumpy().astype(float)
    assert x.min() >= 0
    assert abs(x.mean() - 2.5) < SIGMAS * 2.5 / math.sqrt(N)


def test_error_texts(snapshot: Snapshots) -> None:
    with snapshot.raises(ArgumentError, "seed_type"):
        mx.random.seed(1.5)
    with snapshot.raises(ArgumentError, "random_range"):
        mx.nd.random.uniform(1, 0, shape=(2,))
    with snapshot.raises(ArgumentError, "random_dtype"):
        mx.nd.random.uniform(0, 1, shape=(2,), dtype="int32")
    with snapshot.raises(ArgumentError, "random_mixed"):
        mx.nd.random.uniform(mx.nd.zeros((2,)), 1)
    with snapshot.raises(ShapeError, "random_unknown_length"):
        mx.nd.random.uniform(shape=(0,))
