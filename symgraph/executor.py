"""Executors: a graph bound to arrays, ready to run.

``bind`` infers, compiles and binds; ``forward`` and ``backward`` then only run plans. An executor keeps one plan for
each way of running it (inference, training, training with gradients), made when first needed.

What does not belong here: how a plan is made (`symgraph.backends`), what a graph means (`symgraph.graph`).
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from symgraph.backends.numpy.kernel_plan import aligned
from symgraph.backends.numpy.plan import Options, Plan
from symgraph.context import Context, current_context
from symgraph.dtype import as_dtype
from symgraph.errors import ArgumentError, BindError, GradientError, ShapeError, suggest
from symgraph.formats.collector import paused
from symgraph.graph.gradient import gradient
from symgraph.graph.infer import Inference, infer
from symgraph.graph.lower import Hyper, Lowered, Merge, lower, mergeable, mirrored, renewals
from symgraph.graph.node import Entry, Node
from symgraph.graph.view import View
from symgraph.ndarray import NDArray
from symgraph.ndarray.random_state import next_state, rewound
from symgraph.op import Op
from symgraph.program import Spec

__all__ = ["Bindable", "Executor", "Options", "bind", "simple_bind"]

Array = np.ndarray[Any, Any]
GradReq = str | Sequence[str] | Mapping[str, str]
#: Shapes of all arguments and states, in order.
Shapes = tuple[tuple[int, ...], ...]

_REQUESTS = ("null", "write", "add")
#: How many executors for other shapes, and how many requests for shapes, `Executor.reshape` remembers.
KEPT_SHAPES, KEPT_REQUESTS = 16, 256
#: Kinds of element types that can be converted to each other.
_NUMBERS = "biuf"


class Bindable(Protocol):
    """What an executor needs of a symbol; symbols lie above executors."""

    @property
    def _entries(self) -> tuple[Entry, ...]: ...

    def list_arguments(self) -> list[str]:
        """Return the names of the variables that are no auxiliary states, in topological order."""

    def list_auxiliary_states(self) -> list[str]:
        """Return the names of the variables that some operator renews, in topological order."""

    def list_outputs(self) -> list[str]:
        """Return the names of the outputs."""


class Executor:
    """A symbol bound to arrays.

    Made by `Symbol.bind` and `Symbol.simple_bind`. The arrays are used, not copied: what is written into them counts
    at the next run. One thread at a time may run an executor; several may run executors of their own.

    Attributes
    ----------
    arg_arrays, grad_arrays, aux_arrays
        Lists of NDArray in the order of ``list_arguments()`` and ``list_auxiliary_states()``; None in `grad_arrays`
        where no gradient was asked for.
    outputs
        NDArrays of the outputs, rewritten by each `forward`. An output that is the new value of an argument is that
        argument's own array.
    """

    def __init__(
        self,
        symbol: Bindable,
        ctx: Context,
        arguments: Sequence[NDArray],
        gradients: Sequence[NDArray | None],
        requests: Sequence[str],
        states: Sequence[NDArray],
        inference: Inference,
        options: Options,
        family: _Family | None = None,
        fresh: bool = False,
    ) -> None:
        self._symbol, self._ctx, self._options = symbol, ctx, options
        self._inference = inference
        self._family = family or _Family()
        self.arg_arrays, self.grad_arrays, self.aux_arrays = list(arguments), list(gradients), list(states)
        self._requests = list(requests)
        self._arg_names, self._aux_names = symbol.list_arguments(), symbol.list_auxiliary_states()
        self.arg_dict: dict[str, NDArray] = dict(zip(self._arg_names, self.arg_arrays, strict=True))
        self.grad_dict: dict[str, NDArray | None] = dict(zip(self._arg_names, self.grad_arrays, strict=True))
        self.aux_dict: dict[str, NDArray] = dict(zip(self._aux_names, self.aux_arrays, strict=True))
        self._plans: dict[tuple[bool, bool, bool], _Bound] = {}
        self._current: dict[bool, _Bound] = {}
        self._ran = self._consumed = False
        self._with_gradients = any(r != "null" for r in self._requests)
        self._state = np.zeros(2, np.uint64)
        self._monitor: Callable[[str, NDArray], object] | None = None
        self._monitor_all = False
        self._overrides: dict[tuple[str, str], float] = {}
        self._ready: _Bound | None = None
        # With shape and dtype beside each array: forward() compares them in every step.
        self._feeds = {n: (x._data, x._data.shape, x._data.dtype) for n, x in self.arg_dict.items()}
        for name, x in zip(self._arg_names, self.arg_arrays, strict=True):
            if name in self._feeds and self._feeds[name][0] is not x._data:
                del self._feeds[name]  # several arrays have this name: which one is meant?
        changing = options.inputs
        if changing is not None:
            for name in changing:
                if name not in self.arg_dict:
                    raise ArgumentError(
                        f"Options.inputs names {name!r}, which is no argument",
                        hint=suggest(name, self._arg_names),
                        facts={"arguments": ", ".join(self._arg_names)},
                    )
        #: What forward() may simply overwrite; feeding a constant must be noted.
        self._fed = {
            n: feed
            for n, feed in self._feeds.items()
            if (changing is None or n in changing) and feed[0].flags.writeable
        }
        #: Tickets of the ways of running whose constants have not changed since something was computed from them.
        self._computed: set[object] = set()
        view = inference.view
        self._output_names = symbol.list_outputs()
        #: Outputs whose gradient `backward` must be given.
        self._headless = [k for k, e in enumerate(view.entries) if isinstance(e.node.op, Op) and not e.node.op.is_loss]
        self._array_of: dict[int, NDArray] = {}
        arguments_left, states_left, mutated = iter(self.arg_arrays), iter(self.aux_arrays), view.mutated()
        for k, node in enumerate(view.nodes):
            if node.op is None:
                self._array_of[k] = next(states_left if id(node) in mutated else arguments_left)
        if not fresh:
            self._check_memory(view)
        self._output_arrays = [
            _zeros(entry.name, inference.spec(n)) for entry, n in zip(view.entries, view.outputs, strict=True)
        ]
        renewed = lower_outputs(view)
        self.outputs = [
            self._array_of[renewed[k]] if k in renewed else NDArray(array, ctx)
            for k, array in enumerate(self._output_arrays)
        ]
        self.bound(self.trains)

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def output_dict(self) -> dict[str, NDArray]:
        """The outputs by name."""
        return dict(zip(self._output_names, self.outputs, strict=True))

    @property
    def symbol(self) -> Any:
        """The `Symbol` that was bound."""
        return self._symbol

    def _check_memory(self, view: View) -> None:
        """Refuse arrays that would be written while another variable reads the same memory."""
        mutated = view.mutated()
        renewed = set(renewals(view).values()) | {k for k, node in enumerate(view.nodes) if id(node) in mutated}
        for k, array in self._array_of.items():
            if not array._data.flags.c_contiguous:
                raise BindError(
                    f"the array of {view.nodes[k].name!r} is not contiguous; bind a copy: x.copy()",
                    facts={"shape": array.shape, "strides": array._data.strides},
                )
            if k in renewed and not array._data.flags.writeable:
                raise BindError(f"the array of {view.nodes[k].name!r} is read-only, but the graph renews it")
        for name, dx, request in zip(self._arg_names, self.grad_arrays, self._requests, strict=True):
            if dx is not None and request != "null" and not dx._data.flags.writeable:
                raise BindError(f"the array for the gradient of {name!r} is read-only")
        held = [_Held(x._data, view.nodes[k].name, k in renewed, False) for k, x in self._array_of.items()]
        held += [
            _Held(x._data, name, True, True)
            for name, x, request in zip(self._arg_names, self.grad_arrays, self._requests, strict=True)
            if x is not None and request != "null"
        ]
        for x, y in _sharing(held):
            if not x.written:
                x, y = y, x
            if not x.written or (x.gradient and y.gradient):
                continue
            what = f"the gradient of {x.name!r} is written" if x.gradient else f"{x.name!r} is renewed by the graph"
            how = "is one array with" if x.array is y.array else "shares memory with"
            who = f"the gradient of {y.name!r}" if y.gradient else repr(y.name)
            raise BindError(f"{what}, but {how} {who}; give each its own array")

    # -- plans --------------------------------------------------------------------------------------------------------

    def _plan(self, training: bool, gradients: bool) -> _Bound:
        key = (training, gradients, self._monitor is not None)
        found = self._plans.get(key)
        if found is None:
            with paused():
                found = self._plans[key] = _Bound(self, training, gradients, self._monitor is not None)
        return found

    @property
    def trains(self) -> bool:
        """Whether the graph has gradients or updates to compute."""
        return self._with_gradients or bool(renewals(self._inference.view))

    def bound(self, training: bool) -> _Bound:
        """Return the plan of a training step or of inference, made now if it was not yet."""
        found = self._current[training] = self._plan(training, training and self._with_gradients)
        return found

    @contextlib.contextmanager
    def preserved(self) -> Iterator[None]:
        """Give every bound array its present values back at the end, and the random numbers, whatever is run inside."""
        arrays = [x._data for x in (*self.arg_arrays, *self.aux_arrays, *self.grad_arrays) if x is not None]
        arrays += [*self._output_arrays, self._state]
        # What a `backward` to come needs of the last `forward`.
        arrays += {id(bound.memory): bound.memory.array for bound in self._plans.values()}.values()
        arrays += [x for bound in self._plans.values() for x in bound.plan.memory()[1:]]
        arrays = [x for x in arrays if x.flags.writeable]
        saved = [x.copy() for x in arrays]
        try:
            with rewound():
                yield
        finally:
            for x, old in zip(arrays, saved, strict=True):
                np.copyto(x, old)

    # -- running ------------------------------------------------------------------------------------------------------

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Compute the outputs.

        Parameters
        ----------
        is_train
            Whether this is a training step: dropout drops, batch normalisation uses and gathers batch statistics,
            updates renew their arguments, and `backward` may follow.
        **kwargs
            New values of arguments, by name: NDArrays or anything NumPy makes an array of. They are copied into the
            bound arrays.

        Returns
        -------
        list of NDArray
            The outputs; the same arrays in each call.

        Raises
        ------
        ArgumentError
            If a name is no argument.
        ShapeError
            If a value has another shape than its argument.
        """
        feeds = self._fed
        for name, value in kwargs.items():
            data = value._data if type(value) is NDArray else value
            feed = feeds.get(name)
            if feed is None or type(data) is not np.ndarray or data.dtype is not feed[2] or data.shape != feed[1]:
                self._feed(kwargs)
                break
        else:
            for name, value in kwargs.items():
                feeds[name][0][...] = value._data if type(value) is NDArray else value
        bound = self._current.get(is_train) or self.bound(bool(is_train))
        bound.memory.holder = bound.ticket
        if self._with_gradients:
            self._ready = None  # if this run fails, there is nothing to go back through
            bound.run_first()
            self._ready = bound if bound.gradients else None
            self._ran, self._consumed = True, False
        else:
            bound.run_first()
        if self._monitor is not None:
            for name, array in bound.monitored:
                self._monitor(name, NDArray(array.copy(), self._ctx))
        return self.outputs

    def _feed(self, given: Mapping[str, Any]) -> None:
        """Copy values into arguments: all of them or, if one does not fit, none."""
        pairs: list[tuple[Array, Array]] = []
        for name, value in given.items():
            if name not in self._feeds:
                if name in self.arg_dict:
                    raise ArgumentError(
                        f"forward() got {name!r}, but several arrays have this name; write into `arg_arrays`"
                    )
                raise ArgumentError(
                    f"forward() got {name!r}, which is no argument of the graph",
                    hint=suggest(name, self._feeds),
                    facts={"arguments": ", ".join(self._feeds)},
                )
            target = self._feeds[name][0]
            data = value._data if isinstance(value, NDArray) else np.asarray(value)
            if data.shape != target.shape:
                raise ShapeError(f"forward() got {name!r} with shape {data.shape}, but it is bound with {target.shape}")
            if data.dtype.kind not in _NUMBERS:
                raise ArgumentError(f"forward() got {name!r} of element type {data.dtype}, which is no type of numbers")
            if not target.flags.writeable:
                raise ArgumentError(f"forward() got {name!r}, which is bound to an array that is read-only")
            pairs.append((target, data))
        for target, data in pairs:
            _convert(target, data)
        if any(name not in self._fed for name in given):
            self.refresh()

    def backward(
        self,
        out_grads: NDArray | Sequence[NDArray] | Mapping[str, NDArray] | None = None,
        is_train: bool = True,
    ) -> None:
        """Compute the gradients of the arguments and write or add them to the bound gradient arrays.

        Parameters
        ----------
        out_grads
            Gradient of a loss by each output: one NDArray, a list in the order of the outputs, or a mapping by output
            name. Not needed where every output comes from a loss, such as `SoftmaxOutput`.
        is_train
            Taken for compatibility; the mode is that of the last `forward`, and inference if there was none.

        Raises
        ------
        GradientError
            If an output that needs a head gradient has none; if this is called twice for one `forward` that renewed
            an argument or a state which it had read.
        """
        if not self._with_gradients:
            return
        bound = self._ready or self._plan(False, True)
        if out_grads is not None or self._headless:
            bound.set_heads(self._head_arrays(out_grads))
        elif not bound.all_ones:
            bound.set_heads([None] * len(bound.heads))
        if self._ready is None:
            # Inference keeps nothing for gradients: the outputs once more, from the same random numbers.
            (bound.plan.run_first if self._ran else bound.run_first)()
        elif self._consumed or bound.memory.holder is not bound.ticket:
            # What the gradients needed is gone: they have been computed, or another executor has run in this memory.
            if not bound.plan.repeatable:
                who = "backward()" if self._consumed else "an executor that shares its memory"
                raise GradientError(
                    f"{who} has been called since the last forward(), which renewed what it had read; "
                    "call forward() again"
                )
            bound.plan.run_again()
        bound.memory.holder = bound.ticket
        self._consumed = True
        bound.run_second()

    def _head_arrays(self, out_grads: Any) -> list[Array | None]:
        names = self._output_names
        if out_grads is None:
            given: list[Any] = []
        elif isinstance(out_grads, Mapping):
            unknown = [n for n in out_grads if n not in names]
            if unknown:
                raise GradientError(f"backward() got a gradient of {unknown[0]!r}, which is no output")
            given = [out_grads.get(n) for n in names]
        elif isinstance(out_grads, (list, tuple)):
            given = list(out_grads)
        else:
            given = [out_grads]
        arrays: list[Array | None] = []
        missing = []
        for k, name in enumerate(names):
            value = given[k] if k < len(given) else None
            if value is None:
                if k in self._headless:
                    missing.append(name)
                arrays.append(None)
                continue
            if not isinstance(value, NDArray):
                raise ArgumentError(f"backward() got {type(value).__name__} as gradient of {name!r}; it takes NDArray")
            if value.shape != self.outputs[k].shape:
                raise ShapeError(
                    f"backward() got a gradient of shape {value.shape} for {name!r}, which has {self.outputs[k].shape}"
                )
            arrays.append(value._data)
        if missing:
            raise GradientError(
                f"backward() needs the gradient of {', '.join(map(repr, missing))}: only outputs of losses have one of "
                "their own; pass out_grads"
            )
        return arrays

    # -- parameters ---------------------------------------------------------------------------------------------------

    def copy_params_from(
        self,
        arg_params: Mapping[str, Any],
        aux_params: Mapping[str, Any] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Copy values into the bound arrays, all or none.

        Parameters
        ----------
        arg_params, aux_params
            Values by name of argument and auxiliary state.
        allow_extra_params
            Pass over names that the graph does not have.

        Raises
        ------
        BindError
            Listing every name that is unknown and every value that does not fit; nothing has been copied then.
        """
        pairs: list[tuple[Array, Array]] = []
        facts: dict[str, str] = {}
        for kind, params, known in (("argument", arg_params, self.arg_dict), ("state", aux_params, self.aux_dict)):
            for name, value in (params or {}).items():
                if name not in known:
                    if not allow_extra_params:
                        facts[name] = f"is no {kind} of the graph"
                    continue
                data = value._data if isinstance(value, NDArray) else np.asarray(value)
                target = known[name]._data
                if data.shape != target.shape:
                    facts[name] = f"has shape {data.shape}, the graph needs {target.shape}"
                elif data.dtype.kind not in _NUMBERS:
                    facts[name] = f"has element type {data.dtype}, which is no type of numbers"
                elif not target.flags.writeable:
                    facts[name] = "is bound to an array that is read-only"
                pairs.append((target, data))
        if facts:
            raise BindError("the parameters do not fit the graph", where="copy_params_from()", facts=facts)
        for target, data in pairs:
            _convert(target, data)
        self.refresh()

    def refresh(self) -> None:
        """Take over what has changed of arguments and states that `Options.inputs` declares constant.

        The next inference computes anew what follows from them. `copy_params_from`, feeding such an argument, and
        training steps of this executor do this by themselves; writing into the arrays does not.
        """
        self._computed.clear()

    def _constants(self, nodes: Sequence[Node], inputs: Sequence[Any]) -> list[int]:
        """Return which inputs of a program `Options.inputs` declares constant."""
        changing = self._options.inputs
        if changing is None:
            return []
        return [j for j, k in enumerate(inputs) if isinstance(k, int) and nodes[k].name not in changing]

    def set_hyper(self, node: str | None = None, **values: float) -> None:
        """Change live hyper-parameters of updates, such as the learning rate; takes effect with the next step.

        Parameters
        ----------
        node
            Name of the node to change; None means every node that has the parameter.
        **values
            New values by parameter name.

        Raises
        ------
        ArgumentError
            If no node has such a live parameter, or a value is no number; nothing has been changed then.
        """
        changes: dict[tuple[str, str], float] = {}
        for param, value in values.items():
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise ArgumentError(f"set_hyper() got {param}={value!r}, which is no number") from None
            known = False
            for k, each in enumerate(self._inference.view.nodes):
                if isinstance(each.op, Op) and (node is None or each.name == node):
                    live = self._inference.op(k).live_values()
                    if param in live:
                        known = True
                        changes[(each.name, param)] = number
            if not known:
                live_names = {
                    p
                    for n in self._inference.view.nodes
                    if isinstance(n.op, Op) and (node is None or n.name == node)
                    for p in n.op.live_values()
                }
                where = "no node" if node is None else f"node {node!r}"
                raise ArgumentError(
                    f"{where if node is None else where + ' does not'} {'has' if node is None else 'have'} a live "
                    f"parameter {param!r}",
                    hint=suggest(param, live_names),
                    facts={"live parameters": ", ".join(sorted(live_names)) or "none"},
                )
        self._overrides.update(changes)
        self._override()

    def _override(self) -> None:
        for key, bound in list(self._plans.items()):
            if not bound.set_hypers(self._overrides):
                del self._plans[key]  # updates computed as one no longer agree: made anew, apart
                self._current.clear()

    def reshape(
        self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: tuple[int, ...]
    ) -> Executor:
        """Return an executor for other input shapes that shares all arrays whose shape stays, and hyper-parameters.

        Executors made from each other in this way also share the memory of what they compute on the way, so only one of
        them may run at a time. The last 16 are kept, with their arrays: coming back to their shapes costs nothing.

        Parameters
        ----------
        partial_shaping
            Whether shapes of arguments not named in `kwargs` may change.
        allow_up_sizing
            Whether new arrays may be larger than the old ones.
        **kwargs
            New shapes by argument name.

        Raises
        ------
        BindError
            If an array would change or grow that may not.
        """
        family = self._family
        request = tuple(sorted((name, tuple(shape)) for name, shape in kwargs.items()))
        shapes, inference = family.requests.get(request), None
        if shapes is None:
            inference = self._inferred(kwargs)
            found = {n: spec.shape for n, spec in _variable_specs(inference).items()}
            shapes = tuple(found[n] for n in (*self._arg_names, *self._aux_names))
            family.remember(request, shapes)
        arguments: list[NDArray | None] = []
        for name, x, shape in zip(self._arg_names, self.arg_arrays, shapes, strict=False):
            if shape == x.shape:
                arguments.append(x)
                continue
            if name not in kwargs and not partial_shaping:
                raise BindError(
                    f"reshape() changes {name!r} from {x.shape} to {shape}; name it, or pass partial_shaping=True"
                )
            if math.prod(shape) > x.size and not allow_up_sizing:
                raise BindError(
                    f"reshape() makes {name!r} larger, from {x.shape} to {shape}; pass allow_up_sizing=True"
                )
            arguments.append(None)
        states: list[NDArray | None] = []
        for name, x, shape in zip(self._aux_names, self.aux_arrays, shapes[len(arguments) :], strict=True):
            if shape != x.shape and not partial_shaping:
                raise BindError(
                    f"reshape() changes state {name!r} from {x.shape} to {shape}; pass partial_shaping=True"
                )
            states.append(x if shape == x.shape else None)
        family.keep(self)
        made = family.again(shapes, [*arguments, *states])
        if made is None:
            made = Executor(
                self._symbol,
                self._ctx,
                [_fresh(x, old, s, self._ctx) for x, old, s in zip(arguments, self.arg_arrays, shapes, strict=False)],
                [
                    dx if x is not None or dx is None else _fresh(None, dx, s, self._ctx)
                    for x, dx, s in zip(arguments, self.grad_arrays, shapes, strict=False)
                ],
                self._requests,
                [
                    _fresh(x, old, s, self._ctx)
                    for x, old, s in zip(states, self.aux_arrays, shapes[len(arguments) :], strict=True)
                ],
                inference or self._inferred(kwargs),
                self._options,
                family,
            )
            family.keep(made)
        if made._overrides != self._overrides:
            made._overrides.clear()
            made._overrides.update(self._overrides)
            made._override()
        return made

    def _inferred(self, shapes: Mapping[str, tuple[int, ...]]) -> Inference:
        types = {n: x._data.dtype for n, x in {**self.arg_dict, **self.aux_dict}.items()}
        return infer(self._inference.view, dict(shapes), types)

    # -- looking inside -----------------------------------------------------------------------------------------------

    def set_monitor_callback(
        self, callback: Callable[[str, NDArray], object] | None, monitor_all: bool = False
    ) -> None:
        """Call ``callback(name, array)`` for the output of every node after each `forward`.

        Values are computed apart from each other then, so none has been overwritten in place.

        Parameters
        ----------
        callback
            What to call; None removes it.
        monitor_all
            Also report the inputs of the nodes, that is the variables.
        """
        self._monitor, self._monitor_all = callback, monitor_all
        for key in [key for key in self._plans if key[2]]:
            del self._plans[key]
        self._current.clear()

    def explain(self, analyze: bool = False, format: str = "text", training: bool | None = None) -> Any:
        """Return the plan as the NumPy program that it is; see `symgraph.inspect.explain`."""
        from symgraph.inspect import explain

        return explain(self, analyze=analyze, format=format, training=training)

    def debug_str(self) -> str:
        """Return the plan as text."""
        return str(self.explain())

    def __repr__(self) -> str:
        return f"<Executor of {self._symbol!r}>"


def _convert(target: Array, data: Array) -> None:
    """Copy numbers of any type; what does not fit the target's becomes infinite or is cut off, as in MXNet."""
    with np.errstate(all="ignore"):
        np.copyto(target, data, "unsafe")


class _Memory:
    """Memory for what is computed on the way, and the ticket of the last that ran in it.

    Ways of running an executor, and executors of one family, share it: they run one at a time.
    """

    __slots__ = ("array", "holder")

    def __init__(self, nbytes: int) -> None:
        self.array = aligned(nbytes)
        self.holder: object = None


class _Family:
    """What executors have in common that were made from each other by `Executor.reshape`.

    It refers to no executor that refers to it, so that memory is free as soon as the last of them is gone.

    Attributes
    ----------
    requests
        What `reshape` was asked for, with the shapes of all arguments and states that followed.
    """

    def __init__(self) -> None:
        self.requests: dict[Any, Shapes] = {}
        #: By the shapes, the last used last: an executor, as long as someone has it, and one with its arrays and plans.
        self._kept: dict[Shapes, tuple[weakref.ref[Executor], Executor]] = {}
        self._memory = _Memory(0)

    def memory(self, nbytes: int) -> _Memory:
        """Return memory of at least so many bytes; what is too small stays with whom it was given to."""
        if self._memory.array.nbytes < nbytes:
            self._memory = _Memory(nbytes)
        return self._memory

    def remember(self, request: Any, shapes: Shapes) -> None:
        """Remember what followed from a request."""
        if len(self.requests) >= KEPT_REQUESTS:
            self.requests.clear()
        self.requests[request] = shapes

    def keep(self, executor: Executor) -> None:
        """Keep an executor's arrays and plans, as those used last."""
        shapes = tuple(x.shape for x in (*executor.arg_arrays, *executor.aux_arrays))
        found = self._kept.pop(shapes, None)
        if found is None or found[0]() is not executor:
            kept = copy.copy(executor)
            kept._family = _Family()
            found = weakref.ref(executor), kept
        self._kept[shapes] = found
        if len(self._kept) > KEPT_SHAPES:
            del self._kept[next(iter(self._kept))]

    def again(self, shapes: Shapes, shared: Sequence[NDArray | None]) -> Executor | None:
        """Return the executor for these shapes, if one is kept and has the `shared` arrays, where there are such."""
        if shapes not in self._kept:
            return None
        alive, kept = self._kept[shapes]
        arrays = (*kept.arg_arrays, *kept.aux_arrays)
        if any(x is not None and x is not y for x, y in zip(shared, arrays, strict=True)):
            return None
        found = alive()
        if found is None:
            found = copy.copy(kept)
            found._family, found._current, found._monitor = self, {}, None
            found._ready, found._ran, found._consumed = None, False, False
        for x, dx, request in zip(shared, found.grad_arrays, found._requests, strict=False):
            if x is None and dx is not None and request == "add":
                dx._data.fill(0)
        found.refresh()
        self.keep(found)
        return found


def _fresh(x: NDArray | None, old: NDArray, shape: tuple[int, ...], ctx: Context) -> NDArray:
    """Return `x` or, if it is None, zeros of that shape like an old array."""
    return NDArray(np.zeros(shape, old.dtype), ctx) if x is None else x


class _Held(NamedTuple):
    """An array that an executor holds: whose it is, whether a run writes it, and whether it is a gradient."""

    array: Array
    name: str
    written: bool
    gradient: bool


def _sharing(held: Iterable[_Held]) -> Iterator[tuple[_Held, _Held]]:
    """Find pairs that share memory and of which one is written.

    Sorted by address, only neighbours can overlap: linear, where comparing all pairs would not be.
    """
    starts = [(x.array.__array_interface__["data"][0], x) for x in held if x.array.size]
    end, read, written = -1, list[_Held](), list[_Held]()
    for start, x in sorted(starts, key=lambda each: each[0]):
        if start >= end:
            read, written = [], []
        for y in (*read, *written) if x.written else written:
            if np.may_share_memory(x.array, y.array):
                yield x, y
        (written if x.written else read).append(x)
        end = max(end, start + x.array.nbytes)


class _Bound:
    """One way of running an executor: a lowered graph and its plan."""

    def __init__(self, executor: Executor, training: bool, gradients: bool, monitored: bool) -> None:
        self.training, self.gradients = training, gradients
        #: Stands for this in places that outlive it.
        self.ticket = object()
        base = executor._inference
        view = base.view
        entries = list(view.entries)
        count = len(entries)
        self.heads: list[Array] = []
        self.all_ones = True
        shown: list[tuple[str, Entry]] = _shown(view, executor._monitor_all) if monitored else []
        grads: list[Entry] = []
        asked: list[int] = []
        head_nodes: list[Node] = []
        shapes = {view.nodes[k].name: x.shape for k, x in executor._array_of.items()}
        dtypes = {view.nodes[k].name: x._data.dtype for k, x in executor._array_of.items()}
        mutated = view.mutated()
        arguments = [n for n in view.nodes if n.op is None and id(n) not in mutated]
        if gradients:
            names = set(shapes)
            for k in range(count):
                name = next(f"head_gradient{i}" for i in itertools.count(k) if f"head_gradient{i}" not in names)
                names.add(name)
                spec = base.spec(view.outputs[k])
                head_nodes.append(Node(None, name))
                shapes[name], dtypes[name] = spec.shape, spec.dtype
                self.heads.append(np.ones(spec.shape, spec.dtype))
            asked = [k for k, r in enumerate(executor._requests) if r != "null"]
            grads = gradient(entries, [Entry(arguments[k]) for k in asked], [Entry(n) for n in head_nodes])
        everything = [*entries, *(entry for _, entry in shown), *grads]
        if everything != entries:
            wide = View(everything)
            read = {n.name for n in wide.variables()}  # gradients do not read the head gradient of every output
            joint = infer(
                wide, {n: s for n, s in shapes.items() if n in read}, {n: t for n, t in dtypes.items() if n in read}
            )
        else:
            joint = base
        self.inference = joint
        nodes = joint.view.nodes
        by_id = {id(view.nodes[k]): x for k, x in executor._array_of.items()}
        by_id |= {id(n): NDArray(a, executor._ctx) for n, a in zip(head_nodes, self.heads, strict=True)}
        arrays = {k: by_id[id(n)]._data for k, n in enumerate(nodes) if n.op is None}
        twins: dict[int, int] = {}
        same = [twins.setdefault(id(arrays[k]), k) if k in arrays else k for k in range(len(nodes))]
        merges = [m for m in map(partial(_adjacent, arrays), mergeable(joint)) if m is not None] if training else []
        merges = [m for m in merges if _agree(m, joint, executor._overrides)]
        self.lowered: Lowered = lower(joint, training, same=same, merges=merges, halves=gradients)
        self.random = self.lowered.random
        bound_arrays = [
            executor._state
            if what is None
            else _flat([arrays[p] for p in what])
            if isinstance(what, tuple)
            else arrays[what]
            for what in self.lowered.inputs
        ]
        renewed = lower_outputs(view)
        targets = {k: executor._output_arrays[k] for k in range(count) if k not in renewed}
        first_grad = count + len(shown)
        accumulate = []
        for j, k in enumerate(asked):
            target = executor.grad_arrays[k]
            assert target is not None
            targets[first_grad + j] = target._data
            if executor._requests[k] == "add":
                accumulate.append(first_grad + j)
        total = len(everything)
        self.plan = Plan(
            self.lowered.program,
            bound_arrays,
            stores=self.lowered.stores,
            targets=targets,
            accumulate=accumulate,
            first=[*range(first_grad), *range(total, len(self.lowered.program.outputs))],
            hypers=[self._hyper(h, executor._overrides) for h in self.lowered.hypers],
            options=executor._options,
            skip=[k for k in self.lowered.renewed if k < count],
            constant=[] if training or gradients else executor._constants(nodes, self.lowered.inputs),
            mirrored=mirrored(joint.view),
            memory=self._take(executor._family),
        )
        self.monitored = [(name, self.plan.outputs[count + j]) for j, (name, _) in enumerate(shown)]
        #: Runs the first half, with fresh random numbers if it reads any; then the gradients.
        self.run_first = _with_fresh_numbers(self.plan, executor._state) if self.random else self.plan.run_first
        if executor._options.inputs is not None:
            self._follow_constants(executor)
        self.run_second = self.plan.run_second

    def _take(self, family: _Family) -> Callable[[int], Array]:
        def memory(nbytes: int) -> Array:
            self.memory = family.memory(nbytes)
            return self.memory.array[:nbytes]

        return memory

    def _follow_constants(self, executor: Executor) -> None:
        """Compute what follows from constants before a run, if they have changed; a training step changes them."""
        run, plan, ticket, training = self.run_first, self.plan, self.ticket, self.training
        computed = executor._computed

        def run_first() -> None:
            if ticket not in computed:
                plan.refresh()
                computed.add(ticket)
            run()
            if training:
                computed.clear()

        self.run_first = run_first

    def set_heads(self, arrays: Sequence[Array | None]) -> None:
        """Copy head gradients in; None stands for ones."""
        self.all_ones = all(x is None for x in arrays)
        for buffer, array in zip(self.heads, arrays, strict=True):
            if array is None:
                buffer.fill(1)
            else:
                _convert(buffer, array)

    @staticmethod
    def _hyper(hyper: Hyper, overrides: Mapping[tuple[str, str], float]) -> float:
        return overrides.get((hyper.nodes[0], hyper.param), hyper.value)

    def set_hypers(self, overrides: Mapping[tuple[str, str], float]) -> bool:
        """Take over new values; returns False if nodes computed as one now differ."""
        for h in self.lowered.hypers:
            if len({overrides.get((n, h.param), h.value) for n in h.nodes}) > 1:
                return False
        self.plan.set_hypers([self._hyper(h, overrides) for h in self.lowered.hypers])
        return True


def _with_fresh_numbers(plan: Plan, state: Array) -> Callable[[], None]:
    """Return what runs the first half of a plan with the next random numbers of this process."""

    def run() -> None:
        state[...] = next_state()
        plan.run_first()

    return run


def _shown(view: View, inputs: bool) -> list[tuple[str, Entry]]:
    """Return what a monitor sees: all outputs of all operators; before them, if asked for, their inputs.

    An input that is a variable is shown under the variable's name first, each time it is read.
    """
    shown: list[tuple[str, Entry]] = []
    for node in view.nodes:
        if isinstance(node.op, Op):
            if inputs:
                for name, entry in zip(node.op.input_names(), node.inputs, strict=True):
                    if entry.node.op is None:
                        shown.append((entry.node.name, entry))
                    shown.append((f"{node.name}_{name}", entry))
            shown += [(node.output_name(j), Entry(node, j)) for j in range(node.num_outputs)]
    return shown


def lower_outputs(view: View) -> dict[int, int]:
    """Return the graph's outputs that are the new value of an argument, each with the variable's position."""
    owner = {view.offsets[k]: target for k, target in renewals(view).items()}
    return {index: owner[number] for index, number in enumerate(view.outputs) if number in owner}


def _agree(merge: Merge, inference: Inference, overrides: Mapping[tuple[str, str], float]) -> bool:
    """Return whether all nodes of a group have the same hyper-parameters, changes included."""
    live = inference.op(merge.positions[0]).live_values()
    names = [inference.view.nodes[k].name for k in merge.positions]
    return all(len({overrides.get((n, p), v) for n in names}) == 1 for p, v in live.items())


def _adjacent(arrays: Mapping[int, Array], merge: Merge) -> Merge | None:
    """Return a group with those reads whose arrays follow each other without gaps; None if some role's do not."""

    def flat(members: Sequence[int]) -> bool:
        return _flat_or_none([arrays[p] for p in members]) is not None

    if not all(flat(members) for _, members in merge.roles):
        return None
    return merge._replace(reads=tuple([read for read in merge.reads if flat(read[1])]))


def _flat_or_none(parts: Sequence[Array]) -> Array | None:
    owner = parts[0].base
    if owner is None or any(x.base is not owner for x in parts):
        return None
    address = parts[0].__array_interface__["data"][0]
    for x in parts:
        if x.__array_interface__["data"][0] != address:
            return None
        address += x.nbytes
    start = parts[0].__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    size = sum(x.size for x in parts)
    if not owner.flags.c_contiguous:
        return None
    return np.ndarray((size,), parts[0].dtype, owner, start)


def _flat(parts: Sequence[Array]) -> Array:
    flat = _flat_or_none(parts)
    assert flat is not None
    return flat


# -- binding ----------------------------------------------------------------------------------------------------------


def _zeros(name: str, spec: Spec) -> Array:
    """Return zeros for a tensor.

    Raises
    ------
    BindError
        If there is no memory for it.
    """
    try:
        return np.zeros(spec.shape, spec.dtype)
    except (MemoryError, ValueError):
        raise BindError(f"there is no memory for {name!r}: {spec} takes {spec.nbytes} bytes", where="bind()") from None


def _requests(grad_req: GradReq | None, names: Sequence[str], inference: Inference) -> list[str]:
    """Return the request for each argument; None stands for write, or for null if the graph renews arguments itself.

    Raises
    ------
    ArgumentError
        If a request is none of null, write and add, or there are more than arguments.
    """
    if grad_req is None:
        # A graph that renews its own arguments holds its gradients already.
        grad_req = "null" if renewals(inference.view) else "write"
    if isinstance(grad_req, str):
        given = [grad_req] * len(names)
    elif isinstance(grad_req, Mapping):
        _check_requests(grad_req.values())
        given = [grad_req.get(n, "null") for n in names]
    elif isinstance(grad_req, (list, tuple)):
        if len(grad_req) > len(names):
            raise ArgumentError(
                f"grad_req holds {len(grad_req)} requests, but there are {len(names)} arguments",
                facts={"arguments": ", ".join(names)},
            )
        given = [*grad_req, *["null"] * (len(names) - len(grad_req))]
    else:
        raise ArgumentError(f"grad_req must be a string, a list or a dict, got {type(grad_req).__name__}")
    _check_requests(given)
    return given


def _check_requests(given: Iterable[Any]) -> None:
    for r in given:
        if r not in _REQUESTS:
            raise ArgumentError(f"grad_req must be 'null', 'write' or 'add', got {r!r}")


def _several(name: str) -> BindError:
    """Return the complaint about variables of one name where they are told apart by it."""
    return BindError(
        f"several variables are named {name!r}; make the variable once and use it wherever it is read, or give each "
        "its own name",
        where="bind()",
    )


def _variable_specs(inference: Inference) -> dict[str, Spec]:
    view = inference.view
    return {n.name: inference.spec(view.offsets[k]) for k, n in enumerate(view.nodes) if n.op is None}


def _given(what: str, given: Any, names: Sequence[str]) -> list[NDArray | None]:
    """Return one array for each name, from a list in order or a mapping by name; None where there is none."""
    if given is None:
        return [None] * len(names)
    if isinstance(given, Mapping):
        items = [given.get(n) for n in names]
    else:
        items = list(given)
        if len(items) != len(names):
            raise BindError(
                f"{what} holds {len(items)} arrays, but there are {len(names)}",
                where="bind()",
                facts={"names": ", ".join(names)},
            )
    for name, x in zip(names, items, strict=True):
        if x is not None and not isinstance(x, NDArray):
            raise ArgumentError(f"{what}[{name!r}] is {type(x).__name__}; it must be NDArray", where="bind()")
    return items


@paused()
def bind(
    symbol: Bindable,
    ctx: Context | None = None,
    args: Any = None,
    args_grad: Any = None,
    grad_req: GradReq | None = None,
    aux_states: Any = None,
    group2ctx: Any = None,
    shared_exec: Executor | None = None,
    *,
    options: Options | None = None,
) -> Executor:
    """Bind a symbol to arrays; see `Symbol.bind`.

    `options` says which optimisations to leave out, for comparison or while looking for a fault; ``explain()`` names
    them all.

    >>> import symgraph as mx
    >>> net = mx.sym.relu(mx.sym.Variable("x"))
    >>> x = mx.nd.array([-1.0, 2.0])
    >>> net.bind(mx.cpu(), {"x": x}, options=mx.executor.Options(off={"fuse", "cse"})).forward()[0].asnumpy()
    array([0., 2.], dtype=float32)
    """
    ctx = _on_cpu(ctx or current_context())
    options = options or Options()
    arg_names, aux_names = symbol.list_arguments(), symbol.list_auxiliary_states()
    given_arguments, given_states = _given("args", args, arg_names), _given("aux_states", aux_states, aux_names)
    gradients = _given("args_grad", args_grad, arg_names)
    all_names, all_given = [*arg_names, *aux_names], [*given_arguments, *given_states]
    given: dict[str, NDArray] = {}
    for n, x in zip(all_names, all_given, strict=True):
        if x is not None:
            same = given.setdefault(n, x)
            if (same.shape, same.dtype) != (x.shape, x.dtype):
                raise _several(n)  # inference knows one shape and dtype by each name
    types = {n: np.dtype(x.dtype) for n, x in given.items()}
    inference = infer([*symbol._entries], {n: x.shape for n, x in given.items()}, types)
    missing = [n for n in all_names if n not in given]
    blank: dict[str, NDArray] = {}
    if missing:
        specs = _variable_specs(inference)
        needed = _read_in_inference(inference)
        wanted = {n: specs[n].shape for n in missing if n in needed}
        if wanted:
            raise BindError(f"{len(wanted)} of {len(all_names)} arrays are missing", where="bind()", facts=wanted)
        # Labels, mostly: nothing depends on them outside training.
        blank = {n: NDArray(_zeros(n, specs[n]), ctx) for n in missing}
    arguments = [blank[n] if x is None else x for n, x in zip(arg_names, given_arguments, strict=True)]
    states = [blank[n] if x is None else x for n, x in zip(aux_names, given_states, strict=True)]
    requests = _requests(grad_req, arg_names, inference)
    requests = [r if dx is not None else "null" for r, dx in zip(requests, gradients, strict=True)]
    for name, x, dx in zip(arg_names, arguments, gradients, strict=True):
        if dx is None:
            continue
        if dx.shape != x.shape:
            raise BindError(f"args_grad[{name!r}] has shape {dx.shape}, but the argument has {x.shape}", where="bind()")
        if dx.dtype != x.dtype:
            raise BindError(
                f"args_grad[{name!r}] has element type {np.dtype(dx.dtype)}, but the argument has {np.dtype(x.dtype)}",
                where="bind()",
            )
    return Executor(symbol, ctx, arguments, gradients, requests, states, inference, options)


def _read_in_inference(inference: Inference) -> set[str]:
    """Return the names of the variables that the outputs depend on outside training; labels mostly are not."""
    lowered = lower(inference, False)
    needed = lowered.program.needed(lowered.program.outputs[: len(inference.view.outputs)])
    nodes = inference.view.nodes
    return {
        nodes[what].name
        for what, v in zip(lowered.inputs, lowered.program.inputs, strict=True)
        if isinstance(what, int) and id(v) in needed
    }


@paused()
def simple_bind(
    symbol: Bindable,
    ctx: Context | None = None,
    grad_req: GradReq | None = None,
    type_dict: Mapping[str, Any] | None = None,
    stype_dict: Mapping[str, str] | None = None,
    group2ctx: Any = None,
    shared_arg_names: Sequence[str] | None = None,
    shared_exec: Executor | None = None,
    shared_buffer: dict[str, NDArray] | None = None,
    *,
    options: Options | None = None,
    **kwargs: Sequence[int],
) -> Executor:
    """Bind a symbol to new arrays filled with zeros; see `Symbol.simple_bind`, for `options` see `bind`."""
    ctx = _on_cpu(ctx or current_context())
    arg_names = symbol.list_arguments()
    for name, count in Counter(arg_names).items():
        if count > 1:
            raise _several(name)
    for name, shape in kwargs.items():
        if not isinstance(shape, (tuple, list)):
            raise BindError(
                f"simple_bind() takes the shape of {name!r} as a tuple, got {type(shape).__name__}; "
                "to bind arrays use bind()"
            )
    types = {n: as_dtype(t) for n, t in (type_dict or {}).items()}
    inference = infer([*symbol._entries], {n: _known_axes(s) for n, s in kwargs.items()}, types)
    requests = _requests(grad_req, arg_names, inference)
    view = inference.view
    mutated = view.mutated()
    made: dict[int, Array] = {}
    # Arguments and states that updates renew, and what they read, lie side by side, so that equal updates are one.
    for merge in mergeable(inference):
        for _, members in (*merge.roles, *merge.reads):
            specs = [inference.spec(view.offsets[p]) for p in members]
            names = " and ".join(view.nodes[p].name for p in members)
            store = _zeros(names, Spec((sum(s.size for s in specs),), specs[0].dtype))
            start = 0
            for p, spec in zip(members, specs, strict=True):
                made[p] = np.ndarray(spec.shape, spec.dtype, store, start * spec.dtype.itemsize)
                start += spec.size
    arguments, states, gradients = [], [], []
    shared = dict(zip(shared_exec._arg_names, shared_exec.arg_arrays, strict=True)) if shared_exec else {}
    for k, node in enumerate(view.nodes):
        if node.op is not None:
            continue
        spec = inference.spec(view.offsets[k])
        x = shared.get(node.name)
        if x is None or x.shape != spec.shape or x.dtype != spec.dtype or node.name not in (shared_arg_names or shared):
            x = NDArray(made[k] if k in made else _zeros(node.name, spec), ctx)
        if id(node) in mutated:
            states.append(x)
        else:
            arguments.append(x)
            request = requests[len(arguments) - 1]
            gradients.append(None if request == "null" else NDArray(_zeros(f"gradient of {node.name}", spec), ctx))
    fresh = shared_exec is None  # then no two arrays share memory
    return Executor(symbol, ctx, arguments, gradients, requests, states, inference, options or Options(), fresh=fresh)


def _known_axes(shape: Sequence[int]) -> tuple[int | None, ...]:
    """Return a shape as inference knows it: zeros and negatives stand for unknown axes."""
    return tuple(int(n) if n > 0 else None for n in shape)


def _on_cpu(ctx: Context) -> Context:
    if ctx.device_type not in ("cpu", "cpu_pinned", "cpu_shared"):
        raise BindError(f"symgraph computes on the CPU; there is no engine for {ctx}: use mx.cpu()", where="bind()")
    return ctx
