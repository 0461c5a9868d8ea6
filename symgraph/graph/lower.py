"""From a graph of operators with known shapes to one program of primitives.

Each node's trace is written into the program in topological order. Updates that renew arguments (see `RENEWS`) and
share operator, hyper-parameters and element type may be computed as one over flat arrays that hold all of them.

What does not belong here: arrays, engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from symgraph.errors import BindError, SymgraphError
from symgraph.graph.infer import Inference
from symgraph.graph.node import Node
from symgraph.graph.trace import NO_STATE, STATE_SPEC, Trace, trace
from symgraph.graph.view import View
from symgraph.op import Op
from symgraph.op.backward import Backward
from symgraph.program import Program, Recorded, Recorder, Spec, Value

__all__ = ["MIRRORS", "RENEWS", "Hyper", "Lowered", "Merge", "lower", "mergeable", "mirrored", "renewals"]

#: The attribute by which a node names the argument whose new value its first output is. A training step stores it in
#: the argument's array after everyone has read the old value.
RENEWS = "__renews__"
#: The attribute by which a node asks that its results be computed again for the gradients, in place of being kept.
MIRRORS = "__force_mirroring__"


class Hyper(NamedTuple):
    """A live hyper-parameter of a program: which parameter of which nodes, and its value."""

    nodes: tuple[str, ...]
    param: str
    value: float


class Merge(NamedTuple):
    """Updates computed as one: positions of their nodes, and for each role the variables that share an array.

    `roles` holds, for the renewed argument and for each state, the input's name and one variable position a node.
    `reads` holds the same for other inputs, if they are variables, too: gradients that are given. Where these share no
    array, they are joined in each run.
    """

    positions: tuple[int, ...]
    roles: tuple[tuple[str, tuple[int, ...]], ...]
    reads: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass
class Lowered:
    """A program and what its inputs and outputs mean.

    Attributes
    ----------
    program
        Inputs are those of `inputs` in order; outputs are those of the graph, followed by `stores`.
    inputs
        What each input is: the position of a variable, a tuple of positions for a flat array that holds several, or
        None for the random state.
    stores
        For each stored output: its index and that of the input that it renews.
    renewed
        Graph outputs that are the new value of an argument: output index to the variable's position.
    hypers
        The program's hyper-parameters in order.
    random
        Whether it draws random numbers.
    kept
        Further outputs: old values of renewed states, copied for gradients that are computed later.
    """

    program: Program
    inputs: list[int | tuple[int, ...] | None] = field(default_factory=list)
    stores: list[tuple[int, int]] = field(default_factory=list)
    renewed: dict[int, int] = field(default_factory=dict)
    hypers: list[Hyper] = field(default_factory=list)
    random: bool = False
    kept: list[int] = field(default_factory=list)


def renewals(view: View) -> dict[int, int]:
    """Return the positions of nodes that renew an argument, each with the position of that variable.

    Raises
    ------
    SymgraphError
        If a node names an argument that the graph does not have, or two nodes renew one argument.
    """
    found: dict[int, int] = {}
    variables: dict[str, int] | None = None
    taken: dict[int, Node] = {}
    for k, node in enumerate(view.nodes):
        name = node.attrs.get(RENEWS) if node.attrs and node.op is not None else None
        if name is None:
            continue
        if variables is None:
            variables = {n.name: j for j, n in enumerate(view.nodes) if n.op is None}
        if name not in variables:
            raise SymgraphError(
                f"renews the argument {name!r}, which the graph does not have", where=node.name, created=node.created
            )
        target = variables[name]
        if target in taken:
            raise SymgraphError(
                f"renews the argument {name!r}, which {taken[target].name!r} renews, too",
                where=node.name,
                created=node.created,
            )
        taken[target] = node
        found[k] = target
    return found


def mirrored(view: View) -> set[str]:
    """Return the names of the nodes that ask for being computed again.

    Raises
    ------
    BindError
        If a node says neither true nor false.
    """
    names = set()
    for node in view.nodes:
        text = node.attrs.get(MIRRORS) if node.attrs and node.op is not None else None
        if text is None:
            continue
        if text.lower() not in ("true", "false", "1", "0"):
            raise BindError(
                f"the attribute {MIRRORS} is {text!r}; it must be True or False", where=node.name, created=node.created
            )
        if text.lower() in ("true", "1"):
            names.add(node.name)
    return names


def mergeable(inference: Inference) -> list[Merge]:
    """Return the groups of updates that could be computed as one, if their arrays lie side by side."""
    view = inference.view
    renewed = renewals(view)
    if len(renewed) < 2:
        return []
    consumers = view.consumers()
    groups: dict[Any, list[int]] = {}
    for k, target in renewed.items():
        op = inference.op(k)
        numbers = range(view.offsets[k], view.offsets[k + 1])
        weight = view.offsets[target]
        if len(numbers) != 1 or any(consumers[n] for n in numbers) or view.sources[k][0] != weight:
            continue
        specs = [inference.spec(n) for n in view.sources[k]]
        if len({s.shape for s in specs}) != 1 or not _elementwise(op, specs):
            continue
        groups.setdefault((op, tuple(s.dtype for s in specs)), []).append(k)
    merges = []
    for (op, _), positions in groups.items():
        if len(positions) < 2:
            continue
        names, states = op.input_names(), op.mutated()
        roles = [(names[0], tuple(renewed[k] for k in positions))]
        for state in states:
            slot = names.index(state)
            roles.append((state, tuple(view.position[id(view.nodes[k].inputs[slot].node)] for k in positions)))
        every = [p for _, members in roles for p in members]
        states_alone = all(len(consumers[view.offsets[p]]) == 1 for _, members in roles[1:] for p in members)
        if len(set(every)) == len(every) and states_alone and all(view.nodes[p].op is None for p in every):
            merges.append(Merge(tuple(positions), tuple(roles)))
    taken = {p for merge in merges for _, members in merge.roles for p in members} | set(renewed.values())
    taken |= {k for k, node in enumerate(view.nodes) if id(node) in view.mutated()}
    return [_with_reads(merge, inference, taken) for merge in merges]


def _with_reads(merge: Merge, inference: Inference, taken: set[int]) -> Merge:
    """Add what the updates only read, where that is one variable each, in one place each; `taken` have their place."""
    view = inference.view
    roles = dict(merge.roles)
    reads = []
    for slot, name in enumerate(inference.op(merge.positions[0]).input_names()):
        if name not in roles:
            nodes = [view.nodes[k].inputs[slot].node for k in merge.positions]
            members = tuple([view.position[id(node)] for node in nodes])
            if all(node.op is None for node in nodes) and len(taken.union(members)) == len(taken) + len(members):
                reads.append((name, members))
                taken.update(members)
    return merge._replace(reads=tuple(reads))


def _elementwise(op: Op, specs: Sequence[Spec]) -> bool:
    program = trace(op, specs, True).program
    return all(
        e.primitive.kind == "map" and e.outputs[0].shape in (specs[0].shape, ()) for e in program.equations
    ) and all(v.shape == specs[0].shape for v in program.outputs)


def lower(
    inference: Inference,
    training: bool,
    *,
    same: Sequence[int] | None = None,
    merges: Sequence[Merge] = (),
    halves: bool = False,
) -> Lowered:
    """Return the program of a graph.

    Parameters
    ----------
    inference
        The graph with all its shapes and dtypes.
    training
        Whether it runs as a training step: only then are arguments renewed.
    same
        For each node position the position of the variable whose array it shares; itself if it shares none.
    merges
        Groups of updates to compute as one.
    halves
        Whether gradients run apart, after inputs have been renewed.
    """
    view = inference.view
    recorder = Recorder()
    lowered = Lowered(recorder.program)
    values: list[Recorded | None] = [None] * view.num_entries
    input_of: dict[int, int] = {}
    known: dict[Any, tuple[Trace, bool, dict[str, float]]] = {}  # by operator and what it reads

    def add_input(what: int | tuple[int, ...] | None, spec: Spec, label: str) -> Recorded:
        lowered.inputs.append(what)
        return recorder.input(spec, label)

    # Flat arrays first: their members are views of them.
    merged_at: dict[int, Merge] = {}
    skipped: set[int] = set()
    flat_input: dict[tuple[int, ...], int] = {}
    flats: dict[tuple[int, ...], Recorded] = {}
    for merge in merges:
        merged_at[max(merge.positions)] = merge
        skipped.update(merge.positions)
        for role, members in (*merge.roles, *merge.reads):
            specs = [inference.spec(view.offsets[p]) for p in members]
            total = sum(s.size for s in specs)
            flat_input[members] = len(lowered.inputs)
            flat = add_input(members, Spec((total,), specs[0].dtype), f"flat_{role}")
            flats[members] = flat
            start = 0
            for p, spec in zip(members, specs, strict=True):
                part = recorder.slice(flat, [(start, start + spec.size, 1)])
                values[view.offsets[p]] = recorder.reshape(part, spec.shape)
                start += spec.size
    state: Recorded | None = None
    draws = 0
    renewed = renewals(view)
    stores: dict[int, Recorded] = {}  # input index -> new value
    before: dict[tuple[int, int], Recorded] = {}  # number and version of a renewed state -> its old value
    kept: list[Recorded] = []
    pending: list[tuple[int, Recorded]] = []
    for k, node in enumerate(view.nodes):
        first = view.offsets[k]
        if node.op is None:
            if values[first] is not None:
                continue
            twin = same[k] if same is not None else k
            if twin != k and twin in input_of:
                values[first] = values[view.offsets[twin]]
                input_of[k] = input_of[twin]
                continue
            input_of[k] = len(lowered.inputs)
            values[first] = add_input(k, inference.spec(first), node.name)
            continue
        recorder.origin = node.name
        if k in merged_at and training:
            _lower_merge(inference, recorder, lowered, merged_at[k], values, flats, flat_input, stores)
            continue
        if k in skipped and training:
            continue
        op = inference.op(k)
        sources = view.sources[k]
        inputs = [_computed(values[n]) for n in sources]
        key = (id(op), *[x.value.shape for x in inputs], *[x.value.dtype for x in inputs])
        found = known.get(key)
        if found is None:
            made = trace(op, [x.value.spec for x in inputs], training)
            restores = isinstance(op, Backward) and bool(_renewed_slots(op, made.program))
            found = known[key] = made, restores, op.live_values()
        made, restores, live = found
        if restores:
            assert isinstance(op, Backward)
            # A gradient is taken where the operator was: at the old value of a state that it renewed.
            for slot in _renewed_slots(op, made.program):
                key = (sources[slot], node.inputs[slot].version)
                if key in before:
                    if halves and not any(before[key] is x for x in kept):
                        before[key] = _copied(recorder, before[key])
                        kept.append(before[key])
                    inputs[slot] = before[key]
        hypers = []
        for name, value in live.items():
            hypers.append(recorder.hyper((node.name, name)))
            lowered.hypers.append(Hyper((node.name,), name, value))
        offset = 0
        if made.random:
            if not made.draws:
                inputs.append(recorder.constant(NO_STATE))
            else:
                if state is None:
                    state = add_input(None, STATE_SPEC, "random state")
                    lowered.random = True
                inputs.append(state)
            offset = draws = draws + 64
        results = recorder.inline(made.program, inputs, hypers, offset)
        count = len(made.outputs)
        for j in range(count):
            values[first + j] = results[j]
        takes_effect = training or k not in renewed
        if takes_effect and len(results) > count:
            names = op.input_names()
            for name, new in zip(op.mutated(), results[count:], strict=True):
                number = sources[names.index(name)]
                before[number, node.inputs[names.index(name)].version] = _computed(values[number])
                values[number] = new
                stores[input_of[view.position[id(node.inputs[names.index(name)].node)]]] = new
        if training and k in renewed:
            pending.append((renewed[k], results[0]))
    for target, new in pending:
        stores[input_of[target]] = new
    outputs: list[Value] = []
    owner = {view.offsets[k]: target for k, target in renewed.items()} if training else {}
    for index, number in enumerate(view.outputs):
        if number in owner:
            lowered.renewed[index] = owner[number]
        result = values[number]
        if result is None:  # the output of a merged update: it is the renewed argument itself
            result = values[view.offsets[owner[number]]]
        assert result is not None
        outputs.append(result.value)
    for target, new in stores.items():
        old = recorder.program.inputs[target]
        if new.value is not old:
            lowered.stores.append((len(outputs), target))
            outputs.append(new.value)
    lowered.kept = list(range(len(outputs), len(outputs) + len(kept)))
    recorder.program.outputs = [*outputs, *(x.value for x in kept)]
    return lowered


def _renewed_slots(op: Backward, program: Program) -> list[int]:
    """Return the inputs of a gradient that its forward operator renewed and that it reads."""
    renewed = op.forward.mutated()
    if not renewed:
        return []
    read = program.needed(program.outputs)
    names = op.input_names()
    return [k for k, name in enumerate(names) if name in renewed and id(program.inputs[k]) in read]


def _copied(recorder: Recorder, x: Recorded) -> Recorded:
    """Record a copy: zeros with everything written over."""
    copy: Recorded = recorder.embed(x, x.shape, [(0, n, 1) for n in x.shape])
    return copy


def _computed(value: Recorded | None) -> Recorded:
    assert value is not None, "nodes come after what they read"
    return value


def _lower_merge(
    inference: Inference,
    recorder: Recorder,
    lowered: Lowered,
    merge: Merge,
    values: list[Recorded | None],
    flats: dict[tuple[int, ...], Recorded],
    flat_input: dict[tuple[int, ...], int],
    stores: dict[int, Recorded],
) -> None:
    view = inference.view
    op = inference.op(merge.positions[0])
    names = op.input_names()
    roles = dict(merge.roles)
    flat = roles | dict(merge.reads)
    inputs = []
    for slot, name in enumerate(names):
        if name in flat:
            inputs.append(flats[flat[name]])
            continue
        parts = [_computed(values[view.sources[k][slot]]) for k in merge.positions]
        inputs.append(recorder.concat([recorder.reshape(x, (x.size,)) for x in parts], 0))
    node_names = tuple(view.nodes[k].name for k in merge.positions)
    recorder.origin = f"{node_names[0]} and {len(node_names) - 1} more"
    hypers = []
    for name, value in op.live_values().items():
        hypers.append(recorder.hyper((recorder.origin, name)))
        lowered.hypers.append(Hyper(node_names, name, value))
    made = trace(op, [x.value.spec for x in inputs], True)
    results = recorder.inline(made.program, inputs, hypers, 0)
    for new, name in zip(results, (names[0], *op.mutated()), strict=True):
        stores[flat_input[roles[name]]] = new
