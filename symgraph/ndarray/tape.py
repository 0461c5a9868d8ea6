"""The tape of autograd: which operators were applied to which arrays while recording, and the modes of a thread.

Every array knows its source: a `Leaf` (it was marked, gradients end there) or an output of a `Call`. The tape is what
can be reached from an array, so it goes away with the arrays.

What does not belong here: walking the tape (`symgraph.ndarray.gradient`), and the public functions
(`symgraph.autograd`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.op import Op

if TYPE_CHECKING:
    from symgraph.ndarray.ndarray import NDArray

__all__ = ["MODE", "Call", "Leaf", "Source", "live"]

Array = np.ndarray[Any, Any]


class _Mode(threading.local):
    """What a thread is doing.

    Attributes
    ----------
    recording
        Whether operators are written to the tape.
    training
        Whether operators behave as in training (Dropout drops, BatchNorm uses the batch's statistics).
    """

    def __init__(self) -> None:
        self.recording = False
        self.training = False


MODE = _Mode()

_NUMBERS = itertools.count()


class Leaf:
    """An array whose gradient is wanted.

    Parameters
    ----------
    grad
        Receives the gradient.
    request
        ``"write"`` or ``"add"``.
    """

    __slots__ = ("grad", "request")
    released = False

    def __init__(self, grad: NDArray, request: str) -> None:
        self.grad, self.request = grad, request


class Call:
    """One application of an operator.

    Attributes
    ----------
    op
        The operator.
    sources
        Where each input came from; None for constants.
    inputs, outputs
        The arrays read and made. They are shared with the NDArrays, not copied; emptied when the tape is released.
    training
        The mode it ran in.
    number
        Calls are numbered in the order in which they were made, so inputs have lower numbers.
    """

    __slots__ = ("inputs", "number", "op", "outputs", "sources", "training")

    def __init__(
        self, op: Op, sources: Sequence[Source | None], inputs: list[Array], outputs: list[Array], training: bool
    ) -> None:
        self.op, self.sources, self.inputs, self.outputs, self.training = op, sources, inputs, outputs, training
        self.number = next(_NUMBERS)

    @property
    def released(self) -> bool:
        """Whether a backward pass has used it up."""
        return not self.outputs

    def release(self) -> None:
        """Let go of everything that it holds."""
        self.sources, self.inputs, self.outputs = (), [], []


#: A leaf or a call, and which of its outputs.
Source = tuple[Leaf | Call, int]


def live(source: Source | None) -> Source | None:
    """Return the source, or None if its tape was released: then the array counts as a constant."""
    return None if source is None or source[0].released else source
