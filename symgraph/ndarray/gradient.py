"""Walking the tape backwards: gradients of arrays, by the ``_backward_X`` operators.

The gradient operators are run like any other, so that with `create_graph` they are on the tape themselves, and
gradients of gradients follow.

What does not belong here: rules of gradients (`symgraph.op.backward`, `symgraph.program.gradients`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.errors import ArgumentError, GradientError
from symgraph.ndarray.ndarray import NDArray, apply, invoke, wrap
from symgraph.ndarray.tape import MODE, Call, Leaf, Source
from symgraph.op import find
from symgraph.op.backward import backward_of

__all__ = ["backward", "gradients"]

_ADD = find("elemwise_add")()


def backward(heads: Sequence[NDArray], head_grads: Sequence[NDArray | None], *, retain_graph: bool) -> None:
    """Compute the gradients of all leaves below `heads`, and store them where the leaves say.

    Parameters
    ----------
    heads
        Recorded arrays.
    head_grads
        Gradient of a loss by each head; None stands for ones.
    retain_graph
        Keep the tape for another pass.

    Raises
    ------
    GradientError
        If a head was not recorded, its tape was released, or an operator has no gradient.
    """
    found, calls = _walk(heads, head_grads, None, create_graph=False)
    for leaf, grad in found.values():
        if leaf.request == "add":
            np.add(leaf.grad._data, grad._data, out=leaf.grad._data)
        else:
            np.copyto(leaf.grad._data, grad._data)
    if not retain_graph:
        for call in calls:
            call.release()


def gradients(
    heads: Sequence[NDArray],
    variables: Sequence[NDArray],
    head_grads: Sequence[NDArray | None],
    *,
    retain_graph: bool,
    create_graph: bool,
) -> list[NDArray]:
    """Return the gradients by some marked arrays; arguments and errors as of `backward`.

    Parameters
    ----------
    variables
        Marked arrays.
    create_graph
        Record the computation of the gradients, too.
    """
    leaves = []
    for k, x in enumerate(variables):
        if x._source is None or not isinstance(x._source[0], Leaf):
            raise GradientError(f"variable {k} was not marked: call its attach_grad() before recording")
        leaves.append(x._source[0])
    found, calls = _walk(heads, head_grads, leaves, create_graph=create_graph)
    for k, leaf in enumerate(leaves):
        if id(leaf) not in found:
            raise GradientError(f"variable {k}, of shape {variables[k].shape}, does not matter to the heads")
    if not retain_graph:
        for call in calls:
            call.release()
    return [found[id(leaf)][1] for leaf in leaves]


def _walk(
    heads: Sequence[NDArray],
    head_grads: Sequence[NDArray | None],
    wanted: Sequence[Leaf] | None,
    *,
    create_graph: bool,
) -> tuple[dict[int, tuple[Leaf, NDArray]], list[Call]]:
    """Return the gradient by each leaf (`wanted`, or all that there are), and the calls below the heads."""
    grads: dict[tuple[int, int], NDArray] = {}
    leaves: dict[int, Leaf] = {}
    recording = MODE.recording
    MODE.recording = create_graph
    try:
        calls = _reachable(heads)
        active = _active(calls, wanted)
        for head, given in zip(heads, head_grads, strict=True):
            assert head._source is not None
            _add(grads, leaves, head._source, _head_grad(head, given))
        for call in reversed(calls):
            if id(call) in active:
                _step(call, active, grads, leaves, create_graph=create_graph)
    finally:
        MODE.recording = recording
    keep = None if wanted is None else {id(leaf) for leaf in wanted}
    found = {key: (leaf, grads[key, 0]) for key, leaf in leaves.items() if keep is None or key in keep}
    return found, calls


def _reachable(heads: Sequence[NDArray]) -> list[Call]:
    """Return the calls below the heads in the order in which they were made."""
    seen: dict[int, Call] = {}
    stack: list[Call] = []
    for k, head in enumerate(heads):
        if head._source is None:
            raise GradientError(
                f"head {k} was not recorded: compute it inside autograd.record(), from arrays with attach_grad()"
            )
        if isinstance(head._source[0], Call):
            stack.append(head._source[0])
    while stack:
        call = stack.pop()
        if id(call) in seen:
            continue
        if call.released:
            raise GradientError(
                f"the tape below an output of {call.op.op_name} was released by an earlier backward pass",
                facts={"instead": "pass retain_graph=True to the earlier one"},
            )
        seen[id(call)] = call
        stack.extend(s[0] for s in call.sources if s is not None and isinstance(s[0], Call))
    return sorted(seen.values(), key=lambda call: call.number)


def _active(calls: Sequence[Call], wanted: Sequence[Leaf] | None) -> set[int]:
    """Return the ids of the calls and leaves through which gradients have to flow."""
    active = set() if wanted is None else {id(leaf) for leaf in wanted}
    for call in calls:
        for source in call.sources:
            if source is not None and wanted is None and isinstance(source[0], Leaf):
                active.add(id(source[0]))
        if any(source is not None and id(source[0]) in active for source in call.sources):
            active.add(id(call))
    return active


def _head_grad(head: NDArray, given: NDArray | None) -> NDArray:
    if given is None:
        return wrap(np.ones_like(head._data), head._ctx)
    if not isinstance(given, NDArray):
        raise ArgumentError(f"a head gradient must be an NDArray or None, got {type(given).__name__}")
    if given._data.shape != head._data.shape or given._data.dtype != head._data.dtype:
        raise GradientError(
            "a head gradient must have its head's shape and element type",
            facts={"head": f"{head._data.dtype}{head.shape}", "gradient": f"{given._data.dtype}{given.shape}"},
        )
    return given


def _step(
    call: Call,
    active: set[int],
    grads: dict[tuple[int, int], NDArray],
    leaves: dict[int, Leaf],
    *,
    create_graph: bool,
) -> None:
    """Add the gradients by the inputs of a call, those by its outputs being known."""
    op = call.op
    visible = op.num_visible()
    given = [grads.pop((id(call), k), None) for k in range(visible)]
    if not any(x is not None for x in given):
        return
    wanted = tuple(k for k, s in enumerate(call.sources) if s is not None and id(s[0]) in active)
    if not wanted:
        return
    if not op.differentiable:
        raise GradientError(f"{op.op_name} has no gradient, but one through it was asked for")
    rule = backward_of(type(op)).from_values(op.values)
    ctx = next(x._ctx for x in given if x is not None)
    inputs = [wrap(np.zeros_like(call.outputs[k]), ctx) if x is None else x for k, x in enumerate(given)]
    saved: dict[str, tuple[np.ndarray, Source | None]] = dict(
        zip(op.input_names(), zip(call.inputs, call.sources, strict=False), strict=True)
    )
    for k, name in enumerate(op.output_names()):
        saved.setdefault(name, (call.outputs[k], (call, k)))
    for name in rule.reads():
        data, source = saved[name]
        array = wrap(data, ctx)
        array._source = source
        inputs.append(array)
    training, MODE.training = MODE.training, call.training
    try:
        if create_graph:
            made = invoke(rule, inputs)
            made = made if isinstance(made, list) else [made]
            results = [made[k] for k in wanted]
        else:
            results = invoke(rule, inputs, wanted=wanted)
    finally:
        MODE.training = training
    for k, grad in zip(wanted, results, strict=True):
        source = call.sources[k]
        assert source is not None
        _add(grads, leaves, source, grad)


def _add(grads: dict[tuple[int, int], NDArray], leaves: dict[int, Leaf], source: Source, grad: NDArray) -> None:
    producer, k = source
    if isinstance(producer, Leaf):
        leaves[id(producer)] = producer
    known = grads.get((id(producer), k))
    grads[id(producer), k] = grad if known is None else apply(_ADD, known, grad)
