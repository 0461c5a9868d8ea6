"""Sums of products over strided views: what a convolution is, seen as one step.

::

    out[b, i, j, f] = sum over k of source[b, i, j, k] * vectors[b, k, f]

Here `b` and `k` stand for any number of axes each. Operands are views: of an image, whose windows overlap, `source` is
made by strides alone, so nothing is unfolded. Compiled, a tile of results stays in registers while its sums are made,
the elements of `vectors` along `f` in vectors of the machine, those of `source` one by one. NumPy makes it too, but
slowly; nobody shall call it for that.

What does not belong here: which convolution is computed like this (`direct`), machine code (`symgraph.backends.numba`).
"""

from __future__ import annotations

import string

import numpy as np

from symgraph.backends.numpy.kernel_plan import Array

__all__ = ["contract"]


def contract(source: Array, vectors: Array, out: Array, more: bool) -> None:
    """Store the sums of products in `out`, or if `more`, add them to it.

    Parameters
    ----------
    source
        ``(*B, I, J, *K)``.
    vectors
        ``(*B, *K, F)``.
    out
        ``(*B, I, J, F)``; it overlaps no operand.
    more
        Whether to add.
    """
    batch = out.ndim - 3
    letters = string.ascii_letters[: source.ndim + 1]
    results, (summed, element) = letters[: batch + 2], (letters[batch + 2 : -1], letters[-1])
    operands = f"{results}{summed},{results[:batch]}{summed}{element}"
    sums = np.einsum(f"{operands}->{results}{element}", source, vectors, optimize=False)
    np.add(out, sums, out) if more else np.copyto(out, sums)
