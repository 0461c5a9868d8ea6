"""Random bits: the documented mapping, and the laws that independent uniform and normal numbers obey.

The draws are fixed, so these tests never fail by chance. A bound is chosen such that truly random numbers would pass it
with a probability of all but ALARM; ten million other seeds would about fail once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph.backends.numpy.random_bits import normal, uniform, words
from symgraph.errors import DTypeError

ALARM = 1e-7
#: Standard deviations beyond which a normal variable lies with probability ALARM.
SIGMAS = 5.33
N = 200_000

Draw = Callable[..., np.ndarray[Any, Any]]


def state(seed: int = 7, step: int = 3) -> np.ndarray[Any, Any]:
    return np.array([seed, step], np.uint64)


def philox(count: int, seed: int = 7, step: int = 3, key: int = 11) -> np.ndarray[Any, Any]:
    bits = np.random.Philox(key=state(seed, step), counter=np.array([0, 0, key, 0], np.uint64))
    return np.asarray(bits.random_raw(count), "<u8")


def distance(sample: np.ndarray[Any, Any], law: Callable[[float], float]) -> float:
    """Return the greatest distance between the sample's distribution function and the law's."""
    law_at = np.array([law(x) for x in np.sort(sample.astype(float))])
    n = len(sample)
    return float(max(np.max(np.arange(1, n + 1) / n - law_at), np.max(law_at - np.arange(n) / n)))


def allowed_distance(n: int) -> float:
    """Dvoretzky, Kiefer, Wolfowitz; constant by Massart (1990): P(distance > e) <= 2 exp(-2 n e^2)."""
    return math.sqrt(math.log(2 / ALARM) / (2 * n))


def test_uniform_is_the_documented_function_of_the_words() -> None:
    raw = philox(5)
    np.testing.assert_array_equal(uniform(state(), 11, (5,), "float64"), (raw >> np.uint64(11)) * 2.0**-53)
    np.testing.assert_array_equal(uniform(state(), 11, (2, 5), "float32").ravel(), (raw.view("<u4") >> 8) * 2.0**-24)
    np.testing.assert_array_equal(uniform(state(), 11, (19,), "float16"), (raw.view("<u2") >> 5)[:19] * 2.0**-11)


def test_normal_is_the_documented_function_of_the_words() -> None:
    raw = philox(6)
    r = np.sqrt(-2 * np.log(1 - (raw[:3] >> np.uint64(11)) * 2.0**-53))
    t = 2 * np.pi * (raw[3:] >> np.uint64(11)) * 2.0**-53
    expected = np.concatenate([r * np.cos(t), r * np.sin(t)])
    np.testing.assert_allclose(normal(state(), 11, (6,), "float64"), expected, rtol=1e-14)
    np.testing.assert_allclose(normal(state(), 11, (5,), "float64"), expected[:5], rtol=1e-14)


def test_words_are_those_of_philox() -> None:
    np.testing.assert_array_equal(words(state(), 11, 9), philox(9))


@pytest.mark.parametrize("draw", [uniform, normal])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (7,), (2, 3, 5)])
def test_shape_and_dtype(draw: Draw, dtype: str, shape: tuple[int, ...]) -> None:
    result = draw(state(), 0, shape, dtype)
    assert (result.shape, result.dtype) == (shape, np.dtype(dtype))


@pytest.mark.parametrize("draw", [uniform, normal])
def test_same_place_same_numbers_other_place_other_numbers(draw: Draw) -> None:
    here = draw(state(7, 3), 11, (1000,), "float32")
    np.testing.assert_array_equal(here, draw(state(7, 3), 11, (1000,), "float32"))
    for seed, step, key in ((8, 3, 11), (7, 4, 11), (7, 3, 12), (2**64 - 1, 3, 11), (7, 3, 2**40)):
        other = draw(state(seed, step), key, (1000,), "float32")
        # Of 1000 pairs of 24-bit numbers, three equal ones have a probability of 4e-14.
        assert np.count_nonzero(here == other) < 3


@pytest.mark.parametrize("draw", [uniform, normal])
def test_what_was_drawn_before_does_not_matter(draw: Draw) -> None:
    expected = draw(state(), 1, (9,), "float32")
    uniform(state(), 2, (3,), "float32")  # leaves half a word over
    np.testing.assert_array_equal(draw(state(), 1, (9,), "float32"), expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform_moments_and_distribution(dtype: str) -> None:
    x = uniform(state(), 5, (N,), dtype).astype(float)
    assert x.min() >= 0
    assert x.max() < 1
    step = {"float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}[dtype]
    x += step / 2  # a number stands for the interval above it
    assert abs(x.mean() - 0.5) < SIGMAS * math.sqrt(1 / 12 / N)
    # The variance of (x - mean)^2 is the fourth central moment 1/80 less the squared variance 1/144.
    assert abs(np.mean((x - 0.5) ** 2) - 1 / 12) < SIGMAS * math.sqrt((1 / 80 - 1 / 144) / N)
    assert distance(x, lambda v: v) < allowed_distance(N) + step / 2


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_normal_moments_and_distribution(dtype: str) -> None:
    x = normal(state(), 5, (N,), dtype).astype(float)
    rounding = {"float16": 2.0**-11, "float32": 2.0**-22, "float64": 1e-12}[dtype]
    assert abs(x.mean()) < SIGMAS / math.sqrt(N)
    assert abs(np.mean(x**2) - 1) < SIGMAS * math.sqrt(2 / N)
    # The density is at most 0.4, so rounding by a relative r moves the distribution function by at most r / 2.
    assert distance(x, lambda v: 0.5 * math.erfc(-v / math.sqrt(2))) < allowed_distance(N) + rounding


def test_normal_tail_is_there() -> None:
    # The greatest of n = 525,000 lies below 4.15 with P = (1 - 3.3e-5)^n = 3e-8, beyond 7.4 with n * 1.4e-13 = 7e-8.
    x = normal(state(), 9, (525_000,), "float32")
    assert 4.15 < np.abs(x).max() < 7.4


@pytest.mark.parametrize("draw", [uniform, normal])
@pytest.mark.parametrize("place", [(8, 3, 5), (7, 4, 5), (7, 3, 6)])
def test_neighbouring_draws_are_not_correlated(draw: Draw, place: tuple[int, int, int]) -> None:
    seed, step, key = place
    x = draw(state(7, 3), 5, (N,), "float64")
    y = draw(state(seed, step), key, (N,), "float64")
    assert abs(np.corrcoef(x, y)[0, 1]) < SIGMAS / math.sqrt(N)


@pytest.mark.parametrize("draw", [uniform, normal])
@pytest.mark.parametrize("lag", [1, 2, 3, N // 2])
def test_positions_are_not_correlated(draw: Draw, lag: int) -> None:
    x = draw(state(), 5, (N,), "float32").astype(float)
    assert abs(np.corrcoef(x[:-lag], x[lag:])[0, 1]) < SIGMAS / math.sqrt(N - lag)


def test_other_dtypes_are_refused() -> None:
    for draw in (uniform, normal):
        with pytest.raises(DTypeError, match="element type int32"):
            draw(state(), 0, (3,), "int32")
