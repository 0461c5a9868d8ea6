"""Plans against plain evaluation: bit for bit, with every option, on one thread and two, in blocks and not."""

from __future__ import annotations

import contextlib
import math
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from symgraph.backends.numpy import blocks, eager, kernels, threads
from symgraph.backends.numpy import plan as module
from symgraph.backends.numpy.plan import Options, Plan
from symgraph.errors import ArgumentError, BindError
from symgraph.program import PRIMITIVES, Recorded, Recorder, Spec, mirror
from symgraph.program import schedule as scheduling
from symgraph.program.passes import PIPELINE
from tests.alarm import Alarm, duration, interrupted
from tests.program.generate import Case, cases, data, same_bits

Array = np.ndarray[Any, Any]
F32 = np.dtype("float32")
SWITCHES = [*(p.name for p in PIPELINE if p.exact), "fuse", "memory"]


@contextlib.contextmanager
def engine(workers: int = 1, block_bytes: int | None = None) -> Iterator[None]:
    """Set the number of threads; with `block_bytes`, run everything element-wise in blocks of so many bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_count", workers)
        if block_bytes is not None:
            patch.setattr(scheduling, "BLOCKED_BYTES", 1)
            patch.setattr(scheduling, "_SMALL", 4)
            patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
            patch.setattr(blocks, "FEW_BLOCKS", 1)
        yield


def bound(case: Case, arrays: Sequence[Array], options: Options | None = None) -> tuple[Plan, dict[int, Array]]:
    """Bind a case; if its second half reads what the first renews, which is refused, without halves."""
    targets = {k: np.full(case.program.outputs[k].shape, 2, case.program.outputs[k].dtype) for k in case.accumulate}
    for first in (case.first, None):
        try:
            plan = Plan(
                case.program,
                arrays,
                stores=case.stores,
                targets=targets,
                accumulate=case.accumulate,
                first=first,
                hypers=case.hypers,
                options=options,
            )
        except BindError as error:
            assert case.first is not None
            assert "which the forward half renews" in str(error)  # noqa: PT017 - the second turn must not raise
        else:
            return plan, targets
    raise AssertionError("not reached")


def check(case: Case, options: Options | None = None, runs: int = 2) -> None:
    """Run a plan several times beside plain evaluation."""
    note(str(case))
    arrays = [x.copy() for x in case.arrays]
    wanted = [x.copy() for x in case.arrays]
    plan, totals = bound(case, arrays, options)
    totals = {k: x.copy() for k, x in totals.items()}
    note(str(plan.program))
    for _ in range(runs):
        outputs = [x.copy() for x in eager.run(case.program, wanted, case.hypers)]
        for k, j in case.stores:
            wanted[j][...] = outputs[k]
        plan.run()
        for k, expected in enumerate(outputs):
            if k in totals:
                with np.errstate(all="ignore"):
                    expected = totals[k] = np.add(totals[k], expected)
            assert same_bits(plan.outputs[k], expected), (k, plan.outputs[k], expected)
        for x, y in zip(arrays, wanted, strict=True):
            assert same_bits(x, y)


@given(case=cases())
@settings(max_examples=250)
def test_a_plan_computes_what_plain_evaluation_does(case: Case) -> None:
    check(case)


@given(case=cases(), off=st.sampled_from(SWITCHES), apart=st.booleans())
@settings(max_examples=150)
def test_each_optimization_can_be_off(case: Case, off: str, apart: bool) -> None:
    check(case, Options(off=frozenset([off])))
    if apart:
        check(case, Options(off=frozenset(SWITCHES) - {off}))


@given(case=cases(), large=st.booleans(), budget=st.sampled_from((0.0, 9.0)))
@settings(max_examples=150)
def test_what_is_computed_again_has_the_same_bits(case: Case, large: bool, budget: float) -> None:
    with pytest.MonkeyPatch.context() as patch, engine(1, 64 if large else None):
        patch.setattr(mirror, "_GAIN", -99.0)  # whatever can be computed again is, though it gains nothing
        patch.setattr(mirror, "_SMALL", 0.0)
        check(case, Options(on=frozenset({"mirror"}), budget=budget))


@given(case=cases())
@settings(max_examples=80)
def test_all_optimizations_can_be_off(case: Case) -> None:
    check(case, Options.none())


@given(case=cases(), workers=st.integers(1, 3), block_bytes=st.sampled_from((16, 64, 200)))
@settings(max_examples=250)
def test_blocks_and_threads_change_no_bit(case: Case, workers: int, block_bytes: int) -> None:
    with engine(workers, block_bytes):
        check(case)


@given(case=cases(large=True), workers=st.integers(1, 2), off=st.sampled_from(SWITCHES))
@settings(max_examples=80)
def test_blocks_of_larger_arrays_change_no_bit(case: Case, workers: int, off: str) -> None:
    with engine(workers, 256):
        check(case, Options(off=frozenset([off])))


@given(case=cases(large=True, steps=25))
@settings(max_examples=40)
def test_long_programs(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_large_update_in_blocks_of_the_size_in_use(workers: int) -> None:
    def step(xp: Recorder, w: Any, g: Any, n: Any) -> list[Any]:
        n_new = 0.9 * n + 0.1 * xp.square(g)
        return [w - 0.01 * g / xp.sqrt(n_new + 1e-8), n_new]

    shape = (3, 100_001)
    recorder, variables = inputs(*[shape] * 3)
    new = step(recorder, *variables)
    recorder.program.outputs = [v.value for v in new]
    arrays = [data(shape, "float32", k, special=0.001) for k in range(3)]
    expected = eager.run(recorder.program, arrays)
    with engine(workers):
        plan = Plan(recorder.program, arrays, stores=[(0, 0), (1, 2)])
        assert any(s.blocked for s in plan.layout.steps)
        plan.run()
    assert plan.layout.stored == [True, True]
    assert same_bits(arrays[0], expected[0])
    assert same_bits(arrays[2], expected[1])


# -- small programs ---------------------------------------------------------------------------------------------------


def inputs(*shapes: tuple[int, ...], dtype: Any = F32) -> tuple[Recorder, list[Recorded]]:
    recorder = Recorder()
    return recorder, [recorder.input(Spec(s, np.dtype(dtype)), f"x{k}") for k, s in enumerate(shapes)]


def made(recorder: Recorder, outputs: Sequence[Recorded], arrays: Sequence[Any], **options: Any) -> Plan:
    recorder.program.outputs = [x.value for x in outputs]
    return Plan(recorder.program, arrays, **options)


def test_inputs_that_exchange_their_values() -> None:
    recorder, (x, y) = inputs((3,), (3,))
    a, b = np.arange(3, dtype=F32), -np.arange(3, dtype=F32)
    made(recorder, [y, x], [a, b], stores=[(0, 0), (1, 1)]).run()
    assert a.tolist() == [0, -1, -2]
    assert b.tolist() == [0, 1, 2]


def test_an_input_that_keeps_the_old_value_of_another() -> None:
    recorder, (w, _) = inputs((3,), (3,))
    a, b = np.arange(3, dtype=F32), np.zeros(3, F32)
    plan = made(recorder, [w + 1.0, w], [a, b], stores=[(0, 0), (1, 1)])
    plan.run()
    plan.run()
    assert a.tolist() == [2, 3, 4]
    assert b.tolist() == [1, 2, 3]


def test_an_exchange_that_only_simplification_shows() -> None:
    recorder, (x, y) = inputs((3,), (3,))
    a, b = np.arange(3, dtype=F32), -np.arange(3, dtype=F32)
    made(recorder, [y * 1.0, -(x * -1.0)], [a, b], stores=[(0, 0), (1, 1)]).run()
    assert a.tolist() == [0, -1, -2]
    assert b.tolist() == [0, 1, 2]


def test_an_input_that_is_turned_over_in_place() -> None:
    recorder, (x,) = inputs((3, 3))
    a = np.arange(9, dtype=F32).reshape(3, 3)
    made(recorder, [recorder.permute_dims(x, (1, 0))], [a], stores=[(0, 0)]).run()
    assert np.array_equal(a, np.arange(9).reshape(3, 3).T)


def test_outputs_that_are_inputs_show_them_as_they_were() -> None:
    recorder, (w,) = inputs((2, 2))
    a = np.arange(4, dtype=F32).reshape(2, 2)
    plan = made(recorder, [w, recorder.permute_dims(w, (1, 0)), w * 2.0], [a], stores=[(2, 0)])
    plan.run()
    assert plan.outputs[0].tolist() == [[0, 1], [2, 3]]
    assert plan.outputs[1].tolist() == [[0, 2], [1, 3]]
    assert plan.outputs[2] is a
    assert a.tolist() == [[0, 2], [4, 6]]


def test_outputs_may_be_constants_hyper_parameters_and_the_same_value_twice() -> None:
    recorder, (x,) = inputs((2,))
    rate = recorder.hyper(("node", "lr"), "float32")
    y = recorder.exp(x)
    table = recorder.constant(np.array([1.0, 2.0]))
    plan = made(recorder, [table, rate, y, y, x, rate * 2.0], [np.zeros(2, F32)], hypers=[0.5])
    plan.run()
    assert [o.tolist() for o in plan.outputs] == [[1, 2], 0.5, [1, 1], [1, 1], [0, 0], 1.0]
    assert len({o.__array_interface__["data"][0] for o in plan.outputs}) == 6, "each output has memory of its own"


def test_results_go_into_the_arrays_given_for_them() -> None:
    recorder, (x,) = inputs((2, 3))
    y = recorder.exp(x)
    wide = np.full((2, 6), 7, F32)
    direct, strided = np.empty((2, 3), F32), wide[:, ::2]
    plan = made(recorder, [y, y], [np.zeros((2, 3), F32)], targets={0: direct, 1: strided})
    plan.run()
    assert plan.outputs[0] is direct
    assert plan.outputs[1] is strided
    assert direct.tolist() == [[1] * 3] * 2
    assert wide.tolist() == [[1, 7] * 3] * 2


def test_some_outputs_are_added_up() -> None:
    recorder, (x,) = inputs((2,))
    total = np.ones(2, F32)
    plan = made(
        recorder, [x * 2.0, x], [np.array([1, 2], F32)], targets={0: total, 1: np.zeros(2, F32)}, accumulate=[0, 1]
    )
    plan.run()
    plan.run()
    assert total.tolist() == [5, 9]
    assert plan.outputs[1].tolist() == [2, 4]


def test_a_skipped_output_has_no_array() -> None:
    recorder, (w,) = inputs((2,))
    new = w * 2.0
    a = np.ones(2, F32)
    plan = made(recorder, [new, new, new], [a], stores=[(2, 0)], skip=[0])
    plan.run()
    assert plan.outputs[0] is None
    assert plan.outputs[1].tolist() == [2, 2]
    assert plan.outputs[2] is a
    assert a.tolist() == [2, 2]


def test_read_only_inputs_and_zero_sizes() -> None:
    recorder, (x, y) = inputs((3,), (0, 3))
    a = np.arange(3, dtype=F32)
    a.flags.writeable = False
    plan = made(recorder, [x * 2.0, recorder.sum(y, 0), y + x, recorder.concat([y, y])], [a, np.empty((0, 3), F32)])
    plan.run()
    assert [o.tolist() for o in plan.outputs] == [[0, 2, 4], [0, 0, 0], [], []]


# -- halves -----------------------------------------------------------------------------------------------------------


def test_the_second_half_reads_what_is_set_between_the_halves() -> None:
    recorder, (x, head) = inputs((2,), (2,))
    a, h = np.array([2, 3], F32), np.ones(2, F32)
    total = np.zeros(2, F32)
    y = recorder.square(x)
    plan = made(
        recorder,
        [y, head * x * 2.0, head, recorder.reshape(head, (1, 2)), head],
        [a, h],
        first=[0],
        targets={4: total},
        accumulate=[4],
    )
    plan.run_first()
    h[...] = [10, 20]
    plan.run_second()
    assert [o.tolist() for o in plan.outputs] == [[4, 9], [40, 120], [10, 20], [[10, 20]], [10, 20]]


def test_the_first_half_leaves_the_arrays_of_the_second_alone() -> None:
    recorder, (x,) = inputs((2,))
    y = recorder.exp(x)
    gradient, added = np.full(2, 7, F32), np.full(2, 7, F32)
    plan = made(
        recorder,
        [recorder.sum(y, 0), y, recorder.reshape(y, (2,))],
        [np.zeros(2, F32)],
        first=[0],
        targets={1: gradient, 2: added},
        accumulate=[2],
    )
    plan.run_first()
    plan.run_first()
    assert gradient.tolist() == [7, 7]
    assert added.tolist() == [7, 7]
    plan.run_second()
    assert gradient.tolist() == [1, 1]
    assert added.tolist() == [8, 8]


def test_a_rearranged_weight_in_the_second_half_is_the_old_one() -> None:
    recorder, (w,) = inputs((2, 2))
    a = np.arange(4, dtype=F32).reshape(2, 2)
    plan = made(recorder, [recorder.permute_dims(w, (1, 0)), w * 0.0], [a], first=[1], stores=[(1, 0)])
    plan.run()
    assert plan.outputs[0].tolist() == [[0, 2], [1, 3]]


def test_a_second_half_that_reads_a_renewed_weight_is_refused() -> None:
    recorder, (w, x) = inputs((2,), (2,))
    with pytest.raises(BindError, match="the gradients read 'x0', which the forward half renews"):
        made(recorder, [w * 0.5, recorder.exp(w) * x], [np.ones(2, F32)] * 2, first=[0], stores=[(0, 0)])


@pytest.mark.parametrize("off", SWITCHES)
def test_what_nobody_reads_is_no_reason_to_refuse(off: str) -> None:
    recorder, (w,) = inputs((2,))
    recorder.exp(w)
    new = w * 0.5
    recorder.exp(new)
    a = np.ones(2, F32)
    made(recorder, [new], [a], stores=[(0, 0)], options=Options(off=frozenset([off]))).run()
    assert a.tolist() == [0.5, 0.5]


# -- options and hyper-parameters -------------------------------------------------------------------------------------


def test_unknown_names_of_optimizations_are_refused() -> None:
    recorder, (x,) = inputs((2,))
    for options in (Options(off=frozenset(["fusion"])), Options(on=frozenset(["memry"]))):
        with pytest.raises(ArgumentError, match="no pass is named"):
            made(recorder, [x * 2.0], [np.ones(2, F32)], options=options)


def test_the_passes_are_told() -> None:
    recorder, (x,) = inputs((2,))
    plan = made(
        recorder, [recorder.sum(recorder.exp(x * 1.0))], [np.ones(2, F32)], options=Options(off=frozenset(["cse"]))
    )
    told = {p.name: p for p in plan.passes}
    assert list(told) == [*(p.name for p in PIPELINE), "mirror", "fuse", "memory"]
    assert not told["cse"].ran
    assert (told["simplify"].before, told["simplify"].after) == (3, 2)
    assert told["memory"].after == plan.layout.arena_bytes


def test_hyper_parameters_are_live() -> None:
    recorder, (w, g) = inputs((3,), (3,))
    rate, decay = recorder.hyper(("sgd", "lr")), recorder.hyper(("sgd", "wd"))
    # Some of it depends on hyper-parameters alone, one way through a rearrangement.
    factor = recorder.astype(1.0 - rate * decay, "float32")
    step = recorder.broadcast_to(recorder.astype(rate, "float32"), (3,)) * g
    new = w * factor - step
    a, b = np.ones(3, F32), np.array([1, 2, 3], F32)
    plan = made(recorder, [new, factor], [a, b], stores=[(0, 0)], hypers=[0.5, 0.1])
    calls = plan.calls
    arena = plan.arena
    for values in ([0.5, 0.1], [0.25, 0.0], [1e300, 0.5], [math.nan, math.inf], [-0.0, 0.1]):
        plan.set_hypers(values)
        before = a.copy()
        expected = eager.run(recorder.program, [before, b], values)
        plan.run()
        assert same_bits(a, expected[0])
        assert same_bits(plan.outputs[1], expected[1])
    assert plan.calls is calls
    assert plan.arena is arena


def test_a_hyper_parameter_spread_over_an_array_stays_one_number() -> None:
    # NumPy computes a power otherwise where one exponent serves a row: since 2.3 this one as a square root.
    recorder, (x,) = inputs((4, 4))
    rate = recorder.hyper(("sgd", "lr"), "float32")
    array = np.linspace(0.1, 3, 16, dtype=F32).reshape(4, 4)
    plan = made(recorder, [recorder.power(x, recorder.broadcast_to(rate, (4, 4)))], [array], hypers=[0.5])
    plan.run()
    assert same_bits(plan.outputs[0], eager.run(recorder.program, [array], [0.5])[0])


def test_hyper_parameters_must_all_be_given() -> None:
    recorder, (x,) = inputs((3,))
    rate = recorder.hyper(("sgd", "lr"), "float32")
    with pytest.raises(ValueError, match="shorter"):
        made(recorder, [x * rate], [np.ones(3, F32)], hypers=[])


# -- threads ----------------------------------------------------------------------------------------------------------


def test_plans_run_in_several_threads_at_once() -> None:
    def work(seed: int) -> None:
        recorder, (w, x) = inputs((5000,), (5000,))
        new = recorder.tanh(w * x + 1.0) * recorder.exp(-recorder.abs(w)) - recorder.erf(x)
        a, b = data((5000,), "float32", seed, special=0), data((5000,), "float32", seed + 1, special=0)
        wanted = a.copy()
        plan = made(recorder, [new], [a, b], stores=[(0, 0)])
        for _ in range(30):
            wanted[...] = eager.run(recorder.program, [wanted, b])[0]
            plan.run()
            if not same_bits(a, wanted):
                wrong.append(seed)

    wrong: list[int] = []
    with engine(2, 2048):
        workers = [threading.Thread(target=work, args=(10 * k,)) for k in range(4)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
    assert wrong == []


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


def _plain(count: int) -> tuple[Recorder, list[Recorded], list[Recorded]]:
    recorder, weights = inputs(*[(20,)] * count)
    return recorder, weights, [w - 0.5 for w in weights]


def update_calls() -> tuple[Recorder, list[Recorded]]:
    """Return updates that are a few native calls each."""
    recorder, _, new = _plain(30)
    return recorder, new


def update_copies() -> tuple[Recorder, list[Recorded]]:
    """Return updates by all kinds of calls: conversions, choices, limits, matrices, exchanged inputs."""
    recorder, weights, _ = _plain(30)
    new = []
    for k, w in enumerate(weights):
        kinds: list[Callable[[Any], Any]] = [
            lambda w: recorder.astype(recorder.astype(w, "float16"), "float32") - 1.0,
            lambda w: recorder.where(w > 0, w - 1.0, w - 2.0),
            lambda w: recorder.maximum(recorder.minimum(w - 1.0, 5.0), -5.0),
            lambda w: recorder.reshape(
                recorder.matmul(recorder.reshape(w, (20, 1)), recorder.full((1, 1), 2.0)), (20,)
            ),
            lambda w: recorder.flip(w, 0) + 1.0,
        ]
        new.append(kinds[k % 5](w))
    return recorder, [new[1], weights[0], *new[2:]]


def update_in_python() -> tuple[Recorder, list[Recorded]]:
    """Return updates that go through Python functions, which Ctrl-C can cut."""
    recorder, weights, _ = _plain(6)
    return recorder, [recorder.erf(w) - 2.0 for w in weights]


def update_blocks() -> tuple[Recorder, list[Recorded]]:
    """Return updates of one shape, run in blocks on two threads."""
    recorder, weights = inputs(*[(3000,)] * 6)
    return recorder, [w * 0.5 - recorder.square(w) * 0.1 - 1.0 for w in weights]


@pytest.mark.parametrize("update", [update_calls, update_copies, update_in_python, update_blocks])
def test_an_interrupt_leaves_all_inputs_renewed_or_none(update: Callable[[], Any]) -> None:
    recorder, new = update()
    arrays = [data(v.shape, v.dtype, k, special=0) for k, v in enumerate(recorder.program.inputs)]
    with engine(2, 4096 if update is update_blocks else None):
        # Compiled, small updates would be one group, too.
        plan = made(recorder, new, arrays, stores=[(k, k) for k in range(len(new))], options=Options(jit="off"))
        assert any(s.blocked for s in plan.layout.steps) == (update is update_blocks)
        native = module._plain([c for calls in plan.calls for c in calls])
        assert native == (update in (update_calls, update_copies))
        seen = interrupted(arrays, plan.run_first, 400)
    assert seen["part"] == 0, seen
    assert seen["cut"] > 0, seen


def test_without_this_care_an_interrupt_leaves_half_an_update() -> None:
    recorder, new = update_calls()
    arrays = [data(v.shape, v.dtype, k, special=0) for k, v in enumerate(recorder.program.inputs)]
    plan = made(recorder, new, arrays, stores=[(k, k) for k in range(len(new))], options=Options(jit="off"))

    def carelessly() -> None:
        for calls in plan.calls:
            for call in calls:
                call()

    assert interrupted(arrays, carelessly, 400)["part"] > 0


def test_a_run_after_an_interrupted_one_is_right() -> None:
    # Workers of the interrupted run must not go on writing while the next one computes.
    recorder, (x,) = inputs((4000,))
    y = x
    for _ in range(6):
        y = recorder.tanh(y) + x
    a, b = data((4000,), "float32", 1, special=0), data((4000,), "float32", 2, special=0)
    with engine(2, 1024), Alarm() as alarm:
        array = a.copy()
        plan = made(recorder, [y], [array])
        assert any(s.blocked for s in plan.layout.steps)
        plan.run()
        expected = plan.outputs[0].copy()
        span = duration(plan.run)
        rng = np.random.default_rng(0)
        for _ in range(300):
            array[...] = b
            alarm.during(plan.run, max(1e-6, rng.uniform(0, 1.5) * span))
            array[...] = a
            plan.run()
            assert same_bits(plan.outputs[0], expected)


def test_an_operand_of_one_element_has_no_axes() -> None:
    recorder, (x, one, row) = inputs((10, 1), (1,), (1, 1, 3))
    results = [x + one, one * x, row - one, recorder.power(x, one), one / recorder.reshape(one, (1, 1))]
    arrays = [data(v.shape, v.dtype, k) for k, v in enumerate(recorder.program.inputs)]
    plan = made(recorder, results, arrays)
    plan.run()
    for result, expected in zip(plan.outputs, eager.run(recorder.program, arrays), strict=True):
        assert same_bits(result, expected)
    operands = {
        step.equations[0].primitive.name: c.args[:2] for step, (c,) in zip(plan.layout.steps, plan.calls, strict=True)
    }
    flat = {name: [x.ndim for x in pair] for name, pair in operands.items()}
    assert flat == {"add": [2, 0], "multiply": [0, 2], "subtract": [3, 0], "power": [2, 1], "divide": [1, 2]}


def test_numpys_dispatchers_are_not_taken_for_native_code() -> None:
    x = np.zeros(3)
    calls = [(np.add, x, x, x), (x.fill, 0), (np.add.reduce, x), (kernels.copyto, x, x)]
    calls.append(kernels.KeywordOut(np.maximum).bound(x, x, x))
    assert module._plain([module._prepared(c) for c in calls])
    for function in (np.copyto, np.take, np.argmax, kernels.KeywordOut(np.maximum), lambda: None, np.vectorize(abs)):
        assert not module._plain([module._prepared(c) for c in ((np.add, x, x, x), (function, x, x))])


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [MemoryError("no memory"), ValueError("bad"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["before", "between"])
def test_an_error_leaves_inputs_untouched_and_the_plan_usable(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, where: str
) -> None:
    failing = False

    def sorting(out: Array, x: Array) -> None:
        if failing:
            raise error
        np.copyto(out, np.sort(x))

    monkeypatch.setitem(kernels.KERNELS, "sort", lambda operands, out, workspace, axis: [(sorting, out, *operands)])
    recorder, (w, n) = inputs((4,), (4,))
    apply = recorder.apply(PRIMITIVES["sort"], (w * 2.0 if where == "between" else w,), {"axis": 0})
    outcome = [w * 2.0, n - apply, recorder.sum(apply)]
    a, b = np.array([3, 1, 2, 0], F32), np.ones(4, F32)
    plan = made(recorder, outcome, [a, b], stores=[(0, 0), (1, 1)])
    failing = True
    for _ in range(3):
        with pytest.raises(type(error)):
            plan.run_first()
        assert a.tolist() == [3, 1, 2, 0]
        assert b.tolist() == [1, 1, 1, 1]
    failing = False
    plan.run_first()
    assert a.tolist() == [6, 2, 4, 0]
    assert b.tolist() == ([1, -1, -3, -5] if where == "between" else [1, 0, -1, -2])


@pytest.mark.parametrize("settings_of_user", [{"all": "raise"}, {"all": "warn"}, {"all": "print"}])
@pytest.mark.parametrize("block_bytes", [None, 64])
@pytest.mark.filterwarnings("error")
def test_numpy_warns_of_nothing_whatever_the_user_has_set(
    settings_of_user: dict[str, Any], block_bytes: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, (x, w, v) = inputs((40,), (40,), (40,))
    rate = recorder.hyper(("sgd", "lr"))
    bad = recorder.divide(recorder.log(-recorder.abs(x)), x * 0.0) + recorder.exp(x * 1e30)
    image = recorder.reshape(x, (1, 1, 5, 8))
    kernel = recorder.full((1, 1, 2, 2), 1e38)
    windows = recorder.conv(image * 1e38, kernel, (1, 1), (1, 1), (0, 0))
    outcome = [
        w - bad * recorder.astype(rate, "float32"),
        recorder.erf(v * 1e30) * (v * 1e38),
        recorder.sum(bad),
        windows,
        recorder.matmul(recorder.reshape(x * 1e38, (4, 10)), recorder.reshape(x * 1e38, (10, 4))),
        recorder.astype(x * 1e30, "float16"),
        recorder.astype(recorder.full((3,), np.nan), "int32"),
        recorder.erf(bad),
        recorder.sigmoid(x * -1e30),
        recorder.power(x * 0.0, -1.0),
    ]
    with engine(2, block_bytes), np.errstate(**settings_of_user):
        arrays = [data((40,), "float32", 1), np.ones(40, F32), np.full(40, 99, F32)]
        plan = made(recorder, outcome, arrays, stores=[(0, 1), (1, 2)], hypers=[1e300])
        plan.run()
        plan.set_hypers([math.inf])
        plan.run()
        plan.run_second()
        assert np.geterr() == dict.fromkeys(("divide", "over", "under", "invalid"), settings_of_user["all"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("block_bytes", [None, 1024])
def test_a_run_allocates_next_to_nothing(block_bytes: int | None) -> None:
    recorder, (x, w) = inputs((100, 100), (100, 100))
    y = recorder.matmul(recorder.tanh(x * w + 1.0), recorder.permute_dims(w, (1, 0)))
    new = w - recorder.where(y > 0, y, y * 0.1) * 0.01
    total = recorder.sum(recorder.concat([recorder.exp(y), recorder.square(y)]), 0)
    with engine(1, block_bytes):
        plan = made(recorder, [new, total], [data((100, 100), "float32", k, 0) for k in range(2)], stores=[(0, 1)])
        plan.run()
        tracemalloc.start()
        try:
            plan.run()
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            plan.run()
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak - before < 39_000, "less than one array: a buffer of NumPy, before 2.1, and views"
    assert after - before < 500
