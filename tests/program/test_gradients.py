"""Every row of the gradient table against central differences in float64, in random directions, to second order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from symgraph.backends.numpy import eager
from symgraph.errors import GradientError
from symgraph.program import PRIMITIVES, Recorder, Spec
from symgraph.program.gradients import RULES, reduce_to
from tests.program.generate import same_bits
from tests.program.test_primitives import CASES, MAPS, OTHERS, POOL, operand_count

Array = np.ndarray[Any, Any]

#: Where functions are smooth, or defined at all: (low, high) of the operands.
DOMAINS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("log", "log1p", "log2", "log10", "sqrt", "power", "lgamma", "digamma"), (0.6, 3.0)),
    **dict.fromkeys(("asin", "acos", "atanh", "erfinv"), (-0.8, 0.8)),
    **dict.fromkeys(("cbrt", "reciprocal", "divide", "remainder", "floor_divide"), (0.7, 2.9)),
    "acosh": (1.5, 3.0),
    "tan": (-1.2, 1.2),
}
#: Its gradient is another than its derivative, on purpose.
WITHOUT = {"stop_gradient", "astype"}


def numbers(shape: Sequence[int], low: float, high: float, seed: int) -> Array:
    return np.asarray(np.random.default_rng(seed).uniform(low, high, shape))


class Applied:
    """A primitive as a function of its float operands, the others being fixed."""

    def __init__(self, name: str, arrays: Sequence[Array], params: dict[str, Any]) -> None:
        self.primitive, self.arrays, self.params = PRIMITIVES[name], list(arrays), params
        # What max_pool's companions read is fixed together: they rely on y being the maximum of x.
        fixed = (0, 1) if name.startswith("max_pool_") else ()
        self.free = [k for k, x in enumerate(arrays) if x.dtype.kind == "f" and k not in fixed]

    @property
    def values(self) -> list[Array]:
        return [self.arrays[k] for k in self.free]

    def __call__(self, xp: Any, *values: Any) -> tuple[Any, ...]:
        operands = [None if k in self.free else xp.constant(x) for k, x in enumerate(self.arrays)]
        for k, x in zip(self.free, values, strict=True):
            operands[k] = x
        return (xp.apply(self.primitive, operands, dict(self.params)),)


def first_order(function: Any) -> Any:
    """Return the gradient of a function with one output, as a function of its operands and the head gradient."""

    def gradient(xp: Any, *arguments: Any) -> tuple[Any, ...]:
        return tuple(xp.vjp(function, arguments[:-1], [arguments[-1]]))

    return gradient


def check(function: Any, values: Sequence[Array], seed: int, step: float = 1e-5) -> None:
    """Compare ``vjp`` with the central difference in a random direction, weighted by random head gradients."""
    outputs = function(eager.xp, *values)
    heads = [numbers(y.shape, -1, 1, seed + 10 + k) for k, y in enumerate(outputs)]
    grads = eager.xp.vjp(function, values, heads)
    assert [g.shape for g in grads] == [x.shape for x in values]
    directions = [numbers(x.shape, -1, 1, seed + 20 + k) for k, x in enumerate(values)]
    ahead = function(eager.xp, *(x + step * v for x, v in zip(values, directions, strict=True)))
    behind = function(eager.xp, *(x - step * v for x, v in zip(values, directions, strict=True)))
    slope = sum(np.sum(h * (a - b)) for h, a, b in zip(heads, ahead, behind, strict=True)) / (2 * step)
    found = sum(np.sum(g * v) for g, v in zip(grads, directions, strict=True))
    size = sum(np.sum(np.abs(g * v)) for g, v in zip(grads, directions, strict=True))
    # The difference errs by step^2 times the third derivative, and by 1e-16 / step from rounding.
    assert abs(found - slope) <= 2e-7 * (1 + size), (found, slope)


def map_operands(name: str, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    low, high = DOMAINS.get(name, (-2.0, 2.0))
    return [numbers(shape, low, high, seed) for seed, shape in enumerate(shapes)]


SHAPES = [((3, 4),) * 2, ((2, 1, 3), (4, 1)), ((), (2, 2)), ((0, 2), (1, 2))]
SMOOTH = [n for n in MAPS if n not in ("where", "astype") and n not in WITHOUT]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", SMOOTH)
def test_maps(name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    count = operand_count(PRIMITIVES[name])
    function = Applied(name, map_operands(name, shapes[:count]), {})
    if function(eager.xp, *function.values)[0].dtype.kind != "f":
        return  # a comparison: there is nothing to differentiate
    check(function, function.values, 0)


@pytest.mark.parametrize("shapes", SHAPES[:2])
@pytest.mark.parametrize("name", [n for n in SMOOTH if any(r is not None for r in RULES[n])])
def test_gradients_of_maps_have_gradients(name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    count = operand_count(PRIMITIVES[name])
    function = Applied(name, map_operands(name, shapes[:count]), {})
    (y,) = function(eager.xp, *function.values)
    check(first_order(function), [*function.values, numbers(y.shape, -1, 1, 5)], 1)


def test_where() -> None:
    arrays = [numbers((2, 1, 3), -1, 1, 1) > 0, numbers((4, 1), -1, 1, 2), numbers((3,), -1, 1, 3)]
    function = Applied("where", arrays, {})
    check(function, function.values, 2)
    check(first_order(function), [*function.values, numbers((2, 4, 3), -1, 1, 5)], 3)


def cases(name: str) -> list[tuple[list[Array], dict[str, Any]]]:
    """Return the operands of `CASES` in float64, indices aside."""
    made = []
    for operands, params in CASES[name]:
        if any(dtype == "int32" for _, dtype in operands):
            continue
        arrays = []
        for k, (shape, dtype) in enumerate(operands):
            if dtype.startswith("index"):
                arrays.append(np.random.default_rng(k).integers(0, int(dtype.split()[1]), shape))
            else:
                arrays.append(numbers(shape, -2, 2, 7 * k))
        if name.startswith("max_pool_"):
            arrays[1] = eager.xp.apply(PRIMITIVES["max_pool"], arrays[:1], dict(POOL))
        if name in ("max", "min") and any(arrays[0].shape[a] == 0 for a in params["axes"]):
            continue
        made.append((arrays, params))
    return made


TRIED = [(n, k) for n in OTHERS if n in CASES and n not in (*WITHOUT, "arange") for k in range(len(cases(n)))]


@pytest.mark.parametrize(("name", "number"), TRIED)
def test_others(name: str, number: int) -> None:
    arrays, params = cases(name)[number]
    function = Applied(name, arrays, params)
    if function(eager.xp, *function.values)[0].dtype.kind == "f":
        check(function, function.values, 4, step=1e-6)


@pytest.mark.parametrize(("name", "number"), TRIED)
def test_gradients_of_others_have_gradients(name: str, number: int) -> None:
    arrays, params = cases(name)[number]
    function = Applied(name, arrays, params)
    (y,) = function(eager.xp, *function.values)
    if y.dtype.kind != "f":
        return
    check(first_order(function), [*function.values, numbers(y.shape, -1, 1, 5)], 6, step=1e-6)


def test_every_row_that_has_a_rule_is_tried() -> None:
    ruled = {n for n, row in RULES.items() if n == "concat" or any(r is not None for r in row)}
    tried = {n for n, _ in TRIED} | set(SMOOTH) | {"where"}
    assert ruled - tried == {"astype"}


# -- what central differences do not tell -----------------------------------------------------------------------------


def gradient_of(function: Callable[..., Any], *values: Any) -> list[Array]:
    """Return the gradient of the sum of a function's result."""
    arrays = [np.asarray(x, np.float64) for x in values]
    y = function(eager.xp, *arrays)
    return eager.xp.vjp(lambda xp, *xs: (function(xp, *xs),), arrays, [np.ones_like(y)])


def test_a_conversion_passes_the_gradient_back_in_the_operands_dtype() -> None:
    x = np.ones((2, 3), np.float32)
    (dx,) = eager.xp.vjp(lambda xp, x: (xp.astype(x, "float16"),), [x], [np.full((2, 3), 3, np.float16)])
    assert same_bits(dx, np.full((2, 3), 3, np.float32))


def test_a_conversion_to_whole_numbers_stops_the_gradient() -> None:
    x = np.ones(3, np.float32)
    (dx,) = eager.xp.vjp(lambda xp, x: (xp.astype(xp.astype(x, "int32"), "float32"),), [x], [x])
    assert same_bits(dx, np.zeros(3, np.float32))


def test_stop_gradient_stops_it() -> None:
    (dx,) = gradient_of(lambda xp, x: x * xp.stop_gradient(x), [2.0, 3.0])
    assert same_bits(dx, np.array([2.0, 3.0]))


def test_ties_of_a_reduction_all_receive_the_gradient() -> None:
    (dx,) = gradient_of(lambda xp, x: xp.max(x, 0), [2.0, 1.0, 2.0])
    assert same_bits(dx, np.array([1.0, 0.0, 1.0]))


def test_ties_of_two_operands_go_to_the_left() -> None:
    for name in ("maximum", "minimum"):
        left, right = gradient_of(lambda xp, x, y: getattr(xp, name)(x, y), [1.0, 2.0], [1.0, 2.0])  # noqa: B023
        assert same_bits(left, np.ones(2))
        assert same_bits(right, np.zeros(2))


def test_a_product_with_zeros_has_the_gradient_of_the_others() -> None:
    (dx,) = gradient_of(lambda xp, x: xp.prod(x), [2.0, 0.0, 3.0])
    assert same_bits(dx, np.array([0.0, 6.0, 0.0]))
    (dx,) = gradient_of(lambda xp, x: xp.prod(x), [0.0, 0.0, 3.0])
    assert same_bits(dx, np.zeros(3))


def test_the_unchosen_side_of_where_gets_zero_even_if_it_is_not_finite() -> None:
    x = np.array([-1.0, 4.0])
    (dx,) = gradient_of(lambda xp, x: xp.where(x > 0, xp.sqrt(xp.maximum(x, 0)), xp.zeros_like(x)), x)
    assert dx[1] == 0.25
    _, dy = gradient_of(lambda xp, a, b: xp.where(a > 0, a, b), [np.inf, 1.0], [np.nan, 1.0])
    assert same_bits(dy, np.zeros(2))


def test_slices_taken_twice_add_up() -> None:
    (dx,) = gradient_of(lambda xp, x: xp.take(x, xp.constant(np.array([1, 1, 7])), 0), [1.0, 2.0, 3.0])
    assert same_bits(dx, np.array([0.0, 2.0, 1.0]))


def test_one_array_given_twice_has_two_gradients() -> None:
    x = np.array([2.0, 3.0])
    left, right = eager.xp.vjp(lambda xp, a, b: (a * xp.square(b),), [x, x], [np.ones(2)])
    assert same_bits(left, x**2)
    assert same_bits(right, 2 * x * x)


def test_an_input_that_does_not_matter_has_gradient_zero() -> None:
    x, y = np.array([2.0, 3.0]), np.ones((2, 2))
    dx, dy = eager.xp.vjp(lambda xp, a, b: (a * 2.0,), [x, y], [np.ones(2)])
    assert same_bits(dx, np.full(2, 2.0))
    assert same_bits(dy, np.zeros((2, 2)))


def test_a_function_may_return_its_input_or_one_value_twice() -> None:
    x, head = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    assert same_bits(eager.xp.vjp(lambda xp, a: (a,), [x], [head])[0], head)
    assert same_bits(eager.xp.vjp(lambda xp, a: (a, a), [x], [head, head])[0], 2 * head)


def test_gradients_recorded_in_one_program_do_not_disturb_it() -> None:
    recorder = Recorder()
    x = recorder.input(Spec((3,), np.dtype("float64")), "x")
    before = recorder.exp(x)
    (dx,) = recorder.vjp(lambda xp, a: (xp.sin(a) * before,), [x], [before])
    recorder.program.outputs = [before.value, dx.value]
    recorder.program.verify()
    data = np.array([0.1, 0.2, 0.3])
    _, found = eager.run(recorder.program, [data])
    np.testing.assert_allclose(found, np.cos(data) * np.exp(data) ** 2, rtol=1e-14)


def test_reduce_to_sums_what_was_broadcast() -> None:
    dy = numbers((2, 3, 4), -1, 1, 0)
    for shape in [(2, 3, 4), (3, 4), (1, 4), (2, 1, 1), (), (1,), (1, 1, 1)]:
        reduced = reduce_to(eager.xp, dy, shape)
        assert reduced.shape == shape
        np.testing.assert_allclose(np.broadcast_to(reduced, dy.shape).sum() * reduced.size / dy.size, dy.sum())


def test_a_rule_of_the_wrong_shape_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "cumsum", (lambda xp, dy, y, x, axis, reverse: xp.sum(dy, 0),))
    with pytest.raises(GradientError, match=r"rule of cumsum for operand 0 gives float64\[3\].*is float64\[2, 3\]"):
        eager.xp.vjp(lambda xp, x: (xp.cumsum(x, 0),), [np.ones((2, 3))], [np.ones((2, 3))])


def test_a_rule_of_the_wrong_dtype_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "sum", (lambda xp, dy, y, x, axes, keepdims: xp.astype(xp.zeros_like(x), "float64"),))
    with pytest.raises(GradientError, match="rule of sum"):
        eager.xp.vjp(lambda xp, x: (xp.sum(x),), [np.ones(2, np.float32)], [np.ones((), np.float32)])


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("tanh", (lambda xp, dy, y, x: dy * (1 + xp.square(y)),)),
        ("subtract", (lambda xp, dy, y, a, b: dy, lambda xp, dy, y, a, b: dy)),
        ("sum", (lambda xp, dy, y, x, axes, keepdims: xp.zeros_like(x),)),
    ],
)
def test_a_wrong_rule_does_not_pass_these_tests(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: tuple[Any, ...]
) -> None:
    monkeypatch.setitem(RULES, name, wrong)
    arrays, params = cases(name)[0] if name in CASES else (map_operands(name, SHAPES[0][: len(wrong)]), {})
    function = Applied(name, arrays, params)
    with pytest.raises(AssertionError):
        check(function, function.values, 0)
