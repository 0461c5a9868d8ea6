"""Operators that choose elements by indices, put them in order of value, or cut by given lengths.

Indices may have any element type; fractions are cut off towards zero. They never have a gradient.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from symgraph.errors import ShapeError
from symgraph.op import Double, NumberDType, Op, Sample, Shape, Tensor, arg, op, param
from symgraph.op.partial import axis_of, merge, reduced, same_shape, size_of

#: Element types in which `topk` and `argsort` give indices.
IndexDType = Annotated[str, "dtype", "uint8", "int32", "int64", "float16", "float32", "float64"]


def _whole(xp: Any, x: Any) -> Any:
    return xp.astype(x, "int64")


def _within(xp: Any, indices: Any, n: int, mode: str) -> Any:
    """Bring indices into [0, n): clipped, or wrapped around."""
    return xp.remainder(indices, n) if mode == "wrap" else xp.clip(indices, 0, n - 1)


# -- choosing by indices ----------------------------------------------------------------------------------------------


@op("take", aliases=["_npi_take"])
class Take(Op):
    """Choose slices of `a` along an axis by indices.

    The axis is replaced by the axes of `indices`. Slices chosen several times add up their gradients.
    """

    a: Tensor = arg("What is chosen from, with at least one axis.")
    indices: Tensor = arg("Which slices, of any shape.")

    axis: int = param("Axis to choose along; a negative one counts from the last.", default=0)
    mode: Literal["raise", "wrap", "clip"] = param(
        "What becomes of indices out of range: an error, wrapped around, or clipped to the nearest.", default="clip"
    )

    samples = (
        Sample([(3, 4), (2, 2)], integers={"indices": 3}),
        Sample([(2, 3, 4), (3,)], {"axis": 1}, integers={"indices": 3}),
        Sample([(2, 3, 4), (3,)], {"axis": -1, "mode": "wrap"}, integers={"indices": 9}, dtypes={"indices": "int32"}),
        Sample([(5,), (4,)], {"mode": "raise"}, integers={"indices": 5}, dtypes={"indices": "int64"}),
        Sample([(3, 2), (2,)], integers={"indices": 9}, dtypes={"a": "float64", "indices": "uint8"}),
        Sample([(3, 2), (0,)], integers={"indices": 3}),
        Sample([(3, 0), (2,)], integers={"indices": 3}),
    )

    def shapes(self, a=None, indices=None):
        """The axes of the indices replace one axis."""
        if a is None or indices is None:
            return {}
        axis = axis_of(self.axis, len(a))
        return {"output": (*a[:axis], *indices, *a[axis + 1 :])}

    def dtypes(self, a=None, output=None):
        """Indices may have any type."""
        found = a if a is not None else output
        return {} if found is None else {"a": found, "output": found}

    def compute(self, xp, a, indices):
        """Return the chosen slices."""
        axis = axis_of(self.axis, a.ndim)
        if a.shape[axis] == 0 and indices.size:
            raise ShapeError(f"a has shape {a.shape}, so there is nothing to choose along axis {axis}")
        return xp.take(a, indices, axis, self.mode)


@op("batch_take")
class BatchTake(Op):
    """Choose one element of each row: ``output[i] = a[i, indices[i]]``; indices are clipped."""

    a: Tensor = arg("What is chosen from, (rows, columns).")
    indices: Tensor = arg("Column for each row, (rows,).")

    differentiable = False
    samples = (
        Sample([(3, 4), (3,)], integers={"indices": 4}, dtypes={"indices": "int32"}),
        Sample([(3, 4), (3,)], integers={"indices": 9}, dtypes={"indices": "int32"}),
    )

    def shapes(self, a=None, indices=None, output=None):
        """There is one index for each row."""
        if a is not None and len(a) != 2:
            raise ShapeError(f"a has shape {a}, but must have two axes")
        rows = merge(None if a is None else a[:1], indices, output)
        if rows is None:
            return {}
        return {"indices": rows, "output": rows, **({} if a is None else {"a": (*rows, a[1])})}

    def dtypes(self, a=None, output=None):
        """Indices are int32."""
        found = a if a is not None else output
        indices = {"indices": np.dtype("int32")}
        return indices if found is None else {**indices, "a": found, "output": found}

    def compute(self, xp, a, indices):
        """Return the chosen elements."""
        return _pick(xp, a, indices, 1, "clip")


def _pick(xp: Any, data: Any, index: Any, axis: int, mode: str) -> Any:
    rest = (*data.shape[:axis], *data.shape[axis + 1 :])
    wide = (*data.shape[:axis], 1, *data.shape[axis + 1 :])
    chosen = _within(xp, _whole(xp, index), data.shape[axis], mode)
    return xp.reshape(xp.take_along_axis(data, xp.reshape(chosen, wide), axis), rest)


@op("pick", aliases=["_npx_pick", "choose_element_0index"])
class Pick(Op):
    """Choose one element along an axis for each position of the other axes."""

    data: Tensor = arg("What is chosen from, with at least one axis.")
    index: Tensor = arg("Which element, of the shape of `data` without the axis, or with length 1 along it.")

    axis: int | None = param("Axis to choose along; a negative one counts from the last.", default=-1)
    keepdims: bool = param("Keep the axis, with length 1.", default=False)
    mode: Literal["wrap", "clip"] = param(
        "What becomes of indices out of range: wrapped around, or clipped to the nearest.", default="clip"
    )

    samples = (
        Sample([(3, 4), (3,)], integers={"index": 4}),
        Sample([(3, 4), (4,)], {"axis": 0}, integers={"index": 3}),
        Sample([(2, 3, 4), (2, 4)], {"axis": 1, "keepdims": True}, integers={"index": 3}),
        Sample([(3, 4), (3, 1)], {"axis": 1}, integers={"index": 9}, dtypes={"index": "int32"}),
        Sample([(3, 4), (3,)], {"mode": "wrap"}, integers={"index": 9}),
    )

    def _axis(self, rank):
        if self.axis is None:
            raise ShapeError("axis must be given")
        return axis_of(self.axis, rank)

    def shapes(self, data=None, index=None):
        """Index and result lack the axis."""
        if data is None:
            return {}
        axis = self._axis(len(data))
        found = {"output": reduced(data, (axis,), self.keepdims)}
        if index is None or len(index) < len(data):
            rest = (*data[:axis], *data[axis + 1 :])
            return {**found, "index": rest or (1,)}
        return {**found, "index": (*data[:axis], 1, *data[axis + 1 :])}

    def dtypes(self, data=None, output=None):
        """Indices may have any type."""
        found = data if data is not None else output
        return {} if found is None else {"data": found, "output": found}

    def compute(self, xp, data, index):
        """Return the chosen elements."""
        axis = self._axis(data.ndim)
        return xp.reshape(_pick(xp, data, index, axis, self.mode), reduced(data.shape, (axis,), self.keepdims))


@op("one_hot", aliases=["_npx_one_hot"])
class OneHot(Op):
    """Encode indices along a new last axis: one value at the index, another elsewhere; its gradient is zero.

    An index outside [0, depth) gives `off_value` everywhere.
    """

    indices: Tensor = arg("Indices, of any shape.")

    depth: int = param("Length of the new axis.", ge=0)
    on_value: Double = param("Value at the index.", default=1.0)
    off_value: Double = param("Value elsewhere.", default=0.0)
    dtype: NumberDType = param("Element type of the result.", default="float32")

    samples = (
        Sample([(4,)], {"depth": 4}, integers={"indices": 4}),
        Sample([(2, 3)], {"depth": 3}, integers={"indices": 5}, dtypes={"indices": "int32"}),
        Sample([(2,)], {"depth": 3, "on_value": 0.9, "off_value": -0.1}, integers={"indices": 3}),
        Sample([(2,)], {"depth": 3, "dtype": "int32"}, integers={"indices": 3}),
        Sample([(0, 2)], {"depth": 3}, integers={"indices": 3}),
    )

    def shapes(self, indices=None, output=None):
        """There is one axis more."""
        if indices is None and output is None:
            return {}
        rest = merge(indices, None if output is None else output[:-1])
        return {"indices": rest, "output": (*rest, self.depth)}

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype)}

    def compute(self, xp, indices):
        """Return the encoded array."""
        return xp.one_hot(_whole(xp, indices), self.depth, self.dtype, self.on_value, self.off_value)


@op("Embedding", aliases=["_npx_embedding", "_sparse_Embedding"])
class Embedding(Op):
    """Look rows of a table up: ``output[...] = weight[data[...]]``; indices are clipped.

    The result has the shape of `data` with a last axis of length `output_dim` more. Rows looked up several times add
    up their gradients.
    """

    data: Tensor = arg("Row numbers, of any shape.")
    weight: Tensor = arg("The table, (input_dim, output_dim).")

    input_dim: int = param("Number of rows.", ge=1)
    output_dim: int = param("Length of a row.", ge=1)
    dtype: NumberDType = param("Element type of the table if nothing else says it.", default="float32")
    sparse_grad: bool = param("Store the table's gradient by rows; all storage is dense here.", default=False)

    samples = (
        Sample([(4,), (4, 3)], {"input_dim": 4, "output_dim": 3}, integers={"data": 4}),
        Sample([(2, 3), (4, 2)], {"input_dim": 4, "output_dim": 2}, integers={"data": 9}, dtypes={"data": "int32"}),
        Sample([(0,), (4, 2)], {"input_dim": 4, "output_dim": 2}, integers={"data": 4}),
    )

    def shapes(self, data=None, output=None):
        """The parameters say the table's shape."""
        weight = (self.input_dim, self.output_dim)
        if data is None and output is None:
            return {"weight": weight}
        rest = merge(data, None if output is None else output[:-1])
        return {"weight": weight, "data": rest, "output": (*rest, self.output_dim)}

    def dtypes(self, weight=None, output=None):
        """The result has the table's type; row numbers may have any."""
        found = next((t for t in (weight, output) if t is not None), np.dtype(self.dtype))
        return {"weight": found, "output": found}

    def compute(self, xp, data, weight):
        """Return the rows."""
        if weight.shape != (self.input_dim, self.output_dim):
            raise ShapeError(f"weight has shape {weight.shape}, but must be {(self.input_dim, self.output_dim)}")
        return xp.take(weight, data, 0, "clip")


def _points(xp: Any, indices: Any, shape: tuple[int, ...]) -> Any:
    """Return the coordinates of points as integers, negative ones counted from the end."""
    if not indices.ndim or not 1 <= indices.shape[0] <= len(shape):
        raise ShapeError(f"indices have shape {indices.shape}, whose first axis does not point into shape {shape}")
    whole = _whole(xp, indices)
    lengths = np.asarray(shape[: indices.shape[0]], "int64").reshape(-1, *[1] * (indices.ndim - 1))
    return xp.where(whole < 0, whole + lengths, whole)


@op("gather_nd", aliases=["_npi_gather_nd", "_npx_gather_nd"])
class GatherND(Op):
    """Choose elements, or slices, at points.

    `indices` has the shape (m, ...): it holds the first m coordinates of each point. The result has the shape of
    `indices` without its first axis, followed by the axes of `data` beyond the first m. Negative coordinates count
    from the end. Points that stand several times add up their gradients.
    """

    data: Tensor = arg("What is chosen from, with at least m axes.")
    indices: Tensor = arg("Coordinates of the points, (m, ...), all within `data`.")

    samples = (
        Sample([(4, 4), (2, 3)], integers={"indices": 4}),
        Sample([(3, 4), (1, 3)], integers={"indices": 3}, dtypes={"indices": "int32"}),
        Sample([(2, 2, 4), (2, 2, 2)], integers={"indices": 2}),
    )

    def shapes(self, data=None, indices=None):
        """The points' axes, then the remaining ones of the data."""
        if data is None or indices is None or not indices or indices[0] is None:
            return {}
        return {"output": (*indices[1:], *data[indices[0] :]) or (1,)}

    def dtypes(self, data=None, output=None):
        """Indices may have any type."""
        found = data if data is not None else output
        return {} if found is None else {"data": found, "output": found}

    def compute(self, xp, data, indices):
        """Return the chosen elements."""
        found = xp.gather_nd(data, _points(xp, indices, data.shape))
        return xp.reshape(found, found.shape or (1,))


@op("scatter_nd")
class ScatterND(Op):
    """Write elements, or slices, at points of an array of zeros: the transpose of `gather_nd`.

    What is written to one point several times adds up.
    """

    data: Tensor = arg("What is written, of the shape that `gather_nd` would give.")
    indices: Tensor = arg("Coordinates of the points, (m, ...), all within `shape`.")

    shape: Shape = param("Shape of the result.", ge=0)

    samples = (
        Sample([(3,), (2, 3)], {"shape": (4, 4)}, integers={"indices": 4}),
        Sample([(3, 4), (1, 3)], {"shape": (3, 4)}, integers={"indices": 3}, dtypes={"indices": "int32"}),
    )

    def shapes(self):
        """The parameter says it."""
        return {"output": self.shape}

    def dtypes(self, data=None, output=None):
        """Indices may have any type."""
        found = data if data is not None else output
        return {} if found is None else {"data": found, "output": found}

    def compute(self, xp, data, indices):
        """Return the array of zeros and what was written."""
        points = _points(xp, indices, self.shape)
        expected = (*indices.shape[1:], *self.shape[indices.shape[0] :])
        if data.shape != expected:
            raise ShapeError(f"data has shape {data.shape}, but {expected} is written")
        return xp.scatter_nd_add(points, data, self.shape)


# -- order of value ---------------------------------------------------------------------------------------------------


def _order(xp: Any, x: Any, axis: int, ascending: bool) -> Any:
    """Return the stable order of the elements; equal ones stay in the order of their indices."""
    if ascending:
        return xp.argsort(x, axis)
    # Descending and stable: order the flipped array, then flip the order.
    flipped = xp.flip(xp.argsort(xp.flip(x, axis), axis), axis)
    return (x.shape[axis] - 1) - flipped


class _Ordered(Op):
    """What sorts along an axis, or all elements."""

    axis: int | None

    def _along(self, xp, data):
        """Return the array to sort and the axis to sort along."""
        if self.axis is None:
            return xp.reshape(data, (-1,)), 0
        return data, axis_of(self.axis, data.ndim)

    def _shape(self, data):
        """Return the shape of the array to sort and the axis to sort along."""
        if self.axis is None:
            return (size_of(data),), 0
        return data, axis_of(self.axis, len(data))


@op("sort", aliases=["_npi_sort"])
class Sort(_Ordered):
    """Sort along an axis; the order is a hidden second output."""

    data: Tensor = arg("Input, of any shape.")

    axis: int | None = param("Axis to sort along; None: all elements in row-major order.", default=-1)
    is_ascend: bool = param("Least first; else greatest first.", default=True)

    outputs = ("output0", "output1")
    samples = (
        Sample([(3, 4)]),
        Sample([(3, 4)], {"axis": 0, "is_ascend": False}),
        Sample([(3, 4)], {"axis": None}),
        Sample([(5,)], low=0, high=9, dtypes={"data": "int32"}),
    )

    def num_visible(self):
        """The sorted array."""
        return 1

    def shapes(self, data=None):
        """Sorting keeps the shape."""
        return {} if data is None else dict.fromkeys(self.outputs, self._shape(data)[0])

    def dtypes(self, data=None, output0=None):
        """The order is int32."""
        found = data if data is not None else output0
        order = {"output1": np.dtype("int32")}
        return order if found is None else {**order, "data": found, "output0": found}

    def compute(self, xp, data):
        """Return the sorted array and the order."""
        x, axis = self._along(xp, data)
        order = _order(xp, x, axis, self.is_ascend)
        return xp.take_along_axis(x, order, axis), xp.astype(order, "int32")


@op("argsort", aliases=["_npi_argsort"])
class ArgSort(_Ordered):
    """Indices that would sort along an axis; equal elements keep their order. Its gradient is zero."""

    data: Tensor = arg("Input, of any shape.")

    axis: int | None = param("Axis to sort along; None: all elements in row-major order.", default=-1)
    is_ascend: bool = param("Least first; else greatest first.", default=True)
    dtype: IndexDType = param("Element type of the result.", default="float32")

    samples = (
        Sample([(3, 4)]),
        Sample([(3, 4)], {"axis": 0, "is_ascend": False, "dtype": "int32"}),
        Sample([(3, 4)], {"axis": None}),
        Sample([(5,)], {"is_ascend": False}, low=0, high=3, dtypes={"data": "int32"}),
    )

    def shapes(self, data=None):
        """Sorting keeps the shape."""
        return {} if data is None else {"output": self._shape(data)[0]}

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype)}

    def compute(self, xp, data):
        """Return the order."""
        x, axis = self._along(xp, data)
        return xp.astype(_order(xp, x, axis, self.is_ascend), self.dtype)


@op("topk", aliases=["_npx_topk"])
class TopK(_Ordered):
    """The `k` greatest, or least, elements along an axis, sorted: their values, indices, both, or a mask of them.

    Values have a gradient; indices and masks have none.
    """

    data: Tensor = arg("Input, of any shape.")

    axis: int | None = param("Axis to search along; None: all elements in row-major order.", default=-1)
    k: int = param("How many elements; less than 1: all.", default=1)
    ret_typ: Literal["value", "indices", "mask", "both"] = param(
        "What is given: the elements; their indices; ones at their places, in an array of zeros like `data`; or "
        "elements and indices.",
        default="indices",
    )
    is_ascend: bool = param("The least elements, least first; else the greatest, greatest first.", default=False)
    dtype: IndexDType = param("Element type of the indices.", default="float32")

    samples = (
        *(
            Sample([(3, 5)], {"k": k, "ret_typ": what, "is_ascend": up, "axis": axis})
            for what in ("value", "indices", "mask", "both")
            for k, up, axis in ((2, False, -1), (3, True, 0), (3, False, None))
        ),
        Sample([(3, 4)], {"k": 0, "ret_typ": "value"}),
        Sample([(3, 4)], {"k": 2, "dtype": "int32"}),
    )

    def output_names(self):
        """Values come with their indices."""
        return ("output0", "output1") if self.ret_typ in ("value", "both") else ("output",)

    def num_visible(self):
        """The indices beside values are hidden unless both are wanted."""
        return 2 if self.ret_typ == "both" else 1

    def shapes(self, data=None, **known):
        """The length along the axis is `k`; a mask is like the data."""
        if data is None:
            return {}
        shape, axis = self._shape(data)
        if self.ret_typ == "mask":
            return {"output": data}
        n = shape[axis]
        if n is not None and self.k > n:
            raise ShapeError(f"k is {self.k}, but the axis has length {n}")
        length = self.k if self.k >= 1 else n
        return dict.fromkeys(self.output_names(), (*shape[:axis], length, *shape[axis + 1 :]))

    def dtypes(self, data=None, **known):
        """The parameter says the indices' type; hidden ones are int32."""
        indices = np.dtype(self.dtype)
        if self.ret_typ == "indices":
            return {"output": indices}
        if self.ret_typ == "mask":
            return {} if data is None else {"output": data}
        found = {"output1": indices if self.ret_typ == "both" else np.dtype("int32")}
        return found if data is None else {**found, "output0": data}

    def compute(self, xp, data):
        """Return what `ret_typ` says."""
        x, axis = self._along(xp, data)
        k = self.k if self.k >= 1 else x.shape[axis]
        if k > x.shape[axis]:
            raise ShapeError(f"k is {self.k}, but the axis has length {x.shape[axis]}")
        order = _order(xp, x, axis, self.is_ascend)
        if self.ret_typ == "mask":
            # The order of the order is the rank of each element.
            return xp.reshape(xp.astype(xp.argsort(order, axis) < k, data.dtype), data.shape)
        order = xp.slice_axis(order, axis, 0, k)
        if self.ret_typ == "indices":
            return xp.astype(order, self.dtype)
        values = xp.take_along_axis(x, order, axis)
        return values, xp.astype(order, self.dtype if self.ret_typ == "both" else "int32")


# -- sequences of several lengths -------------------------------------------------------------------------------------


def _uses_lengths(self: Any) -> bool:
    return bool(self.use_sequence_length)


class _Sequences(Op):
    """What works on batches of sequences, each with its own length."""

    axis: int
    use_sequence_length: bool

    def _axes(self, data):
        """Return the axis of time and the axis of the batch."""
        if self.axis not in (0, 1) or len(data) < 2:
            raise ShapeError(f"data has shape {data}; it must have two axes or more, and axis must be 0 or 1")
        return self.axis, 1 - self.axis

    def _lengths_rule(self, data, sequence_length):
        if not self.use_sequence_length:
            return {}
        _, batch = self._axes(data)
        lengths = merge((data[batch],), sequence_length)
        found = list(data)
        found[batch] = lengths[0]
        return {"sequence_length": lengths, "data": tuple(found)}

    def _position(self, xp, data, sequence_length):
        """Return the index in time and each sequence's length, as integers that broadcast over the data."""
        time, batch = self._axes(data.shape)
        if sequence_length.shape != (data.shape[batch],):
            raise ShapeError(
                f"sequence_length has shape {sequence_length.shape}, but there are {data.shape[batch]} sequences"
            )
        shape = [1] * data.ndim
        shape[time] = data.shape[time]
        position = xp.reshape(xp.arange(data.shape[time]), shape)
        shape[time], shape[batch] = 1, data.shape[batch]
        return position, xp.reshape(_whole(xp, sequence_length), shape)


class _SameShape(_Sequences):
    """What changes elements of the sequences, and not their number."""

    def shapes(self, data=None, sequence_length=None, output=None):
        """Input and output are alike; there is a length for each sequence."""
        known = merge(data, output)
        if known is None:
            return {}
        found = self._lengths_rule(known, sequence_length)
        return {**same_shape(("data", "output"), {"data": found.get("data", known)}), **found}


@op("SequenceMask", aliases=["_npx_sequence_mask"])
class SequenceMask(_SameShape):
    """Overwrite what lies beyond the end of each sequence."""

    data: Tensor = arg("Sequences, (time, batch, ...), or with `axis` 1 (batch, time, ...).")
    sequence_length: Tensor = arg("Length of each sequence, (batch,).", when=_uses_lengths)

    use_sequence_length: bool = param("Read the lengths; else nothing is overwritten.", default=False)
    value: float = param("What is written.", default=0.0)
    axis: int = param("Axis of time: 0 or 1.", default=0, ge=0, le=1)

    samples = (
        Sample([(4, 2, 3), (2,)], {"use_sequence_length": True, "value": -1.0}, integers={"sequence_length": 5}),
        Sample([(2, 4), (2,)], {"use_sequence_length": True, "axis": 1}, integers={"sequence_length": 5}),
        Sample([(4, 2)]),
    )

    def compute(self, xp, data, sequence_length=None):
        """Return the overwritten sequences."""
        if sequence_length is None:
            return data
        position, length = self._position(xp, data, sequence_length)
        return xp.where(position < length, data, self.value)


@op("SequenceLast")
class SequenceLast(_Sequences):
    """The last element of each sequence.

    The result has the shape of `data` without the axis of time.
    """

    data: Tensor = arg("Sequences, (time, batch, ...), or with `axis` 1 (batch, time, ...).")
    sequence_length: Tensor = arg("Length of each sequence, at least 1, (batch,).", when=_uses_lengths)

    use_sequence_length: bool = param("Read the lengths; else all sequences last to the end.", default=False)
    axis: int = param("Axis of time: 0 or 1.", default=0, ge=0, le=1)

    samples = (
        Sample([(4, 2, 3), (2,)], {"use_sequence_length": True}, integers={"sequence_length": 5}),
        Sample([(2, 4), (2,)], {"use_sequence_length": True, "axis": 1}, integers={"sequence_length": 5}),
        Sample([(4, 2)]),
    )

    def shapes(self, data=None, sequence_length=None):
        """The result lacks the axis of time."""
        if data is None:
            return {}
        time, _ = self._axes(data)
        return {"output": reduced(data, (time,), False), **self._lengths_rule(data, sequence_length)}

    def compute(self, xp, data, sequence_length=None):
        """Return the last elements."""
        time, _ = self._axes(data.shape)
        n = data.shape[time]
        if sequence_length is None:
            return xp.squeeze(xp.slice_axis(data, time, n - 1, n), time)
        _, length = self._position(xp, data, sequence_length)
        return xp.squeeze(xp.take_along_axis(data, xp.clip(length - 1, 0, n - 1), time), time)


@op("SequenceReverse")
class SequenceReverse(_SameShape):
    """Reverse each sequence in time; what lies beyond its end stays."""

    data: Tensor = arg("Sequences, (time, batch, ...).")
    sequence_length: Tensor = arg("Length of each sequence, (batch,).", when=_uses_lengths)

    use_sequence_length: bool = param("Read the lengths; else all sequences last to the end.", default=False)
    axis: int = param("Axis of time, always 0.", default=0, ge=0, le=0)

    samples = (
        Sample([(4, 2, 3), (2,)], {"use_sequence_length": True}, integers={"sequence_length": 5}),
        Sample([(4, 2)]),
    )

    def compute(self, xp, data, sequence_length=None):
        """Return the reversed sequences."""
        if sequence_length is None:
            return xp.flip(data, 0)
        position, length = self._position(xp, data, sequence_length)
        return xp.take_along_axis(data, xp.where(position < length, length - 1 - position, position), 0)
