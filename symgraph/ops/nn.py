"""Layers of neural networks that are neither convolutions nor normalizations: the linear layer and dropout.

What does not belong here: products without weights (`linear`), convolutions and pooling (`conv`, `pool`), functions
applied element by element or along an axis (`activation`), normalizations (`norm`), losses (`loss`).
"""

from __future__ import annotations

from typing import Any, Literal

from symgraph.errors import ShapeError
from symgraph.op import Op, PartialShape, Sample, Shape, Tensor, arg, op, param
from symgraph.op.partial import axes_of, merge, same_shape, size_of
from symgraph.ops.rules import floating

Known = PartialShape | None


@op("FullyConnected", aliases=("_npx_fully_connected", "_sparse_FullyConnected"))
class FullyConnected(Op):
    """Linear transformation: ``Y = X W^T + b``.

    The result has the shape (batch, num_hidden); with ``flatten=False`` it is (..., num_hidden), with the leading axes
    of the data.
    """

    data: Tensor = arg("Input, (batch, ...); with `flatten=False` (..., features).")
    weight: Tensor = arg("Weights, (num_hidden, features).")
    bias: Tensor = arg("Bias, (num_hidden,).", unless="no_bias")

    num_hidden: int = param("Number of output features.", ge=1)
    no_bias: bool = param("Leave the bias out.", default=False)
    flatten: bool = param("Fold all axes but the first into one axis of features.", default=True)

    samples = (
        Sample([(2, 4), (3, 4), (3,)], {"num_hidden": 3}),
        Sample([(2, 2, 3), (4, 6), (4,)], {"num_hidden": 4}),
        Sample([(2, 5), (3, 5)], {"num_hidden": 3, "no_bias": True}),
        Sample([(2, 3, 4), (5, 4), (5,)], {"num_hidden": 5, "flatten": False}),
        Sample([(4,), (5, 4), (5,)], {"num_hidden": 5, "flatten": False}),
        Sample([(4,), (5, 1), (5,)], {"num_hidden": 5}),
    )

    def shapes(self, data: Known = None, weight: Known = None, bias: Known = None, output: Known = None) -> Any:
        hidden = self.num_hidden
        found: dict[str, Any] = {"weight": merge((hidden, None), weight)}
        if not self.no_bias:
            found["bias"] = (hidden,)
        features = weight[1] if weight is not None and len(weight) == 2 else None
        if self.flatten:
            batch = merge(output[:1] if output else None, data[:1] if data else None) or (None,)
            found["output"] = (*batch, hidden)
            if data:
                rest = size_of(data[1:])
                found["weight"] = (hidden, rest)
                found["data"] = (*batch, *_solve(data[1:], features))
        elif data is not None:
            if not data:
                raise ShapeError("data has shape (), but must have an axis of features")
            found["weight"] = (hidden, data[-1])
            lead = merge(data[:-1], output[:-1] if output else None)
            assert lead is not None
            found["output"], found["data"] = (*lead, hidden), (*lead, features if data[-1] is None else data[-1])
        elif output:
            found["output"], found["data"] = (*output[:-1], hidden), (*output[:-1], features)
        return found

    def compute(self, xp: Any, data: Any, weight: Any, bias: Any = None) -> Any:
        x = self._matrix(xp, data)
        if x.shape[1] != weight.shape[1]:
            raise ShapeError(
                f"data {data.shape} has {x.shape[1]} features, but weight {weight.shape} takes {weight.shape[1]}"
            )
        y = xp.matmul(x, xp.swapaxes(weight, 0, 1))
        if bias is not None:
            y = y + bias
        return y if self.flatten else xp.reshape(y, (*data.shape[:-1], self.num_hidden))

    def _matrix(self, xp: Any, data: Any) -> Any:
        """Return the data as rows of features."""
        if self.flatten:
            features = size_of(data.shape[1:])
            return xp.reshape(data, (data.shape[0], features))
        return xp.reshape(data, (size_of(data.shape[:-1]), data.shape[-1]))

    def backward(self, xp: Any, dy: Any, data: Any, weight: Any, bias: Any = None) -> Any:
        # Written by hand so that the gradient of the weights is one product in their own layout.
        dy = xp.reshape(dy, (size_of(dy.shape[:-1]), self.num_hidden))
        dx = xp.reshape(xp.matmul(dy, weight), data.shape)
        dw = xp.matmul(xp.swapaxes(dy, 0, 1), self._matrix(xp, data))
        return (dx, dw) if self.no_bias else (dx, dw, xp.sum(dy, 0))


def _solve(lengths: PartialShape, product: int | None) -> PartialShape:
    """Fill in the one unknown length of an axis when the product of all is known."""
    if product is None or list(lengths).count(None) != 1:
        return lengths
    known = size_of([n for n in lengths if n is not None])
    if not known or product % known:
        return lengths
    return tuple(product // known if n is None else n for n in lengths)


@op("Dropout", aliases=("_npx_dropout",))
class Dropout(Op):
    """Set random elements to zero and scale the others up, so that the mean stays (Srivastava et al., 2014).

    Each element is kept with probability ``1 - p`` and then divided by it. Outside of training the input is returned as
    it is. The hidden second output is the mask that the input is multiplied by.
    """

    data: Tensor = arg("Input, of any shape.")

    p: float = param("Probability to set an element to zero.", default=0.5, ge=0, le=1)
    mode: Literal["training", "always"] = param(
        "Drop in training steps only, or in inference, too.", default="training"
    )
    axes: Shape = param("Axes along which all elements are kept or dropped together.", default=())
    cudnn_off: bool | None = param("No effect; for graphs written elsewhere.", default=False)

    outputs = ("output", "mask")
    samples = (
        Sample([(3, 4)], {"p": 0.3}),
        Sample([(3, 4)], {"p": 0.3}, training=True),
        Sample([(3, 4)], {"p": 0.5, "axes": (1,), "mode": "always"}),
        Sample([(3, 4)], {"p": 1.0}, training=True),
    )

    def num_visible(self) -> int:
        return 1

    def _drops(self, training: bool) -> bool:
        return self.p > 0 and (training or self.mode == "always")

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        found = same_shape(("data", "output"), {"data": data, "output": output})
        return found | {"mask": self._mask(found["data"])} if found else found

    def _mask(self, shape: PartialShape) -> PartialShape:
        together = axes_of(self.axes, len(shape), "axes")
        return tuple(1 if k in together else n for k, n in enumerate(shape))

    def compute(self, xp: Any, data: Any, *, training: bool, rng: Any) -> Any:
        floating("data", data.dtype)
        shape = self._mask(data.shape)
        if not self._drops(training):
            return data, xp.ones(shape, data.dtype)
        if self.p == 1:
            return xp.zeros_like(data), xp.zeros(shape, data.dtype)
        keep = 1.0 - self.p
        mask = xp.astype(rng.uniform(shape, "float32") < keep, data.dtype) * (1.0 / keep)
        return data * mask, mask

    def backward(self, xp: Any, dy: Any, mask: Any, training: bool) -> Any:
        return dy * mask if self._drops(training) else dy
