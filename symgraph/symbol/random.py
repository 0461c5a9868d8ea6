"""Random tensors: one function a distribution, for parameters that are numbers or symbols.

With numbers one draw of the given shape is composed; with symbols a draw for each element of the parameters.

What does not belong here: the operators that draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.errors import ArgumentError
from symgraph.op.modules import names
from symgraph.symbol.functions import operator_function
from symgraph.symbol.symbol import Symbol, apply

__all__ = [
    "exponential",
    "gamma",
    "generalized_negative_binomial",
    "multinomial",
    "negative_binomial",
    "normal",
    "poisson",
    "randint",
    "randn",
    "shuffle",
    "uniform",
]

_ShapeLike = int | Sequence[int] | None


def _draw(distribution: str, params: dict[str, Any], shape: _ShapeLike, dtype: Any, kwargs: dict[str, Any]) -> Symbol:
    symbols = [name for name, value in params.items() if isinstance(value, Symbol)]
    if symbols and len(symbols) < len(params):
        others = [name for name in params if name not in symbols]
        raise ArgumentError(
            f"random.{distribution}(): give all parameters as symbols or all as numbers",
            facts={"symbols": ", ".join(symbols), "numbers": ", ".join(others)},
        )
    given = {key: value for key, value in (("shape", shape), ("dtype", dtype)) if value is not None}
    if symbols:
        return apply(f"_sample_{distribution}", *params.values(), **given, **kwargs)
    return apply(f"_random_{distribution}", **params, **given, **kwargs)


def uniform(low: Any = 0, high: Any = 1, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return uniform numbers in ``[low, high)``."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, kwargs)


def normal(loc: Any = 0, scale: Any = 1, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return normal numbers with mean `loc` and standard deviation `scale`."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def randn(*shape: int, loc: Any = 0, scale: Any = 1, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return normal numbers; the lengths of the axes are the positional arguments."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def poisson(lam: Any = 1, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return Poisson counts with mean `lam`."""
    return _draw("poisson", {"lam": lam}, shape, dtype, kwargs)


def exponential(scale: Any = 1, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return exponential numbers with mean `scale`."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, kwargs)


def gamma(alpha: Any = 1, beta: Any = 1, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return gamma numbers with shape `alpha` and scale `beta`."""
    return _draw("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, kwargs)


def negative_binomial(k: Any = 1, p: Any = 1, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return how many failures come before `k` successes of probability `p`."""
    return _draw("negative_binomial", {"k": k, "p": p}, shape, dtype, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any
) -> Symbol:
    """Return negative binomial counts with mean `mu` and dispersion `alpha`."""
    return _draw("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, kwargs)


def multinomial(
    data: Symbol, shape: _ShapeLike = None, get_prob: bool = True, dtype: Any = "int32", **kwargs: Any
) -> Symbol:
    """Return indices drawn with the probabilities in the rows of `data`, with their log-probabilities if `get_prob`."""
    given = {} if shape is None else {"shape": shape}
    return apply("_sample_multinomial", data, **given, get_prob=get_prob, dtype=dtype, **kwargs)


def shuffle(data: Symbol, **kwargs: Any) -> Symbol:
    """Return a tensor with its first axis in random order."""
    return apply("_shuffle", data, **kwargs)


def randint(low: int, high: int, shape: _ShapeLike = None, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return whole numbers in ``[low, high)``."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, kwargs)


def __getattr__(name: str) -> Any:
    if not name.endswith("_like"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return operator_function(name, "_random_")


def __dir__() -> list[str]:
    return [*__all__, *(n for n in names("_random_") if n.endswith("_like"))]
