"""Inference of shapes and dtypes over a graph, in both directions.

Every operator says what can be concluded from what is known of its inputs and outputs (`Op.shapes`, `Op.dtypes`);
where it says nothing, its outputs follow from a trace once all inputs are known. This module spreads the conclusions:
one sweep in topological order, then a work list of the nodes that are not decided yet, so the time is linear in the
size of the graph whichever way the shapes flow. Nodes with equal operators and equal neighbours are decided once.

Results stand in lists beside the graph, indexed by entry number (`View`); nodes are never written to. An unknown
shape is None; an unknown axis of a shape is None. The zeros that stand for unknown axes in MXNet's interface are
translated by `Symbol`.

What does not belong here: any particular operator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.dtype import CODES
from symgraph.errors import (
    ArgumentError,
    DTypeError,
    GraphFormatError,
    OperatorDefinitionError,
    ShapeError,
    SymgraphError,
    some,
    suggest,
)
from symgraph.graph.node import Entry, Node
from symgraph.graph.trace import trace
from symgraph.graph.view import View
from symgraph.op import Op, PartialShape
from symgraph.op.partial import is_known
from symgraph.op.schema import asked
from symgraph.op.types import Shape, type_of
from symgraph.program import Spec

__all__ = [
    "Inference",
    "declared_dtype",
    "declared_shape",
    "infer",
    "infer_dtypes",
    "infer_shapes",
    "merge_shapes",
]

Dtype = np.dtype[Any]

#: Dtype of variables about which nothing is known.
DEFAULT_DTYPE = CODES[0]

_SHAPE_TYPE = type_of(Shape)


class Inference:
    """What is known of every entry of a graph.

    Attributes
    ----------
    view
        The graph.
    shapes
        Shape of each entry by number; None, or None for an axis, where unknown.
    dtypes
        Dtype of each entry by number, or None.
    settled
        Operators whose parameters inference decided, by position of the node: ``zeros(shape=(0, 3))`` whose first axis
        turned out to be 5. Elsewhere the node's own operator holds.
    """

    __slots__ = ("dtypes", "settled", "shapes", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self.shapes: list[PartialShape | None] = [None] * view.num_entries
        self.dtypes: list[Dtype | None] = [None] * view.num_entries
        self.settled: dict[int, Op] = {}

    def spec(self, number: int) -> Spec:
        """Return shape and dtype of an entry that is fully known."""
        shape, dtype = self.shapes[number], self.dtypes[number]
        assert is_known(shape) and dtype is not None, "inference has decided everything"  # noqa: PT018 - one promise
        return Spec(shape, dtype)

    def op(self, position: int) -> Op:
        """Return the operator to trace for a node."""
        found = self.settled.get(position) or self.view.nodes[position].op
        assert isinstance(found, Op)
        return found

    @property
    def decided(self) -> bool:
        """Whether every shape is fully known."""
        return all(map(is_known, set(self.shapes)))


def merge_shapes(known: PartialShape | None, new: PartialShape | None) -> PartialShape | None:
    """Return what two partly known shapes say together.

    Raises
    ------
    ValueError
        If they contradict each other.

    >>> merge_shapes((None, 3), (2, None))
    (2, 3)
    """
    if known is None or new is None or known == new:
        return new if known is None else known
    if len(known) != len(new):
        raise ValueError("different numbers of axes")
    merged = tuple(b if a is None else a for a, b in zip(known, new, strict=True))
    if any(b is not None and b != c for b, c in zip(new, merged, strict=True)):
        raise ValueError("different lengths of an axis")
    return merged


# -- what is given ----------------------------------------------------------------------------------------------------


def declared_shape(node: Node) -> PartialShape | None:
    """Return the shape that a variable's ``__shape__`` attribute declares; 0 and -1 stand for unknown axes.

    Raises
    ------
    GraphFormatError
        If the attribute is no shape.
    """
    text = node.attrs.get("__shape__")
    if text is None or text == "None":
        return None
    assert _SHAPE_TYPE is not None
    try:
        shape = _SHAPE_TYPE.parse(text)
    except ValueError as error:
        raise GraphFormatError(
            f"variable {node.name!r} has __shape__ {text!r}, which is no {error}", created=node.created
        ) from None
    # MXNet: () is a shape about which nothing is known, not the shape of a scalar.
    return tuple(n if n > 0 else None for n in shape) if shape else None


def declared_dtype(node: Node) -> Dtype | None:
    """Return the dtype that a variable's ``__dtype__`` attribute declares by its type code; -1 stands for unknown.

    Raises
    ------
    GraphFormatError
        If the attribute is no known type code.
    """
    text = node.attrs.get("__dtype__")
    if text is None or text == "-1":
        return None
    if not text.isdecimal() or int(text) not in CODES:
        raise GraphFormatError(
            f"variable {node.name!r} has __dtype__ {text!r}, which is no known type code",
            facts={"known": ", ".join(f"{code} {dtype}" for code, dtype in CODES.items())},
            created=node.created,
        )
    return CODES[int(text)]


# -- the rules of operators -------------------------------------------------------------------------------------------


def _conclude(rule: Callable[..., Any], op: Op, names: Sequence[str], known: Sequence[Any]) -> Mapping[str, Any]:
    found = rule(op, **asked(rule).of(dict(zip(names, known, strict=True))))
    if found is None:
        return {}
    unknown = found.keys() - set(names)
    if unknown:
        raise OperatorDefinitionError(
            f"{rule.__name__} concluded something about {min(unknown)!r}, which is none of {', '.join(names)}",
            where=repr(op),
        )
    result: Mapping[str, Any] = found
    return result


# -- messages ---------------------------------------------------------------------------------------------------------


def show(fact: Any) -> str:
    """Return a partly known shape, or a dtype, as messages print it.

    >>> show((None, 3)), show((3,)), show(None)
    ('(?, 3)', '(3,)', '?')
    """
    if fact is None:
        return "?"
    if isinstance(fact, tuple):
        axes = ", ".join("?" if n is None else str(n) for n in fact)
        return f"({axes},)" if len(fact) == 1 else f"({axes})"
    return str(fact)


class _Slots:
    """The inputs and outputs of a node in one row, with their names."""

    __slots__ = ("inputs", "labels", "node")

    def __init__(self, node: Node) -> None:
        assert isinstance(node.op, Op)
        names = node.op.input_names()
        if len(names) != len(node.inputs):
            raise GraphFormatError(
                f"{node.op!r} has {len(node.inputs)} inputs, but needs {len(names)}",
                where=node.name,
                facts={"inputs": ", ".join(names)},
                created=node.created,
            )
        self.node, self.inputs = node, len(names)
        self.labels = (*names, *node.op.output_names())

    def describe(self, slot: int) -> str:
        """Return ``input 'weight' (fc_weight)``, ``output`` or ``output 'mean'``."""
        if slot < self.inputs:
            return f"input {self.labels[slot]!r} ({self.node.inputs[slot].name})"
        return "output" if len(self.labels) == self.inputs + 1 else f"output {self.labels[slot]!r}"

    def table(self, facts: Sequence[Any]) -> str:
        """Return what is known, by name."""
        known = [f"{n}={show(v)}" for n, v in zip(self.labels, facts, strict=True) if v is not None]
        return ", ".join(known) or "nothing"


# -- spreading conclusions --------------------------------------------------------------------------------------------


class _Engine(ABC):
    """Spreads one kind of fact over a graph; subclasses say what a fact is and how one node concludes.

    Attributes
    ----------
    facts
        The fact about each entry, by number; None where unknown.
    kind
        How messages call a fact.
    error
        Class of the error for contradictions.
    """

    kind: str
    error: type[SymgraphError]

    def __init__(self, view: View, facts: list[Any]) -> None:
        self.view, self.facts = view, facts
        self.waiting: dict[int, None] = {}  # positions of the undecided nodes, in topological order
        self.journal: list[tuple[int, Any]] | None = None
        # What a node concludes: all facts, or None if it learns nothing; whether it is decided then; and its outputs,
        # if it is and they are all that is new.
        self._memo: dict[Any, tuple[tuple[Any, ...] | None, bool, tuple[Any, ...] | None]] = {}
        self._readers: list[list[int]] = []
        self._producer: list[int] = []

    @abstractmethod
    def visit(self, k: int, node: Node, known: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the facts about a node's inputs and outputs after its conclusions from `known`."""

    @abstractmethod
    def merge(self, known: Any, new: Any) -> Any:
        """Return two facts as one; raises `ValueError` if they contradict each other."""

    @abstractmethod
    def is_full(self, fact: Any) -> bool:
        """Return whether nothing more can be learnt."""

    def key(self, node: Node) -> Any:
        """Return what a node's conclusions depend on, beside the known facts."""
        return node.op

    def run(self) -> None:
        """Visit every node once, in topological order, then those that later ones told something new."""
        self.waiting.update((k, None) for k, node in enumerate(self.view.nodes) if node.op is not None)
        self.sweep()

    def sweep(self) -> None:
        """Visit every undecided node once, in topological order, then those that later ones told something new."""
        nodes, sources, offsets = self.view.nodes, self.view.sources, self.view.offsets
        facts, memo, key = self.facts, self._memo, self.key
        behind: list[int] = []
        still: list[int] = []
        for k in self.waiting:
            # The common cases without a call: a node like one seen before that concludes its outputs, or nothing.
            first, end = offsets[k], offsets[k + 1]
            known = (*[facts[n] for n in sources[k]], *facts[first:end])
            found = memo.get((key(nodes[k]), known))
            if found is not None and found[2] is not None:
                facts[first:end] = found[2]
            elif found is not None and found[0] is None:
                if not found[1]:
                    still.append(k)
            else:
                decided, moved = self._step(k)
                if not decided:
                    still.append(k)
                # Readers of the outputs come later in the sweep; those of the inputs may have been visited.
                behind += [number for number in moved if number < first]
        self.waiting.clear()
        self.waiting.update(dict.fromkeys(still))
        self.spread(behind)

    def spread(self, changed: Sequence[int]) -> None:
        """Revisit the undecided nodes around changed entries until nothing changes any more."""
        waiting = self.waiting
        if not waiting or not changed:
            return
        if not self._readers:
            offsets = self.view.offsets
            self._readers = self.view.consumers()
            self._producer = [k for k in range(len(self.view)) for _ in range(offsets[k], offsets[k + 1])]
        readers, producer = self._readers, self._producer
        stack: list[int] = []
        stacked: set[int] = set()

        def wake(numbers: Iterable[int], cause: int) -> None:
            for number in numbers:
                for k in (producer[number], *readers[number]):
                    if k != cause and k in waiting and k not in stacked:
                        stacked.add(k)
                        stack.append(k)

        wake(changed, -1)
        while stack:
            k = stack.pop()
            stacked.discard(k)
            decided, moved = self._step(k)
            if decided:
                del waiting[k]
            if moved:
                wake(moved, k)

    def _step(self, k: int) -> tuple[bool, list[int]]:
        """Let one node conclude; returns whether it is decided, and the numbers of the entries that changed."""
        view, facts = self.view, self.facts
        node = view.nodes[k]
        numbers = (*view.sources[k], *range(view.offsets[k], view.offsets[k + 1]))
        changed: list[int] = []
        while True:
            known = tuple([facts[n] for n in numbers])
            key = (self.key(node), known)
            found = self._memo.get(key)
            if found is None:
                found = self._memo[key] = self._visited(k, node, known)
            after, full, _ = found
            if after is None:
                return full, changed
            for slot, (number, old, new) in enumerate(zip(numbers, known, after, strict=True)):
                # None is asked for first: NumPy holds dtype("float64") equal to None.
                if new is not old and (old is None or new != old):
                    self._write(node, slot, number, new, known)
                    changed.append(number)
            if full:
                return True, changed

    def _visited(
        self, k: int, node: Node, known: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...] | None, bool, tuple[Any, ...] | None]:
        after = self.visit(k, node, known)
        full = all(map(self.is_full, after))
        reads = len(self.view.sources[k])
        # Here, too, None is asked for first.
        new = [y is not x and (x is None or y != x) for x, y in zip(known, after, strict=True)]
        return after if any(new) else None, full, after[reads:] if full and not any(new[:reads]) else None

    def _write(self, node: Node, slot: int, number: int, new: Any, known: Sequence[Any]) -> None:
        if self.journal is not None:
            self.journal.append((number, self.facts[number]))
        try:
            # An entry that a node reads twice may have changed since `known` was read.
            self.facts[number] = self.merge(self.facts[number], new)
        except ValueError:
            raise self.conflict(_Slots(node), slot, self.facts[number], new, known) from None

    def conclude(
        self, rule: Callable[..., Any], node: Node, slots: _Slots, known: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return the facts after an operator's rule, and what the rule concluded by itself."""
        assert isinstance(node.op, Op)
        try:
            concluded = _conclude(rule, node.op, slots.labels, known)
        except (ShapeError, DTypeError) as error:
            raise self.reword(error, slots, known) from None
        if not concluded:
            return known, concluded
        after = list(known)
        for slot, label in enumerate(slots.labels):
            if label in concluded:
                try:
                    after[slot] = self.merge(known[slot], concluded[label])
                except ValueError:
                    raise self.conflict(slots, slot, known[slot], concluded[label], known) from None
        return tuple(after), concluded

    def conflict(self, slots: _Slots, slot: int, old: Any, new: Any, known: Sequence[Any]) -> SymgraphError:
        """Return the error for a contradiction between an input or output and what its operator makes of it."""
        node = slots.node
        has, needs = ("has", "needs") if slot < slots.inputs else ("must have", "gives")
        return self.error(
            f"{slots.describe(slot)} {has} {self.kind} {show(old)}, but {node.op!r} {needs} {show(new)}",
            where=node.name,
            facts={"known": slots.table(known)},
            created=node.created,
        )

    def reword(self, error: SymgraphError, slots: _Slots, known: Sequence[Any]) -> SymgraphError:
        """Return an operator's own complaint with the node's name and what is known."""
        node = slots.node
        return type(error)(
            f"{node.op!r}: {error.what}",
            where=node.name,
            hint=error.hint,
            facts={"known": slots.table(known), **error.facts},
            created=node.created,
        )


class _Dtypes(_Engine):
    """Spreads dtypes; without a rule, all inputs and outputs of a node share one."""

    kind, error = "element type", DTypeError

    def key(self, node: Node) -> Any:
        return node.op if isinstance(node.op, Op) and type(node.op).dtypes is not None else None

    def visit(self, k: int, node: Node, known: tuple[Any, ...]) -> tuple[Any, ...]:
        assert isinstance(node.op, Op)
        rule = type(node.op).dtypes
        if rule is not None:
            slots = _Slots(node)
            return self.conclude(rule, node, slots, known)[0]
        shared = next((d for d in known if d is not None), None)
        if shared is None:
            return known
        for slot, dtype in enumerate(known):
            if dtype is not None and dtype != shared:
                raise self.conflict(_Slots(node), slot, dtype, shared, known)
        return (shared,) * len(known)

    def merge(self, known: Any, new: Any) -> Any:
        if known is None or new is None:
            return new if known is None else known
        if known != new:
            raise ValueError("different element types")
        return known

    def is_full(self, fact: Any) -> bool:
        return fact is not None


class _Shapes(_Engine):
    """Spreads shapes; outputs that a rule leaves open come from a trace once all inputs are known."""

    kind, error = "shape", ShapeError

    def __init__(self, inference: Inference, dtypes: Callable[[], Sequence[Dtype | None]]) -> None:
        super().__init__(inference.view, inference.shapes)
        self.inference, self.dtypes = inference, dtypes

    def visit(self, k: int, node: Node, known: tuple[Any, ...]) -> tuple[Any, ...]:
        assert isinstance(node.op, Op)
        slots = _Slots(node)
        rule = type(node.op).shapes
        after, concluded = self.conclude(rule, node, slots, known) if rule is not None else (known, {})
        inputs = after[: slots.inputs]
        if not all(map(is_known, inputs)) or all(is_known(concluded.get(n)) for n in slots.labels[slots.inputs :]):
            return after
        return self._trace(k, node, slots, after)

    def _trace(self, k: int, node: Node, slots: _Slots, known: tuple[Any, ...]) -> tuple[Any, ...]:
        dtypes, view = self.dtypes(), self.view
        op = node.op
        assert isinstance(op, Op)
        if op.settle is not None:
            if not all(map(is_known, known)):
                return known
            op = op.settle(**dict(zip(slots.labels, known, strict=True)))
        # Element types come before shapes, and all shapes are known by now.
        given: list[tuple[Any, Any]] = [(s, dtypes[n]) for s, n in zip(known, view.sources[k], strict=False)]
        specs = [Spec(*each) for each in given]
        try:
            outputs = trace(op, specs, False).outputs
        except (ShapeError, DTypeError) as error:
            raise self.reword(error, slots, known) from None
        after = list(known)
        for j, spec in enumerate(outputs):
            slot = slots.inputs + j
            try:
                after[slot] = self.merge(known[slot], spec.shape)
            except ValueError:
                raise self.conflict(slots, slot, known[slot], spec.shape, known) from None
            inferred = dtypes[view.offsets[k] + j]
            if inferred is not None and inferred != spec.dtype:
                raise OperatorDefinitionError(
                    f"compute gives {slots.describe(slot)} of element type {spec.dtype}, but dtypes says {inferred}",
                    where=repr(node.op),
                )
        return tuple(after)

    def merge(self, known: Any, new: Any) -> Any:
        return merge_shapes(known, new)

    def is_full(self, fact: Any) -> bool:
        return is_known(fact)


# -- the interface ----------------------------------------------------------------------------------------------------


def infer(
    entries: Sequence[Entry] | View,
    shapes: Mapping[str, PartialShape | None] | None = None,
    dtypes: Mapping[str, Any] | None = None,
) -> Inference:
    """Return shape and dtype of every entry of a graph.

    Parameters
    ----------
    entries
        Outputs of the graph, or its view.
    shapes
        What is known of the variables' shapes, by name; they count more than ``__shape__`` attributes.
    dtypes
        What is known of the variables' dtypes, by name; they count more than ``__dtype__`` attributes. Variables
        about which nothing is known or concluded become float32.

    Raises
    ------
    ShapeError
        If shapes contradict each other or cannot be decided.
    DTypeError
        If dtypes contradict each other.
    UnknownOperatorError
        Listing all operators that are not registered.
    ArgumentError
        If a name is none of the graph's variables.
    """
    inference = infer_dtypes(entries, dtypes)
    return infer_shapes(inference, shapes)


def infer_dtypes(
    entries: Sequence[Entry] | View, given: Mapping[str, Any] | None = None, *, partial: bool = False
) -> Inference:
    """Return the dtype of every entry of a graph; shapes stay unknown. See `infer`.

    Parameters
    ----------
    entries, given
        As in `infer`.
    partial
        Leave unknown what cannot be concluded, instead of taking float32.
    """
    view = entries if isinstance(entries, View) else View(entries)
    view.require_known()
    inference = Inference(view)
    given = dict(given or {})
    _check_names(view, given)
    for node, number in _variables(view):
        inference.dtypes[number] = given.get(node.name) or declared_dtype(node)
    engine = _Dtypes(view, inference.dtypes)
    engine.run()
    if partial:
        return inference
    facts = inference.dtypes
    unknown = [number for _, number in _variables(view) if facts[number] is None]
    if unknown:
        facts[unknown[0]] = DEFAULT_DTYPE
        engine.sweep()  # mostly this decides all others: faster in order than from node to node
    for number in unknown:
        if facts[number] is None:
            facts[number] = DEFAULT_DTYPE
            engine.spread((number,))
    for number, dtype in enumerate(facts):
        if dtype is None:
            facts[number] = DEFAULT_DTYPE
            engine.spread((number,))
    return inference


def infer_shapes(
    base: Inference | Sequence[Entry] | View,
    given: Mapping[str, PartialShape | None] | None = None,
    *,
    partial: bool = False,
) -> Inference:
    """Return the shape of every entry of a graph. See `infer`.

    Parameters
    ----------
    base
        The result of `infer_dtypes`, or a graph; then dtypes are inferred only if some operator needs them.
    given
        As in `infer`.
    partial
        Leave unknown what cannot be decided, instead of raising.
    """
    if isinstance(base, Inference):
        inference = base
    else:
        view = base if isinstance(base, View) else View(base)
        view.require_known()
        inference = Inference(view)
    view = inference.view
    given = dict(given or {})
    _check_names(view, given)
    for node, number in _variables(view):
        known = given.get(node.name)
        inference.shapes[number] = known if known is not None else declared_shape(node)
    found: list[Sequence[Dtype | None]] = [inference.dtypes] if isinstance(base, Inference) else []

    def dtypes() -> Sequence[Dtype | None]:
        if not found:
            found.append(infer_dtypes(view).dtypes)
        return found[0]

    engine = _Shapes(inference, dtypes)
    engine.run()
    if not partial and not inference.decided:
        raise _undecided(engine)
    inference.settled = _settle(inference)
    return inference


def _settle(inference: Inference) -> dict[int, Op]:
    """Return the operators whose own parameters follow from the shapes."""
    view, shapes, settled = inference.view, inference.shapes, {}
    for k, node in enumerate(view.nodes):
        op = node.op
        if isinstance(op, Op) and op.settle is not None:
            numbers = (*view.sources[k], *range(view.offsets[k], view.offsets[k + 1]))
            known = [shapes[n] for n in numbers]
            if all(map(is_known, known)):
                settled[k] = op.settle(**dict(zip(_Slots(node).labels, known, strict=True)))
    return settled


def _variables(view: View) -> Iterable[tuple[Node, int]]:
    return [(node, view.offsets[k]) for k, node in enumerate(view.nodes) if node.op is None]


def _check_names(view: View, given: Mapping[str, Any]) -> None:
    if not given:
        return
    names = dict.fromkeys(node.name for node in view.nodes if node.op is None)
    for name in given:
        if name not in names:
            facts = {"variables": ", ".join(names)} if len(names) <= 10 else {}
            raise ArgumentError(f"the graph has no variable {name!r}", hint=suggest(name, names), facts=facts)


# -- when shapes cannot be decided ------------------------------------------------------------------------------------

#: Shapes of variables that are tried to see what would follow from them: number of axes, most common first.
_TRIED_AXES = (2, 4, 3, 1, 5)
#: Length of each axis in such a trial: large enough for the kernels and strides of deep networks.
_TRIED_LENGTH = 224
#: A suggestion of more variables than this is not made smaller: each removal costs trials.
_MOST_PRUNED = 8


def _undecided(engine: _Shapes) -> ShapeError:
    """Return the error for shapes that cannot be decided, with the smallest set of variables that would decide them."""
    view, facts = engine.view, engine.facts
    variables = list(_variables(view))
    unknown = [(node, n) for node, n in variables if not is_known(facts[n])]
    if not unknown:
        k = next(k for k in engine.waiting)
        slots = _Slots(view.nodes[k])
        numbers = (*view.sources[k], *range(view.offsets[k], view.offsets[k + 1]))
        return ShapeError(
            f"the shapes of {view.nodes[k].op!r} cannot be decided, although all variables are known",
            where=view.nodes[k].name,
            facts={"known": slots.table([facts[n] for n in numbers])},
            created=view.nodes[k].created,
        )
    known = [f"{node.name}={show(facts[n])}" for node, n in variables if facts[n] is not None]
    what = f"the shapes of {len(unknown)} variables" if len(unknown) > 1 else "the shape of 1 variable"
    return ShapeError(
        f"{what} cannot be decided",
        facts={
            "known": some(known) or "nothing",
            "unknown": some([node.name for node, n in unknown if facts[n] is None]) or "only some axes",
            "enough to know": ", ".join(node.name for node, _ in _enough(engine, unknown)),
        },
    )


def _enough(engine: _Shapes, unknown: Sequence[tuple[Node, int]]) -> list[tuple[Node, int]]:
    """Return few variables whose shapes would decide all others, by trying made-up shapes."""
    waiting = dict(engine.waiting)
    engine.journal = []
    numbers = [number for _, number in unknown]

    def choose(candidates: Sequence[tuple[Node, int]]) -> list[tuple[Node, int]] | None:
        """Return those candidates that the ones before them do not decide; None if all together decide too little."""
        chosen = []
        for node, number in candidates:
            if not is_known(engine.facts[number]):
                chosen.append((node, number))
                _try(engine, number, numbers)
        decided = all(is_known(engine.facts[number]) for number in numbers)
        _undo(engine, 0, waiting)
        return chosen if decided else None

    best = choose(unknown) or list(unknown)
    for candidate in best if len(best) <= _MOST_PRUNED else ():
        best = choose([each for each in best if each is not candidate]) or best
    engine.journal = None
    return best


def _try(engine: _Shapes, number: int, unknown: Sequence[int]) -> None:
    """Assume the made-up shape of a variable that decides most others."""
    assert engine.journal is not None
    fact = engine.facts[number]
    best: tuple[int, PartialShape] | None = None
    for axes in _TRIED_AXES if fact is None else (len(fact),):
        shape = tuple(_TRIED_LENGTH if n is None else n for n in (fact or (None,) * axes))
        mark, waiting = len(engine.journal), dict(engine.waiting)
        if _assume(engine, number, shape):
            decided = sum(is_known(engine.facts[n]) for n in unknown)
            if best is None or decided > best[0]:
                best = decided, shape
        _undo(engine, mark, waiting)
        if best is not None and best[0] == len(unknown):
            break
    if best is not None:
        _assume(engine, number, best[1])
    else:  # no shape that was tried fits the graph: let it decide itself and nothing else
        engine.journal.append((number, fact))
        engine.facts[number] = (_TRIED_LENGTH,)


def _assume(engine: _Shapes, number: int, shape: PartialShape) -> bool:
    """Spread a made-up shape; returns whether it fits the graph."""
    assert engine.journal is not None
    engine.journal.append((number, engine.facts[number]))
    engine.facts[number] = shape
    try:
        engine.spread((number,))
    except (SymgraphError, ArithmeticError, LookupError, TypeError, ValueError):
        # A rule may not have reckoned with such a shape, and this is not the place to complain of it.
        return False
    return True


def _undo(engine: _Shapes, mark: int, waiting: dict[int, None]) -> None:
    """Take back everything assumed since the journal had `mark` entries."""
    assert engine.journal is not None
    while len(engine.journal) > mark:
        number, fact = engine.journal.pop()
        engine.facts[number] = fact
    engine.waiting.clear()
    engine.waiting.update(waiting)
