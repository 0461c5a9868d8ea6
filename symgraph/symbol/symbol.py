"""Symbols: what users compose, inspect, differentiate, save and bind.

A symbol is a view of a graph: a tuple of entries. Composing makes new nodes and leaves the old ones as they are, so
symbols share structure freely.

What does not belong here: particular operators, and how a graph is run (`symgraph.executor`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn, overload

import numpy as np

from symgraph.dtype import as_dtype, code_of
from symgraph.errors import (
    ArgumentError,
    GradientError,
    GraphError,
    GraphIndexError,
    UnsupportedError,
    brief,
    some,
    suggest,
)
from symgraph.formats import symbol_json
from symgraph.formats.collector import paused
from symgraph.formats.graph_json import from_document, to_document
from symgraph.graph.gradient import gradient
from symgraph.graph.infer import infer_dtypes, infer_shapes
from symgraph.graph.node import Entry, Node
from symgraph.graph.view import View
from symgraph.op import Op, PartialShape, find
from symgraph.op.call import HIDDEN_KEYS, hidden_key, is_hidden, split_call
from symgraph.op.types import Shape, type_of
from symgraph.symbol.compose import current_version, make_node, make_variable, renew

if TYPE_CHECKING:
    from symgraph.context import Context
    from symgraph.executor import Executor
    from symgraph.ndarray import NDArray

__all__ = ["Group", "Symbol", "Variable", "apply", "invoke", "load", "load_json", "loads", "var"]

_ShapeLike = Sequence[int]
_STORAGE_TYPES: Final = {"default": "0", "row_sparse": "1", "csr": "2"}
_SHAPE_TYPE: Final = type_of(Shape)


def is_symbol(value: Any) -> bool:
    """Return whether a value is a symbol."""
    return isinstance(value, Symbol)


def invoke(cls: type[Op], function_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Symbol:
    """Carry out a call of an operator's function: compose a node and return its visible outputs."""
    call = split_call(cls, function_name, args, kwargs, is_symbol)
    if call.out is not None:
        raise ArgumentError(f"{function_name}() has out=, but a symbol is no storage; out= is for NDArrays")
    given = {}
    for key, symbol in call.tensors.items():
        entries = symbol._entries
        if len(entries) != 1:
            raise GraphError(
                f"{function_name}(): {key!r} has {len(entries)} outputs, but an input is one; choose one by index",
                facts={"outputs": some([e.name for e in entries])},
            )
        given[key] = entries[0]
    op = call.op
    node = make_node(
        op, function_name.lower(), given, call.attrs, node_name=call.name, attr=call.attr, hidden=call.hidden
    )
    assert isinstance(node.op, Op)
    count = node.op.num_visible()
    return Symbol((Entry(node),) if count == 1 else [Entry(node, k) for k in range(count)])


def apply(function_name: str, *args: Any, **kwargs: Any) -> Symbol:
    """Compose an operator by name; automatic names begin with that name in lower case.

    Raises
    ------
    UnknownOperatorError
        If there is no such operator.
    """
    return invoke(find(function_name), function_name, args, kwargs)


class Symbol:
    """One or more outputs of a graph that is not computed yet.

    Made by `Variable`, by the operator functions (``mx.sym.FullyConnected(...)``), by arithmetic on symbols, by
    `Group` and by `load`.

    Examples
    --------
    >>> x = Variable("x")
    >>> y = apply("relu", x * 2 + 1, name="y")
    >>> y.list_arguments(), y.list_outputs()
    (['x'], ['y_output'])
    """

    __slots__ = ("__weakref__", "_entries", "_known_view")
    __array_ufunc__ = None  # so that numpy_scalar + symbol comes to __radd__, and array + symbol is an error
    __hash__ = None  # type: ignore[assignment]  # == makes a symbol

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = tuple(entries)
        self._known_view: View | None = None

    @property
    def _view(self) -> View:
        if self._known_view is None:
            with paused():
                self._known_view = View(self._entries)
        return self._known_view

    def __repr__(self) -> str:
        name = self.name
        if name is not None:
            return f"<Symbol {name}>"
        return f"<Symbol group [{', '.join(e.node.name for e in self._entries)}]>"

    # -- outputs ------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """Name of the node; None for a group of several nodes."""
        node = self._entries[0].node
        return node.name if all(e.node is node for e in self._entries) else None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Symbol]:
        return (Symbol((entry,)) for entry in self._entries)

    @overload
    def __getitem__(self, index: int | str) -> Symbol: ...
    @overload
    def __getitem__(self, index: slice) -> Symbol: ...
    def __getitem__(self, index: int | str | slice) -> Symbol:
        """Return an output by number or name, or a group of them by a slice; no node is created.

        Raises
        ------
        GraphIndexError
            If there is no output of that number; negative numbers count as such.
        GraphError
            If no output has that name, or several have.
        """
        if isinstance(index, str):
            names = self.list_outputs()
            found = [k for k, name in enumerate(names) if name == index]
            if len(found) != 1:
                what = f"{len(found)} outputs are" if found else "no output is"
                hint = None if found else suggest(index, names)
                raise GraphError(f"{what} named {index!r}", hint=hint, facts={"outputs": some(names)})
            return Symbol((self._entries[found[0]],))
        if isinstance(index, slice):
            entries = self._entries[index]
            if not entries:
                raise ArgumentError(f"the slice {index} of {len(self)} outputs is empty")
            return Symbol(entries)
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
            raise ArgumentError(
                f"a symbol is indexed by an int, a name or a slice of its outputs, not by {index!r}; "
                "to index elements use slice, slice_axis or take"
            )
        if not 0 <= index < len(self._entries):
            raise GraphIndexError(
                f"output {index} of {self.name or 'the group'!r}, which has outputs 0 to {len(self._entries) - 1}"
            )
        return Symbol((self._entries[index],))

    def get_internals(self) -> Symbol:
        """Return a group of the visible outputs of all nodes, in topological order.

        >>> (Variable("a") + Variable("b")).get_internals().list_outputs()[:2]
        ['a', 'b']
        """
        nodes = self._view.nodes
        return Symbol([Entry(node, k, node.version) for node in nodes for k in range(node.num_visible)])

    def get_children(self) -> Symbol | None:
        """Return a group of the inputs of the output nodes; None if they are all variables."""
        nodes = {id(e.node): e.node for e in self._entries}
        entries = [entry for node in nodes.values() for entry in node.inputs]
        return Symbol(entries) if entries else None

    # -- names --------------------------------------------------------------------------------------------------------

    def list_outputs(self) -> list[str]:
        """Return the names of the outputs: ``<node>_output``, or a variable's own name."""
        return [entry.name for entry in self._entries]

    def list_arguments(self) -> list[str]:
        """Return the names of the variables that are no auxiliary states, in topological order."""
        view = self._view
        mutated = view.mutated()
        return [node.name for node in view.nodes if node.op is None and id(node) not in mutated]

    def list_auxiliary_states(self) -> list[str]:
        """Return the names of the variables that some operator renews, in topological order."""
        view = self._view
        mutated = view.mutated()
        return [node.name for node in view.nodes if node.op is None and id(node) in mutated]

    def list_inputs(self) -> list[str]:
        """Return the names of all variables, auxiliary states included, in topological order."""
        return [node.name for node in self._view.nodes if node.op is None]

    # -- attributes ---------------------------------------------------------------------------------------------------

    def attr(self, key: str) -> str | None:
        """Return an attribute of the node as text; None if it has none, or for a group.

        ``lr_mult`` and its like are found by this name and by ``__lr_mult__``.
        """
        if not isinstance(key, str):
            raise ArgumentError(f"an attribute's name is a string, not {key!r}")
        if self.name is None:
            return None
        attrs = self._entries[0].node.attrs
        found = attrs.get(key)
        return attrs.get(hidden_key(key)) if found is None else found

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """Return the attributes of the node as text; empty for a group."""
        if recursive:
            raise UnsupportedError("list_attr(recursive=True) is gone; attr_dict() has the attributes of every node")
        return {} if self.name is None else _shown_attrs(self._entries[0].node)

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """Return the attributes of every node that has some, by the node's name."""
        found: dict[str, dict[str, str]] = {}
        for node in self._view.nodes:
            if node.attrs:
                found.setdefault(node.name, {}).update(_shown_attrs(node))
        return found

    def _set_attr(self, **attributes: str) -> None:
        """Set attributes of the node, in this symbol and in all that share the node.

        Raises
        ------
        GraphError
            For a group, or for an operator's own parameter: compose a new node instead.
        ArgumentError
            If a value is no string.
        """
        if self.name is None:
            raise GraphError("a group of several nodes has no attributes of its own")
        node = self._entries[0].node
        for key, value in attributes.items():
            if not isinstance(value, str):
                raise ArgumentError(f"attribute {key!r} is text, not {value!r}")
            stored = hidden_key(key)
            if isinstance(node.op, Op) and node.op.params and not is_hidden(stored):
                if key in node.op._param_index:
                    raise GraphError(f"parameter {key!r} of {node.op!r} cannot be changed; compose a new node")
                raise GraphError(f"{key!r} is no attribute of {node.op!r}; write '__{key}__' for one of your own")
            node.attrs[stored] = value

    # -- inference ----------------------------------------------------------------------------------------------------

    def infer_shape(
        self, *args: _ShapeLike | None, **kwargs: _ShapeLike
    ) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the shapes of arguments, outputs and auxiliary states.

        Parameters
        ----------
        *args
            Shapes of arguments in order; None where unknown.
        **kwargs
            Shapes of arguments and auxiliary states by name. A 0 or -1 stands for an unknown axis.

        Raises
        ------
        ShapeError
            If shapes contradict each other, or cannot be decided; the message tells what would decide them.

        Examples
        --------
        >>> net = apply("FullyConnected", Variable("data"), num_hidden=3, name="fc")
        >>> net.infer_shape(data=(2, 4))
        ([(2, 4), (3, 4), (3,)], [(2, 3)], [])
        """
        return self._shapes(args, kwargs, partial=False)

    def infer_shape_partial(
        self, *args: _ShapeLike | None, **kwargs: _ShapeLike
    ) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the shapes as far as they can be concluded: 0 for an unknown axis, () for an unknown shape."""
        return self._shapes(args, kwargs, partial=True)

    def _given_shapes(
        self, args: Sequence[_ShapeLike | None], kwargs: Mapping[str, _ShapeLike]
    ) -> dict[str, PartialShape]:
        given = self._by_name(args, kwargs, "shapes")
        shapes = {}
        for name, shape in given.items():
            if not isinstance(shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) for n in shape):
                raise ArgumentError(f"the shape of {name!r} is a tuple of int, not {shape!r}")
            # MXNet: () is an unknown shape, 0 an unknown axis.
            if shape:
                shapes[name] = tuple(int(n) if n > 0 else None for n in shape)
        return shapes

    def _by_name(self, args: Sequence[Any], kwargs: Mapping[str, Any], what: str) -> dict[str, Any]:
        if not args:
            return dict(kwargs)
        if kwargs:
            raise ArgumentError(f"give {what} by position or by name, not both")
        names = self.list_arguments()
        if len(args) > len(names):
            raise ArgumentError(f"{len(args)} {what} given, but there are {len(names)} arguments: {some(names)}")
        return {name: value for name, value in zip(names, args, strict=False) if value is not None}

    def _shapes(
        self, args: Sequence[_ShapeLike | None], kwargs: Mapping[str, _ShapeLike], partial: bool
    ) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[int, ...]]]:
        given = self._given_shapes(args, kwargs)
        with paused():
            inference = infer_shapes(self._view, given, partial=partial)
            shapes = [() if s is None else tuple([n or 0 for n in s]) for s in inference.shapes]
        return self._sorted(shapes)

    def _sorted(self, facts: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the facts about arguments, outputs and auxiliary states."""
        view = self._view
        mutated = view.mutated()
        arguments: list[Any] = []
        states: list[Any] = []
        for k, node in enumerate(view.nodes):
            if node.op is None:
                (states if id(node) in mutated else arguments).append(facts[view.offsets[k]])
        return arguments, [facts[n] for n in view.outputs], states

    def infer_type(self, *args: Any, **kwargs: Any) -> tuple[list[type], list[type], list[type]]:
        """Return the element types of arguments, outputs and auxiliary states, as NumPy scalar types.

        Parameters
        ----------
        *args, **kwargs
            Element types of arguments in order, or of variables by name. What nothing tells is float32.

        Raises
        ------
        DTypeError
            If element types contradict each other.
        """
        return self._types(args, kwargs, partial=False)

    def infer_type_partial(
        self, *args: Any, **kwargs: Any
    ) -> tuple[list[type | None], list[type | None], list[type | None]]:
        """Return the element types as far as they can be concluded; None where unknown."""
        return self._types(args, kwargs, partial=True)

    def _types(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], partial: bool
    ) -> tuple[list[Any], list[Any], list[Any]]:
        given = {name: as_dtype(value) for name, value in self._by_name(args, kwargs, "types").items()}
        with paused():
            inference = infer_dtypes(self._view, given, partial=partial)
        return self._sorted([None if d is None else d.type for d in inference.dtypes])

    # -- gradient -----------------------------------------------------------------------------------------------------

    def gradient(
        self,
        wrt: str | Symbol | Sequence[str | Symbol],
        head_grads: Symbol | Sequence[Symbol | None] | None = None,
    ) -> Symbol:
        """Return the gradients of the outputs, added up, as a symbol: a graph that can be saved and differentiated.

        Parameters
        ----------
        wrt
            Variables to differentiate by: names, or symbols of one output each.
        head_grads
            Gradient of a loss by each output; ones where left out. Losses do not read it.

        Returns
        -------
        Symbol
            One output for each of `wrt`; zeros where no output depends on it.

        Raises
        ------
        ArgumentError
            If a name is no variable, or stands for several.
        GradientError
            If an operator without a gradient is in the way, or a variable is an auxiliary state.

        Examples
        --------
        >>> x = Variable("x")
        >>> (x * x).gradient("x").list_arguments()
        ['x']
        """
        if not isinstance(wrt, (str, Symbol, Iterable)):
            raise ArgumentError(f"gradient() is taken by names or symbols of variables, not by {brief(wrt)}")
        asked = [wrt] if isinstance(wrt, (str, Symbol)) else list(wrt)
        if head_grads is None:
            heads: list[Entry | None] = [None] * len(self)
        else:
            given: list[Symbol | None] = [*head_grads] if isinstance(head_grads, Symbol) else list(head_grads)
            heads = [None if g is None else _one(g, "a head gradient") for g in given]
        targets = self._targets(asked)
        if not targets:
            raise ArgumentError("gradient() needs at least one variable to differentiate by")
        with paused():
            return Symbol(gradient(self._entries, targets, heads))

    def _targets(self, asked: Sequence[str | Symbol]) -> list[Entry]:
        """Return what gradients are asked by: variables by name, or symbols of one output each."""
        named: dict[str, list[Node]] = {}
        for node in self._view.variables():
            named.setdefault(node.name, []).append(node)
        mutated = self._view.mutated()
        targets = []
        for wrt in asked:
            if isinstance(wrt, Symbol):
                entry = _one(wrt, "what a gradient is taken by")
            else:
                nodes = named.get(wrt, [])
                if len(nodes) != 1:
                    names = self.list_arguments()
                    what = f"{len(nodes)} variables are" if nodes else "no variable is"
                    raise ArgumentError(
                        f"gradient(): {what} named {wrt!r}",
                        hint=None if nodes else suggest(wrt, names),
                        facts={"arguments": some(names)},
                    )
                entry = Entry(nodes[0])
            if id(entry.node) in mutated:
                raise GradientError(
                    f"{entry.name!r} is an auxiliary state: an operator renews it, and it has no gradient"
                )
            targets.append(entry)
        return targets

    # -- composition --------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, name: str | None = None, **kwargs: Symbol) -> Symbol:
        """Return a copy of the graph with some variables replaced.

        Parameters
        ----------
        name
            New name of the output node, or of the first one.
        **kwargs
            Symbols of one output, by the name of the variable that each replaces.

        Raises
        ------
        ArgumentError
            If a name is no variable.
        GraphError
            If a state that an operator renews would become something else than a variable.
        """
        if args:
            raise ArgumentError("a symbol is composed by keyword: net(data=other)", facts={"got": repr(args)[:60]})
        replaced: dict[int, Entry] = {}
        names = dict.fromkeys(node.name for node in self._view.nodes if node.op is None)
        for key, other in kwargs.items():
            if not isinstance(other, Symbol):
                raise ArgumentError(f"{key!r} is replaced by a Symbol, not by {other!r}")
            if key not in names:
                raise ArgumentError(
                    f"the graph has no variable {key!r}", hint=suggest(key, names), facts={"variables": some([*names])}
                )
            entry = _one(other, key)
            replaced.update((id(n), entry) for n in self._view.nodes if n.op is None and n.name == key)
        renamed = None if name is None else self._entries[0].node
        return Symbol(_rebuilt(self._entries, self._view.nodes, replaced, renamed, name or ""))

    def __copy__(self) -> Symbol:
        with paused():
            return Symbol(_rebuilt(self._entries, self._view.nodes, {}, None, ""))

    def __deepcopy__(self, memo: Any = None) -> Symbol:
        return self.__copy__()

    def __reduce__(self) -> tuple[Callable[[str], Symbol], tuple[str]]:
        return _from_pickle, (self.tojson(),)

    # -- files --------------------------------------------------------------------------------------------------------

    def tojson(self) -> str:
        """Return the graph as JSON text, as MXNet 1.9.1 writes it."""
        with paused():
            return symbol_json.dump(to_document(self._view))

    def save(self, fname: str | os.PathLike[str]) -> None:
        """Save the graph as the file `fname`, as a whole or not at all.

        Raises
        ------
        OSError
            If the file cannot be written; an old file is then as it was.
        """
        with paused():
            symbol_json.write(fname, to_document(self._view))

    def debug_str(self) -> str:
        """Return the nodes as text: one paragraph an operator, with its inputs and attributes."""
        lines = ["Symbol Outputs:"]
        lines += [f"\toutput[{k}]={e.node.name}({e.index})" for k, e in enumerate(self._entries)]
        for node in self._view.nodes:
            if node.op is None:
                lines.append(f"Variable:{node.name}")
                continue
            lines += ["-" * 20, f"Op:{node.op_name}, Name={node.name}", "Inputs:"]
            for k, (source, index, version) in enumerate(node.inputs):
                tail = f" version={version}" if source.op is None else ""
                lines.append(f"\targ[{k}]={source.name}({index}){tail}")
            if node.attrs:
                lines.append("Attrs:")
                lines += [f"\t{key}={value}" for key, value in sorted(node.attrs.items())]
        return "\n".join(lines) + "\n"

    # -- running ------------------------------------------------------------------------------------------------------

    def bind(
        self,
        ctx: Context | None = None,
        args: Sequence[NDArray] | Mapping[str, NDArray] | None = None,
        args_grad: Sequence[NDArray] | Mapping[str, NDArray] | None = None,
        grad_req: str | Sequence[str] | Mapping[str, str] | None = None,
        aux_states: Sequence[NDArray] | Mapping[str, NDArray] | None = None,
        group2ctx: Any = None,
        shared_exec: Executor | None = None,
        **options: Any,
    ) -> Executor:
        """Bind the symbol to arrays and return an executor.

        Parameters
        ----------
        ctx
            Where to compute; the current context if left out.
        args
            Arrays of the arguments: a list in order, or by name.
        args_grad
            Arrays that gradients are written to, in the same forms; those left out get none.
        grad_req
            ``"write"``, ``"add"`` or ``"null"``: for all, as a list in order, or by name.
        aux_states
            Arrays of the auxiliary states.
        group2ctx, shared_exec
            Accepted for MXNet's sake; there is one device, and memory is planned anyway.
        **options
            Settings of the engine; see `symgraph.executor.bind`.
        """
        from symgraph import executor

        return executor.bind(self, ctx, args, args_grad, grad_req, aux_states, group2ctx, shared_exec, **options)

    def simple_bind(
        self,
        ctx: Context | None = None,
        grad_req: str | Sequence[str] | Mapping[str, str] | None = None,
        type_dict: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Executor:
        """Bind the symbol to new arrays and return an executor.

        Parameters
        ----------
        ctx
            Where to compute; the current context if left out.
        grad_req
            As in `bind`.
        type_dict
            Element types of variables by name; float32 where nothing tells otherwise.
        **kwargs
            Shapes of arguments by name; further settings of `symgraph.executor.simple_bind`.
        """
        from symgraph import executor

        return executor.simple_bind(self, ctx, grad_req, type_dict, **kwargs)

    def eval(self, ctx: Context | None = None, **kwargs: NDArray) -> list[NDArray]:
        """Return the outputs for arrays given by name, computed once.

        To compute more than once, `bind` and keep the executor.
        """
        return self.bind(ctx, kwargs, grad_req="null").forward()

    # -- arithmetic ---------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Symbol:
        return _binary(self, other, "_plus", "elemwise_add", "_PlusScalar")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Symbol:
        return _binary(self, other, "_minus", "elemwise_sub", "_MinusScalar")

    def __rsub__(self, other: Any) -> Symbol:
        return _scalar(self, other, "_RMinusScalar")

    def __mul__(self, other: Any) -> Symbol:
        return _binary(self, other, "_mul", "elemwise_mul", "_MulScalar")

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Symbol:
        return _binary(self, other, "_div", "elemwise_div", "_DivScalar")

    def __rtruediv__(self, other: Any) -> Symbol:
        return _scalar(self, other, "_RDivScalar")

    def __mod__(self, other: Any) -> Symbol:
        return _binary(self, other, "_mod", "_mod", "_ModScalar")

    def __rmod__(self, other: Any) -> Symbol:
        return _scalar(self, other, "_RModScalar")

    def __pow__(self, other: Any) -> Symbol:
        return _binary(self, other, "_power", "_power", "_PowerScalar")

    def __rpow__(self, other: Any) -> Symbol:
        return _scalar(self, other, "_rpower_scalar")

    def __neg__(self) -> Symbol:
        # MXNet: a negation is a multiplication by this text.
        return _scalar(self, -1.0, "_MulScalar")

    def __abs__(self) -> Symbol:
        return apply("abs", self)

    def __eq__(self, other: object) -> Symbol:  # type: ignore[override]  # a symbol again, as in MXNet
        return _comparison(self, other, "_equal")

    def __ne__(self, other: object) -> Symbol:  # type: ignore[override]  # a symbol again, as in MXNet
        return _comparison(self, other, "_not_equal")

    def __gt__(self, other: Any) -> Symbol:
        return _comparison(self, other, "_greater")

    def __ge__(self, other: Any) -> Symbol:
        return _comparison(self, other, "_greater_equal")

    def __lt__(self, other: Any) -> Symbol:
        return _comparison(self, other, "_lesser")

    def __le__(self, other: Any) -> Symbol:
        return _comparison(self, other, "_lesser_equal")

    # -- methods that store what was left out -------------------------------------------------------------------------

    def astype(self, dtype: Any, **kwargs: Any) -> Symbol:
        """Return the symbol with another element type."""
        return apply("cast", self, dtype=dtype, **kwargs)

    def squeeze(self, axis: int | Sequence[int] | None = None, **kwargs: Any) -> Symbol:
        """Return the symbol without axes of length 1: those of `axis`, or all."""
        return apply("squeeze", self, axis=axis, **kwargs)

    def diag(self, k: int = 0, **kwargs: Any) -> Symbol:
        """Return the k-th diagonal, or the matrix that has the symbol on it."""
        return apply("diag", self, k=k, **kwargs)

    def split_v2(self, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False) -> Symbol:
        """Return the parts between some positions of an axis; see ``mx.sym.split_v2``."""
        from symgraph.symbol.functions import split_v2

        return split_v2(self, indices_or_sections, axis, squeeze_axis)

    def __bool__(self) -> NoReturn:
        raise GraphError(f"{self!r} has no value yet, so it is neither true nor false; use where() for a choice")

    def __iadd__(self, other: Any) -> NoReturn:
        _in_place("+=")

    def __isub__(self, other: Any) -> NoReturn:
        _in_place("-=")

    def __imul__(self, other: Any) -> NoReturn:
        _in_place("*=")

    def __itruediv__(self, other: Any) -> NoReturn:
        _in_place("/=")


# -- arithmetic -------------------------------------------------------------------------------------------------------


def _number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating))


def _binary(lhs: Symbol, rhs: Any, hint: str, operator: str, scalar: str) -> Symbol:
    if isinstance(rhs, Symbol):
        return _pair(lhs, rhs, hint, operator)
    return _scalar(lhs, rhs, scalar)


def _pair(lhs: Symbol, rhs: Symbol, hint: str, operator: str) -> Symbol:
    given = {"lhs": _one(lhs, "the left operand"), "rhs": _one(rhs, "the right operand")}
    op = _BARE.get(operator)
    if op is None:
        op = _BARE[operator] = find(operator)()
    return Symbol((Entry(make_node(op, hint, given, {})),))


def _scalar(symbol: Symbol, number: Any, function_name: str) -> Symbol:
    if not _number(number):
        return NotImplemented  # type: ignore[no-any-return]  # for the operators that return this
    _one(symbol, "an operand")
    return invoke(find(function_name), function_name, (symbol,), {"scalar": number})


def _comparison(lhs: Symbol, rhs: Any, name: str) -> Symbol:
    if isinstance(rhs, Symbol):
        return _pair(lhs, rhs, name, name)
    if not _number(rhs):
        raise ArgumentError(f"a symbol is compared with a symbol or a number, not with {type(rhs).__name__}")
    return invoke(find(f"{name}_scalar"), f"{name}_scalar", (lhs,), {"scalar": rhs})


#: Operators without parameters that arithmetic makes; each is one object.
_BARE: dict[str, Op] = {}


def _in_place(sign: str) -> NoReturn:
    raise GraphError(f"a symbol does not change, so {sign} is not defined; write a = a {sign[0]} b")


def _one(symbol: Symbol, role: str) -> Entry:
    """Return the only output of a symbol."""
    if len(symbol._entries) != 1:
        raise GraphError(
            f"{role} has {len(symbol._entries)} outputs, but must be one; choose one by index",
            facts={"outputs": some([e.name for e in symbol._entries])},
        )
    return symbol._entries[0]


def _shown_attrs(node: Node) -> dict[str, str]:
    """Return attributes with the hidden ones of `HIDDEN_KEYS` under both spellings, as MXNet lists them."""
    attrs = dict(node.attrs)
    for key in HIDDEN_KEYS:
        if f"__{key}__" in attrs:
            attrs[key] = attrs[f"__{key}__"]
    return attrs


def _rebuilt(
    entries: Sequence[Entry], nodes: Sequence[Node], replaced: Mapping[int, Entry], renamed: Node | None, name: str
) -> list[Entry]:
    """Return entries of a copy of a graph, with some variables replaced and one node renamed."""
    fresh: dict[int, Node] = {}

    def moved(entry: Entry) -> Entry:
        other = replaced.get(id(entry.node))
        return Entry(fresh[id(entry.node)], entry.index, entry.version) if other is None else other

    for node in nodes:
        if id(node) in replaced:
            continue
        inputs = [moved(entry) for entry in node.inputs]
        own = name if node is renamed else node.name
        if isinstance(node.op, Op) and any(id(entry.node) in replaced for entry in node.inputs):
            inputs = [current_version(entry) for entry in inputs]
            renew(node.op, inputs, own, node.created)
        new = Node(node.op, own, inputs, dict(node.attrs), node.created, node.subgraphs)
        new.version = node.version
        fresh[id(node)] = new
    return [moved(entry) for entry in entries]


# -- methods that are operators ---------------------------------------------------------------------------------------

#: Methods that compose the operator function of the same name.
_OPERATOR_METHODS: Final = """
    abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes
    broadcast_like broadcast_to cbrt ceil clip cos cosh degrees depth_to_space exp expand_dims expm1 fix flatten
    flip floor log log10 log1p log2 log_softmax max mean min nanprod nansum norm one_hot ones_like pad pick prod
    radians rcbrt reciprocal relu repeat reshape reshape_like rint round rsqrt shape_array sigmoid sign sin sinh
    size_array slice slice_axis slice_like softmax softmin sort space_to_depth split sqrt square sum swapaxes
    take tan tanh tile topk transpose trunc zeros_like
""".split()
#: Methods that need values, which a symbol does not have.
_VALUE_METHODS: Final = ("as_in_context", "asnumpy", "asscalar", "backward", "copy", "detach", "wait_to_read")


def _operator_method(name: str) -> Callable[..., Symbol]:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> Symbol:
        return apply(name, self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"Symbol.{name}"
    method.__doc__ = f"Compose ``mx.sym.{name}`` with this symbol as its first input."
    return method


def _value_method(name: str) -> Callable[..., NoReturn]:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnsupportedError(f"{self!r} has no values, so it has no {name}(); bind it, or compute it by eval()")

    method.__name__, method.__qualname__ = name, f"Symbol.{name}"
    method.__doc__ = "Raise `UnsupportedError`: only arrays have this method."
    return method


for _name in _OPERATOR_METHODS:
    setattr(Symbol, _name, _operator_method(_name))
for _name in _VALUE_METHODS:
    setattr(Symbol, _name, _value_method(_name))


# -- making symbols ---------------------------------------------------------------------------------------------------


def Variable(  # noqa: N802 - MXNet's name
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: int | Sequence[int] | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: Any,
) -> Symbol:
    """Return a variable: an input of the graph, to be bound to an array.

    Parameters
    ----------
    name
        Its name. Two variables of one name are two inputs.
    attr
        Further attributes.
    shape
        Its shape; 0 or -1 stands for an unknown axis.
    lr_mult, wd_mult
        Factors of the learning rate and the weight decay for this variable.
    dtype
        Its element type.
    init
        How to initialise it: an initializer, or text.
    stype
        Storage type: ``"default"``, ``"row_sparse"`` or ``"csr"``.
    **kwargs
        Attributes named ``__like_this__``.

    Raises
    ------
    ArgumentError
        If the name is no string, or another keyword is not of that form.

    Examples
    --------
    >>> Variable("w", shape=(2, 3), lr_mult=0.5).attr("__shape__")
    '(2, 3)'
    """
    if not isinstance(name, str):
        raise ArgumentError(f"a variable's name is a string, not {name!r}")
    attrs: dict[str, str] = {}
    if shape is not None:
        assert _SHAPE_TYPE is not None
        attrs["__shape__"] = _SHAPE_TYPE.text(shape)
    if lr_mult is not None:
        attrs["__lr_mult__"] = str(lr_mult)
    if wd_mult is not None:
        attrs["__wd_mult__"] = str(wd_mult)
    if dtype is not None:
        attrs["__dtype__"] = str(code_of(dtype))
    if init is not None:
        attrs["__init__"] = init if isinstance(init, str) else init.dumps()
    if stype is not None:
        if stype not in _STORAGE_TYPES:
            raise ArgumentError(
                f"stype {stype!r} is no storage type",
                hint=suggest(stype, _STORAGE_TYPES),
                facts={"known": ", ".join(_STORAGE_TYPES)},
            )
        attrs["__storage_type__"] = _STORAGE_TYPES[stype]
    for key, value in kwargs.items():
        if not is_hidden(key):
            known = ["attr", "shape", "lr_mult", "wd_mult", "dtype", "init", "stype"]
            raise ArgumentError(
                f"Variable() has no argument {key!r}; an attribute of your own is named '__{key}__'",
                hint=suggest(key, known),
            )
        attrs[key] = str(value)
    return Symbol((Entry(make_variable(name, attrs, attr)),))


var = Variable


def Group(symbols: Iterable[Symbol]) -> Symbol:  # noqa: N802 - MXNet's name
    """Return one symbol with the outputs of several.

    Raises
    ------
    ArgumentError
        If there are none, or one is no symbol.
    """
    members = list(symbols)
    for member in members:
        if not isinstance(member, Symbol):
            raise ArgumentError(f"Group() takes symbols, got {type(member).__name__}")
    if not members:
        raise ArgumentError("Group() needs at least one symbol")
    return Symbol([entry for member in members for entry in member._entries])


def load(fname: str | os.PathLike[str]) -> Symbol:
    """Return the symbol saved in the file `fname`; files of all MXNet versions since 0.7 are read.

    Raises
    ------
    OSError
        If the file cannot be read.
    GraphFormatError
        If it is malformed, with the place.
    """
    return Symbol(from_document(symbol_json.read(fname), os.path.basename(os.fspath(fname))))


def load_json(json_str: str) -> Symbol:
    """Return the symbol that a JSON text describes; see `load`."""
    if not isinstance(json_str, (str, bytes)):
        raise ArgumentError(f"load_json() takes text, not {type(json_str).__name__}")
    return Symbol(from_document(symbol_json.parse(json_str)))


loads = load_json


def _from_pickle(text: str) -> Symbol:
    return Symbol(from_document(symbol_json.parse(text), None))
