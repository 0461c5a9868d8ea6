"""Operators that move elements to other places without choosing them by value: shape, order, joining, cutting, padding.

Rules of shapes flow both ways wherever the lengths decide it. Choosing elements by indices is in `indexing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.op import Bounds, Double, Op, PartialShape, Sample, Shape, Tensor, Tensors, arg, args, op, param
from symgraph.op.partial import axes_of, axis_of, is_known, merge, same_shape, size_of

# -- another shape, the same order ------------------------------------------------------------------------------------


def reshaped(shape: PartialShape, codes: Sequence[int], reverse: bool = False) -> PartialShape:
    """Return the shape that `Reshape` gives for its special codes.

    Parameters
    ----------
    shape
        Shape of the input; unknown axes are None.
    codes
        Lengths and codes, see `Reshape`.
    reverse
        Match axes and codes from the last on.

    Raises
    ------
    ShapeError
        If the codes do not fit the shape.

    >>> reshaped((2, 3, 4), (0, -1)), reshaped((None, 3, 4), (0, -1)), reshaped((10, 5, 4), (-1, 0), reverse=True)
    ((2, 12), (None, 12), (50, 4))
    """
    if reverse:
        return reshaped(shape[::-1], tuple(codes)[::-1])[::-1]
    result: list[int | None] = []
    # Axes that a code takes over cancel out of the length that -1 stands for; so that is known even if they are not.
    taken: set[int] = set()
    given: list[int] = []
    inferred = None
    source = 0
    queue = list(codes)

    def take() -> int | None:
        nonlocal source
        if source >= len(shape):
            raise ShapeError(f"shape {tuple(codes)} takes more axes over than data of shape {shape} has")
        taken.add(source)
        source += 1
        return shape[source - 1]

    while queue:
        code = queue.pop(0)
        if code == 0:
            result.append(take())
        elif code == -1:
            if inferred is not None:
                raise ShapeError(f"shape {tuple(codes)} leaves more than one length open")
            inferred = len(result)
            result.append(None)
            source += 1
        elif code == -2:
            while source < len(shape):
                result.append(take())
        elif code == -3:
            first, second = take(), take()
            result.append(None if first is None or second is None else first * second)
        elif code == -4:
            if len(queue) < 2:
                raise ShapeError(f"shape {tuple(codes)} needs two lengths after -4")
            result += _halves(take(), queue.pop(0), queue.pop(0), codes)
        elif code > 0:
            result.append(code)
            given.append(code)
            source += 1
        else:
            raise ShapeError(f"shape {tuple(codes)} has the code {code}; there are 0, -1, -2, -3 and -4")
    rest = size_of([n for k, n in enumerate(shape) if k not in taken])
    if inferred is not None and rest is not None:
        known = math.prod(given)
        if rest % known:
            raise ShapeError(f"data of shape {shape} does not fit shape {tuple(codes)}")
        result[inferred] = rest // known
    elif inferred is None and rest is not None and rest != math.prod(given):
        raise ShapeError(f"data of shape {shape} does not fit shape {tuple(codes)}")
    return tuple(result)


def _halves(whole: int | None, first: int, second: int, codes: Sequence[int]) -> list[int | None]:
    """Return the two lengths that an axis is split into by -4."""
    if (first == -1 and second == -1) or min(first, second) < -1:
        raise ShapeError(f"shape {tuple(codes)} leaves both lengths after -4 open")
    if whole is None:
        return [first if first != -1 else None, second if second != -1 else None]
    known = first * second if -1 not in (first, second) else max(first, second)
    if known == 0 or (whole % known if -1 in (first, second) else whole != known):
        raise ShapeError(f"shape {tuple(codes)} cannot split an axis of length {whole}")
    return [whole // known if first == -1 else first, whole // known if second == -1 else second]


@op("Reshape", aliases=["reshape"])
class Reshape(Op):
    """Give the elements, in row-major order, another shape.

    Each number of `shape` is a length, or a code: 0 takes an axis over; -1 (once) stands for what is left; -2 takes
    all remaining axes over; -3 joins two axes; -4, followed by two lengths (one may be -1), splits an axis.
    """

    data: Tensor = arg("Input, of any shape.")

    shape: Shape = param("Lengths and codes; see above.", default=())
    reverse: bool = param("Match codes and axes from the last one on.", default=False)
    target_shape: Shape = param(
        "Older form, read if `shape` is not given: the result's shape, where one 0 stands for what is left.", default=()
    )
    keep_highest: bool = param("With `target_shape`: keep the length of the first axis.", default=False)

    samples = (
        Sample([(2, 3, 4)], {"shape": (4, 6)}),
        Sample([(2, 3, 4)], {"shape": (0, -1)}),
        Sample([(2, 3, 4)], {"shape": (-2, 1, 1)}),
        Sample([(2, 3, 4)], {"shape": (-3, 4)}),
        Sample([(2, 6, 4)], {"shape": (0, -4, 3, -1, -2)}),
        Sample([(10, 5, 4)], {"shape": (-1, 0), "reverse": True}),
        Sample([(2, 3, 4)], {"target_shape": (2, 0)}),
        Sample([(2, 3, 4)], {"target_shape": (7, 0), "keep_highest": True}),
        Sample([(0, 3, 4)], {"shape": (0, -1)}),
        Sample([(2, 3)], {"shape": 6}, low=0, high=9, dtypes={"data": "int32"}),
    )

    def _result(self, data):
        if self.shape:
            return reshaped(data, self.shape, self.reverse)
        if not self.target_shape:
            raise ShapeError("shape must be given")
        codes = tuple(n or -1 for n in self.target_shape)
        if self.keep_highest:
            return reshaped(data, (0, *codes[1:]))
        return reshaped(data, codes)

    def shapes(self, data=None, output=None):
        """The codes decide the result; one unknown length of the data follows from the number of elements."""
        if data is None:
            return {}
        result = merge(self._result(data), output)
        found = {"output": result}
        if data.count(None) == 1 and is_known(result):
            known = math.prod(n for n in data if n is not None)
            if known and math.prod(result) % known == 0:
                found["data"] = tuple(math.prod(result) // known if n is None else n for n in data)
        return found

    def compute(self, xp, data):
        """Return the elements in the new shape."""
        return xp.reshape(data, self._result(data.shape))


@op("Flatten", aliases=["_npx_batch_flatten", "flatten"])
class Flatten(Op):
    """Fold all axes but the first into one: (batch, features)."""

    data: Tensor = arg("Input, (batch, ...).")

    samples = (Sample([(2, 3, 4)]), Sample([(3,)]), Sample([(3, 2)]), Sample([(0, 2, 2)]))

    def shapes(self, data=None, output=None):
        """The first axis is kept."""
        if data is None:
            return {}
        if not data:
            raise ShapeError("data must have an axis to keep")
        result = merge((data[0], size_of(data[1:])), output)
        return {"output": result, "data": (merge(data[:1], result[:1])[0], *data[1:])}

    def compute(self, xp, data):
        """Return the folded array."""
        if not data.ndim:
            raise ShapeError("data must have an axis to keep")
        return xp.reshape(data, (data.shape[0], math.prod(data.shape[1:])))


@op("expand_dims", aliases=["_npi_expand_dims"])
class ExpandDims(Op):
    """Insert an axis of length 1."""

    data: Tensor = arg("Input, of any shape.")

    axis: int = param("Where the new axis stands in the result; a negative one counts from the last.")

    samples = (*(Sample([(2, 3)], {"axis": a}) for a in (0, 1, 2, -1, -3)), Sample([(0, 3)], {"axis": 1}))

    def shapes(self, data=None, output=None):
        """The result has one axis more."""
        if data is not None:
            axis = axis_of(self.axis, len(data) + 1)
            result = merge((*data[:axis], 1, *data[axis:]), output)
        elif output:
            axis, result = axis_of(self.axis, len(output)), output
        else:
            return {}
        return {"output": result, "data": (*result[:axis], *result[axis + 1 :])}

    def compute(self, xp, data):
        """Return the array with one axis more."""
        axis = axis_of(self.axis, data.ndim + 1)
        return xp.reshape(data, (*data.shape[:axis], 1, *data.shape[axis:]))


@op("squeeze")
class Squeeze(Op):
    """Remove axes of length 1; if none were left, the result has the shape (1,)."""

    data: Tensor = arg("Input, of any shape.")

    axis: Shape | None = param("Axes to remove, of length 1; None: all of length 1.", default=None)

    samples = (
        Sample([(1, 3, 1, 2)]),
        Sample([(1, 3, 1, 2)], {"axis": 0}),
        Sample([(1, 3, 1, 2)], {"axis": (0, -2)}),
        Sample([(1, 1)]),
        Sample([(1, 0)]),
    )

    def _result(self, data):
        if self.axis is None:
            return tuple(n for n in data if n != 1) or (1,)
        gone = axes_of(self.axis, len(data))
        if any(data[k] not in (1, None) for k in gone):
            raise ShapeError(f"data has shape {data}, but must have length 1 along the axes {self.axis}")
        return tuple(n for k, n in enumerate(data) if k not in gone) or (1,)

    def shapes(self, data=None):
        """What is not removed is kept; without `axis` that takes knowing all lengths."""
        if data is None or (self.axis is None and not is_known(data)):
            return {}
        return {"output": self._result(data)}

    def compute(self, xp, data):
        """Return the array with fewer axes."""
        return xp.reshape(data, self._result(data.shape))


@op("reshape_like", aliases=["_npx_reshape_like"])
class ReshapeLike(Op):
    """Give the elements of `lhs` the shape of `rhs`, or replace some axes by some of its axes."""

    lhs: Tensor = arg("What is given another shape.")
    rhs: Tensor = arg("What gives the shape; its values do not matter.")

    lhs_begin: int | None = param("First axis of `lhs` that is replaced; None: the first.", default=None)
    lhs_end: int | None = param("Axis of `lhs` before which replacing ends; None: after the last.", default=None)
    rhs_begin: int | None = param("First axis of `rhs` that is taken; None: the first.", default=None)
    rhs_end: int | None = param("Axis of `rhs` before which taking ends; None: after the last.", default=None)

    samples = (
        Sample([(2, 6), (3, 4)]),
        Sample([(30, 7), (15, 2, 4)], {"lhs_begin": 0, "lhs_end": 1, "rhs_begin": 0, "rhs_end": 2}),
        Sample([(2, 6), (3, 4)], {"lhs_begin": -1, "rhs_begin": -1, "lhs_end": -1, "rhs_end": -1}),
        Sample([(2, 6), (3, 4)], integers={"rhs": 2}, dtypes={"rhs": "int32"}),
    )

    def _result(self, lhs, rhs):
        if self.lhs_begin is self.lhs_end is self.rhs_begin is self.rhs_end is None:
            return tuple(rhs)
        left = range(len(lhs))[self.lhs_begin : self.lhs_end]
        right = rhs[self.rhs_begin : self.rhs_end]
        begin = left.start
        return (*lhs[:begin], *right, *lhs[max(left.stop, begin) :])

    def _checked(self, lhs, rhs):
        target = self._result(lhs, rhs)
        sizes = size_of(lhs), size_of(target)
        if None not in sizes and sizes[0] != sizes[1]:
            raise ShapeError(f"lhs has shape {lhs}, which does not fit the shape {target}")
        return target

    def shapes(self, lhs=None, rhs=None):
        """The shape is that of the right operand, or of both."""
        return {} if lhs is None or rhs is None else {"output": self._checked(lhs, rhs)}

    def dtypes(self, lhs=None, output=None):
        """`rhs` may have any type."""
        found = lhs if lhs is not None else output
        return {} if found is None else {"lhs": found, "output": found}

    def compute(self, xp, lhs, rhs):
        """Return the elements of `lhs` in the new shape."""
        return xp.reshape(lhs, self._checked(lhs.shape, rhs.shape))


@op("shape_array", aliases=["_npx_shape_array"])
class ShapeArray(Op):
    """Lengths of the axes, as an int64 array of shape (number of axes,); its gradient is zero."""

    data: Tensor = arg("Input, of any shape; its values do not matter.")

    samples = (Sample([(2, 3, 4)]), Sample([(0, 2)]))

    def dtypes(self):
        """Lengths are int64."""
        return {"output": np.dtype("int64")}

    def compute(self, xp, data):
        """Return the lengths."""
        return xp.asarray(np.asarray(data.shape, "int64"))


@op("size_array")
class SizeArray(Op):
    """Number of elements, as an int64 array of shape (1,); its gradient is zero."""

    data: Tensor = arg("Input, of any shape; its values do not matter.")

    samples = (Sample([(2, 3, 4)]), Sample([(0, 2)]))

    def dtypes(self):
        """Numbers of elements are int64."""
        return {"output": np.dtype("int64")}

    def compute(self, xp, data):
        """Return the number."""
        return xp.asarray(np.asarray([data.size], "int64"))


# -- another order ----------------------------------------------------------------------------------------------------


@op("transpose")
class Transpose(Op):
    """Put the axes in another order; without `axes`, in the opposite one."""

    data: Tensor = arg("Input, of any shape.")

    axes: Shape = param("The axis of `data` that becomes each axis of the result.", default=())

    samples = (
        Sample([(2, 3)]),
        Sample([(3,)]),
        Sample([(2, 3, 4)]),
        Sample([(2, 3, 4)], {"axes": (0, 2, 1)}),
        Sample([(2, 3, 4)], {"axes": (2, 0, 1)}),
        Sample([(2, 0, 4)], {"axes": (1, 2, 0)}),
    )

    def _order(self, rank):
        order = self.axes or tuple(range(rank))[::-1]
        if sorted(order) != list(range(rank)):
            raise ShapeError(f"axes {order} are no permutation of the {rank} axes of data")
        return order

    def shapes(self, data=None, output=None):
        """The same lengths in another order."""
        if data is None and output is None:
            return {}
        order = self._order(len(data if data is not None else output))
        result = merge(None if data is None else tuple(data[k] for k in order), output)
        back: list[int | None] = [None] * len(order)
        for k, n in zip(order, result, strict=True):
            back[k] = n
        return {"output": result, "data": tuple(back)}

    def compute(self, xp, data):
        """Return the rearranged array."""
        return xp.permute_dims(data, self._order(data.ndim))


@op("SwapAxis", aliases=["_npi_swapaxes", "swapaxes"])
class SwapAxis(Op):
    """Exchange two axes."""

    data: Tensor = arg("Input, of any shape.")

    dim1: int = param("One axis.", default=0)
    dim2: int = param("The other axis.", default=0)

    samples = (
        Sample([(2, 3, 4)], {"dim1": 0, "dim2": 2}),
        Sample([(2, 3, 4)], {"dim1": -1, "dim2": 1}),
        Sample([(2, 3)]),
    )

    def shapes(self, data=None, output=None):
        """Two lengths change places."""
        known = merge(data, None if output is None else self._swapped(output))
        return {} if known is None else {"data": known, "output": self._swapped(known)}

    def _swapped(self, items):
        first, second = axis_of(self.dim1, len(items), "dim1"), axis_of(self.dim2, len(items), "dim2")
        result = list(items)
        result[first], result[second] = result[second], result[first]
        return tuple(result)

    def compute(self, xp, data):
        """Return the rearranged array."""
        return xp.permute_dims(data, self._swapped(range(data.ndim)))


@op("reverse", aliases=["flip"])
class Reverse(Op):
    """Reverse the order along axes."""

    data: Tensor = arg("Input, of any shape.")

    axis: Shape = param("Axes to reverse.")

    samples = (
        Sample([(2, 3)], {"axis": 0}),
        Sample([(2, 3, 4)], {"axis": (0, 2)}),
        Sample([(2, 3)], {"axis": -1}),
        Sample([(2, 0)], {"axis": 1}),
    )

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def compute(self, xp, data):
        """Return the reversed array."""
        return xp.flip(data, axes_of(self.axis, data.ndim))


def _blocks(data: Any, block: int) -> None:
    if data.ndim != 4:
        raise ShapeError(f"data has shape {data.shape}, but must be (batch, channels, height, width)")
    if block < 1:
        raise ArgumentError(f"block_size must be at least 1, got {block}")


@op("depth_to_space")
class DepthToSpace(Op):
    """Move groups of channels into blocks of space: (N, C, H, W) to (N, C / b^2, H b, W b)."""

    data: Tensor = arg("Input, (N, C, H, W); C is a multiple of the square of `block_size`.")

    block_size: int = param("Height and width b of a block.", ge=1)

    samples = (Sample([(1, 8, 2, 3)], {"block_size": 2}), Sample([(2, 3, 2, 2)], {"block_size": 1}))

    def compute(self, xp, data):
        """Return the rearranged array."""
        b = self.block_size
        _blocks(data, b)
        n, c, h, w = data.shape
        if c % (b * b):
            raise ShapeError(f"data has {c} channels, which is no multiple of {b * b}")
        parts = xp.reshape(data, (n, b, b, c // (b * b), h, w))
        return xp.reshape(xp.permute_dims(parts, (0, 3, 4, 1, 5, 2)), (n, c // (b * b), h * b, w * b))


@op("space_to_depth")
class SpaceToDepth(Op):
    """Move blocks of space into channels: (N, C, H, W) to (N, C b^2, H / b, W / b)."""

    data: Tensor = arg("Input, (N, C, H, W); H and W are multiples of `block_size`.")

    block_size: int = param("Height and width b of a block.", ge=1)

    samples = (Sample([(1, 2, 4, 6)], {"block_size": 2}), Sample([(2, 3, 2, 2)], {"block_size": 1}))

    def compute(self, xp, data):
        """Return the rearranged array."""
        b = self.block_size
        _blocks(data, b)
        n, c, h, w = data.shape
        if h % b or w % b:
            raise ShapeError(f"data has height {h} and width {w}, which are not both multiples of {b}")
        parts = xp.reshape(data, (n, c, h // b, b, w // b, b))
        return xp.reshape(xp.permute_dims(parts, (0, 3, 5, 1, 2, 4)), (n, c * b * b, h // b, w // b))


# -- cutting ----------------------------------------------------------------------------------------------------------


@op("slice", aliases=["_npi_slice", "_npx_slice", "_sparse_slice", "crop"])
class Slice(Op):
    """Take a strided part, as Python's ``data[begin:end:step]`` along the leading axes."""

    data: Tensor = arg("Input, of any shape.")

    begin: Bounds = param("Where each part begins; None: at the start. Negative numbers count from the end.")
    end: Bounds = param("Before which element each part ends; None: at the end.")
    step: Bounds = param("Step along each axis; None: 1. Negative steps go backwards.", default=())

    samples = (
        Sample([(3, 4)], {"begin": (0, 1), "end": (2, 3)}),
        Sample([(3, 4)], {"begin": (None, 1), "end": (None, None)}),
        Sample([(3, 4)], {"begin": (-2,), "end": (-1,)}),
        Sample([(3, 4)], {"begin": (0, 0), "end": (3, 4), "step": (2, 3)}),
        Sample([(3, 4)], {"begin": (None, 3), "end": (None, 0), "step": (-1, -2)}),
        Sample([(3, 4)], {"begin": (1, 0), "end": (1, 4)}),
        Sample([(3, 4)], {"begin": (0, 1), "end": (2, 3)}, low=0, high=9, dtypes={"data": "int32"}),
    )

    def _parts(self, rank):
        begin, end, step = self.begin, self.end, self.step
        if len(begin) != len(end) or (step and len(step) != len(begin)):
            raise ShapeError(f"begin {begin}, end {end} and step {step or '()'} must be equally long")
        if len(begin) > rank:
            raise ShapeError(f"begin {begin} names more axes than the {rank} of data")
        steps = tuple(s if s is not None else 1 for s in step) or (1,) * len(begin)
        if 0 in steps:
            raise ShapeError(f"step {step} must not be 0")
        return tuple(zip(begin, end, steps, strict=True))

    def shapes(self, data=None, output=None):
        """Lengths follow from the bounds; axes beyond them are kept."""
        if data is None:
            return {}
        parts = self._parts(len(data))
        cut = [None if n is None else len(range(n)[slice(*p)]) for n, p in zip(data, parts, strict=False)]
        result = merge((*cut, *data[len(parts) :]), output)
        return {"output": result, "data": (*data[: len(parts)], *result[len(parts) :])}

    def compute(self, xp, data):
        """Return the part."""
        return xp.slice(data, self._parts(data.ndim))


@op("slice_axis")
class SliceAxis(Op):
    """Take the elements from `begin` to before `end` along one axis."""

    data: Tensor = arg("Input, of any shape.")

    axis: int = param("The axis; a negative one counts from the last.")
    begin: int = param("First index taken; a negative one counts from the end.")
    end: int | None = param("Index before which taking ends; a negative one counts from the end; None: at the end.")

    samples = (
        Sample([(3, 4)], {"axis": 0, "begin": 1, "end": 3}),
        Sample([(3, 4)], {"axis": -1, "begin": -3, "end": -1}),
        Sample([(3, 4)], {"axis": 1, "begin": 1, "end": None}),
        Sample([(2, 3, 4)], {"axis": 1, "begin": 0, "end": 2}, dtypes={"data": "float64"}),
    )

    def _bounds(self, n):
        begin = self.begin + n if self.begin < 0 else self.begin
        end = n if self.end is None else self.end + n if self.end < 0 else self.end
        if not 0 <= begin < end <= n:
            raise ShapeError(f"begin {self.begin} and end {self.end} take no part of an axis of length {n}")
        return begin, end

    def shapes(self, data=None, output=None):
        """All other axes are kept."""
        rank = len(data if data is not None else output or ())
        if not rank:
            return {}
        axis = axis_of(self.axis, rank)
        length = None
        if data is not None and data[axis] is not None:
            begin, end = self._bounds(data[axis])
            length = end - begin
        known = None if data is None else (*data[:axis], length, *data[axis + 1 :])
        result = merge(known, output)
        return {"output": result, "data": (*result[:axis], None if data is None else data[axis], *result[axis + 1 :])}

    def compute(self, xp, data):
        """Return the part."""
        axis = axis_of(self.axis, data.ndim)
        return xp.slice_axis(data, axis, *self._bounds(data.shape[axis]))


@op("slice_like")
class SliceLike(Op):
    """Cut `data` to the lengths of `shape_like` along some axes; the gradient of what is cut off is zero."""

    data: Tensor = arg("What is cut, from the start of each axis.")
    shape_like: Tensor = arg("What gives the lengths; its values do not matter.")

    axes: Shape = param("Axes to cut; empty: all, and both inputs have equally many.", default=())

    samples = (
        Sample([(3, 4), (2, 3)]),
        Sample([(3, 4), (2, 3)], {"axes": (0,)}),
        Sample([(3, 4, 5), (2, 3)], {"axes": (0, 1)}),
        Sample([(3, 4), (2, 3)], {"axes": (-1,)}),
        Sample([(3, 4), (2, 3)], integers={"shape_like": 3}, dtypes={"shape_like": "int32"}),
    )

    def _result(self, data, like):
        if not self.axes and len(data) != len(like):
            raise ShapeError(f"data has shape {data} and shape_like {like}, but they must have equally many axes")
        result = list(data)
        for a in self.axes or range(len(data)):
            k, m = axis_of(a, len(data), "axes"), axis_of(a, len(like), "axes")
            if data[k] is not None and like[m] is not None and like[m] > data[k]:
                raise ShapeError(f"data has shape {data} and shape_like {like}, which is longer along axis {k}")
            result[k] = like[m]
        return tuple(result)

    def shapes(self, data=None, shape_like=None):
        """Lengths are those of `shape_like` along the cut axes."""
        return {} if data is None or shape_like is None else {"output": self._result(data, shape_like)}

    def dtypes(self, data=None, output=None):
        """`shape_like` may have any type."""
        found = data if data is not None else output
        return {} if found is None else {"data": found, "output": found}

    def compute(self, xp, data, shape_like):
        """Return the part."""
        return xp.slice(data, [(0, n, 1) for n in self._result(data.shape, shape_like.shape)])


@op("Crop")
class Crop(Op):
    """Cut a window out of images: (N, C, H, W) to (N, C, h, w)."""

    data: Tensors = args(
        "Images, (N, C, H, W); then, if `num_args` is 2, images whose height and width are taken.", count="num_args"
    )

    num_args: int = param("1, the size being `h_w`; or 2, the size being that of the second input.", ge=1, le=2)
    offset: Shape = param("First row and column of the window.", default=(0, 0), ge=0)
    h_w: Shape = param("Height and width of the window, if there is one input.", default=(0, 0), ge=0)
    center_crop: bool = param("Take the window from the middle instead of at `offset`.", default=False)

    samples = (
        Sample([(1, 2, 5, 6)], {"num_args": 1, "offset": (1, 2), "h_w": (2, 3)}),
        Sample([(1, 2, 5, 6)], {"num_args": 1, "h_w": (2, 3), "center_crop": True}),
        Sample([(1, 2, 5, 6), (1, 1, 3, 4)], {"num_args": 2}),
    )

    def compute(self, xp, *images):
        """Return the window."""
        x = images[0]
        height, width = images[1].shape[2:] if len(images) == 2 else self.h_w
        if x.ndim != 4:
            raise ShapeError(f"the images have shape {x.shape}, but must be (N, C, H, W)")
        room = (x.shape[2] - height, x.shape[3] - width)
        top, left = (room[0] // 2, room[1] // 2) if self.center_crop else self.offset
        if not (height and width and 0 <= top <= room[0] and 0 <= left <= room[1]):
            raise ShapeError(
                f"a window of {height} by {width} at ({top}, {left}) does not lie in images of shape {x.shape}"
            )
        return xp.slice(x, [(None, None, 1)] * 2 + [(top, top + height, 1), (left, left + width, 1)])


class _Split(Op):
    """Cut into parts along an axis."""

    axis: int
    squeeze_axis: bool

    def _stops(self, n):
        """Return where the parts end along an axis of length `n`."""
        raise TypeError(f"{type(self).__name__} cuts nothing")

    def _count(self):
        raise TypeError(f"{type(self).__name__} cuts nothing")

    def output_names(self):
        """One output for each part."""
        return tuple(f"output{k}" for k in range(self._count()))

    def _squeezed(self, shape, axis):
        if not self.squeeze_axis:
            return shape
        if shape[axis] not in (1, None):
            raise ShapeError(f"squeeze_axis needs parts of length 1 along axis {axis}, but they have {shape[axis]}")
        return (*shape[:axis], *shape[axis + 1 :])

    def shapes(self, data=None, **outputs):
        """The parts have the lengths of the data along all other axes."""
        if data is None:
            return {}
        axis = axis_of(self.axis, len(data))
        if data[axis] is None:
            stops: list[int | None] = [None] * (self._count() + 1)
        else:
            stops = [0, *self._stops(data[axis])]
        found = {}
        for name, start, stop in zip(self.output_names(), stops, stops[1:], strict=False):
            length = None if start is None or stop is None else stop - start
            found[name] = self._squeezed((*data[:axis], length, *data[axis + 1 :]), axis)
        return found

    def compute(self, xp, data):
        """Return the parts."""
        axis = axis_of(self.axis, data.ndim)
        stops = [0, *self._stops(data.shape[axis])]
        parts = [xp.slice_axis(data, axis, start, stop) for start, stop in pairwise(stops)]
        return tuple(xp.reshape(p, self._squeezed(p.shape, axis)) for p in parts)

    def backward(self, xp, *tensors):
        """Return the head gradients, joined."""
        *heads, data = tensors
        axis = axis_of(self.axis, data.ndim)
        stops = [0, *self._stops(data.shape[axis])]
        lengths = [stop - start for start, stop in pairwise(stops)]
        shapes = [(*data.shape[:axis], n, *data.shape[axis + 1 :]) for n in lengths]
        return xp.concat([xp.reshape(dy, shape) for dy, shape in zip(heads, shapes, strict=True)], axis)


@op("SliceChannel", aliases=["split"])
class SliceChannel(_Split):
    """Cut into equal parts along an axis."""

    data: Tensor = arg("Input; its length along `axis` is a multiple of `num_outputs`.")

    num_outputs: int = param("Number of parts.", ge=1)
    axis: int = param("The axis to cut; a negative one counts from the last.", default=1)
    squeeze_axis: bool = param("Remove the axis, along which the parts have length 1.", default=False)

    samples = (
        Sample([(2, 6)], {"num_outputs": 3}),
        Sample([(4, 3)], {"num_outputs": 2, "axis": 0}),
        Sample([(2, 3, 4)], {"num_outputs": 2, "axis": -1}),
        Sample([(2, 3, 4)], {"num_outputs": 3, "squeeze_axis": True}),
        Sample([(2, 4)], {"num_outputs": 1}),
    )

    def _count(self):
        return self.num_outputs

    def _stops(self, n):
        if n % self.num_outputs:
            raise ShapeError(f"an axis of length {n} cannot be cut into {self.num_outputs} equal parts")
        return [n // self.num_outputs * (k + 1) for k in range(self.num_outputs)]


@op("_split_v2", aliases=["_npi_split"])
class SplitV2(_Split):
    """Cut along an axis, into equal parts or at given places."""

    data: Tensor = arg("Input, of any shape.")

    indices: Shape = param("Where each part begins, ascending; the first is 0. Not read if `sections` is given.")
    axis: int = param("The axis to cut; a negative one counts from the last.", default=1)
    squeeze_axis: bool = param("Remove the axis, along which the parts have length 1.", default=False)
    sections: int = param("Number of equal parts; 0: cut at `indices`.", default=0, ge=0)

    samples = (
        Sample([(2, 6)], {"indices": (), "sections": 3}),
        Sample([(2, 6)], {"indices": (0, 2, 5)}),
        Sample([(2, 3)], {"indices": (0, 1, 2), "squeeze_axis": True}),
    )

    def _count(self):
        count = self.sections or len(self.indices)
        if not count:
            raise ArgumentError("indices or sections must be given", where="_split_v2()")
        return count

    def output_names(self):
        """One output for each part; one alone has no number."""
        return ("output",) if self._count() == 1 else super().output_names()

    def _stops(self, n):
        if self.sections:
            if n % self.sections:
                raise ShapeError(f"an axis of length {n} cannot be cut into {self.sections} equal parts")
            return [n // self.sections * (k + 1) for k in range(self.sections)]
        if list(self.indices) != sorted(self.indices) or self.indices[0] != 0 or self.indices[-1] > n:
            raise ShapeError(f"indices {self.indices} do not cut an axis of length {n}: they must ascend from 0")
        return [*self.indices[1:], n]


@op("diag")
class Diag(Op):
    """Diagonal of matrices, or, of a vector, the matrix with that diagonal."""

    data: Tensor = arg("A vector (n,), or an array with at least two axes.")

    k: int = param("Which diagonal: 0 the main one, above it positive, below it negative.", default=0)
    axis1: int = param("Axis of the rows, if there are several axes.", default=0)
    axis2: int = param("Axis of the columns.", default=1)

    samples = (
        Sample([(3,)], {"k": 1}),
        Sample([(3,)], {"k": -1}),
        Sample([(3, 4)]),
        Sample([(3, 4)], {"k": -1}),
        Sample([(4, 3)], {"k": 1}),
        Sample([(2, 3, 4)], {"axis1": 1, "axis2": 2}),
    )

    def compute(self, xp, data):
        """Return the diagonal, as a strided part of the matrix' elements in a row; or the matrix."""
        k = self.k
        if data.ndim == 1:
            n = data.shape[0] + abs(k)
            start = max(k, -k * n)
            part = (start, start + (data.shape[0] - 1) * (n + 1) + 1, n + 1)
            return xp.reshape(xp.embed(data, (n * n,), (part,)), (n, n))
        rows_axis, columns_axis = axis_of(self.axis1, data.ndim, "axis1"), axis_of(self.axis2, data.ndim, "axis2")
        if rows_axis == columns_axis:
            raise ShapeError(f"axis1 and axis2 are both axis {rows_axis}")
        rest = [a for a in range(data.ndim) if a not in (rows_axis, columns_axis)]
        x = xp.permute_dims(data, (*rest, rows_axis, columns_axis))
        rows, columns = x.shape[-2:]
        length = min(rows + min(k, 0), columns - max(k, 0))
        if length <= 0:
            raise ShapeError(f"a {rows} by {columns} matrix has no diagonal {k}")
        flat = xp.reshape(x, (*x.shape[:-2], rows * columns))
        start = max(k, -k * columns)
        return xp.slice_axis(flat, -1, start, start + (length - 1) * (columns + 1) + 1, columns + 1)


# -- joining, repeating, padding --------------------------------------------------------------------------------------


@op("Concat", aliases=["_sparse_concat", "concat"])
class Concat(Op):
    """Join along an axis."""

    data: Tensors = args("Arrays with equal lengths along all other axes.", count="num_args")

    num_args: int = param("Number of arrays.", ge=1)
    dim: int = param("The axis to join along; a negative one counts from the last.", default=1)

    samples = (
        Sample([(2, 3), (2, 1)], {"num_args": 2}),
        Sample([(2, 3, 4), (2, 4, 4), (2, 5, 4)], {"num_args": 3, "dim": -2}),
        Sample([(2, 3), (1, 3)], {"num_args": 2, "dim": 0}),
        Sample([(2,), (3,)], {"num_args": 2, "dim": 0}),
        Sample([(2, 3)], {"num_args": 1}),
        Sample([(2, 0), (2, 3)], {"num_args": 2}),
        Sample([(2, 3), (2, 1)], {"num_args": 2}, low=0, high=9, dtypes={"arg0": "int32", "arg1": "int32"}),
    )

    def shapes(self, **known):
        """Lengths are equal along all other axes, and add up along this one."""
        names = self.input_names()
        first = next((s for s in known.values() if s is not None), None)
        if first is None:
            return {}
        axis = axis_of(self.dim, len(first), "dim")

        def other(shape):
            return None if shape is None or len(shape) != len(first) else (*shape[:axis], None, *shape[axis + 1 :])

        def length(name):
            shape = known.get(name)
            return None if shape is None or len(shape) != len(first) else shape[axis]

        rest = merge(*(other(s) for s in known.values()))
        lengths = [length(name) for name in names]
        some = sum(n for n in lengths if n is not None)
        whole = length("output") if None in lengths else some
        if whole is not None and lengths.count(None) == 1:
            lengths[lengths.index(None)] = whole - some
        found = {name: (*rest[:axis], n, *rest[axis + 1 :]) for name, n in zip(names, lengths, strict=True)}
        return {**found, "output": (*rest[:axis], whole, *rest[axis + 1 :])}

    def compute(self, xp, *arrays):
        """Return the joined array."""
        axis_of(self.dim, arrays[0].ndim, "dim")
        return xp.concat(arrays, self.dim)


@op("stack")
class Stack(Op):
    """Join along a new axis."""

    data: Tensors = args("Arrays of equal shape.", count="num_args")

    axis: int = param("Where the new axis stands in the result; a negative one counts from the last.", default=0)
    num_args: int = param("Number of arrays.", ge=1)

    samples = (
        Sample([(2, 3)] * 3, {"num_args": 3}),
        Sample([(2, 3)] * 2, {"num_args": 2, "axis": -1}),
        Sample([(2, 3)] * 2, {"num_args": 2, "axis": 1}),
        Sample([(2, 3)], {"num_args": 1}),
        Sample([(0, 3)] * 2, {"num_args": 2}),
        Sample([(3,)] * 2, {"num_args": 2}, low=0, high=9, dtypes={"arg0": "int64", "arg1": "int64"}),
    )

    def shapes(self, output=None, **known):
        """All arrays are alike; the result has one axis more."""
        names = self.input_names()
        part = merge(*(known.get(n) for n in names))
        rank = len(output) if part is None and output else None if part is None else len(part) + 1
        if rank is None:
            return {}
        axis = axis_of(self.axis, rank)
        if output is not None and len(output) == rank:
            part = merge(part, (*output[:axis], *output[axis + 1 :]))
        return {**dict.fromkeys(names, part), "output": (*part[:axis], self.num_args, *part[axis:])}

    def compute(self, xp, *arrays):
        """Return the joined array."""
        for x in arrays:
            if x.shape != arrays[0].shape:
                raise ShapeError(f"arrays have shapes {arrays[0].shape} and {x.shape}, but they must be equal")
        axis_of(self.axis, arrays[0].ndim + 1)
        return xp.stack(arrays, self.axis)


@op("tile", aliases=["_npi_tile"])
class Tile(Op):
    """Repeat the whole array along its axes."""

    data: Tensor = arg("Input, of any shape; missing leading axes count as length 1.")

    reps: Shape = param("Number of repetitions along each axis, matched from the last axis on.", ge=0)

    samples = (
        Sample([(2, 3)], {"reps": (2, 3)}),
        Sample([(2, 3)], {"reps": 2}),
        Sample([(2, 3)], {"reps": (2, 1, 2)}),
        Sample([(2, 3)], {"reps": ()}),
        Sample([(2,)], {"reps": (2,)}, low=0, high=9, dtypes={"data": "int32"}),
    )

    def _aligned(self, data):
        rank = max(len(data), len(self.reps))
        return (1,) * (rank - len(data)) + tuple(data), (1,) * (rank - len(self.reps)) + self.reps

    def shapes(self, data=None):
        """Lengths are multiplied."""
        if data is None:
            return {}
        return {"output": tuple(None if n is None else n * r for n, r in zip(*self._aligned(data), strict=True))}

    def compute(self, xp, data):
        """Return the repeated array."""
        shape, reps = self._aligned(data.shape)
        pairs = [pair for n in shape for pair in (1, n)]
        wide = [pair for n, r in zip(shape, reps, strict=True) for pair in (r, n)]
        repeated = xp.broadcast_to(xp.reshape(data, pairs), wide)
        return xp.reshape(repeated, tuple(n * r for n, r in zip(shape, reps, strict=True)))


@op("repeat", aliases=["_np_repeat"])
class Repeat(Op):
    """Repeat each element, or each slice along an axis, several times in a row."""

    data: Tensor = arg("Input, of any shape.")

    repeats: int = param("How often.", ge=0)
    axis: int | None = param("The axis to repeat along; None: all elements in row-major order.", default=None)

    samples = (
        Sample([(2, 3)], {"repeats": 2}),
        Sample([(2, 3)], {"repeats": 2, "axis": 0}),
        Sample([(2, 3)], {"repeats": 3, "axis": -1}),
        Sample([(2, 3)], {"repeats": 0, "axis": 1}),
    )

    def shapes(self, data=None):
        """One length is multiplied."""
        if data is None:
            return {}
        if self.axis is None:
            size = size_of(data)
            return {"output": (None if size is None else size * self.repeats,)}
        axis = axis_of(self.axis, len(data))
        return {"output": tuple(n * self.repeats if k == axis and n is not None else n for k, n in enumerate(data))}

    def compute(self, xp, data):
        """Return the repeated array."""
        x = xp.reshape(data, (-1,)) if self.axis is None else data
        axis = 0 if self.axis is None else axis_of(self.axis, data.ndim)
        before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        wide = xp.broadcast_to(xp.reshape(x, (*before, n, 1, *after)), (*before, n, self.repeats, *after))
        return xp.reshape(wide, (*before, n * self.repeats, *after))


@op("Pad", aliases=["pad"])
class Pad(Op):
    """Enlarge images or volumes along their axes of space."""

    data: Tensor = arg("Images (N, C, H, W), or volumes (N, C, D, H, W).")

    mode: Literal["constant", "edge", "reflect"] = param(
        "What the padding holds: a constant, the nearest element, or the elements mirrored at the border element."
    )
    pad_width: Shape = param("Padding before and after each axis, in pairs; 0 for the first two axes.", ge=0)
    constant_value: Double = param("Value of the padding in mode constant.", default=0.0)

    samples = tuple(
        Sample([shape], {"mode": mode, "pad_width": width, "constant_value": 0.5})
        for mode in ("constant", "edge", "reflect")
        for shape, width in (
            ((1, 2, 3, 4), (0, 0, 0, 0, 1, 2, 2, 1)),
            ((1, 2, 2, 3, 2), (0, 0, 0, 0, 1, 0, 1, 1, 0, 1)),
        )
    )

    def _widths(self, shape):
        pairs = tuple(zip(self.pad_width[::2], self.pad_width[1::2], strict=False))
        if len(shape) not in (4, 5) or len(self.pad_width) != 2 * len(shape):
            raise ShapeError(f"data has shape {shape}, but must have four or five axes, and pad_width a pair for each")
        if any(map(any, pairs[:2])):
            raise ShapeError(f"pad_width {self.pad_width} must be 0 for the first two axes")
        if self.mode == "reflect" and any(
            n is not None and max(pair) >= n for n, pair in zip(shape[2:], pairs[2:], strict=True)
        ):
            raise ShapeError(f"pad_width {self.pad_width} mirrors more than data of shape {shape} holds")
        return pairs

    def shapes(self, data=None, output=None):
        """Lengths grow by the padding."""
        if data is None and output is None:
            return {}
        pairs = self._widths(data if data is not None else (None,) * len(output))
        known = (
            None
            if data is None
            else tuple(None if n is None else n + low + high for n, (low, high) in zip(data, pairs, strict=True))
        )
        result = merge(known, output)
        back = tuple(None if n is None else n - low - high for n, (low, high) in zip(result, pairs, strict=True))
        return {"output": result, "data": back}

    def compute(self, xp, data):
        """Return the enlarged array."""
        widths = self._widths(data.shape)
        if self.mode == "constant":
            return xp.pad(data, widths, self.constant_value)
        for axis, (low, high) in enumerate(widths):
            n, parts = data.shape[axis], [data]
            if low:
                parts.insert(0, self._border(xp, data, axis, 0, low))
            if high:
                parts.append(self._border(xp, data, axis, n - 1, high))
            data = xp.concat(parts, axis)
        return data

    def _border(self, xp, data, axis, edge, width):
        if self.mode == "edge":
            shape = list(data.shape)
            shape[axis] = width
            return xp.broadcast_to(xp.slice_axis(data, axis, edge, edge + 1), shape)
        start = 1 if edge == 0 else edge - width
        return xp.flip(xp.slice_axis(data, axis, start, start + width), axis)
