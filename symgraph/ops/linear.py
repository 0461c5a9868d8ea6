"""Products of matrices, and of arrays as matrices. Layers with weights are in `nn`."""

from __future__ import annotations

import math
from typing import Any, Literal

from symgraph.errors import ShapeError
from symgraph.op import Double, Op, Sample, Tensor, Tensors, arg, args, op, param
from symgraph.op.partial import axis_of, merge

Storage = Literal["default", "row_sparse", "csr"] | None


def _swap(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


@op("dot", aliases=["_sparse_dot"])
class Dot(Op):
    """Dot product: sums over the last axis of `lhs` and the first of `rhs`.

    The result has the remaining axes of `lhs`, then those of `rhs`; the product of two vectors has the shape (1,).
    """

    lhs: Tensor = arg("Left operand, (..., n); with `transpose_a` (n, ...).")
    rhs: Tensor = arg("Right operand, (n, ...); with `transpose_b` (..., n).")

    transpose_a: bool = param("Sum over the first axis of `lhs` instead.", default=False)
    transpose_b: bool = param("Sum over the last axis of `rhs` instead.", default=False)
    forward_stype: Storage = param("Storage of the result; all storage is dense here.", default=None)

    samples = (
        Sample([(2, 4), (4, 3)]),
        Sample([(4, 2), (4, 3)], {"transpose_a": True}),
        Sample([(2, 4), (3, 4)], {"transpose_b": True}),
        Sample([(4, 2), (3, 4)], {"transpose_a": True, "transpose_b": True}),
        Sample([(4,), (4,)]),
        Sample([(2, 4), (4,)]),
        Sample([(4,), (4, 3)]),
        Sample([(2, 3, 4), (4, 2)]),
        Sample([(4, 2, 3), (2, 3, 4)], {"transpose_a": True, "transpose_b": True}),
        Sample([(2, 3), (3, 2)], low=0, high=5, dtypes={"lhs": "int32", "rhs": "int32"}),
        Sample([(0, 4), (4, 3)]),
        Sample([(2, 0), (0, 3)]),
    )

    def _split(self, lhs, rhs):
        """Return the summed and the remaining lengths of both operands."""
        for name, x in (("lhs", lhs), ("rhs", rhs)):
            if len(x) == 0:
                raise ShapeError(f"{name} has shape (), but must have an axis to sum over")
        if len(lhs) == len(rhs) == 1 and (self.transpose_a or self.transpose_b):
            raise ShapeError("vectors cannot be transposed")
        left = (lhs[0], lhs[1:]) if self.transpose_a else (lhs[-1], lhs[:-1])
        right = (rhs[-1], rhs[:-1]) if self.transpose_b else (rhs[0], rhs[1:])
        return left, right

    def shapes(self, lhs=None, rhs=None, output=None):
        """The summed lengths are equal; the other axes are those of the result."""
        if lhs is None and rhs is None:
            return {}
        if lhs is None or rhs is None:
            return self._other(lhs, rhs, output)
        (m, left), (n, right) = self._split(lhs, rhs)
        length = n if m is None else m
        if left or right:
            both = merge((*left, *right), output)
            left, right = both[: len(left)], both[len(left) :]
        return {
            "lhs": (length, *left) if self.transpose_a else (*left, length),
            "rhs": (*right, length) if self.transpose_b else (length, *right),
            "output": (*left, *right) or (1,),
        }

    def _other(self, lhs, rhs, output):
        """Conclude an operand from the other one and the result."""
        if lhs is None:
            length, rest = (rhs[-1], rhs[:-1]) if self.transpose_b else (rhs[0], rhs[1:])
        else:
            length, rest = (lhs[0], lhs[1:]) if self.transpose_a else (lhs[-1], lhs[:-1])
        if output is None or len(output) < len(rest):
            return {}
        if not rest and output in ((1,), (None,)):
            return {}  # of two vectors, or of a vector and a matrix of one row or column
        free = output[: len(output) - len(rest)] if lhs is None else output[len(rest) :]
        if lhs is None:
            return {"lhs": (length, *free) if self.transpose_a else (*free, length)}
        return {"rhs": (*free, length) if self.transpose_b else (length, *free)}

    def compute(self, xp, lhs, rhs):
        """Return the product, as one of matrices."""
        (m, left), (n, right) = self._split(lhs.shape, rhs.shape)
        if m != n:
            raise ShapeError(f"lhs has shape {lhs.shape} and rhs {rhs.shape}, so the summed lengths {m} and {n} differ")
        rows, columns = math.prod(left), math.prod(right)
        a = _swap(xp, xp.reshape(lhs, (m, rows))) if self.transpose_a else xp.reshape(lhs, (rows, m))
        b = _swap(xp, xp.reshape(rhs, (columns, m))) if self.transpose_b else xp.reshape(rhs, (m, columns))
        return xp.reshape(xp.matmul(a, b), (*left, *right) or (1,))


@op("batch_dot", aliases=["_npx_batch_dot"])
class BatchDot(Op):
    """Matrix products of two stacks of matrices: the last two axes are multiplied, the others are equal.

    The result has the shape (..., rows, columns).
    """

    lhs: Tensor = arg("Left matrices, (..., rows, n); with `transpose_a` (..., n, rows). At least three axes.")
    rhs: Tensor = arg("Right matrices, (..., n, columns); with `transpose_b` (..., columns, n).")

    transpose_a: bool = param("Transpose the left matrices first.", default=False)
    transpose_b: bool = param("Transpose the right matrices first.", default=False)
    forward_stype: Storage = param("Storage of the result; all storage is dense here.", default=None)

    samples = (
        Sample([(2, 2, 4), (2, 4, 3)]),
        Sample([(2, 4, 2), (2, 4, 3)], {"transpose_a": True}),
        Sample([(2, 2, 4), (2, 3, 4)], {"transpose_b": True}),
        Sample([(2, 4, 2), (2, 3, 4)], {"transpose_a": True, "transpose_b": True}),
        Sample([(2, 3, 2, 4), (2, 3, 4, 2)]),
        Sample([(0, 2, 4), (0, 4, 3)]),
    )

    def shapes(self, lhs=None, rhs=None, output=None):
        """Leading axes are alike, and so are the summed lengths."""
        for name, x in (("lhs", lhs), ("rhs", rhs), ("output", output)):
            if x is not None and len(x) < 3:
                raise ShapeError(f"{name} has shape {x}, but must have at least three axes")
        known = [x[:-2] for x in (lhs, rhs, output) if x is not None]
        batch = merge(*known)
        if batch is None:
            return {}
        left = (None, None) if lhs is None else lhs[-2:][::-1] if self.transpose_a else lhs[-2:]
        right = (None, None) if rhs is None else rhs[-2:][::-1] if self.transpose_b else rhs[-2:]
        rows, columns = (None, None) if output is None else output[-2:]
        rows = left[0] if left[0] is not None else rows
        columns = right[1] if right[1] is not None else columns
        length = left[1] if left[1] is not None else right[0]
        return {
            "lhs": (*batch, *((length, rows) if self.transpose_a else (rows, length))),
            "rhs": (*batch, *((columns, length) if self.transpose_b else (length, columns))),
            "output": (*batch, rows, columns),
        }

    def compute(self, xp, lhs, rhs):
        """Return the products."""
        if lhs.ndim < 3 or lhs.shape[:-2] != rhs.shape[:-2]:
            raise ShapeError(
                f"lhs has shape {lhs.shape} and rhs {rhs.shape}, but all axes but the last two must be equal"
            )
        a = _swap(xp, lhs) if self.transpose_a else lhs
        b = _swap(xp, rhs) if self.transpose_b else rhs
        return xp.matmul(a, b)


@op("khatri_rao")
class KhatriRao(Op):
    """Column-wise Kronecker product of matrices with equally many columns.

    The result has the shape (product of all rows, columns).
    """

    args: Tensors = args("Matrices, (rows, columns) each.", count="num_args")

    num_args: int = param("Number of matrices.", ge=1)

    differentiable = False
    samples = (Sample([(2, 3), (4, 3)], {"num_args": 2}), Sample([(2, 3), (1, 3), (3, 3)], {"num_args": 3}))

    def compute(self, xp, *matrices):
        """Return the product, from left to right."""
        result = matrices[0]
        for x in matrices[1:]:
            if x.ndim != 2 or result.ndim != 2 or x.shape[1] != result.shape[1]:
                raise ShapeError(
                    f"matrices have shapes {result.shape} and {x.shape}, but must have equally many columns"
                )
            product = xp.expand_dims(result, 1) * xp.expand_dims(x, 0)
            result = xp.reshape(product, (result.shape[0] * x.shape[0], x.shape[1]))
        return result


class _MatrixProduct(Op):
    """Matrix products of two stacks of matrices, scaled."""

    transpose_a: bool
    transpose_b: bool
    alpha: float
    axis: int

    def _rows_last_but_one(self, xp, x, back=False):
        """Bring the axis of the rows before the last one, or from there back to its place."""
        axis = axis_of(self.axis, x.ndim)
        if x.ndim < 2 or axis == x.ndim - 1:
            raise ShapeError(
                f"a stack of matrices has the shape {x.shape}, so its rows cannot lie along axis {self.axis}"
            )
        order = [k for k in range(x.ndim - 1) if k != axis]
        order = [*order, axis, x.ndim - 1]
        return xp.permute_dims(x, sorted(range(x.ndim), key=order.__getitem__) if back else order)

    def _product(self, xp, lhs, rhs):
        a, b = self._rows_last_but_one(xp, lhs), self._rows_last_but_one(xp, rhs)
        if a.shape[:-2] != b.shape[:-2]:
            raise ShapeError(
                f"A has shape {lhs.shape} and B {rhs.shape}, but all axes but rows and columns must be equal"
            )
        a = _swap(xp, a) if self.transpose_a else a
        b = _swap(xp, b) if self.transpose_b else b
        product = self._rows_last_but_one(xp, xp.matmul(a, b), back=True)
        return product if self.alpha == 1 else product * self.alpha


@op("_linalg_gemm2", aliases=["linalg_gemm2"])
class Gemm2(_MatrixProduct):
    """Matrix products of two stacks of matrices, scaled: ``alpha A B``.

    The result has the rows of `A` and the columns of `B`.
    """

    A: Tensor = arg("Left matrices, (..., rows, n).")
    B: Tensor = arg("Right matrices, (..., n, columns).")

    transpose_a: bool = param("Transpose the left matrices first.", default=False)
    transpose_b: bool = param("Transpose the right matrices first.", default=False)
    alpha: Double = param("Factor of the product.", default=1.0)
    axis: int = param("Axis of the matrices' rows; the columns lie along the last axis.", default=-2)

    samples = (
        Sample([(2, 3), (3, 4)]),
        Sample([(2, 2, 3), (2, 3, 4)], {"alpha": 2.0}),
        Sample([(2, 3, 2), (2, 4, 3)], {"transpose_a": True, "transpose_b": True}),
        Sample([(2, 3, 4, 5), (2, 5, 4, 2)], {"axis": 1}),
    )

    def compute(self, xp, A, B):  # noqa: N803 - MXNet's names
        """Return the products."""
        return self._product(xp, A, B)


@op("_linalg_gemm", aliases=["linalg_gemm"])
class Gemm(_MatrixProduct):
    """Matrix products of two stacks of matrices, scaled, plus a third stack: ``alpha A B + beta C``.

    The result has the shape of `C`.
    """

    A: Tensor = arg("Left matrices, (..., rows, n).")
    B: Tensor = arg("Right matrices, (..., n, columns).")
    C: Tensor = arg("What is added, (..., rows, columns).")

    transpose_a: bool = param("Transpose the left matrices first.", default=False)
    transpose_b: bool = param("Transpose the right matrices first.", default=False)
    alpha: Double = param("Factor of the product.", default=1.0)
    beta: Double = param("Factor of what is added.", default=1.0)
    axis: int = param("Axis of the matrices' rows; the columns lie along the last axis.", default=-2)

    samples = (
        Sample([(2, 3), (3, 4), (2, 4)]),
        Sample([(2, 3, 2), (2, 4, 3), (2, 2, 4)], {"transpose_a": True, "transpose_b": True, "alpha": 2, "beta": 0.5}),
    )

    def compute(self, xp, A, B, C):  # noqa: N803 - MXNet's names
        """Return the sums."""
        product = self._product(xp, A, B)
        if C.shape != product.shape:
            raise ShapeError(f"C has shape {C.shape}, but the products have {product.shape}")
        return product + C * self.beta
