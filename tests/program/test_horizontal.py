"""Long sums and products side by side: what is moved, what becomes one, and that bits stay where they must."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import symgraph as mx
from symgraph.backends.numpy import eager
from symgraph.executor import Options
from symgraph.program import Program, Recorded, Recorder, Spec, horizontal
from symgraph.program.horizontal import accumulate, stack
from symgraph.program.memory import plan_memory
from symgraph.program.passes import dead
from symgraph.program.schedule import schedule
from tests.program.generate import Case, cases, data, same_bits

EVALUATE = eager.xp.apply
F32 = np.dtype("float32")


def recorded(*shapes: tuple[int, ...], dtype: str = "float32") -> tuple[Recorder, list[Recorded]]:
    recorder = Recorder()
    return recorder, [recorder.input(Spec(s, np.dtype(dtype)), f"x{k}") for k, s in enumerate(shapes)]


def made(program: Program) -> list[str]:
    """Return the names of a program's primitives in order, views left out."""
    return [e.primitive.name for e in program.equations if e.primitive.kind != "view"]


def added(terms: Sequence[Recorded]) -> Recorded:
    total = terms[0]
    for term in terms[1:]:
        total = total + term  # type: ignore[operator]
    return total


def results(program: Program, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    arrays = [data(v.shape, v.dtype, seed + k, special=0) for k, v in enumerate(program.inputs)]
    return eager.run(program, arrays)


def assert_same_bits(before: Program, after: Program) -> None:
    after.verify(before)
    for x, y in zip(results(before), results(after), strict=True):
        assert same_bits(x, y)


def assert_close(before: Program, after: Program) -> None:
    after.verify(before)
    for x, y in zip(results(before), results(after), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


# -- accumulate -------------------------------------------------------------------------------------------------------


def outer_products(count: int) -> tuple[Recorder, list[Recorded]]:
    """Return products that are larger than the computed factors they are made of."""
    recorder, xs = recorded(*[(8, 2)] * count)
    factors = [recorder.tanh(x) for x in xs]
    return recorder, [recorder.matmul(f, recorder.swapaxes(f, 0, 1)) for f in factors]


def test_each_term_of_a_long_sum_is_computed_just_before_it_is_added() -> None:
    recorder, terms = outer_products(10)
    recorder.program.outputs = [added(terms).value]
    program = accumulate(recorder.program, EVALUATE)
    # Each term as soon as its factor is there, and in the order of the sum.
    assert made(program) == ["tanh", "tanh", "matmul", "matmul", "add", *["tanh", "matmul", "add"] * 8]
    assert_same_bits(recorder.program, program)


def test_terms_wait_for_those_before_them() -> None:
    recorder, terms = outer_products(10)
    recorder.program.outputs = [added(terms[::-1]).value]
    program = accumulate(recorder.program, EVALUATE)
    # The first addition needs the last two factors: factors wait, and products do not.
    assert made(program) == [*["tanh"] * 10, "matmul", *["matmul", "add"] * 9]
    assert_same_bits(recorder.program, program)


def test_what_only_shows_a_term_goes_with_it() -> None:
    recorder, terms = outer_products(10)
    recorder.program.outputs = [added([recorder.reshape(t, (4, 16)) for t in terms]).value]
    program = accumulate(recorder.program, EVALUATE)
    assert made(program)[-6:] == ["tanh", "matmul", "add"] * 2
    assert_same_bits(recorder.program, program)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_term_that_is_read_elsewhere_stays_where_it_is(elsewhere: bool) -> None:
    recorder, (first, *rest) = outer_products(10)
    shown = recorder.exp(first)
    recorder.program.outputs = [added([*rest, first]).value, *([shown.value] if elsewhere else ())]
    program = accumulate(dead(recorder.program, EVALUATE), EVALUATE)
    product = next(k for k, e in enumerate(program.equations) if e.outputs[0] is first.value)
    assert (product == len(program.equations) - 2) is not elsewhere
    assert_same_bits(recorder.program, program)


def test_a_term_that_is_smaller_than_what_makes_it_does_not_wait() -> None:
    recorder, xs = recorded(*[(2, 8)] * 10)
    factors = [recorder.tanh(x) for x in xs]
    terms = [recorder.matmul(f, recorder.swapaxes(f, 0, 1)) for f in factors]
    recorder.program.outputs = [added(terms[::-1]).value]
    program = accumulate(recorder.program, EVALUATE)
    assert made(program) == [*["tanh"] * 10, *["matmul"] * 10, *["add"] * 9]
    assert_same_bits(recorder.program, program)


def test_a_short_sum_is_left_to_fusion() -> None:
    recorder, terms = outer_products(horizontal._LONG)
    recorder.program.outputs = [added(terms).value]
    assert accumulate(recorder.program, EVALUATE) is recorder.program


def test_a_sum_of_which_a_part_is_read_is_two_sums() -> None:
    recorder, terms = outer_products(12)
    part = added(terms[:6])
    recorder.program.outputs = [added([part, *terms[6:]]).value, part.value]
    assert accumulate(recorder.program, EVALUATE) is recorder.program


def test_terms_of_a_long_sum_share_memory() -> None:
    recorder, terms = outer_products(20)
    recorder.program.outputs = [added(terms).value]

    def live(program: Program) -> int:
        steps = schedule(program, program.outputs, []).steps
        return plan_memory(program, steps, [], program.outputs, lambda step, layout: 0).live_bytes

    product = terms[0].value.nbytes
    assert live(recorder.program) > 20 * product
    assert live(accumulate(recorder.program, EVALUATE)) < 4 * product


@given(case=cases(stores=False))
@settings(max_examples=80)
def test_order_changes_no_bit(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(horizontal, "_LONG", 1)
        program = accumulate(case.program, EVALUATE)
    program.verify(case.program)
    assert sorted(map(id, program.equations)) == sorted(map(id, case.program.equations))
    before = eager.run(case.program, case.arrays, case.hypers)
    for x, y in zip(before, eager.run(program, case.arrays, case.hypers), strict=True):
        assert same_bits(x, y)


# -- stack ------------------------------------------------------------------------------------------------------------


def test_a_sum_of_products_becomes_one_product() -> None:
    recorder, xs = recorded(*[(8, 2)] * 3, *[(2, 7)] * 3, (8, 7), (7,), dtype="float64")
    products = [recorder.matmul(x, y) for x, y in zip(xs[:3], xs[3:6], strict=True)]
    recorder.program.outputs = [added([products[2], xs[6], products[0], xs[7], products[1]]).value]
    program = stack(recorder.program, EVALUATE)
    assert made(program) == ["concat", "concat", "matmul", "add", "add"]
    assert_close(recorder.program, program)


def test_transposed_matrices_are_joined_as_they_lie() -> None:
    recorder, xs = recorded(*[(2, 8)] * 3, *[(2, 7)] * 3, dtype="float64")
    recorder.program.outputs = [
        added([recorder.matmul(recorder.swapaxes(x, 0, 1), y) for x, y in zip(xs[:3], xs[3:], strict=True)]).value
    ]
    program = stack(recorder.program, EVALUATE)
    joins = [e for e in program.equations if e.primitive.name == "concat"]
    assert [e.params["axis"] for e in joins] == [0, 0]
    assert_close(recorder.program, program)


@pytest.mark.parametrize("build", ["read elsewhere", "operands larger", "broadcast", "batches"])
def test_products_that_stay_in_a_sum(build: str) -> None:
    inner = 20 if build == "operands larger" else 2
    lead = (3,) if build == "batches" else ()
    recorder, (a, b, c, d) = recorded((*lead, 8, inner), (*lead, inner, 7), (*lead, 8, inner), (*lead, inner, 7))
    first, second = recorder.matmul(a, b), recorder.matmul(c, d)
    total = first + second  # type: ignore[operator]
    outputs = [total]
    if build == "read elsewhere":
        outputs.append(first)
    if build == "broadcast":
        outputs = [recorder.matmul(a, b) + recorder.matmul(recorder.slice_axis(c, 0, 0, 1), d)]
        recorder.program.equations = recorder.program.equations[3:]
    recorder.program.outputs = [x.value for x in outputs]
    assert made(stack(recorder.program, EVALUATE)) == made(recorder.program)


def test_products_with_one_matrix_become_one() -> None:
    recorder, (w, *xs) = recorded((4, 5), (2, 4), (3, 4), (1, 4), dtype="float64")
    recorder.program.outputs = [recorder.exp(recorder.matmul(x, w)).value for x in xs]
    program = stack(recorder.program, EVALUATE)
    assert made(program) == ["concat", "matmul", "exp", "exp", "exp"]
    assert_close(recorder.program, program)


def test_products_that_need_each_other_stay_apart() -> None:
    recorder, (w, h, *xs) = recorded((4, 4), (2, 4), *[(2, 4)] * 3, dtype="float64")
    for x in xs:  # a recurrent network with one matrix for input and state
        h = recorder.tanh(recorder.matmul(h, w) + recorder.matmul(x, w))
    recorder.program.outputs = [h.value]
    program = stack(recorder.program, EVALUATE)
    # The first state and all inputs go together; each state waits for the one before.
    assert made(program).count("matmul") == 3
    assert_close(recorder.program, program)


def test_rows_that_need_each_other_are_not_all_made_one() -> None:
    recorder, (v, w, x, y) = recorded((4, 4), (4, 4), (2, 4), (2, 4), dtype="float64")
    one = recorder.matmul(recorder.tanh(recorder.matmul(x, v)), w)
    two = recorder.matmul(recorder.tanh(recorder.matmul(y, w)), v)
    recorder.program.outputs = [one.value, two.value]
    program = stack(recorder.program, EVALUATE)
    assert made(program).count("matmul") == 3
    assert_close(recorder.program, program)


def test_products_of_many_rows_stay_apart() -> None:
    recorder, (w, *xs) = recorded((4, 5), *[(horizontal._FEW_ROWS, 4)] * 2)
    recorder.program.outputs = [recorder.matmul(x, w).value for x in xs]
    assert made(stack(recorder.program, EVALUATE)) == ["matmul", "matmul"]


@given(case=cases(stores=False))
@settings(max_examples=80)
def test_programs_without_such_rows_stay_as_they_are(case: Case) -> None:
    names = [e.primitive.name for e in case.program.equations]
    program = stack(case.program, EVALUATE)
    program.verify(case.program)
    if names.count("matmul") < 2:
        assert program is case.program


# -- a recurrent network ----------------------------------------------------------------------------------------------


def lstm(steps: int, batch: int, width: int) -> mx.sym.Symbol:
    """Return a training step of an LSTM that is unrolled, as ``mx.rnn.LSTMCell`` makes it."""
    sym = mx.sym
    words = sym.Embedding(sym.Variable("data"), input_dim=11, output_dim=width, name="embed")
    weights = {k: sym.Variable(k) for k in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")}
    state = output = sym.zeros(shape=(batch, width))
    outputs = []
    for word in sym.SliceChannel(words, num_outputs=steps, axis=1, squeeze_axis=True):
        i2h, h2h = (
            sym.FullyConnected(x, weights[f"{k}_weight"], weights[f"{k}_bias"], num_hidden=4 * width)
            for k, x in (("i2h", word), ("h2h", output))
        )
        gates = sym.SliceChannel(i2h + h2h, num_outputs=4)
        enter, forget, leave = (sym.sigmoid(gates[k]) for k in (0, 1, 3))
        state = forget * state + enter * sym.tanh(gates[2])
        output = leave * sym.tanh(state)
        outputs.append(sym.expand_dims(output, axis=1))
    scores = sym.FullyConnected(sym.Reshape(sym.Concat(*outputs, dim=1), shape=(-1, width)), num_hidden=11, name="out")
    loss = sym.SoftmaxOutput(scores, sym.Reshape(sym.Variable("label"), shape=(-1,)), name="softmax")
    return sym.training_step(loss, "rmsprop_update", lr=0.01)


def trained(options: Options) -> tuple[mx.executor.Executor, dict[str, np.ndarray[Any, Any]]]:
    steps, batch, width = 12, 3, 8
    shape = (batch, steps)
    executor = lstm(steps, batch, width).simple_bind(mx.cpu(), data=shape, label=shape, options=options)
    rng = np.random.default_rng(0)
    for name in sorted(executor.arg_dict):
        executor.arg_dict[name][:] = rng.normal(size=executor.arg_dict[name].shape) * 0.3
    words = {k: rng.integers(0, 11, shape).astype("float32") for k in ("data", "label")}
    for _ in range(3):
        executor.forward(is_train=True, **words)
    return executor, {k: a.asnumpy() for k, a in executor.arg_dict.items()}


def products(executor: mx.executor.Executor) -> int:
    return made(executor.bound(True).plan.program).count("matmul")


def test_an_unrolled_network_keeps_its_bits() -> None:
    _, wanted = trained(Options.none())
    for options in (Options(), Options(off=frozenset({"accumulate"})), Options(off=frozenset({"fuse", "memory"}))):
        _, found = trained(options)
        for name, array in wanted.items():
            assert same_bits(found[name], array), (options, name)


def test_an_unrolled_network_makes_one_product_of_many_if_asked_to() -> None:
    plain, wanted = trained(Options())
    stacked, found = trained(Options(on=frozenset({"stack"})))
    # Of 12 steps: products of state and weight, one after the other, forward (12) and back (11); the others at once:
    # input and weight, forward and back, gradients of both weights; three of the output layer.
    assert products(plain) == 12 * 3 + 11 + 12 * 2 + 3
    assert products(stacked) == 12 + 11 + 4 + 3
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
