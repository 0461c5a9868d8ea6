"""Counter-based random numbers: (seed, step), a key and a position decide every bit, whatever runs before or beside it.

The bits are those of Philox 4x64 with 10 rounds (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"),
as NumPy's `numpy.random.Philox` gives them, with

* cipher key = (seed, step),
* counter = (block, 0, `key`, 0), the block running from 1 on,

so two draws that differ in seed, step or key share no block. 64-bit words are used in order; a 32-bit draw takes the
low half of a word first. `key` is ``64 * node + number of the draw within the node``.

What does not belong here: who counts steps (`symgraph.ndarray.random`, the executor), and distributions that an
operator can compute from these.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import numpy as np

from symgraph.errors import DTypeError

__all__ = ["normal", "uniform", "words"]

Array = np.ndarray[Any, Any]

#: Numbers computed at a time: all that is on the way fits the first caches.
_BLOCK = 8192


class _Source(threading.local):
    """One generator a thread, set anew for every draw: a sixth of the cost of making one."""

    def __init__(self) -> None:
        self.bits = np.random.Philox(0)
        self.generator = np.random.Generator(self.bits)
        self.counter = np.zeros(4, np.uint64)
        self.state: Any = dict(self.bits.state)

    def at(self, state: Array, key: int) -> np.random.Generator:
        self.counter[2] = key
        # buffer_pos 4: no word of the old block is left; has_uint32 0: no half word either.
        self.state.update(state={"counter": self.counter, "key": state}, buffer_pos=4, has_uint32=0)
        self.bits.state = self.state
        return self.generator


@functools.cache
def _source() -> _Source:
    """Return the generators, made when first needed: NumPy loads its random numbers only then."""
    return _Source()


def uniform(state: Array, key: int, shape: tuple[int, ...], dtype: Any, out: Array | None = None) -> Array:
    """Return uniform numbers in [0, 1).

    Parameters
    ----------
    state
        Seed and step, uint64 of shape (2,).
    key
        Which draw of the step it is, below 2**64.
    shape
        Shape of the result.
    dtype
        float16, float32 or float64. A number is the top 11, 24 or 53 bits of a 16, 32 or 64-bit word, times 2**-11,
        2**-24 or 2**-53, so it is never 1.
    out
        Array of that shape and dtype, contiguous, to write into.

    Raises
    ------
    DTypeError
        If the dtype is not one of these.
    """
    flat = _flat(shape, dtype, out)
    generator = _source().at(state, key)
    if flat.dtype != np.float16:
        generator.random(dtype=flat.dtype, out=flat)
    else:
        half = _words(-(-flat.size // 4)).view("<u2")[: flat.size]
        np.multiply((half >> np.uint16(5)).astype(np.float16), np.float16(2.0**-11), out=flat)
    return flat.reshape(shape) if out is None else out


def normal(state: Array, key: int, shape: tuple[int, ...], dtype: Any, out: Array | None = None) -> Array:
    """Return standard normal numbers, by the transform of Box and Muller (1958).

    Every number depends on its own words alone, so any engine that has the bits can compute it. For n numbers and
    m = ceil(n / 2), number k < m is ``r cos(t)`` and number m + k is ``r sin(t)``, with ``r = sqrt(-2 log(1 - u))``,
    u a float64 uniform from word k, and ``t = 2 pi v``, v a uniform of the result's width from the words after. So
    the greatest magnitude is sqrt(2 * 53 log 2) = 8.57; float16 is rounded from float32.

    Parameters and errors are those of `uniform`.
    """
    flat = _flat(shape, dtype, out)
    width: Any = np.float64 if flat.dtype == np.float64 else np.float32
    half = -(-flat.size // 2)
    # The radius waits where the cosines go; what is rounded more coarsely than it needs a place of its own.
    radius = np.empty(half, width) if flat.dtype == np.float16 else flat[:half]
    generator = _source().at(state, key)
    for k in range(0, half, _BLOCK):
        part = radius[k : k + _BLOCK]
        u = generator.random(part.size)
        np.subtract(1.0, u, out=u)
        np.copyto(part, u, casting="same_kind")
        np.log(part, out=part)
        np.multiply(part, width(-2.0), out=part)
        np.sqrt(part, out=part)
    for k in range(0, half, _BLOCK):
        r = radius[k : k + _BLOCK]
        angle = generator.random(r.size, dtype=width)
        np.multiply(angle, width(2 * math.pi), out=angle)
        sine = np.sin(angle)
        np.multiply(sine, r, out=sine)
        np.cos(angle, out=angle)
        np.multiply(angle, r, out=angle)
        np.copyto(flat[k : k + r.size], angle, casting="same_kind")
        there = flat[half + k : half + k + r.size]
        np.copyto(there, sine[: there.size], casting="same_kind")
    return flat.reshape(shape) if out is None else out


def _flat(shape: tuple[int, ...], dtype: Any, out: Array | None) -> Array:
    """Return the array to write into, flat."""
    dtype = np.dtype(dtype)
    if dtype not in (np.float16, np.float32, np.float64):
        raise DTypeError(f"random numbers of element type {dtype} are not defined")
    return np.empty(math.prod(shape), dtype) if out is None else out.reshape(-1)


def words(state: Array, key: int, count: int) -> Array:
    """Return the first `count` 64-bit words themselves."""
    _source().at(state, key)
    return _words(count)


def _words(count: int) -> Array:
    """Return the next words of the source, little end first, so that halves of them are in order everywhere."""
    return np.asarray(_source().bits.random_raw(count), dtype="<u8").reshape(count)
