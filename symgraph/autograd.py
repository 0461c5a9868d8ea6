"""Gradients of imperative code: ``with autograd.record():`` writes operators to a tape, `backward` walks it.

    x.attach_grad()
    with autograd.record():
        y = (x * x).sum()
    y.backward()
    x.grad

What does not belong here: the tape itself (`symgraph.ndarray.tape`) and gradients of Symbols.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import symgraph.ndarray.gradient as _gradient
from symgraph.errors import ArgumentError
from symgraph.ndarray import NDArray
from symgraph.ndarray.ndarray import mark
from symgraph.ndarray.tape import MODE

__all__ = [
    "backward",
    "grad",
    "is_recording",
    "is_training",
    "mark_variables",
    "pause",
    "predict_mode",
    "record",
    "set_recording",
    "set_training",
    "train_mode",
]


def is_recording() -> bool:
    """Return whether operators are written to the tape in this thread."""
    return MODE.recording


def is_training() -> bool:
    """Return whether operators behave as in training in this thread."""
    return MODE.training


def set_recording(is_recording: bool) -> bool:
    """Switch recording on or off in this thread; returns what it was. ``with record():`` is the better way."""
    before, MODE.recording = MODE.recording, bool(is_recording)
    return before


def set_training(train_mode: bool) -> bool:
    """Switch training mode on or off in this thread; returns what it was. ``with train_mode():`` is the better way."""
    before, MODE.training = MODE.training, bool(train_mode)
    return before


class _Modes:
    """Modes for the time of a ``with`` statement; None leaves one as it is."""

    def __init__(self, recording: bool | None, training: bool | None) -> None:
        self._modes = recording, training
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((MODE.recording, MODE.training))
        recording, training = self._modes
        if recording is not None:
            MODE.recording = recording
        if training is not None:
            MODE.training = training

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        MODE.recording, MODE.training = self._before.pop()


def record(train_mode: bool = True) -> _Modes:
    """Return a context in which operators are recorded, by default in training mode."""
    return _Modes(True, train_mode)


def pause(train_mode: bool = False) -> _Modes:
    """Return a context in which operators are not recorded, by default in prediction mode."""
    return _Modes(False, train_mode)


def train_mode() -> _Modes:
    """Return a context in which operators behave as in training; recording stays as it is."""
    return _Modes(None, True)


def predict_mode() -> _Modes:
    """Return a context in which operators behave as in prediction; recording stays as it is."""
    return _Modes(None, False)


def mark_variables(
    variables: NDArray | Sequence[NDArray],
    gradients: NDArray | Sequence[NDArray],
    grad_reqs: str | Sequence[str] = "write",
) -> None:
    """Mark arrays, so that `backward` computes their gradients into arrays that are given.

    Parameters
    ----------
    variables, gradients
        Arrays, and an array of the same shape and element type for the gradient of each.
    grad_reqs
        ``"write"``, ``"add"`` or ``"null"``, for all or for each.

    Raises
    ------
    ArgumentError
        If they are not equally many, or a request is none of these.
    GradientError
        If a gradient does not fit its variable.
    """
    arrays, grads = _listed(variables), _listed(gradients)
    requests = [grad_reqs] * len(arrays) if isinstance(grad_reqs, str) else list(grad_reqs)
    if not len(arrays) == len(grads) == len(requests):
        raise ArgumentError(
            f"mark_variables() got {len(arrays)} variables, {len(grads)} gradients and {len(requests)} requests"
        )
    for x, dx, request in zip(arrays, grads, requests, strict=True):
        mark(x, dx, request)


def backward(
    heads: NDArray | Sequence[NDArray],
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool = False,
    train_mode: bool = True,
) -> None:
    """Compute the gradients of all marked arrays that the heads were computed from, into their ``grad``.

    Parameters
    ----------
    heads
        Recorded arrays.
    head_grads
        Gradient of a loss by each head; None stands for ones.
    retain_graph
        Keep the tape for another pass; otherwise it is released.
    train_mode
        Accepted for MXNet's signature: operators are differentiated in the mode in which they ran.

    Raises
    ------
    GradientError
        If a head was not recorded, its tape was released, or an operator on the way has no gradient.
    """
    arrays = _listed(heads)
    if not arrays:
        raise ArgumentError("backward() needs at least one head")
    _gradient.backward(arrays, _head_grads(arrays, head_grads), retain_graph=retain_graph)


def grad(
    heads: NDArray | Sequence[NDArray],
    variables: NDArray | Sequence[NDArray],
    head_grads: NDArray | Sequence[NDArray | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[NDArray]:
    """Return the gradients of the heads by marked arrays; their ``grad`` is left alone.

    Parameters
    ----------
    heads, head_grads, train_mode
        As in `backward`.
    variables
        Arrays that were marked before recording.
    retain_graph
        As in `backward`; by default the value of `create_graph`.
    create_graph
        Record the computation of the gradients, so that they have gradients, too.

    Raises
    ------
    GradientError
        As in `backward`, or if a variable was not marked or does not matter to the heads.
    """
    arrays, marked = _listed(heads), _listed(variables)
    if not marked:
        raise ArgumentError("grad() needs at least one variable")
    return _gradient.gradients(
        arrays,
        marked,
        _head_grads(arrays, head_grads),
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
    )


def _listed(arrays: NDArray | Sequence[NDArray]) -> list[NDArray]:
    found = [arrays] if isinstance(arrays, NDArray) else list(arrays)
    for x in found:
        if not isinstance(x, NDArray):
            raise ArgumentError(f"needs NDArrays, got {type(x).__name__}", where="autograd")
    return found


def _head_grads(heads: Sequence[NDArray], given: NDArray | Sequence[NDArray | None] | None) -> list[NDArray | None]:
    if given is None:
        return [None] * len(heads)
    grads: list[NDArray | None] = [given] if isinstance(given, NDArray) else list(given)
    if len(grads) != len(heads):
        raise ArgumentError(f"{len(heads)} heads, but {len(grads)} head gradients", where="autograd")
    return grads
