"""Operators run at once give the bits of their plainly evaluated programs, into arrays of their own."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.errors import DTypeError, ShapeError
from symgraph.ndarray.evaluate import Evaluator, Routine, evaluator
from symgraph.op import Op, all_operators, find
from symgraph.program import Recorded, Recorder, Spec
from symgraph.testing import Use, uses
from symgraph.testing.running import STATE, forward, gradient, gradient_inputs, gradient_op, make_inputs
from tests.snapshots import Snapshots

Array = np.ndarray[Any, Any]


def apply(op: Op, inputs: dict[str, Array], training: bool, wanted: tuple[int, ...] | None = None) -> list[Array]:
    run = evaluator(op)
    arrays = [inputs[name] for name in op.input_names()]
    before = [x.copy() for x in arrays]
    results = run([*arrays, STATE] if run.random else arrays, run.hypers(op), training=training, wanted=wanted)
    for x, y in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(x, y, "an input was written to")
    for x in results:
        assert x.flags.c_contiguous
        assert x.flags.writeable
    for x, y in itertools.combinations([*results, *arrays], 2):
        assert not np.shares_memory(x, y) or any(x is a for a in arrays)
    return results


def same(results: list[Array], expected: list[Array]) -> None:
    assert len(results) == len(expected)
    for x, y in zip(results, expected, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        assert x.tobytes() == np.ascontiguousarray(y).tobytes()


@pytest.mark.parametrize("use", uses(all_operators()), ids=str)
@pytest.mark.parametrize("training", [False, True])
def test_evaluated_is_program(use: Use, training: bool) -> None:
    inputs = make_inputs(use)
    plain = forward(use.op, inputs, training)
    expected = [*plain.outputs.values(), *plain.renewed.values()]
    same(apply(use.op, inputs, training), expected)
    same(apply(use.op, inputs, training), expected)  # what the first run left behind does no harm


@pytest.mark.parametrize("use", [u for u in uses(all_operators()) if u.cls.differentiable], ids=str)
def test_evaluated_gradient_is_program(use: Use) -> None:
    op, inputs = use.op, make_inputs(use)
    outputs = forward(op, inputs, True).outputs
    heads = [np.ones_like(outputs[n]) for n in op.output_names()[: op.num_visible()]]
    given = gradient_inputs(op, inputs, heads, True)
    expected = list(gradient(op, inputs, heads).values())
    same(apply(gradient_op(op), given, True), expected)
    for k in range(len(expected)):
        same(apply(gradient_op(op), given, True, wanted=(k,)), [expected[k]])


def chain(*names: str, shape: tuple[int, ...] = (4, 3)) -> Recorder:
    """Record functions of one array, one after the other."""
    recorder = Recorder()
    x = recorder.input(Spec(shape, np.dtype("float32")))
    for name in names:
        x = getattr(recorder, name)(x)
    recorder.program.outputs = [x.value]
    return recorder


def test_a_chain_takes_memory_once() -> None:
    program = chain("exp", "sqrt", "log", "tanh", "sin").program
    routine = Routine(program, [0])
    assert sum(step.memory < 0 for step in routine._steps) == 1
    x = np.linspace(0, 1, 12, dtype="float32").reshape(4, 3)
    np.testing.assert_array_equal(routine([x], ())[0], np.sin(np.tanh(np.log(np.sqrt(np.exp(x))))))


def test_memory_of_a_viewed_array_is_not_taken() -> None:
    recorder = chain("exp")
    x = recorder.program.outputs[0]
    y = Recorded(recorder, x)
    turned = recorder.permute_dims(recorder.reshape(y, (3, 4)), (1, 0))
    other = recorder.sqrt(y)  # the last reader of y, but not of its memory
    recorder.program.outputs = [(turned + other).value]
    data = np.linspace(0, 1, 12, dtype="float32").reshape(4, 3)
    e = np.exp(data)
    expected = e.reshape(3, 4).T + np.sqrt(e)
    np.testing.assert_array_equal(Routine(recorder.program, [0])([data], ())[0], expected)


def test_only_what_is_wanted_is_computed() -> None:
    recorder = chain("exp")
    y = recorder.program.outputs[0]
    recorder.program.outputs = [y, recorder.log(Recorded(recorder, y)).value]
    assert len(Routine(recorder.program, [0])._steps) == 1
    assert len(Routine(recorder.program, [1])._steps) == 2


def test_an_output_that_is_an_input_is_copied() -> None:
    recorder = Recorder()
    x = recorder.input(Spec((3,), np.dtype("float32")))
    recorder.program.outputs = [x.value, x.value]
    data = np.arange(3, dtype="float32")
    one, two = Routine(recorder.program, [0, 1])([data], ())
    one[:] = 7
    np.testing.assert_array_equal(two, [0, 1, 2])
    np.testing.assert_array_equal(data, [0, 1, 2])


def test_hyper_parameters_change_without_a_new_routine() -> None:
    update = find("sgd_update")
    run = evaluator(update(lr=0.5))
    assert evaluator(update(lr=0.25)) is run
    before = len(run._routines)
    w = g = np.ones((2, 7), "float32")
    for lr in (0.5, 0.25, 0.5):
        np.testing.assert_array_equal(run([w, g], run.hypers(update(lr=lr)))[0], w - lr)
    assert len(run._routines) == before + 1


def test_the_mode_matters_only_where_it_is_asked_for() -> None:
    run = Evaluator(find("relu")())
    x = np.ones(3, "float32")
    run([x], training=True)
    run([x], training=False)
    assert len(run._routines) == 1


def test_specs_without_computing() -> None:
    run = evaluator(find("dot")())
    assert run.specs([np.empty((2, 3), "float32"), np.empty((3, 5), "float32")]) == [Spec((2, 5), np.dtype("float32"))]


def test_warnings_are_off() -> None:
    x = np.array([0, -1], "float32")
    np.testing.assert_array_equal(evaluator(find("log")())([x])[0], [-np.inf, np.nan])


def test_error_texts(snapshot: Snapshots) -> None:
    x, half = np.ones((2, 3), "float32"), np.ones((2, 3), "float16")
    with snapshot.raises(ShapeError, "evaluate_shape"):
        evaluator(find("FullyConnected")(num_hidden=4, no_bias=True))([x, np.ones((5, 3), "float32")])
    with snapshot.raises(DTypeError, "evaluate_dtype"):
        evaluator(find("broadcast_add")())([x, half])
    with snapshot.raises(ShapeError, "evaluate_compute"):
        evaluator(find("broadcast_add")())([x, x.T.copy()])
    with snapshot.raises(ShapeError, "evaluate_undecided"):
        evaluator(find("_zeros")(shape=(0, 3)))([])
