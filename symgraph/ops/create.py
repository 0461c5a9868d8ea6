"""Operators that make arrays from nothing: constants, sequences, random numbers.

A length of 0 in `shape` stands, as in MXNet, for one that the readers of the array decide: inference settles it.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.op import Double, DTypeName, FloatDType, NumberDType, Op, Sample, Shape, Tensor, arg, op, param
from symgraph.op.partial import merge, same_shape

_CTX = param("Device, such as ``cpu(0)``; everything is computed on the CPU.", default="")
_ANY_DTYPE = param("Element type of the result.", default="float32")


class _Shaped(Op):
    """What has its shape from a parameter, or from its readers."""

    shape: Shape | None
    dtype: str | None

    def shapes(self, output=None):
        """The parameter says it; lengths of 0 are open."""
        asked = tuple(n or None for n in self.shape or ()) or None
        known = merge(asked, output)
        return {} if known is None else {"output": known}

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype or "float32")}

    def settle(self, output):
        """Return the operator with the shape that inference decided."""
        return type(self)(**{**{p.name: v for p, v in zip(self.params, self.values, strict=True)}, "shape": output})

    def _decided(self):
        if not self.shape:
            raise ShapeError("shape must be given")
        return self.shape


_SHAPED = (Sample([], {"shape": (2, 3)}), Sample([], {"shape": 3, "dtype": "float64"}))


@op("_zeros")
class Zeros(_Shaped):
    """Zeros."""

    shape: Shape = param("Shape of the result; 0 stands for a length that its readers decide.", default=(), ge=0)
    ctx: str = _CTX
    dtype: DTypeName = _ANY_DTYPE

    samples = (*_SHAPED, Sample([], {"shape": (2,), "dtype": "int32"}), Sample([], {"shape": (2,), "dtype": "bool"}))

    def compute(self, xp):
        """Return zeros."""
        return xp.zeros(self._decided(), self.dtype)


@op("_ones")
class Ones(_Shaped):
    """Ones."""

    shape: Shape = param("Shape of the result; 0 stands for a length that its readers decide.", default=(), ge=0)
    ctx: str = _CTX
    dtype: DTypeName = _ANY_DTYPE

    samples = (*_SHAPED, Sample([], {"shape": (2,), "dtype": "int64"}), Sample([], {"shape": (2,), "dtype": "bool"}))

    def compute(self, xp):
        """Return ones."""
        return xp.ones(self._decided(), self.dtype)


@op("_full", aliases=["_npi_full"])
class Full(_Shaped):
    """The same number everywhere."""

    shape: Shape | None = param(
        "Shape of the result; 0 stands for a length that its readers decide.", default=None, ge=0
    )
    ctx: str = _CTX
    dtype: DTypeName = _ANY_DTYPE
    value: Double = param("The number; cut off towards zero if the result holds integers.")

    samples = (
        Sample([], {"shape": (2, 3), "value": 1.5}),
        Sample([], {"shape": (2,), "value": 2.7, "dtype": "int32"}),
        Sample([], {"shape": (2,), "value": 0.1, "dtype": "float64"}),
    )

    def compute(self, xp):
        """Return the numbers."""
        return xp.full(self._decided(), self.value, self.dtype)


@op("_arange")
class Arange(Op):
    """Evenly spaced numbers: `start`, ``start + step``, ... up to before `stop`, each `repeat` times."""

    start: Double = param("First number; without `stop` the end, the first number then being 0.")
    stop: Double | None = param("End, which is not reached itself.", default=None)
    step: Double = param("Distance of two numbers.", default=1.0)
    repeat: int = param("How often each number stands in a row.", default=1, ge=1)
    infer_range: bool = param("Take the number of elements from what reads them, not from `stop`.", default=False)
    ctx: str = _CTX
    dtype: NumberDType = _ANY_DTYPE

    samples = (
        Sample([], {"start": 0, "stop": 5}),
        Sample([], {"start": 4}),
        Sample([], {"start": 1, "stop": 4, "step": 1.5, "repeat": 3}),
        Sample([], {"start": 5, "stop": 0, "step": -2, "dtype": "int32"}),
        Sample([], {"start": 0, "stop": 1, "step": 0.1, "dtype": "float64"}),
    )

    def _ends(self):
        return (0.0, self.start) if self.stop is None else (self.start, self.stop)

    def _count(self):
        start, stop = self._ends()
        if self.step == 0:
            raise ArgumentError("step must not be 0", where="_arange()")
        count = math.ceil((stop - start) / self.step)
        if count <= 0:
            raise ShapeError(f"there are no numbers from {start} to {stop} by {self.step}")
        return count

    def shapes(self, output=None):
        """The parameters say it, unless the readers do."""
        return {} if self.infer_range else {"output": (self._count() * self.repeat,)}

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype)}

    def settle(self, output):
        """Return the operator with the end that inference decided."""
        if not self.infer_range:
            return self
        given = {p.name: v for p, v in zip(self.params, self.values, strict=True)}
        count = -(-output[0] // self.repeat)
        return Arange(**{**given, "stop": self.start + count * self.step, "infer_range": False})

    def compute(self, xp):
        """Return the numbers, computed in the result's element type."""
        if self.infer_range:
            raise ShapeError("nothing decides the number of elements, which infer_range leaves open")
        start, _ = self._ends()
        count, dtype = self._count(), np.dtype(self.dtype)
        # MXNet: of a step in integers, only the whole part counts.
        first, step = (int(start), int(self.step)) if dtype.kind in "iu" else (start, self.step)
        numbers = xp.arange(count, first, step, dtype)
        if self.repeat == 1:
            return numbers
        wide = xp.broadcast_to(xp.reshape(numbers, (count, 1)), (count, self.repeat))
        return xp.reshape(wide, (count * self.repeat,))


@op("_linspace", aliases=["_npi_linspace"])
class Linspace(Op):
    """`num` evenly spaced numbers from `start` to `stop`."""

    start: Double = param("First number.")
    stop: Double = param("Last number, or the end before which the last number stands.")
    num: int = param("How many numbers.", ge=0)
    endpoint: bool = param("Whether `stop` is the last number.", default=True)
    ctx: str = _CTX
    dtype: NumberDType = _ANY_DTYPE

    samples = (
        Sample([], {"start": 0, "stop": 1, "num": 5}),
        Sample([], {"start": 2, "stop": -1, "num": 4, "endpoint": False, "dtype": "float64"}),
        Sample([], {"start": 2, "stop": 3, "num": 1}),
        Sample([], {"start": 0, "stop": 5, "num": 4, "dtype": "int32"}),
    )

    def shapes(self):
        """The parameter says it."""
        return {"output": (self.num,)}

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype)}

    def compute(self, xp):
        """Return the numbers."""
        intervals = self.num - 1 if self.endpoint else self.num
        step = (self.stop - self.start) / intervals if intervals > 0 else 0.0
        return xp.arange(self.num, self.start, step, self.dtype)


@op("_eye")
class Eye(Op):
    """Ones on a diagonal of a matrix, zeros elsewhere."""

    N: int = param("Number of rows.", ge=1)
    M: int = param("Number of columns; 0: as many as rows.", default=0, ge=0)
    k: int = param("Which diagonal: 0 the main one, above it positive, below it negative.", default=0)
    ctx: str = _CTX
    dtype: NumberDType = _ANY_DTYPE

    samples = (
        Sample([], {"N": 3}),
        Sample([], {"N": 2, "M": 4, "k": 1}),
        Sample([], {"N": 3, "M": 4, "k": -1, "dtype": "int32"}),
    )

    def shapes(self):
        """The parameters say it."""
        return {"output": (self.N, self.M or self.N)}

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype)}

    def compute(self, xp):
        """Return the matrix."""
        rows, columns = xp.arange(self.N), xp.arange(self.M or self.N)
        return xp.astype(xp.equal(xp.expand_dims(rows + self.k, 1), columns), self.dtype)


# -- random numbers ---------------------------------------------------------------------------------------------------


class _Random(_Shaped):
    """Independent random numbers of one distribution.

    Half precision is drawn in single precision and rounded.
    """

    differentiable = False

    def _draw(self, xp, numbers):
        """Return numbers in the result's element type."""
        return xp.astype(numbers, self.dtype or "float32")

    def _wide(self):
        return "float64" if self.dtype == "float64" else "float32"

    def _positive(self, **values):
        for name, value in values.items():
            if not value > 0:
                raise ArgumentError(f"{name} must be greater than 0, got {value}", where=f"{self.op_name}()")


_RANDOM_SHAPE = param("Shape of the result; 0 stands for a length that its readers decide.", default=None, ge=0)
_FLOAT_DTYPE = param("Element type of the result; None: float32.", default=None)


@op("_random_uniform", aliases=["random_uniform", "uniform"])
class RandomUniform(_Random):
    """Uniform random numbers in [`low`, `high`)."""

    low: float = param("Least number.", default=0.0)
    high: float = param("Upper end, which is not reached.", default=1.0)
    shape: Shape | None = _RANDOM_SHAPE
    ctx: str = _CTX
    dtype: FloatDType | None = _FLOAT_DTYPE

    samples = (
        Sample([], {"shape": (2, 3)}),
        Sample([], {"low": -1, "high": 2, "shape": 4, "dtype": "float64"}),
        Sample([], {"shape": (3,), "dtype": "float16"}),
    )

    def compute(self, xp, *, rng):
        """Return the numbers."""
        if self.high < self.low:
            raise ArgumentError(f"low is {self.low} and high {self.high}", where=f"{self.op_name}()")
        numbers = rng.uniform(self._decided(), self._wide())
        return self._draw(xp, numbers * (self.high - self.low) + self.low)


@op("_random_normal", aliases=["normal", "random_normal"])
class RandomNormal(_Random):
    """Normal (Gaussian) random numbers."""

    loc: float = param("Mean.", default=0.0)
    scale: float = param("Standard deviation.", default=1.0)
    shape: Shape | None = _RANDOM_SHAPE
    ctx: str = _CTX
    dtype: FloatDType | None = _FLOAT_DTYPE

    samples = (
        Sample([], {"shape": (2, 3)}),
        Sample([], {"loc": 1, "scale": 0.5, "shape": 4, "dtype": "float64"}),
        Sample([], {"shape": (3,), "dtype": "float16"}),
    )

    def compute(self, xp, *, rng):
        """Return the numbers."""
        self._positive(scale=self.scale)
        return self._draw(xp, rng.normal(self._decided(), self._wide()) * self.scale + self.loc)


@op("_random_exponential", aliases=["random_exponential"])
class RandomExponential(_Random):
    """Exponential random numbers, of mean ``1 / lam``."""

    lam: float = param("Rate.", default=1.0)
    shape: Shape | None = _RANDOM_SHAPE
    ctx: str = _CTX
    dtype: FloatDType | None = _FLOAT_DTYPE

    samples = (Sample([], {"shape": (2, 3)}), Sample([], {"lam": 2, "shape": 4, "dtype": "float64"}))

    def compute(self, xp, *, rng):
        """Return the numbers, by inversion of the distribution function."""
        self._positive(lam=self.lam)
        return self._draw(xp, xp.log1p(-rng.uniform(self._decided(), self._wide())) / -self.lam)


@op("_random_randint", aliases=["_npi_random_randint", "random_randint"])
class RandomRandint(_Random):
    """Uniform random integers from `low` to before `high`."""

    low: int = param("Least number.")
    high: int = param("Upper end, which is not reached.")
    shape: Shape | None = _RANDOM_SHAPE
    ctx: str = _CTX
    dtype: Annotated[str, "dtype", "int32", "int64"] | None = param(
        "Element type of the result; None: int32.", default=None
    )

    samples = (
        Sample([], {"low": -2, "high": 5, "shape": (2, 3)}),
        Sample([], {"low": 0, "high": 1 << 40, "shape": 4, "dtype": "int64"}),
    )

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype or "int32")}

    def compute(self, xp, *, rng):
        """Return the numbers."""
        if self.high <= self.low:
            raise ArgumentError(f"low is {self.low} and high {self.high}", where=f"{self.op_name}()")
        numbers = rng.uniform(self._decided(), "float64") * float(self.high - self.low)
        return xp.astype(xp.astype(xp.floor(numbers), "int64") + self.low, self.dtype or "int32")


class _RandomLike(Op):
    """Random numbers with the shape and element type of an array."""

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def backward(self, xp, dy, data):
        """The numbers do not depend on the input."""
        return xp.zeros_like(data)

    def _draw(self, xp, draw, data):
        if data.dtype.kind != "f":
            raise ArgumentError(f"data must be floating point, got {data.dtype}", where=f"{self.op_name}()")
        return draw(data.shape, "float64" if data.dtype == np.dtype("float64") else "float32")


@op("_random_uniform_like")
class RandomUniformLike(_RandomLike):
    """Uniform random numbers in [`low`, `high`), like an array."""

    data: Tensor = arg("What gives shape and element type; its values do not matter.")

    low: float = param("Least number.", default=0.0)
    high: float = param("Upper end, which is not reached.", default=1.0)

    samples = (Sample([(2, 3)], {"low": -1, "high": 2}, smooth=False),)

    def compute(self, xp, data, *, rng):
        """Return the numbers."""
        numbers = self._draw(xp, rng.uniform, data)
        return xp.astype(numbers * (self.high - self.low) + self.low, data.dtype)


@op("_random_normal_like")
class RandomNormalLike(_RandomLike):
    """Normal (Gaussian) random numbers, like an array."""

    data: Tensor = arg("What gives shape and element type; its values do not matter.")

    loc: float = param("Mean.", default=0.0)
    scale: float = param("Standard deviation.", default=1.0)

    samples = (Sample([(2, 3)], {"loc": 1, "scale": 2}, smooth=False),)

    def compute(self, xp, data, *, rng):
        """Return the numbers."""
        return xp.astype(self._draw(xp, rng.normal, data) * self.scale + self.loc, data.dtype)


@op("_random_exponential_like")
class RandomExponentialLike(_RandomLike):
    """Exponential random numbers, of mean ``1 / lam``, like an array."""

    data: Tensor = arg("What gives shape and element type; its values do not matter.")

    lam: float = param("Rate.", default=1.0)

    samples = (Sample([(2, 3)], {"lam": 2}, smooth=False),)

    def compute(self, xp, data, *, rng):
        """Return the numbers, by inversion of the distribution function."""
        numbers = self._draw(xp, rng.uniform, data)
        return xp.astype(xp.log1p(-numbers) / -self.lam, data.dtype)


@op("_contrib_arange_like", aliases=["_npx_arange_like"])
class ArangeLike(Op):
    """Evenly spaced numbers, as many as an array has elements, or along one of its axes."""

    data: Tensor = arg("What gives the number and element type; its values do not matter.")

    start: Double = param("First number.", default=0.0)
    step: Double = param("Distance of two numbers.", default=1.0)
    repeat: int = param("How often each number stands in a row.", default=1, ge=1)
    ctx: str = _CTX
    axis: int | None = param(
        "Axis whose length is taken; None: as many numbers as elements, in their shape.", default=None
    )

    samples = (
        Sample([(2, 3)]),
        Sample([(2, 3)], {"axis": 1, "start": 1, "step": 0.5}),
        Sample([(2, 3)], {"axis": -1}, dtypes={"data": "float64"}),
        Sample([(2, 4)], {"repeat": 2}),
    )

    def compute(self, xp, data):
        """Return the numbers; they do not depend on the array's."""
        shape = data.shape if self.axis is None else (data.shape[self.axis],)
        n = math.prod(shape)
        count = -(-n // self.repeat)
        numbers = xp.arange(count, self.start, self.step, data.dtype)
        wide = xp.broadcast_to(xp.reshape(numbers, (count, 1)), (count, self.repeat))
        return xp.reshape(xp.slice_axis(xp.reshape(wide, (count * self.repeat,)), 0, 0, n), shape)


class _Sample(Op):
    """Random numbers, several for each element of the arrays of a distribution's parameters."""

    shape: Shape
    dtype: str | None

    def shapes(self, **known):
        """The parameters are alike; the numbers drawn for each have their own axes at the end."""
        names = self.input_names()
        output = known.get("output")
        own = None if output is None else output[: len(output) - len(self.shape)]
        each = merge(*(known.get(n) for n in names), own)
        return {} if each is None else {**dict.fromkeys(names, each), "output": (*each, *self.shape)}

    def dtypes(self, **known):
        """The parameter says it, or else the arrays."""
        each = next((known[n] for n in self.input_names() if known.get(n) is not None), None)
        given = {} if each is None else dict.fromkeys(self.input_names(), each)
        return {**given, "output": np.dtype(self.dtype or "float32")}

    def _numbers(self, xp, draw, *arrays):
        """Return standard numbers, and the arrays so that they broadcast over them."""
        wide = "float64" if self.dtype == "float64" else "float32"
        first = arrays[0].shape
        if any(x.shape != first for x in arrays):
            raise ShapeError(f"the arrays have shapes {', '.join(str(x.shape) for x in arrays)}, but must be alike")
        numbers = draw((*first, *self.shape), wide)
        over = [xp.astype(xp.reshape(x, (*first, *[1] * len(self.shape))), wide) for x in arrays]
        return numbers, *over

    def backward(self, xp, dy):
        """MXNet: there is no gradient by the distribution's parameters."""
        return (None,) * len(self.input_names())


_EACH = param("Shape of the numbers drawn for each element.", default=(), ge=0)


@op("_sample_uniform", aliases=["sample_uniform"])
class SampleUniform(_Sample):
    """Uniform random numbers between the elements of two arrays; their gradients are zero.

    The result has the shape of the arrays followed by `shape`.
    """

    low: Tensor = arg("Least numbers, of any shape.")
    high: Tensor = arg("Upper ends, which are not reached, of the shape of `low`.")

    shape: Shape = _EACH
    dtype: FloatDType | None = _FLOAT_DTYPE

    samples = (Sample([(2,), (2,)], {"shape": (3,)}, smooth=False), Sample([(2, 1), (2, 1)], smooth=False))

    def compute(self, xp, low, high, *, rng):
        """Return the numbers."""
        numbers, low, high = self._numbers(xp, rng.uniform, low, high)
        return xp.astype(numbers * (high - low) + low, self.dtype or "float32")


@op("_sample_normal", aliases=["sample_normal"])
class SampleNormal(_Sample):
    """Normal (Gaussian) random numbers with the elements of two arrays as mean and deviation; gradients are zero.

    The result has the shape of the arrays followed by `shape`.
    """

    mu: Tensor = arg("Means, of any shape.")
    sigma: Tensor = arg("Standard deviations, of the shape of `mu`.")

    shape: Shape = _EACH
    dtype: FloatDType | None = _FLOAT_DTYPE

    samples = (Sample([(2,), (2,)], {"shape": (3,)}, smooth=False), Sample([(2, 1), (2, 1)], smooth=False))

    def compute(self, xp, mu, sigma, *, rng):
        """Return the numbers."""
        numbers, mu, sigma = self._numbers(xp, rng.normal, mu, sigma)
        return xp.astype(numbers * sigma + mu, self.dtype or "float32")


@op("_sample_exponential", aliases=["sample_exponential"])
class SampleExponential(_Sample):
    """Exponential random numbers with the elements of an array as rates; the gradient is zero.

    The result has the shape of the array followed by `shape`.
    """

    lam: Tensor = arg("Rates, of any shape.")

    shape: Shape = _EACH
    dtype: FloatDType | None = _FLOAT_DTYPE

    samples = (Sample([(2,)], {"shape": (3,)}, low=0.5, smooth=False), Sample([(2, 1)], low=0.5, smooth=False))

    def compute(self, xp, lam, *, rng):
        """Return the numbers, by inversion of the distribution function."""
        numbers, lam = self._numbers(xp, rng.uniform, lam)
        return xp.astype(-xp.log1p(-numbers) / lam, self.dtype or "float32")
