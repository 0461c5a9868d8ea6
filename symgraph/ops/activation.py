"""Activation functions with parameters, and softmax with its kin.

Gradients are written by hand: they read the output rather than the input where that is enough, so that a training step
need not keep both.

What does not belong here: plain functions of one array (`elementwise`), losses that contain a softmax (`loss`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.op import Double, FloatDType, Op, PartialShape, Sample, Tensor, arg, op, param
from symgraph.op.partial import axis_of, merge, same_shape, size_of
from symgraph.ops.rules import floating, rank_of

Known = PartialShape | None

# -- activation functions ---------------------------------------------------------------------------------------------


def _softrelu(xp: Any, x: Any) -> Any:
    # log(1 + exp(x)) without overflow.
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


#: For each function: itself, and its gradient from the head gradient, the data and the output.
_ACTIVATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "relu": (
        lambda xp, x: xp.maximum(x, 0.0),
        lambda xp, dy, x, y: xp.where(y > 0.0, dy, 0.0),
    ),
    "sigmoid": (
        lambda xp, x: xp.sigmoid(x),
        lambda xp, dy, x, y: dy * (y * (1.0 - y)),
    ),
    "softrelu": (
        _softrelu,
        # The logistic function of x, by way of the output.
        lambda xp, dy, x, y: dy * -xp.expm1(-y),
    ),
    "softsign": (
        lambda xp, x: x / (xp.abs(x) + 1.0),
        lambda xp, dy, x, y: dy / xp.square(xp.abs(x) + 1.0),
    ),
    "tanh": (
        lambda xp, x: xp.tanh(x),
        lambda xp, dy, x, y: dy * (1.0 - xp.square(y)),
    ),
}


@op("Activation", aliases=("_npx_activation",))
class Activation(Op):
    """Activation function, element by element.

    ``relu``: max(x, 0); ``sigmoid``: 1 / (1 + exp(-x)); ``softrelu``: log(1 + exp(x)); ``softsign``: x / (1 + |x|);
    ``tanh``. The result has the shape of `data`. The gradient of ``relu`` at zero is zero.
    """

    data: Tensor = arg("Input, of any shape.")

    act_type: Literal["relu", "sigmoid", "softrelu", "softsign", "tanh"] = param("Which function.")

    samples = tuple(
        Sample([(2, 3)], {"act_type": name}, low=low, high=3.0)
        for name in _ACTIVATIONS
        for low in ((-3.0, 0.1) if name == "relu" else (-3.0,))
    )

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        return same_shape(("data", "output"), {"data": data, "output": output})

    def compute(self, xp: Any, data: Any) -> Any:
        floating("data", data.dtype)
        return _ACTIVATIONS[self.act_type][0](xp, data)

    def backward(self, xp: Any, dy: Any, data: Any, output: Any) -> Any:
        return _ACTIVATIONS[self.act_type][1](xp, dy, data, output)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@op("LeakyReLU", aliases=("_npx_leaky_relu",))
class LeakyReLU(Op):
    """Activation functions that let something of negative inputs through.

    For x <= 0 the result is, and for x > 0 it is x, if nothing else is said:

    * ``leaky``: slope * x (Maas, Hannun and Ng, 2013);
    * ``prelu``: gamma * x with a learned `gamma` for each channel, or one for all (He et al., 2015);
    * ``elu``: slope * (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016);
    * ``selu``: 1.0507 * 1.6733 * (exp(x) - 1), and 1.0507 * x for x > 0 (Klambauer et al., 2017);
    * ``gelu``: x * (1 + erf(x / sqrt(2))) / 2 for every x (Hendrycks and Gimpel, 2016);
    * ``rrelu``: mask * x with a random slope in [lower_bound, upper_bound) for each element in training, and their mean
      otherwise (Xu et al., 2015); the second output is the mask.
    """

    data: Tensor = arg("Input, (batch, channels, ...) for ``prelu``, else of any shape.")
    gamma: Tensor = arg(
        "Slope for ``prelu``, (channels,) or (1,).",
        when=lambda o: o.act_type == "prelu",
        init='["Constant", {"value": 0.25}]',
    )

    act_type: Literal["leaky", "prelu", "elu", "selu", "gelu", "rrelu"] = param("Which function.", default="leaky")
    slope: float = param("Slope for ``leaky``, scale for ``elu``.", default=0.25)
    lower_bound: float = param("Least slope for ``rrelu``.", default=0.125)
    upper_bound: float = param("Greatest slope for ``rrelu``.", default=0.334)

    samples = (
        Sample([(2, 3)], {}, low=-3.0, high=3.0),
        Sample([(2, 3)], {"slope": -0.5}, low=-3.0, high=3.0),
        Sample([(2, 3, 2), (3,)], {"act_type": "prelu"}),
        Sample([(4,), (1,)], {"act_type": "prelu"}),
        *(Sample([(2, 3)], {"act_type": name}, low=-3.0, high=3.0) for name in ("elu", "selu", "gelu", "rrelu")),
        Sample([(2, 3)], {"act_type": "rrelu"}, low=-3.0, high=3.0, training=True),
    )

    def output_names(self) -> tuple[str, ...]:
        return ("output", "mask") if self.act_type == "rrelu" else ("output",)

    def shapes(self, data: Known = None, gamma: Known = None, output: Known = None, mask: Known = None) -> Any:
        data = merge(data, output, mask)
        names = ["data", *self.output_names()]
        if data is None:
            return {}
        if self.act_type != "prelu":
            return dict.fromkeys(names, data)
        channels = (data[1] if len(data) > 1 else 1,)
        if gamma is not None and len(gamma) == 1 and gamma[0] is not None:
            if gamma[0] != 1 and channels[0] is None:
                data = (data[0], gamma[0], *data[2:])
            if gamma[0] == 1:
                channels = (1,)
        return dict.fromkeys(names, data) | {"gamma": channels}

    def _slope(self, xp: Any, data: Any, gamma: Any) -> Any:
        """Return the slope for negative inputs, so that it meets the data."""
        if self.act_type != "prelu":
            return self.slope
        if gamma.size == 1:
            return xp.reshape(gamma, ())
        return xp.reshape(gamma, tuple(gamma.size if k == 1 else 1 for k in range(data.ndim)))

    def compute(self, xp: Any, data: Any, gamma: Any = None, *, training: bool, rng: Any) -> Any:
        floating("data", data.dtype)
        if self.act_type == "gelu":
            return data * ((xp.erf(data * math.sqrt(0.5)) + 1.0) * 0.5)
        if self.act_type == "selu":
            return xp.where(data > 0.0, data, xp.expm1(data) * _SELU_ALPHA) * _SELU_SCALE
        if self.act_type == "elu":
            return xp.where(data > 0.0, data, xp.expm1(data) * self.slope)
        if self.act_type == "rrelu":
            if self.lower_bound > self.upper_bound:
                raise ArgumentError(
                    f"lower_bound is {self.lower_bound}, but must not be above upper_bound, {self.upper_bound}",
                    where=self.op_name,
                )
            if training:
                draws = xp.astype(rng.uniform(data.shape, "float32"), data.dtype)
                mask = draws * (self.upper_bound - self.lower_bound) + self.lower_bound
            else:
                mask = xp.full_like(data, (self.lower_bound + self.upper_bound) / 2)
            return xp.where(data > 0.0, data, data * mask), mask
        scaled = data * self._slope(xp, data, gamma)
        if self.act_type == "leaky" and 0 < self.slope <= 1:
            return xp.maximum(scaled, data)  # the same in fewer passes
        return xp.where(data > 0.0, data, scaled)

    def backward(
        self,
        xp: Any,
        data: Any,
        output: Any,
        gamma: Any = None,
        mask: Any = None,
        dy: Any = None,
        dy_output: Any = None,
    ) -> Any:
        if self.act_type == "gelu":
            density = xp.exp(xp.square(data) * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
            return dy * ((xp.erf(data * math.sqrt(0.5)) + 1.0) * 0.5 + data * density)
        if self.act_type == "selu":
            return xp.where(data > 0.0, dy * _SELU_SCALE, dy * (output + _SELU_ALPHA * _SELU_SCALE))
        if self.act_type == "elu":
            return xp.where(data > 0.0, dy, dy * (output + self.slope))
        if self.act_type == "rrelu":
            return xp.where(data > 0.0, dy_output, dy_output * mask)
        dx = xp.where(data > 0.0, dy, dy * self._slope(xp, data, gamma))
        if self.act_type == "leaky":
            return dx
        below = xp.where(data > 0.0, 0.0, data) * dy
        others = tuple(k for k in range(data.ndim) if k != 1 or gamma.size == 1)
        return dx, xp.reshape(xp.sum(below, others), gamma.shape)


# -- softmax ----------------------------------------------------------------------------------------------------------

_AXIS = param("Axis along which the result sums to one.", default=-1)
_TEMPERATURE = param("Divides the data: large ones make the result even. None: 1.", default=None)
_DTYPE = param("Element type of the result, and of the computation; None: that of the data.", default=None)
_NO_LENGTH = param("Must be false: the data is always used whole.", default=False)


class _Softmax(Op):
    """What softmax and its kin have in common."""

    axis: int
    temperature: float | None
    dtype: str | None
    use_length: bool | None

    #: Sign of the data.
    sign: ClassVar[float] = 1.0

    def shapes(self, **known: Known) -> Any:
        data = merge(known.get("data"), known.get("output"))
        length = known.get("length")
        if data is None:
            return {}
        axis = axis_of(self.axis, len(data))
        found: dict[str, Any] = {"data": data, "output": data}
        if "length" in self.input_names():
            rest = merge((*data[:axis], *data[axis + 1 :]), length)
            assert rest is not None
            if len(data) > 1:
                found["length"] = rest
        return found

    def dtypes(self, **known: Any) -> Any:
        wanted = self.dtype
        data, output = known.get("data"), known.get("output")
        floating("data", data)
        if wanted is not None:
            found = {"output": np.dtype(wanted)} | ({} if data is None else {"data": data})
        else:
            shared = data if data is not None else output
            found = {} if shared is None else {"data": shared, "output": shared}
        if "length" in self.input_names():
            length = known.get("length")
            if length is not None and length not in (np.dtype("int32"), np.dtype("int64")):
                raise DTypeError(f"length has element type {length}, but must have int32 or int64")
            found["length"] = length if length is not None else np.dtype("int32")
        return found

    def _shifted(self, xp: Any, data: Any) -> Any:
        """Return the data less their greatest element along the axis, over the temperature."""
        floating("data", data.dtype)
        x = data if self.dtype is None else xp.astype(data, self.dtype)
        if self.sign < 0:
            x = -x
        x = x - xp.max(x, self.axis, keepdims=True)
        return x if self.temperature in (None, 1.0) else x / self.temperature

    def _wide(self, xp: Any, data: Any, dy: Any, y: Any) -> tuple[Any, Any]:
        """Return head gradient and result in the wider one of the element types of the data and the result."""
        dtype = data.dtype if data.dtype.itemsize > y.dtype.itemsize else y.dtype
        return xp.astype(dy, dtype), xp.astype(y, dtype)

    def _returned(self, xp: Any, dx: Any, data: Any) -> Any:
        """Return a gradient by the shifted data as one by the data."""
        factor = self.sign / (self.temperature or 1.0)
        return xp.astype(dx if factor == 1 else dx * factor, data.dtype)

    def _gradient(self, xp: Any, dy: Any, data: Any, output: Any) -> Any:
        dy, y = self._wide(xp, data, dy, output)
        return _softmax_gradient(xp, dy, y, self.axis)

    def _refuse_length(self) -> None:
        if self.use_length:
            raise ArgumentError("use_length must be false: only softmax takes lengths", where=self.op_name)


def _distribution(xp: Any, shifted: Any, axis: int) -> Any:
    e = xp.exp(shifted)
    return e / xp.sum(e, axis, keepdims=True)


def _softmax_gradient(xp: Any, dy: Any, y: Any, axis: int) -> Any:
    return (dy - xp.sum(dy * y, axis, keepdims=True)) * y


@op("softmax", aliases=("_npx_softmax",))
class Softmax(_Softmax):
    """Softmax: ``exp(x / t) / sum(exp(x / t))`` along an axis, computed from ``x - max(x)``.

    With `use_length` only the first elements of each vector count, as many as `length` says; the others become zero.
    """

    data: Tensor = arg("Input, of any shape.")
    length: Tensor = arg("Lengths, integers, of the shape of `data` without `axis`.", when=lambda o: o.use_length)

    axis: int = _AXIS
    temperature: Double | None = _TEMPERATURE
    dtype: FloatDType | None = _DTYPE
    use_length: bool | None = param("Whether `length` is given.", default=False)

    samples = (
        Sample([(2, 5)], {}, low=-3.0, high=3.0),
        Sample([(2, 3, 4)], {"axis": 1, "temperature": 2.5}),
        Sample([(2, 3)], {"dtype": "float64"}),
        Sample([(2, 4), (2,)], {"use_length": True}, dtypes={"length": "int32"}, integers={"length": 5}),
    )

    def compute(self, xp: Any, data: Any, length: Any = None) -> Any:
        if length is None:
            return _distribution(xp, self._shifted(xp, data), self.axis)
        inside = self._inside(xp, data, length)
        y = _distribution(xp, self._shifted(xp, xp.where(inside, data, -math.inf)), self.axis)
        return xp.where(inside, y, 0.0)

    def _inside(self, xp: Any, data: Any, length: Any) -> Any:
        """Tell which elements count."""
        axis = axis_of(self.axis, data.ndim)
        rest = (*data.shape[:axis], *data.shape[axis + 1 :])
        if size_of(rest) != length.size:
            raise ShapeError(f"length has shape {length.shape}, but must have {rest}")
        n = data.shape[axis]
        place = xp.reshape(xp.arange(n, dtype=length.dtype), tuple(n if k == axis else 1 for k in range(data.ndim)))
        return place < xp.reshape(length, (*rest[:axis], 1, *rest[axis:]))

    def backward(self, xp: Any, dy: Any, data: Any, output: Any, length: Any = None) -> Any:
        dx = self._returned(xp, self._gradient(xp, dy, data, output), data)
        return dx if length is None else (dx, None)


@op("softmin")
class Softmin(_Softmax):
    """Softmax of the negated data: ``exp(-x / t) / sum(exp(-x / t))`` along an axis."""

    data: Tensor = arg("Input, of any shape.")

    axis: int = _AXIS
    temperature: Double | None = _TEMPERATURE
    dtype: FloatDType | None = _DTYPE
    use_length: bool | None = _NO_LENGTH

    sign = -1.0
    samples = (
        Sample([(2, 5)], {}, low=-3.0, high=3.0),
        Sample([(2, 3, 4)], {"axis": 1, "temperature": 2.5}),
    )

    def compute(self, xp: Any, data: Any) -> Any:
        self._refuse_length()
        return _distribution(xp, self._shifted(xp, data), self.axis)

    def backward(self, xp: Any, dy: Any, data: Any, output: Any) -> Any:
        return self._returned(xp, self._gradient(xp, dy, data, output), data)


@op("log_softmax", aliases=("_npx_log_softmax",))
class LogSoftmax(_Softmax):
    """Logarithm of the softmax along an axis, computed from ``x - max(x)``."""

    data: Tensor = arg("Input, of any shape.")

    axis: int = _AXIS
    temperature: Double | None = _TEMPERATURE
    dtype: FloatDType | None = _DTYPE
    use_length: bool | None = _NO_LENGTH

    samples = (
        Sample([(2, 5)], {}, low=-3.0, high=3.0),
        Sample([(2, 3, 4)], {"axis": 1, "temperature": 2.5}),
    )

    def compute(self, xp: Any, data: Any) -> Any:
        self._refuse_length()
        shifted = self._shifted(xp, data)
        return shifted - xp.log(xp.sum(xp.exp(shifted), self.axis, keepdims=True))

    def backward(self, xp: Any, dy: Any, data: Any, output: Any) -> Any:
        dy, output = self._wide(xp, data, dy, output)
        dx = dy - xp.exp(output) * xp.sum(dy, self.axis, keepdims=True)
        return self._returned(xp, dx, data)


@op("SoftmaxActivation")
class SoftmaxActivation(Op):
    """Softmax of each image as a whole (``instance``), or across the channels at each position (``channel``)."""

    data: Tensor = arg("Input, (batch, ...); for ``channel`` (batch, channels, positions...).")

    mode: Literal["instance", "channel"] = param("Over what the result sums to one.", default="instance")

    samples = (Sample([(2, 3, 2)], {}), Sample([(2, 3, 2)], {"mode": "channel"}))

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        return same_shape(("data", "output"), {"data": data, "output": output})

    def _rows(self, xp: Any, x: Any) -> Any:
        """Return an array whose axis 1 is to sum to one."""
        rank_of("data", x.shape, 2 if self.mode == "instance" else 3)
        return x if self.mode == "channel" else xp.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute(self, xp: Any, data: Any) -> Any:
        floating("data", data.dtype)
        x = self._rows(xp, data)
        return xp.reshape(_distribution(xp, x - xp.max(x, 1, keepdims=True), 1), data.shape)

    def backward(self, xp: Any, dy: Any, output: Any) -> Any:
        return xp.reshape(_softmax_gradient(xp, self._rows(xp, dy), self._rows(xp, output), 1), output.shape)
