"""Normalizations: shift and scale data by their own statistics.

Gradients are written by hand: they read the statistics that the forward pass computed, and take fewer passes over the
data than the derivative of each step would.

What does not belong here: normalizing into probabilities (softmax is in `activation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.op import Double, Op, PartialShape, Sample, Tensor, arg, op, param
from symgraph.op.partial import axis_of, merge, same_shape
from symgraph.ops.rules import floating, rank_of

Known = PartialShape | None

_MOVING_MEAN = arg("Running average of the mean, (channels,).", mutates=True, init='["zero", {}]')
_MOVING_VAR = arg("Running average of the variance, (channels,).", mutates=True, init='["one", {}]')
_MOMENTUM = param("Share of the running averages that is kept in a training step.", default=0.9)
_FIX_GAMMA = param("Take `gamma` as one; its gradient is zero.", default=True)
_USE_GLOBAL = param("Use the running averages in training, too, and leave them as they are.", default=False)
_OUTPUT_MEAN_VAR = param("Show the statistics as outputs, too. They pass no gradient on.", default=False)


def _aligned(xp: Any, x: Any, axis: int, rank: int) -> Any:
    """Return a vector with the axes it needs to meet data of `rank` axes along one of them."""
    return xp.reshape(x, tuple(x.size if k == axis else 1 for k in range(rank)))


def _centred_gradient(dy: Any, centred: Any, square: Any, scale: Any, total: Any, product: Any, count: int) -> Any:
    """Return the gradient of ``centred * inverse`` by the data, times `scale` / `inverse`.

    The mean that `centred` is less of and the inverse deviation, whose `square` is given, being functions of the data,
    it is ``(dy - mean(dy) - x * mean(dy * x)) * scale`` with x = centred * inverse. `total` and `product` are the sums
    of dy and dy * centred over the `count` elements that have a mean in common. Means are subtracted before anything
    else is rounded.
    """
    many = float(max(1, count))
    return (dy - total / many - centred * (product * square / many)) * scale


class _BatchNorm(Op):
    """Rules and computation of batch normalization."""

    eps: float
    momentum: float
    fix_gamma: bool
    use_global_stats: bool
    output_mean_var: bool

    #: What the third output holds.
    gives_inverse_deviation = True

    outputs = ("output", "mean", "var")

    def num_visible(self) -> int:
        return 3 if self.output_mean_var else 1

    def _axis(self, rank: int) -> int:
        if rank < 1:
            raise ShapeError("data has shape (), but must have an axis of channels")
        return axis_of(getattr(self, "axis", 1), rank)

    def shapes(self, **known: Known) -> Any:
        vectors = ("gamma", "beta", "moving_mean", "moving_var", "mean", "var")
        data = merge(known.get("data"), known.get("output"))
        if data is None:
            return same_shape(vectors, known)
        axis = self._axis(len(data))
        given = [known.get(n) for n in vectors]
        channels = merge((data[axis],), *(s for s in given if s is not None and len(s) == 1))
        assert channels is not None
        data = (*data[:axis], channels[0], *data[axis + 1 :])
        return dict.fromkeys(vectors, channels) | {"data": data, "output": data}

    def dtypes(self, **known: Any) -> Any:
        # MXNet: statistics and parameters of float16 data are float32.
        vectors = ("gamma", "beta", "moving_mean", "moving_var", "mean", "var")
        data = known.get("data") or known.get("output")
        for name, dtype in known.items():
            floating(name, dtype)
        inner = next((known[n] for n in vectors if known.get(n) is not None), None)
        if data is not None:
            inner = np.dtype("float32") if data == np.dtype("float16") else data
        elif inner == np.dtype("float64"):
            data = inner
        found = {} if inner is None else dict.fromkeys(vectors, inner)
        return found if data is None else found | {"data": data, "output": data}

    def _own(self, training: bool) -> bool:
        """Tell whether the statistics are those of the data."""
        return training and not self.use_global_stats

    def compute(
        self, xp: Any, data: Any, gamma: Any, beta: Any, moving_mean: Any, moving_var: Any, *, training: bool
    ) -> Any:
        axis = self._axis(data.ndim)
        if gamma.size != data.shape[axis]:
            raise ShapeError(
                f"gamma has {gamma.size} element(s), but data {data.shape} has {data.shape[axis]} channels"
            )
        x = xp.astype(data, gamma.dtype)
        new_mean, new_var = moving_mean, moving_var
        if self._own(training):
            over = tuple(k for k in range(data.ndim) if k != axis)
            count = float(max(1, data.size // max(1, data.shape[axis])))
            mean = xp.sum(x, over) / count
            centred = x - _aligned(xp, mean, axis, data.ndim)
            var = xp.sum(xp.square(centred), over) / count
            new_mean = moving_mean * self.momentum + mean * (1.0 - self.momentum)
            new_var = moving_var * self.momentum + var * (1.0 - self.momentum)
            inverse = xp.reciprocal(xp.sqrt(var + self.eps))
            scale = inverse if self.fix_gamma else gamma * inverse
            y = centred * _aligned(xp, scale, axis, data.ndim) + _aligned(xp, beta, axis, data.ndim)
        else:
            mean, var = moving_mean, moving_var
            inverse = xp.reciprocal(xp.sqrt(var + self.eps))
            scale = inverse if self.fix_gamma else gamma * inverse
            shift = beta - mean * scale
            y = x * _aligned(xp, scale, axis, data.ndim) + _aligned(xp, shift, axis, data.ndim)
        # MXNet: the output called var is one over the standard deviation.
        third = inverse if self.gives_inverse_deviation else var
        return xp.astype(y, data.dtype), mean, third, new_mean, new_var

    def backward(
        self,
        xp: Any,
        data: Any,
        gamma: Any,
        mean: Any,
        var: Any,
        training: bool,
        dy: Any = None,
        dy_output: Any = None,
    ) -> Any:
        axis = self._axis(data.ndim)
        over = tuple(k for k in range(data.ndim) if k != axis)
        head = xp.astype(dy if dy is not None else dy_output, gamma.dtype)
        x = xp.astype(data, gamma.dtype)
        inverse = var if self.gives_inverse_deviation else xp.reciprocal(xp.sqrt(var + self.eps))
        centred = x - _aligned(xp, mean, axis, data.ndim)
        total, product = xp.sum(head, over), xp.sum(head * centred, over)

        def along(v: Any) -> Any:
            return _aligned(xp, v, axis, data.ndim)

        scale = along(inverse if self.fix_gamma else gamma * inverse)
        if self._own(training):
            count = data.size // max(1, data.shape[axis])
            square = along(xp.square(inverse))
            dx = _centred_gradient(head, centred, square, scale, along(total), along(product), count)
        else:
            dx = head * scale
        dgamma = xp.zeros_like(gamma) if self.fix_gamma else product * inverse
        return xp.astype(dx, data.dtype), dgamma, total, None, None


@op("BatchNorm", aliases=("_npx_batch_norm",))
class BatchNorm(_BatchNorm):
    """Batch normalization (Ioffe and Szegedy, 2015): every channel to mean `beta` and standard deviation `gamma`.

    ``y = (x - mean) / sqrt(var + eps) * gamma + beta``. In a training step mean and variance are those of the batch,
    and the running averages are renewed from them, ``moving * momentum + batch * (1 - momentum)``; else they are the
    running averages. The variance is the mean of the squares, not the unbiased estimate. The second and third output
    are the mean and one over the standard deviation that were used, ``1 / sqrt(var + eps)``; they are hidden unless
    asked for.
    """

    data: Tensor = arg("Input, with channels along `axis`.")
    gamma: Tensor = arg("Scale of each channel, (channels,).")
    beta: Tensor = arg("Shift of each channel, (channels,).")
    moving_mean: Tensor = _MOVING_MEAN
    moving_var: Tensor = _MOVING_VAR

    eps: Double = param("Added to the variance, against division by zero.", default=0.0010000000474974513, ge=0)
    momentum: float = _MOMENTUM
    fix_gamma: bool = _FIX_GAMMA
    use_global_stats: bool = _USE_GLOBAL
    output_mean_var: bool = _OUTPUT_MEAN_VAR
    axis: int = param("Axis of the channels.", default=1)
    cudnn_off: bool = param("No effect; for graphs written elsewhere.", default=False)
    min_calib_range: float | None = param("No effect here: range of quantized results.", default=None)
    max_calib_range: float | None = param("No effect here: range of quantized results.", default=None)

    samples = (
        Sample([(4, 3, 2), (3,), (3,), (3,), (3,)], {"fix_gamma": False}, low=0.2, high=2.0),
        Sample([(4, 3, 2), (3,), (3,), (3,), (3,)], {"fix_gamma": False}, low=0.2, high=2.0, training=True),
        Sample([(5, 2), (2,), (2,), (2,), (2,)], {}, low=0.2, high=2.0, training=True),
        Sample(
            [(4, 2, 3), (3,), (3,), (3,), (3,)],
            {"fix_gamma": False, "axis": -1, "use_global_stats": True},
            low=0.2,
            high=2.0,
            training=True,
        ),
    )


@op("BatchNorm_v1")
class BatchNormV1(_BatchNorm):
    """`BatchNorm` as it was before MXNet 0.12: channels along axis 1, and the third output is the variance."""

    data: Tensor = arg("Input, (batch, channels, ...).")
    gamma: Tensor = arg("Scale of each channel, (channels,).")
    beta: Tensor = arg("Shift of each channel, (channels,).")
    moving_mean: Tensor = _MOVING_MEAN
    moving_var: Tensor = _MOVING_VAR

    eps: float = param("Added to the variance, against division by zero.", default=0.001, ge=0)
    momentum: float = _MOMENTUM
    fix_gamma: bool = _FIX_GAMMA
    use_global_stats: bool = _USE_GLOBAL
    output_mean_var: bool = _OUTPUT_MEAN_VAR

    gives_inverse_deviation = False
    samples = (
        Sample([(4, 3, 2), (3,), (3,), (3,), (3,)], {"fix_gamma": False}, low=0.2, high=2.0),
        Sample([(4, 3, 2), (3,), (3,), (3,), (3,)], {"fix_gamma": False}, low=0.2, high=2.0, training=True),
    )


class _Grouped(Op):
    """A normalization over some axes of the data, with a scale and a shift."""

    eps: float

    def num_visible(self) -> int:
        return 3 if getattr(self, "output_mean_var", False) else 1

    def dtypes(self, **known: Any) -> Any:
        """Everything shares one floating point type."""
        for name, dtype in known.items():
            floating(name, dtype)
        shared = next((d for d in known.values() if d is not None), None)
        return {} if shared is None else dict.fromkeys(known, shared)

    def _gradient(self, xp: Any, dy: Any, centred: Any, inverse: Any, scale: Any, over: Sequence[int]) -> Any:
        """Return the gradient by the data, normalized over some axes."""
        count = math.prod(dy.shape[k] for k in over)
        total, product = xp.sum(dy, over, keepdims=True), xp.sum(dy * centred, over, keepdims=True)
        return _centred_gradient(dy, centred, xp.square(inverse), scale, total, product, count)

    def _normalized(self, xp: Any, x: Any, over: Sequence[int]) -> tuple[Any, Any, Any]:
        """Return the data less their mean, the variance with `eps`, and the mean; the latter two with axes kept."""
        count = float(max(1, math.prod(x.shape[k] for k in over)))
        mean = xp.sum(x, over, keepdims=True) / count
        centred = x - mean
        var = xp.sum(xp.square(centred), over, keepdims=True) / count
        return centred, var + self.eps, mean


@op("LayerNorm", aliases=("_npx_layer_norm",))
class LayerNorm(_Grouped):
    """Layer normalization (Ba, Kiros and Hinton, 2016): every vector along an axis to mean zero and deviation one.

    ``y = (x - mean) / std * gamma + beta`` with ``std = sqrt(var + eps)``, mean and variance being those along `axis`.
    The second and third output are mean and std, with that axis of length 1; they are hidden unless asked for.
    """

    data: Tensor = arg("Input, of any shape.")
    gamma: Tensor = arg("Scale of each element along the axis, (n,).")
    beta: Tensor = arg("Shift of each element along the axis, (n,).")

    axis: int = param("Axis along which the vectors lie.", default=-1)
    eps: float = param("Added to the variance, against division by zero.", default=1e-5, ge=0)
    output_mean_var: bool = _OUTPUT_MEAN_VAR

    outputs = ("output", "mean", "std")
    samples = (
        Sample([(2, 3, 4), (4,), (4,)], {}),
        Sample([(4, 3, 2), (3,), (3,)], {"axis": 1, "eps": 0.1}),
    )

    def shapes(
        self,
        data: Known = None,
        gamma: Known = None,
        beta: Known = None,
        output: Known = None,
        mean: Known = None,
        std: Known = None,
    ) -> Any:
        data = merge(data, output)
        if data is None:
            return same_shape(("gamma", "beta"), {"gamma": gamma, "beta": beta})
        axis = axis_of(self.axis, len(data))
        length = merge((data[axis],), *(s for s in (gamma, beta) if s is not None and len(s) == 1))
        assert length is not None
        data = (*data[:axis], length[0], *data[axis + 1 :])
        flat = (*data[:axis], 1, *data[axis + 1 :])
        return {"data": data, "output": data, "gamma": length, "beta": length, "mean": flat, "std": flat}

    def compute(self, xp: Any, data: Any, gamma: Any, beta: Any) -> Any:
        axis = axis_of(self.axis, data.ndim)
        centred, var, mean = self._normalized(xp, data, (axis,))
        std = xp.sqrt(var)
        y = centred / std * _aligned(xp, gamma, axis, data.ndim) + _aligned(xp, beta, axis, data.ndim)
        return y, mean, std

    def backward(
        self, xp: Any, data: Any, gamma: Any, mean: Any, std: Any, dy: Any = None, dy_output: Any = None
    ) -> Any:
        axis = axis_of(self.axis, data.ndim)
        head = dy if dy is not None else dy_output
        others = tuple(k for k in range(data.ndim) if k != axis)
        centred, inverse = data - mean, xp.reciprocal(std)
        scaled = head * _aligned(xp, gamma, axis, data.ndim)
        dx = self._gradient(xp, scaled, centred, inverse, inverse, (axis,))
        return dx, xp.sum(head * centred * inverse, others), xp.sum(head, others)


@op("InstanceNorm")
class InstanceNorm(_Grouped):
    """Instance normalization (Ulyanov, Vedaldi and Lempitsky, 2016): every channel of every image on its own.

    ``y = (x - mean) / sqrt(var + eps) * gamma + beta``, mean and variance being those of the spatial axes. The hidden
    second and third output are mean and variance.
    """

    data: Tensor = arg("Input, (batch, channels, spatial axes...).")
    gamma: Tensor = arg("Scale of each channel, (channels,).")
    beta: Tensor = arg("Shift of each channel, (channels,).")

    eps: float = param("Added to the variance, against division by zero.", default=1e-3, ge=0)

    outputs = ("output", "mean", "var")
    samples = (Sample([(2, 3, 4), (3,), (3,)], {}), Sample([(2, 2, 3, 2), (2,), (2,)], {"eps": 0.1}))

    def shapes(self, data: Known = None, gamma: Known = None, beta: Known = None, output: Known = None) -> Any:
        data = merge(data, output)
        if data is None:
            return same_shape(("gamma", "beta"), {"gamma": gamma, "beta": beta})
        rank_of("data", data, 3)
        channels = merge((data[1],), *(s for s in (gamma, beta) if s is not None and len(s) == 1))
        assert channels is not None
        data = (data[0], channels[0], *data[2:])
        return {
            "data": data,
            "output": data,
            "gamma": channels,
            "beta": channels,
            **dict.fromkeys(("mean", "var"), data[:2]),
        }

    def compute(self, xp: Any, data: Any, gamma: Any, beta: Any) -> Any:
        centred, var, mean = self._normalized(xp, data, tuple(range(2, data.ndim)))
        scale = _aligned(xp, gamma, 1, data.ndim) / xp.sqrt(var)
        y = centred * scale + _aligned(xp, beta, 1, data.ndim)
        return y, xp.reshape(mean, data.shape[:2]), xp.reshape(var - self.eps, data.shape[:2])

    def backward(self, xp: Any, dy: Any, data: Any, gamma: Any) -> Any:
        over = tuple(range(2, data.ndim))
        centred, var, _ = self._normalized(xp, data, over)
        inverse = xp.reciprocal(xp.sqrt(var))
        scale = inverse * _aligned(xp, gamma, 1, data.ndim)
        dx = self._gradient(xp, dy, centred, inverse, scale, over)
        others = (0, *over)
        return dx, xp.sum(dy * centred * inverse, others), xp.sum(dy, others)


@op("GroupNorm")
class GroupNorm(_Grouped):
    """Group normalization (Wu and He, 2018): groups of channels of every image on their own.

    ``y = (x - mean) / std * gamma + beta`` with ``std = sqrt(var + eps)``, mean and variance being those of a group.
    The second and third output are mean and std, (batch, num_groups); they are hidden unless asked for.
    """

    data: Tensor = arg("Input, (batch, channels, spatial axes...).")
    # MXNet: one scale and one shift for a group, not for a channel.
    gamma: Tensor = arg("Scale of each group, (num_groups,).")
    beta: Tensor = arg("Shift of each group, (num_groups,).")

    num_groups: int = param("Number of groups; it divides the number of channels.", default=1, ge=1)
    eps: float = param("Added to the variance, against division by zero.", default=1e-5, ge=0)
    output_mean_var: bool = _OUTPUT_MEAN_VAR

    outputs = ("output", "mean", "std")
    samples = (
        Sample([(2, 4, 3), (2,), (2,)], {"num_groups": 2}),
        Sample([(2, 3, 2, 2), (1,), (1,)], {"eps": 0.1}),
    )

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        data = merge(data, output)
        found: dict[str, Any] = dict.fromkeys(("gamma", "beta"), (self.num_groups,))
        if data is None:
            return found
        rank_of("data", data, 3)
        if data[1] is not None and data[1] % self.num_groups:
            raise ShapeError(f"{data[1]} channels do not fit num_groups {self.num_groups}")
        flat = (data[0], self.num_groups)
        return found | {"data": data, "output": data, "mean": flat, "std": flat}

    def _groups(self, xp: Any, x: Any) -> Any:
        """Return the data as (batch, groups, rest)."""
        return xp.reshape(x, (x.shape[0], self.num_groups, math.prod(x.shape[1:]) // self.num_groups))

    def compute(self, xp: Any, data: Any, gamma: Any, beta: Any) -> Any:
        x = self._groups(xp, data)
        centred, var, mean = self._normalized(xp, x, (2,))
        std = xp.sqrt(var)
        y = centred * (_aligned(xp, gamma, 1, 3) / std) + _aligned(xp, beta, 1, 3)
        flat = x.shape[:2]
        return xp.reshape(y, data.shape), xp.reshape(mean, flat), xp.reshape(std, flat)

    def backward(
        self, xp: Any, data: Any, gamma: Any, mean: Any, std: Any, dy: Any = None, dy_output: Any = None
    ) -> Any:
        x, head = self._groups(xp, data), self._groups(xp, dy if dy is not None else dy_output)
        kept = (*x.shape[:2], 1)
        centred, inverse = x - xp.reshape(mean, kept), xp.reciprocal(xp.reshape(std, kept))
        scale = inverse * _aligned(xp, gamma, 1, 3)
        dx = self._gradient(xp, head, centred, inverse, scale, (2,))
        return xp.reshape(dx, data.shape), xp.sum(head * centred * inverse, (0, 2)), xp.sum(head, (0, 2))


@op("L2Normalization")
class L2Normalization(Op):
    """Divide by the Euclidean norm of each image, across channels, or of each channel.

    ``y = x / sqrt(sum(x ** 2) + eps)``, the sum being over the axes that `mode` says.

    The hidden second output is the norm.
    """

    data: Tensor = arg("Input, (batch, ...).")

    eps: float = param("Added to the sum of squares, against division by zero.", default=1e-10, ge=0)
    mode: Literal["instance", "channel", "spatial"] = param(
        "``instance``: over all axes but the batch; ``channel``: over axis 1; ``spatial``: over the axes after it.",
        default="instance",
    )

    outputs = ("output", "norm")
    samples = (
        Sample([(2, 3, 2)], {}, low=0.2),
        Sample([(2, 3, 2, 2)], {"mode": "channel"}, low=0.2),
        Sample([(2, 3, 2, 2)], {"mode": "spatial", "eps": 0.1}, low=0.2),
    )

    def num_visible(self) -> int:
        return 1

    def _over(self, rank: int) -> tuple[int, ...]:
        if self.mode == "instance":
            return tuple(range(1, rank))
        return (1,) if self.mode == "channel" else tuple(range(2, rank))

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        data = merge(data, output)
        if data is None:
            return {}
        rank_of("data", data, 2 if self.mode == "instance" else 3)
        return {"data": data, "output": data, "norm": self._norm_shape(data)}

    def _norm_shape(self, data: PartialShape) -> PartialShape:
        # MXNet: the axis is kept with length 1 only where it stands between others.
        over = self._over(len(data))
        return tuple(1 if k in over else n for k, n in enumerate(data) if self.mode == "channel" or k not in over)

    def compute(self, xp: Any, data: Any) -> Any:
        norm = xp.sqrt(xp.sum(xp.square(data), self._over(data.ndim), keepdims=True) + self.eps)
        return data / norm, xp.reshape(norm, self._norm_shape(data.shape))

    def backward(self, xp: Any, dy: Any, output: Any, norm: Any) -> Any:
        over = self._over(output.ndim)
        norm = xp.reshape(norm, tuple(1 if k in over else n for k, n in enumerate(output.shape)))
        return (dy - output * xp.sum(dy * output, over, keepdims=True)) / norm


@op("LRN")
class LRN(Op):
    """Local response normalization across channels (Krizhevsky, Sutskever and Hinton, 2012).

    ``y = x * norm ** -beta`` with ``norm = knorm + alpha / nsize * (sum of squares over nsize neighbouring channels)``.
    The hidden second output is the norm.
    """

    data: Tensor = arg("Input, (batch, channels, height, width).")

    alpha: float = param("Factor of the squares.", default=1e-4)
    beta: float = param("Exponent.", default=0.75)
    knorm: float = param("Added to the squares.", default=2.0)
    nsize: int = param("Number of neighbouring channels, odd.", ge=1)

    outputs = ("output", "tmp_norm")
    samples = (
        Sample([(2, 5, 2, 2)], {"nsize": 3}),
        Sample([(1, 6, 2, 2)], {"nsize": 5, "alpha": 0.5, "beta": 0.5, "knorm": 1.0}),
    )

    def num_visible(self) -> int:
        return 1

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        if self.nsize % 2 == 0:
            raise ArgumentError(f"nsize is {self.nsize}, but must be odd", where=self.op_name)
        data = merge(data, output)
        if data is None:
            return {}
        rank_of("data", data, 4, 4)
        return dict.fromkeys(("data", "output", "tmp_norm"), data)

    def _neighbours(self, xp: Any, x: Any) -> Any:
        """Return the sum over neighbouring channels."""
        n, c, h, w = x.shape
        half = self.nsize // 2
        rows = xp.sum_pool(xp.reshape(x, (n, 1, c, h * w)), (self.nsize, 1), (1, 1), ((half, half), (0, 0)))
        return xp.reshape(rows, x.shape)

    def compute(self, xp: Any, data: Any) -> Any:
        norm = self._neighbours(xp, xp.square(data)) * (self.alpha / self.nsize) + self.knorm
        return data * xp.power(norm, -self.beta), norm

    def backward(self, xp: Any, dy: Any, data: Any, output: Any, tmp_norm: Any) -> Any:
        shared = self._neighbours(xp, dy * output / tmp_norm)
        return dy * xp.power(tmp_norm, -self.beta) - data * shared * (2.0 * self.alpha * self.beta / self.nsize)
