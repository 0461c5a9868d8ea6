"""Recomputation: what is computed again, when, at what cost; and that no bit changes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import symgraph as mx
from symgraph.backends.numpy import eager
from symgraph.backends.numpy.plan import Options, Plan
from symgraph.errors import ArgumentError, BindError
from symgraph.program import Equation, Program, Recorded, Recorder, Spec
from symgraph.program import mirror as module
from symgraph.program.mirror import Mirrored, mirror, operations
from symgraph.program.passes import PassRecord
from tests.networks import NETWORKS, Network, chain
from tests.program.generate import Case, cases, data, same_bits

F32 = np.dtype("float32")
ON = Options(on=frozenset({"mirror"}))
ALL = Options(on=frozenset({"mirror"}), budget=1.0)


def inputs(*shapes: tuple[int, ...]) -> tuple[Recorder, list[Recorded]]:
    recorder = Recorder()
    return recorder, [recorder.input(Spec(s, F32), f"x{k}") for k, s in enumerate(shapes)]


def again(program: Program) -> list[Equation]:
    """Return the equations that stand in a program twice, rearrangements aside."""
    return [e for e in program.equations if e.origin.endswith(module.AGAIN) and e.primitive.kind != "view"]


def more_is_better(program: Program) -> int:
    """Stand for a plan that needs less memory the more is computed again."""
    return 10**4 // len(program.equations)


# -- no bit changes ---------------------------------------------------------------------------------------------------


@given(case=cases(stores=False, steps=16), heads=st.integers(1, 3), budget=st.sampled_from((0.0, 9.0)))
@settings(max_examples=200)
def test_every_choice_leaves_every_bit_as_it_was(case: Case, heads: int, budget: float) -> None:
    program = case.program
    expected = eager.run(program, case.arrays, case.hypers)
    seen: list[Program] = []

    def planned(made: Program) -> int:
        made.verify(program)
        note(str(made))
        for x, y in zip(expected, eager.run(made, case.arrays, case.hypers), strict=True):
            assert same_bits(x, y)
        seen.append(made)
        return 10**9 - 10**8 * len(seen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SMALL", 0.0)
        mirror(program, program.outputs[:heads], planned, budget=budget)


def trained(network: Network, options: Options | None, apart: bool) -> tuple[list[Any], dict[str, Any], PassRecord]:
    """Make two training steps; return outputs, all arrays, and what recomputation did."""
    mx.random.seed(7)
    executor = (network.gradients if apart else network.step)(options=options)
    outputs = []
    for _ in range(2):
        outputs.append(executor.forward(is_train=True)[0].asnumpy())
        if apart:
            executor.backward()
    arrays = {**executor.arg_dict, **executor.aux_dict}
    arrays |= {f"gradient of {n}": x for n, x in executor.grad_dict.items() if x is not None}
    (record,) = [p for p in executor.bound(True).plan.passes if p.name == "mirror"]
    return outputs, {n: x.asnumpy() for n, x in arrays.items()}, record


@pytest.mark.parametrize("apart", [False, True], ids=["step", "gradients"])
@pytest.mark.parametrize("name", [*NETWORKS, "chain"])
def test_a_network_learns_the_same(name: str, apart: bool) -> None:
    network = chain(20) if name == "chain" else NETWORKS[name]()
    outputs, arrays, record = trained(network, None, apart)
    assert not record.ran
    gained = []
    for options in (ON, ALL):
        found, others, record = trained(network, options, apart)
        assert all(same_bits(x, y) for x, y in zip(outputs, found, strict=True))
        assert arrays.keys() == others.keys()
        for key, x in arrays.items():
            assert same_bits(x, others[key]), key
        assert record.ran
        assert record.after <= record.before
        gained.append(record.after < record.before)
    cheap, by_segments = gained
    assert cheap or name not in ("ResNet", "MobileNet", "dropout")
    assert by_segments or name not in ("ResNet", "MobileNet", "dropout", "chain", "MLP")


# -- memory -----------------------------------------------------------------------------------------------------------


def peak(depth: int, options: Options | None) -> int:
    return int(chain(depth, 16, 512).gradients(options=options).bound(True).plan.layout.arena_bytes)


def test_memory_grows_with_the_root_of_the_depth() -> None:
    shallow, deep = peak(12, None), peak(96, None)
    assert deep > 7 * shallow
    assert peak(96, ALL) < 3.2 * peak(12, ALL)  # eight times as deep
    assert peak(96, ALL) < deep / 5


def test_a_larger_budget_is_never_worse() -> None:
    sizes = [peak(24, Options(on=frozenset({"mirror"}), budget=b)) for b in (0.0, 0.05, 0.1, 0.2, 0.4)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[1] < sizes[0]


# -- what is computed again, and when ---------------------------------------------------------------------------------


@functools.cache
def program_of(name: str, apart: bool, options: Options | None) -> Program:
    network = NETWORKS[name]()
    executor = (network.gradients if apart else network.step)(options=options)
    program: Program = executor.bound(True).plan.program
    return program


def programs(options: Options) -> Iterator[tuple[Program, Program]]:
    """Return pairs of programs of networks, without and with recomputation."""
    for name, apart in (("MobileNet", False), ("MobileNet", True), ("dropout", False)):
        yield program_of(name, apart, None), program_of(name, apart, options)


def test_matrix_products_and_convolutions_are_not_computed_again_without_a_budget() -> None:
    for _, program in programs(ON):
        repeated = {e.primitive.name for e in again(program)}
        assert repeated
        assert repeated.isdisjoint({"matmul", "conv", "sum"})


@pytest.mark.parametrize("budget", [0.1, 0.3])
def test_the_budget_is_kept(budget: float) -> None:
    some = False
    for before, program in programs(Options(on=frozenset({"mirror"}), budget=budget)):
        products = [e for e in again(program) if e.primitive.name in ("matmul", "conv")]
        some |= bool(products)
        assert sum(map(operations, products)) <= budget * sum(map(operations, before.equations))
    assert some


def test_nothing_is_computed_again_twice_or_before_it_is_needed() -> None:
    for before, program in programs(ALL):
        repeated = again(program)
        assert len(before.equations) < len(program.equations)
        assert len({(e.primitive, e.origin, e.inputs, tuple(e.params.items())) for e in repeated}) == len(repeated)
        for k, equation in enumerate(program.equations):
            if equation.origin.endswith(module.AGAIN):
                rest = program.equations[k + 1 :]
                # Only other repeated equations stand between it and what reads it.
                waiting = next(e for e in rest if not e.origin.endswith(module.AGAIN))
                needed = program.needed(waiting.inputs)
                assert any(id(v) in needed for v in equation.outputs)


def test_it_runs_where_it_stands() -> None:
    plan = NETWORKS["ResNet"]().step(options=ALL).bound(True).plan
    order = {id(e): k for k, e in enumerate(plan.program.equations)}
    steps = [order[id(e)] for s in plan.layout.steps if s.part == 0 for e in s.equations]
    assert [k for k in steps if plan.program.equations[k] in again(plan.program)]
    moved = sum(a > b for a, b in itertools.pairwise(steps))
    plain = NETWORKS["ResNet"]().step().bound(True).plan
    order = {id(e): k for k, e in enumerate(plain.program.equations)}
    steps = [order[id(e)] for s in plain.layout.steps if s.part == 0 for e in s.equations]
    assert moved <= sum(a > b for a, b in itertools.pairwise(steps)) + 5


def test_a_value_whose_operand_is_not_there_is_kept() -> None:
    recorder, (x, w) = inputs((64, 64), (64, 64))
    y = recorder.tanh(recorder.matmul(x, w))  # the product is gone by then
    loss = recorder.sum(y)
    recorder.program.outputs = [loss.value, recorder.sum(recorder.matmul(y, w)).value]
    assert again(mirror(recorder.program, [loss.value], more_is_better).program) == []
    again_all = again(mirror(recorder.program, [loss.value], more_is_better, budget=9.0).program)
    assert again_all == []  # the last segment is not computed again


def test_a_chain_of_cheap_values_is_computed_again_from_what_is_kept() -> None:
    recorder, (x, w) = inputs((64, 64), (64, 64))
    a = recorder.matmul(x, w)
    recorder.origin = "net"
    b = recorder.tanh(a)
    c = recorder.exp(recorder.permute_dims(b, (1, 0)))
    loss = recorder.sum(c)
    recorder.origin = "gradient"
    late = recorder.matmul(c, a)
    recorder.program.outputs = [loss.value, recorder.sum(late).value]
    found = mirror(recorder.program, [loss.value], more_is_better)
    names = [e.primitive.name for e in found.program.equations]
    assert names == [
        *("matmul", "tanh", "permute_dims", "exp", "sum"),
        *("tanh", "permute_dims", "exp", "matmul", "sum"),
    ]
    assert found.repeated == 2
    assert [e.origin for e in found.program.equations[5:9]] == [f"net{module.AGAIN}"] * 3 + ["gradient"]
    assert str(found).startswith("2 equations computed again, ")


def test_what_an_input_is_renewed_for_is_not_computed_again_after_it() -> None:
    recorder, (x, n) = inputs((40, 40), (40, 40))
    y, z = recorder.tanh(x * n), recorder.exp(x)
    loss = recorder.sum(y * z)
    new = n * 0.5
    late = recorder.sum(recorder.square(y) + recorder.sin(z), 0)
    recorder.program.outputs = [loss.value, late.value, new.value]
    arrays = [data((40, 40), "float32", k, 0.0) for k in range(2)]
    results = []
    for options in (Options(), ON):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_GAIN", -9.0)
            plan = Plan(recorder.program, [x.copy() for x in arrays], stores=[(2, 1)], first=[0, 2], options=options)
        plan.run()
        results.append([x.copy() for x in plan.outputs])
    assert [e.primitive.name for e in again(plan.program)] == ["exp"]
    assert all(same_bits(x, y) for x, y in zip(*results, strict=True))


def test_without_a_gain_the_program_stays_as_it_is() -> None:
    recorder, (x,) = inputs((64, 64))
    y = recorder.tanh(x)
    loss = recorder.sum(y)
    recorder.program.outputs = [loss.value, recorder.sum(recorder.matmul(y, x)).value]
    tried: list[Program] = []

    def planned(program: Program) -> int:
        tried.append(program)
        return 1000

    found = mirror(recorder.program, [loss.value], planned)
    assert len(tried) == 2
    assert found == Mirrored(recorder.program, 1000, 1000)
    assert found.program is recorder.program


def test_a_program_without_a_late_part_is_not_planned() -> None:
    recorder, (x,) = inputs((4,))
    recorder.program.outputs = [recorder.exp(x).value]
    assert mirror(recorder.program, recorder.program.outputs, lambda p: 1 // 0).repeated == 0


# -- how it is asked for ----------------------------------------------------------------------------------------------


def marked(name: str, text: str) -> Network:
    """Return a network of which every second rectifier asks, by attribute, for being computed again, or not."""
    x = mx.sym.Variable("data")
    for k in range(10):
        x = mx.sym.FullyConnected(x, num_hidden=32, name=f"fc{k}", attr={name: text} if k % 2 else None)
    loss = mx.sym.SoftmaxOutput(x, mx.sym.Variable("label"), name="loss")
    return Network(loss, (256, 32), (256,), 32)


@pytest.mark.parametrize("name", ["force_mirroring", "__force_mirroring__"])
@pytest.mark.parametrize("text", ["True", "true", "1"])
def test_a_node_is_computed_again_if_it_asks(name: str, text: str) -> None:
    network = marked(name, text)
    plan = network.step().bound(True).plan
    assert {e.origin for e in again(plan.program)} <= {f"fc{k}{module.AGAIN}" for k in (1, 3, 5, 7, 9)}
    assert "matmul" in {e.primitive.name for e in again(plan.program)}
    record = next(p for p in plan.passes if p.name == "mirror")
    assert record.after < record.before
    loaded = mx.sym.load_json(network.loss.tojson())
    assert again(network._replace(loss=loaded).step().bound(True).plan.program)
    assert not again(network.step(options=Options(off=frozenset({"mirror"}))).bound(True).plan.program)


@pytest.mark.parametrize(
    ("name", "text"), [("force_mirroring", "False"), ("force_mirroring", "0"), ("mirror_stage", "1")]
)
def test_a_node_that_does_not_ask_is_not(name: str, text: str) -> None:
    assert not again(marked(name, text).step().bound(True).plan.program)


def test_an_answer_that_is_neither_true_nor_false_is_refused() -> None:
    with pytest.raises(BindError, match="'maybe'; it must be True or False") as caught:
        marked("force_mirroring", "maybe").step()
    assert caught.value.where == "fc1"


@pytest.mark.parametrize(("text", "on"), [("1", True), (" 2", True), ("0", False), ("", False)])
def test_the_environment_asks(text: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.VARIABLE, text)
    assert Options() == (ON if on else Options(on=frozenset()))
    plan = NETWORKS["dropout"]().step().bound(True).plan
    assert bool(again(plan.program)) == on


def test_the_environment_must_give_an_integer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.VARIABLE, "yes")
    with pytest.raises(ArgumentError, match="MXNET_BACKWARD_DO_MIRROR is 'yes'"):
        Options()


@pytest.mark.parametrize("keywords", [{"budget": 0.5}, {"budget": 0.5, "on": {"mirror"}, "off": {"mirror"}}])
def test_a_budget_for_nothing_is_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="for computing values again, which is off"):
        Options(**keywords)


@pytest.mark.parametrize("budget", [-1.0, float("nan")])
def test_a_budget_is_a_share(budget: float) -> None:
    with pytest.raises(ArgumentError, match="it is a share of a step's operations, 0 or more"):
        Options(on={"mirror"}, budget=budget)


def test_the_plan_says_what_it_does() -> None:
    text = NETWORKS["dropout"]().step(options=ON).explain()
    assert "drop0 (again)" in text
    (line,) = [s for s in text.splitlines() if s.split()[:1] == ["mirror"]]
    assert " bytes; 20 equations computed again, 1." in line
    assert line.endswith("% more operations")
    (line,) = [s for s in NETWORKS["LeNet"]().step(options=ON).explain().splitlines() if s.split()[:1] == ["mirror"]]
    assert line.endswith("unchanged; no gain")


# -- operations -------------------------------------------------------------------------------------------------------


def test_operations_are_estimated() -> None:
    recorder, (x, w, k) = inputs((8, 3, 10, 10), (30, 7), (4, 3, 5, 5))
    rows = recorder.reshape(x, (80, 30))
    params = {"stride": (1, 1), "dilate": (1, 1), "pad": (0, 0), "groups": 1}
    y = recorder.conv(x, k, **params)
    found = {
        "matmul": recorder.matmul(rows, w),
        "conv": y,
        "sum": recorder.sum(x),
        "exp": recorder.exp(x),
        "reshape": rows,
    }
    counts = {name: operations(r.value.equation) for name, r in found.items() if r.value.equation is not None}
    assert counts == {
        "matmul": 2 * 80 * 30 * 7,
        "conv": 2 * 8 * 4 * 6 * 6 * 3 * 5 * 5,
        "sum": 2400,
        "exp": 2400,
        "reshape": 0,
    }
    vjp = recorder.vjp(lambda xp, x, k: (xp.conv(x, k, **params),), [x, k], [y])
    grads = [operations(g.value.equation) for g in vjp if g.value.equation is not None]
    assert grads == [counts["conv"]] * 2
