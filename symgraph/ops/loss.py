"""Losses: operators whose backward pass starts the gradient itself.

The output of most of them is a prediction, not the loss; the gradient is that of a loss which is never computed, and
the head gradient is not read (`is_loss`). The label has no gradient: zeros.

What does not belong here: losses composed from other operators; ``make_loss`` and ``BlockGrad``, which compute nothing
(`elementwise`).
"""

from __future__ import annotations

import math
from typing import Any, Literal

from symgraph.errors import ShapeError
from symgraph.op import Op, PartialShape, Sample, Tensor, arg, op, param
from symgraph.op.partial import merge, same_shape, size_of
from symgraph.ops.rules import rank_of

Known = PartialShape | None
Normalization = Literal["null", "batch", "valid"]

GRAD_SCALE = param("Factor of the gradient.", default=1.0)


def _scaled(dx: Any, factor: float) -> Any:
    return dx if factor == 1 else dx * factor


def _at_least_one(xp: Any, test: Any, dtype: Any) -> Any:
    """Return how often a test holds, at least once, as a 0-d array."""
    return xp.maximum(xp.sum(xp.astype(test, dtype)), 1.0)


def _hits(xp: Any, labels: Any, classes: int, axis: int) -> Any:
    """Return where each class along an axis is the label; `labels` are whole and have length 1 there.

    They are compared in 32 bits, as wide as most data: a label that is no class need not be told from another one.
    """
    shape = [1] * labels.ndim
    shape[axis] = classes
    narrow = xp.astype(xp.clip(labels, -1, classes), "int32")
    return narrow == xp.reshape(xp.arange(classes, dtype="int32"), shape)


def _fits(label: PartialShape, shapes: list[PartialShape]) -> bool:
    return any(
        len(label) == len(s) and all(m is None or n is None or m == n for m, n in zip(label, s, strict=True))
        for s in shapes
    )


# -- classification ----------------------------------------------------------------------------------------------------


@op("SoftmaxOutput", aliases=("Softmax",))
class SoftmaxOutput(Op):
    """Softmax, whose gradient is that of the cross entropy with a label: ``output - one_hot(label)``.

    The softmax is over all axes but the first together; with `preserve_shape` over the last axis; with `multi_output`
    over axis 1, at each position of the others. Labels are cut off to whole numbers; for one that is no class the
    gradient is ``output``. If `label` has the shape of `data` it holds probabilities, and the gradient is ``output -
    label``.

    The gradient is multiplied by `grad_scale` and divided, by `normalization`: ``null`` not at all; ``batch`` by the
    number of labels; ``valid`` by the number of labels that are not `ignore_label`, at least 1. With `multi_output` it
    is divided by the number of positions besides for ``null``, and by batch and positions for ``batch``.
    """

    data: Tensor = arg("Input, (batch, classes) or (batch, ...).")
    label: Tensor = arg(
        "Class of each row, the shape of `data` without its last axis; or probabilities, its whole shape."
    )

    grad_scale: float = GRAD_SCALE
    ignore_label: float = param("Label to ignore with `use_ignore`, and not to count for ``valid``.", default=-1.0)
    multi_output: bool = param(
        "Softmax over axis 1; `label` is then (batch, positions), or `data` without or with length 1 at axis 1.",
        default=False,
    )
    use_ignore: bool = param("Make the gradient zero where the label is `ignore_label`.", default=False)
    preserve_shape: bool = param("Softmax over the last axis.", default=False)
    normalization: Normalization = param("What the gradient is divided by.", default="null")
    out_grad: bool = param("Multiply the gradient by the head gradient.", default=False)
    smooth_alpha: float = param(
        "Probability that is taken from the label and spread over the other classes; not with `multi_output`.",
        default=0.0,
    )

    samples = (
        Sample([(4, 5), (4,)], integers={"label": 5}, smooth=False),
        Sample(
            [(4, 5), (4,)], {"normalization": "valid", "use_ignore": True, "ignore_label": 2.0}, integers={"label": 5}
        ),
        Sample(
            [(4, 5), (4,)], {"smooth_alpha": 0.1, "grad_scale": 2.5, "normalization": "batch"}, integers={"label": 5}
        ),
        Sample([(2, 3, 4), (2, 4)], {"multi_output": True, "normalization": "valid"}, integers={"label": 3}),
        Sample([(2, 3, 4), (2, 3)], {"preserve_shape": True}, integers={"label": 4}),
    )

    @property
    def is_loss(self) -> bool:  # type: ignore[override]  # a parameter decides it here
        """The head gradient is read if it is asked for."""
        return not self.out_grad

    def _label_shapes(self, data: PartialShape) -> list[PartialShape]:
        """Return the shapes that a label of classes may have, the one to take first."""
        if not self.multi_output:
            return [data[:-1]]
        rest = data[2:]
        positions = None if None in rest else math.prod(n for n in rest if n is not None)
        return [(data[0], positions), (data[0], *rest), (data[0], 1, *rest)]

    def shapes(self, data: Known = None, label: Known = None, output: Known = None) -> Any:
        data = merge(data, output)
        if data is None:
            return {}
        rank_of("data", data, 2)
        found: dict[str, Any] = {"data": data, "output": data}
        if label is None:
            return found | {"label": self._label_shapes(data)[0]}
        allowed = [*self._label_shapes(data), data]
        fitting = [s for s in allowed if _fits(label, [s])]
        if not fitting:
            raise ShapeError(f"label has shape {label}, but must have {' or '.join(map(str, allowed))}")
        if None in label:  # concluded when less was known of the data
            found["label"] = fitting[0]
        if data[0] is None and label and label[0] is not None:
            whole = (label[0], *data[1:])
            found |= {"data": whole, "output": whole}
        return found

    def _rows(self, xp: Any, x: Any) -> Any:
        """Return an array with the classes along axis 1: (rows, classes), or (batch, classes, positions)."""
        if self.multi_output:
            return xp.reshape(x, (*x.shape[:2], math.prod(x.shape[2:])))
        if self.preserve_shape:
            return xp.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
        return xp.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute(self, xp: Any, data: Any, label: Any) -> Any:
        return xp.reshape(xp.softmax(self._rows(xp, data), 1), data.shape)

    def backward(self, xp: Any, dy: Any, data: Any, label: Any, output: Any) -> Any:
        dx = self._gradient(xp, data, label, output)
        # MXNet multiplies by the output where its documentation says the head gradient.
        return dx * dy if self.out_grad else dx, None

    def _gradient(self, xp: Any, data: Any, label: Any, output: Any) -> Any:
        if label.shape == data.shape:
            return _scaled(output - label, self.grad_scale)
        p = self._rows(xp, output)
        classes = p.shape[1]
        labels = xp.reshape(xp.astype(label, "int64"), (label.size,))
        ignored = labels == int(self.ignore_label)
        # MXNet: of the labels of data with more axes only the first ones, one for each row, are read.
        rows = (p.shape[0], 1, *p.shape[2:])
        used = math.prod(rows)
        first = xp.reshape(xp.slice(labels, [(0, used, 1)]), rows)
        target = xp.astype(_hits(xp, first, classes, 1), p.dtype)
        if self.smooth_alpha and not self.multi_output:
            other = self.smooth_alpha / (classes - 1) if classes > 1 else 0.0
            target = target * (1.0 - self.smooth_alpha - other) + other
        dx = p - target
        if self.use_ignore:
            dx = xp.where(xp.reshape(xp.slice(ignored, [(0, used, 1)]), rows), 0.0, dx)
        if self.normalization == "valid":
            dx = dx * (self.grad_scale / _at_least_one(xp, xp.logical_not(ignored), p.dtype))
        else:
            divisor = p.shape[2] if self.multi_output else 1
            if self.normalization == "batch":
                divisor *= p.shape[0] if self.multi_output else label.size
            dx = _scaled(dx, self.grad_scale / max(1, divisor))
        return xp.reshape(dx, data.shape)


@op("softmax_cross_entropy")
class SoftmaxCrossEntropy(Op):
    """Sum over a batch of the cross entropy of the softmax with a label: ``-log(softmax(data)[label])``, (1,)."""

    data: Tensor = arg("Input, (batch, classes).")
    label: Tensor = arg("Class of each row, (batch,).")

    samples = (Sample([(3, 4), (3,)], integers={"label": 4}),)

    def shapes(self, data: Known = None, label: Known = None) -> Any:
        rank_of("data", data, 2, 2)
        batch = merge(data[:1] if data else None, label)
        found: dict[str, Any] = {"output": (1,)}
        if batch is not None:
            found["label"] = batch
            if data is not None:
                found["data"] = (*batch, data[1])
        return found

    def _hit(self, xp: Any, data: Any, label: Any) -> Any:
        labels = xp.reshape(xp.astype(label, "int64"), (data.shape[0], 1))
        # MXNet: a label that is no class is taken for the nearest one.
        return _hits(xp, xp.clip(labels, 0, data.shape[1] - 1), data.shape[1], 1)

    def compute(self, xp: Any, data: Any, label: Any) -> Any:
        picked = xp.where(self._hit(xp, data, label), xp.log_softmax(data, 1), 0.0)
        return xp.reshape(-xp.sum(picked), (1,))

    def backward(self, xp: Any, dy: Any, data: Any, label: Any) -> Any:
        return (xp.softmax(data, 1) - xp.astype(self._hit(xp, data, label), data.dtype)) * dy, None


@op("SVMOutput")
class SVMOutput(Op):
    """The input, whose gradient is that of the hinge loss of a one-against-all support vector machine.

    With t = 1 for the class of the label and -1 for the others and violation v = max(margin - t x, 0), the loss is
    C v ** 2, or C v with `use_linear`, C being the regularization coefficient.
    """

    data: Tensor = arg("Scores, (batch, classes).")
    label: Tensor = arg("Class of each row, (batch,).")

    margin: float = param("Least score, with the right sign, that is not penalized.", default=1.0)
    regularization_coefficient: float = param("Factor of the loss.", default=1.0)
    use_linear: bool = param("Hinge loss itself instead of its square.", default=False)

    is_loss = True
    samples = (
        Sample([(4, 3), (4,)], integers={"label": 3}),
        Sample([(4, 3), (4,)], {"use_linear": True}, integers={"label": 3}),
    )

    def shapes(self, data: Known = None, label: Known = None, output: Known = None) -> Any:
        data = merge(data, output)
        if data is None:
            return {}
        rank_of("data", data, 2)
        lead = merge(data[:-1], label)
        assert lead is not None
        return {"label": lead, "data": (*lead, data[-1]), "output": (*lead, data[-1])}

    def compute(self, xp: Any, data: Any, label: Any) -> Any:
        return data

    def backward(self, xp: Any, data: Any, label: Any) -> Any:
        labels = xp.expand_dims(xp.astype(label, "int64"), -1)
        hit = _hits(xp, labels, data.shape[-1], -1)
        sign = xp.where(hit, xp.ones_like(data), -1.0)
        room = self.margin - sign * data
        c = self.regularization_coefficient
        if self.use_linear:
            return xp.where(room > 0.0, sign * -c, 0.0), None
        return sign * xp.maximum(room, 0.0) * (-2.0 * c), None


# -- regression --------------------------------------------------------------------------------------------------------


class _Regression(Op):
    """Rules of the regression outputs; subclasses say what the output and the difference are."""

    grad_scale: float

    is_loss = True

    def shapes(self, data: Known = None, label: Known = None, output: Known = None) -> Any:
        data = merge(data, output)
        if data is None:
            return {}
        found: dict[str, Any] = {"data": data, "output": data}
        if label is None or None in label:
            if not (len(data) == 2 and data[1] is None):
                # MXNet: the labels of a single column are a vector.
                usual = data[:1] if len(data) == 2 and data[1] == 1 else data
                if label is None or _fits(label, [usual]):
                    found["label"] = usual
            if label is None:
                return found
        if None not in data and None not in label:
            if size_of(label) != size_of(data) or label[:1] != data[:1]:
                raise ShapeError(f"label has shape {label}, but must have as many elements as data {data}, batch first")
        elif data and data[0] is None and label and label[0] is not None:
            whole = (label[0], *data[1:])
            found |= {"data": whole, "output": whole}
        return found

    def backward(self, xp: Any, data: Any, label: Any, output: Any) -> Any:
        each = label.size // label.shape[0] if label.ndim and label.shape[0] else 1
        dx = self.difference(xp, output, xp.reshape(label, data.shape))
        return _scaled(dx, self.grad_scale / max(1, each)), None

    def difference(self, xp: Any, output: Any, label: Any) -> Any:
        """Return the gradient of the loss of one element by the data."""
        return output - label


_REGRESSION_DATA = arg("Prediction, (batch, ...).")
_REGRESSION_LABEL = arg("True values: the shape of `data`, or as many elements with the same batch axis.")
_REGRESSION_SAMPLES = (
    Sample([(4, 3), (4, 3)]),
    Sample([(4, 1), (4,)], {"grad_scale": 0.5}),
    Sample([(4,), (4,)]),
)


@op("LinearRegressionOutput", aliases=("_sparse_LinearRegressionOutput",))
class LinearRegressionOutput(_Regression):
    """The input, whose gradient is that of half the squared error: ``data - label``.

    It is multiplied by `grad_scale` and divided by the number of values in one label.
    """

    data: Tensor = _REGRESSION_DATA
    label: Tensor = _REGRESSION_LABEL

    grad_scale: float = GRAD_SCALE

    samples = _REGRESSION_SAMPLES

    def compute(self, xp: Any, data: Any, label: Any) -> Any:
        return data


@op("MAERegressionOutput", aliases=("_sparse_MAERegressionOutput",))
class MAERegressionOutput(_Regression):
    """The input, whose gradient is that of the absolute error: 1 where data > label, else -1.

    It is multiplied by `grad_scale` and divided by the number of values in one label.
    """

    data: Tensor = _REGRESSION_DATA
    label: Tensor = _REGRESSION_LABEL

    grad_scale: float = GRAD_SCALE

    samples = _REGRESSION_SAMPLES

    def compute(self, xp: Any, data: Any, label: Any) -> Any:
        return data

    def difference(self, xp: Any, output: Any, label: Any) -> Any:
        return xp.where(output > label, xp.ones_like(output), -1.0)


@op("LogisticRegressionOutput", aliases=("_sparse_LogisticRegressionOutput",))
class LogisticRegressionOutput(_Regression):
    """Logistic function, whose gradient is that of the cross entropy with a probability: ``output - label``.

    It is multiplied by `grad_scale` and divided by the number of values in one label.
    """

    data: Tensor = arg("Score, (batch, ...).")
    label: Tensor = _REGRESSION_LABEL

    grad_scale: float = GRAD_SCALE

    samples = _REGRESSION_SAMPLES

    def compute(self, xp: Any, data: Any, label: Any) -> Any:
        return xp.sigmoid(data)


# -- losses that are given ---------------------------------------------------------------------------------------------


@op("MakeLoss")
class MakeLoss(Op):
    """The input, taken as a loss: its gradient is `grad_scale`, divided as `normalization` says.

    ``null``: by nothing; ``batch``: by the length of the first axis; ``valid``: by the number of elements above
    `valid_thresh`, at least 1.
    """

    data: Tensor = arg("Loss, of any shape.")

    grad_scale: float = GRAD_SCALE
    valid_thresh: float = param("Elements above it count for ``valid``.", default=0.0)
    normalization: Normalization = param("What the gradient is divided by.", default="null")

    is_loss = True
    samples = (
        Sample([(4, 3)], {}),
        Sample([(4, 3)], {"normalization": "batch", "grad_scale": 2.0}),
        Sample([(4, 3)], {"normalization": "valid"}),
    )

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        return same_shape(("data", "output"), {"data": data, "output": output})

    def compute(self, xp: Any, data: Any) -> Any:
        return data

    def backward(self, xp: Any, data: Any) -> Any:
        if self.normalization == "valid":
            count = _at_least_one(xp, data > self.valid_thresh, data.dtype)
            return xp.broadcast_to(self.grad_scale / count, data.shape)
        batch = data.shape[0] if self.normalization == "batch" and data.ndim else 1
        return xp.full_like(data, self.grad_scale / max(1, batch))


@op("IdentityAttachKLSparseReg")
class IdentityAttachKLSparseReg(Op):
    """The input, with a penalty added to its gradient that keeps the mean activation of each unit near a target.

    The penalty is the Kullback-Leibler divergence of the target from the running average *a* of the mean activation,
    whose derivative is ``-target / a + (1 - target) / (1 - a)``; *a* is renewed in training steps before it is used.
    """

    data: Tensor = arg("Activations in (0, 1), (batch, units).")
    moving_avg: Tensor = arg("Running average of the mean activation, (units,).", mutates=True, init='["zero", {}]')

    sparseness_target: float = param("Mean activation to aim at.", default=0.1, gt=0)
    penalty: float = param("Factor of the penalty.", default=0.001)
    momentum: float = param("Share of the running average that is kept.", default=0.9)

    samples = (Sample([(4, 3), (3,)], low=0.1, high=0.9, training=True, smooth=False),)

    def shapes(self, data: Known = None, moving_avg: Known = None, output: Known = None) -> Any:
        data = merge(data, output)
        if data is None:
            return {}
        rank_of("data", data, 2, 2)
        units = merge(data[1:], moving_avg)
        assert units is not None
        return {"data": (data[0], *units), "output": (data[0], *units), "moving_avg": units}

    def _renewed(self, xp: Any, data: Any, moving_avg: Any) -> Any:
        return moving_avg * self.momentum + xp.mean(data, 0) * (1.0 - self.momentum)

    def compute(self, xp: Any, data: Any, moving_avg: Any, *, training: bool) -> Any:
        return data, self._renewed(xp, data, moving_avg) if training else moving_avg

    def backward(self, xp: Any, dy: Any, data: Any, moving_avg: Any) -> Any:
        mean = self._renewed(xp, data, moving_avg)
        target = self.sparseness_target
        return dy + (-target / mean + (1.0 - target) / (1.0 - mean)) * self.penalty, None
