"""Special functions against the math module, and against series summed to 50 digits with decimals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from symgraph.backends.numpy.special import BLOCK, digamma, erf, erfinv, lgamma

Array = npt.NDArray[Any]
FUNCTIONS = [erf, erfinv, lgamma, digamma]
INF, NAN = math.inf, math.nan


def spread(*ranges: tuple[float, float], count: int = 400) -> Array:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform(low, high, count) for low, high in ranges])


def around(*centres: float) -> Array:
    """Return numbers at all distances from `centres`, from 1e-15 to 0.1, on both sides."""
    distances = 10.0 ** np.linspace(-15, -1, 57)
    return np.concatenate([c + sign * distances for c in centres for sign in (-1, 1)])


def bernoulli(count: int) -> list[Fraction]:
    """Return B0, B1, ..., by their recurrence."""
    numbers: list[Fraction] = []
    for m in range(count):
        numbers.append(
            Fraction(m == 0) - sum((math.comb(m, k) * b / (m - k + 1) for k, b in enumerate(numbers)), Fraction())
        )
    return numbers


BERNOULLI = bernoulli(61)
#: The ratio of a circle's circumference to its diameter (Abramowitz and Stegun, table 1.1).
PI = Decimal("3.14159265358979323846264338327950288419716939937510582")
SHIFT = 40


def exact_lgamma(x: float) -> Decimal:
    """Return log gamma for positive `x` by Stirling's series at x + 40, where 30 terms give 50 digits and more."""
    with localcontext(prec=60):
        z, product = Decimal(x), Decimal(1)
        for _ in range(SHIFT):
            product *= z
            z += 1
        series = sum(
            Decimal(BERNOULLI[2 * k].numerator)
            / BERNOULLI[2 * k].denominator
            / (2 * k * (2 * k - 1))
            / z ** (2 * k - 1)
            for k in range(1, 31)
        )
        return (z - Decimal("0.5")) * z.ln() - z + (2 * PI).ln() / 2 + series - product.ln()


def exact_digamma(x: float) -> Decimal:
    """Return digamma for positive `x` by its asymptotic series at x + 40."""
    with localcontext(prec=60):
        z, steps = Decimal(x), Decimal(0)
        for _ in range(SHIFT):
            steps += 1 / z
            z += 1
        series = sum(
            Decimal(BERNOULLI[2 * k].numerator) / BERNOULLI[2 * k].denominator / (2 * k) / z ** (2 * k)
            for k in range(1, 31)
        )
        return z.ln() - 1 / (2 * z) - series - steps


def exact_erf(x: float) -> Decimal:
    """Return erf by its Taylor series."""
    with localcontext(prec=90):
        z = Decimal(x)
        term, total, k = z, z, 0
        while abs(term) > abs(total) * Decimal("1e-55"):
            k += 1
            term *= -z * z / k
            total += term / (2 * k + 1)
        return 2 * total / PI.sqrt()


def worst(function: Callable[[Array], Array], exact: Callable[[float], Decimal], x: Array) -> float:
    """Return the greatest relative error."""
    pairs = ((Decimal(y), exact(v)) for y, v in zip(function(x).tolist(), x.tolist(), strict=True))
    return max(float(abs((y - e) / e)) for y, e in pairs)


def test_the_references_are_right() -> None:
    # Abramowitz and Stegun, tables 6.1, 6.3 and 7.1.
    assert float(exact_lgamma(0.5)) == math.log(math.pi) / 2
    assert abs(float(exact_digamma(1.0)) + 0.57721566490153286) < 1e-17
    assert float(exact_erf(1.0)) == 0.84270079294971487


def test_erf() -> None:
    x = np.concatenate([spread((-6, 6), (-0.6, 0.6), (0.4, 0.5)), 10.0 ** np.linspace(-300, -1, 60)])
    assert worst(erf, exact_erf, x) < 1e-15
    np.testing.assert_allclose(erf(x), [math.erf(v) for v in x], rtol=1e-15, atol=0)


def test_erf_in_single_precision() -> None:
    x = np.concatenate([spread((-5, 5), count=20000), 10.0 ** np.linspace(-37, -1, 200)]).astype(np.float32)
    exact = np.array([math.erf(v) for v in x.tolist()])
    assert np.max(np.abs(erf(x) / exact - 1)) < 5e-7
    assert np.max(np.abs(erf(x))) == 1


def test_erfinv() -> None:
    x = np.concatenate([spread((-1, 1), (0.8, 0.9)), 1 - 10.0 ** np.linspace(-16, -1, 200), around(0.85)])
    y = erfinv(x)
    # From y back to x: erf and erfc turn a relative error of y into one of x or 1 - x, times a factor near 1 or 2 y^2.
    middle = np.abs(x) < 0.7
    back = np.array([math.erf(v) for v in y[middle]])
    assert np.max(np.abs(back / x[middle] - 1)) < 1.5e-15
    rest, tail = 1 - np.abs(x[~middle]), np.array([math.erfc(abs(v)) for v in y[~middle]])
    assert np.max(np.abs(tail / rest - 1) / (1 + 2 * y[~middle] ** 2)) < 1.5e-15


def test_erfinv_of_tiny_numbers() -> None:
    x = 10.0 ** np.linspace(-300, -20, 50)
    np.testing.assert_allclose(erfinv(x), x * (math.sqrt(math.pi) / 2), rtol=1e-15, atol=0)


def test_lgamma() -> None:
    x = np.concatenate([spread((0, 0.5), (0.4, 2.6), (2, 9), (8, 60)), around(0.5, 1, 1.5, 2, 2.5, 8)])
    assert worst(lgamma, exact_lgamma, x) < 1e-15
    far = np.concatenate([10.0 ** np.linspace(2, 305, 60), 10.0 ** np.linspace(-307, -3, 60)])
    np.testing.assert_allclose(lgamma(far), [math.lgamma(v) for v in far], rtol=1e-15, atol=0)


def test_lgamma_of_negative_numbers() -> None:
    x = spread((-1, 0), (-30, 0), (-1000, 0))
    np.testing.assert_allclose(lgamma(x), [math.lgamma(v) for v in x], rtol=2e-15, atol=2e-14)


def test_digamma() -> None:
    x = np.concatenate([spread((0, 1.2), (1, 2), (1.4, 1.5), (2, 11), (10, 60)), around(1, 1.4616321449683623, 10)])
    assert worst(digamma, exact_digamma, x) < 4e-15
    far = 10.0 ** np.linspace(20, 300, 60)
    np.testing.assert_allclose(digamma(far), np.log(far), rtol=1e-15, atol=0)


def test_digamma_of_negative_numbers() -> None:
    # Recurrence: digamma(x + 1) = digamma(x) + 1 / x.
    x = spread((-1, 0), (-20, 0))
    steps = np.stack([x + k for k in range(22)])
    expected = digamma(x + 22) - np.sum(1 / steps, axis=0)
    scale = np.max(np.abs(1 / steps), axis=0)
    assert np.max(np.abs(digamma(x) - expected) / (1 + scale)) < 1e-13


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (erf, [0.0, INF, -INF, NAN, 27.0], [0, 1, -1, NAN, 1]),
        (erfinv, [0.0, 1, -1, 1.5, -2, INF, NAN], [0, INF, -INF, NAN, NAN, NAN, NAN]),
        (lgamma, [1.0, 2, 0, -1, -20, INF, -INF, NAN, 1e306], [0, 0, INF, INF, INF, INF, INF, NAN, INF]),
        (digamma, [0.0, -1, -20, INF, NAN], [INF, INF, INF, INF, NAN]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_special_values(function: Any, x: list[float], expected: list[float], dtype: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(function(np.array(x).astype(dtype)), np.array(expected, dtype))


@pytest.mark.parametrize("function", [erf, erfinv])
def test_the_sign_of_zero_is_kept(function: Any) -> None:
    assert np.signbit(function(np.array([-0.0, 0.0]))).tolist() == [True, False]
    assert np.signbit(function(np.array([-0.0, 0.0], np.float32))).tolist() == [True, False]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes_shapes_and_out(function: Any, dtype: Any) -> None:
    x = np.linspace(-0.95, 0.95, 2 * BLOCK + 10).astype(dtype).reshape(2, -1)
    y = function(x)
    assert y.dtype == dtype
    assert y.shape == x.shape
    np.testing.assert_allclose(y, function(x.astype(np.float64)), rtol=5e-7 if dtype == np.float32 else 5e-4, atol=1e-7)
    # Each of: given memory, strided memory, strided operand, in place, no axes at all.
    out = np.empty_like(x)
    assert function(x, out) is out
    np.testing.assert_array_equal(out, y)
    strided = np.zeros((*x.shape, 2), dtype)
    function(x, strided[..., 0])
    np.testing.assert_array_equal(strided[..., 0], y)
    assert not strided[..., 1].any()
    np.testing.assert_array_equal(function(x.T), y.T)
    same = x.copy()
    function(same.T, same.T)
    np.testing.assert_array_equal(same, y)
    assert function(x[0, 0]) == y[0, 0]
    assert function(x[:0]).shape == (0, x.shape[1])


def test_integers_give_doubles() -> None:
    np.testing.assert_array_equal(lgamma([1, 2, 3]), lgamma([1.0, 2.0, 3.0]))
