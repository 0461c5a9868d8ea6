"""Tests of the tests: operators with one deliberate fault each, which the generic suites must catch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph.errors import OperatorDefinitionError, SymgraphError
from symgraph.op import Op, Sample, Shape, Tensor, arg, find, param
from symgraph.op.schema import define
from symgraph.testing import (
    Use,
    check_documentation,
    check_eager,
    check_operator,
    check_partial_shapes,
    check_sample_gradient,
    check_sample_second_gradient,
    check_shapes,
)
from tests.ops import test_values


def faulty(cls: type[Op]) -> type[Op]:
    """Complete a definition without registering it, so that no other test sees it."""
    return define(cls, cls.__name__, ())


def use(cls: type[Op], number: int = 0) -> Use:
    return Use(cls, number, cls.samples[number])


class Square(Op):
    """Square, element by element: right in every respect."""

    data: Tensor = arg("Input, of any shape.")
    power: int = param("Not used.", default=2)

    samples = (Sample([(2, 3)]), Sample([(3, 0)]))

    def shapes(self, data: Any = None, output: Any = None) -> Any:
        known = data if data is not None else output
        return {} if known is None else {"data": known, "output": known}

    def compute(self, xp: Any, data: Any) -> Any:
        return data * data


Square = faulty(Square)  # type: ignore[misc]


def test_a_right_operator_passes() -> None:
    check_operator(Square)


# -- gradients --------------------------------------------------------------------------------------------------------


@faulty
class WrongSlope(Square):
    """Square whose gradient has the wrong factor."""

    data: Tensor = arg("Input, of any shape.")

    def backward(self, xp: Any, dy: Any, data: Any) -> Any:
        return dy * data * 2.001

    def compute(self, xp: Any, data: Any) -> Any:
        return data * data


@faulty
class ForgottenOperand(Op):
    """Product whose gradient forgets one operand."""

    lhs: Tensor = arg("Left operand, of any shape.")
    rhs: Tensor = arg("Right operand, of the shape of `lhs`.")

    samples = (Sample([(2, 3), (2, 3)]),)

    def compute(self, xp: Any, lhs: Any, rhs: Any) -> Any:
        return lhs * rhs

    def backward(self, xp: Any, dy: Any, lhs: Any, rhs: Any) -> Any:
        return dy * rhs, None


@faulty
class UnreducedGradient(Op):
    """Sum that broadcasts, and whose gradient does not sum over what was repeated."""

    lhs: Tensor = arg("Left operand, (rows, columns).")
    rhs: Tensor = arg("Right operand, (1, columns).")

    samples = (Sample([(2, 3), (1, 3)]),)

    def compute(self, xp: Any, lhs: Any, rhs: Any) -> Any:
        return lhs + rhs

    def backward(self, xp: Any, dy: Any, lhs: Any, rhs: Any) -> Any:
        return dy, dy


@faulty
class WrongSecondSlope(Op):
    """Cube whose gradient is right, but is taken for a constant."""

    data: Tensor = arg("Input, of any shape.")

    samples = (Sample([(2, 3)]),)

    def compute(self, xp: Any, data: Any) -> Any:
        return data * data * data

    def backward(self, xp: Any, dy: Any, data: Any) -> Any:
        return dy * xp.stop_gradient(data * data * 3)


@faulty
class LossyGradient(Op):
    """Square whose gradient is computed in half precision."""

    data: Tensor = arg("Input, of any shape.")

    samples = (Sample([(2, 3)]),)

    def compute(self, xp: Any, data: Any) -> Any:
        return data * data

    def backward(self, xp: Any, dy: Any, data: Any) -> Any:
        return xp.astype(xp.astype(dy * data * 2, "float16"), data.dtype)


# -- shapes and dtypes ------------------------------------------------------------------------------------------------


@faulty
class WrongShape(Op):
    """Transpose whose rule forgets to exchange the lengths."""

    data: Tensor = arg("Input, (rows, columns).")

    samples = (Sample([(2, 3)]),)

    def shapes(self, data: Any = None) -> Any:
        return {} if data is None else {"output": data}

    def compute(self, xp: Any, data: Any) -> Any:
        return xp.permute_dims(data, (1, 0))


@faulty
class WrongWayBack(Op):
    """Sum of rows whose rule concludes a length of the input that it cannot know."""

    data: Tensor = arg("Input, (rows, columns).")

    samples = (Sample([(2, 3)]),)

    def shapes(self, data: Any = None, output: Any = None) -> Any:
        if data is None:
            return {} if output is None else {"data": (1, *output)}
        return {"output": data[1:]}

    def compute(self, xp: Any, data: Any) -> Any:
        return xp.sum(data, 0)


@faulty
class GuessesUnknown(Op):
    """Doubled columns whose rule takes an unknown length for 1."""

    data: Tensor = arg("Input, (rows, columns).")

    samples = (Sample([(2, 3)]),)

    def shapes(self, data: Any = None) -> Any:
        return {} if data is None else {"output": (data[0], 2 * (data[1] or 1))}

    def compute(self, xp: Any, data: Any) -> Any:
        return xp.concat([data, data], 1)


@faulty
class WrongDType(Op):
    """Comparison whose rule says that the result has the operand's element type."""

    data: Tensor = arg("Input, of any shape.")

    samples = (Sample([(2, 3)]),)
    differentiable = False

    def shapes(self, data: Any = None) -> Any:
        return {} if data is None else {"output": data}

    def dtypes(self, data: Any = None) -> Any:
        return {} if data is None else {"output": data}

    def compute(self, xp: Any, data: Any) -> Any:
        return data > 0


@faulty
class WrongState(Op):
    """Running sum whose new state has another shape than the old one."""

    data: Tensor = arg("What is added, (rows, columns).")
    total: Tensor = arg("The sum, of the shape of `data`.", mutates=True)

    samples = (Sample([(2, 3), (2, 3)]),)
    differentiable = False

    def compute(self, xp: Any, data: Any, total: Any) -> Any:
        return data, xp.sum(total + data, 0)


@faulty
class ForgottenState(Op):
    """Running sum that does not return the new state."""

    data: Tensor = arg("What is added, of any shape.")
    total: Tensor = arg("The sum, of the shape of `data`.", mutates=True)

    samples = (Sample([(2, 3), (2, 3)]),)
    differentiable = False

    def compute(self, xp: Any, data: Any, total: Any) -> Any:
        return data


# -- running, documentation -------------------------------------------------------------------------------------------


@faulty
class OtherWhenTraced(Op):
    """Square that computes something else on arrays than when it is traced."""

    data: Tensor = arg("Input, of any shape.")

    samples = (Sample([(2, 3)]),)

    def compute(self, xp: Any, data: Any) -> Any:
        return data * data if isinstance(data, np.ndarray) else xp.exp(xp.log(xp.abs(data)) * 2)


@faulty
class NoSentence(Op):
    """No sentence at the beginning"""

    data: Tensor = arg("Input, of any shape.")

    samples = (Sample([(2, 3)]),)

    def compute(self, xp: Any, data: Any) -> Any:
        return data


@faulty
class NoShapeTold(Op):
    """The input itself."""

    data: Tensor = arg("Input.")

    samples = (Sample([(2, 3)]),)

    def compute(self, xp: Any, data: Any) -> Any:
        return data


@faulty
class NoSamples(Op):
    """The input itself."""

    data: Tensor = arg("Input, of any shape.")

    def compute(self, xp: Any, data: Any) -> Any:
        return data


@faulty
class WrongSample(Op):
    """Reshape whose sample has too many shapes."""

    data: Tensor = arg("Input, of any shape.")
    shape: Shape = param("Shape of the result.")

    samples = (Sample([(2, 3), (3, 2)], {"shape": (6,)}),)

    def compute(self, xp: Any, data: Any) -> Any:
        return xp.reshape(data, self.shape)


FAULTS: list[tuple[Callable[..., None], type[Op], str]] = [
    (check_sample_gradient, WrongSlope, "the gradient says"),
    (check_sample_gradient, ForgottenOperand, "the gradient says"),
    (check_sample_gradient, UnreducedGradient, "the gradient by 'rhs' is"),
    (check_sample_gradient, LossyGradient, "the gradient says"),
    (check_sample_second_gradient, WrongSecondSlope, "the gradient of the gradient says"),
    (check_partial_shapes, WrongWayBack, "shapes concludes"),
    (check_partial_shapes, GuessesUnknown, "shapes concludes"),
    (check_shapes, WrongShape, "'output' is"),
    (check_shapes, WrongDType, "'output' is"),
    (check_eager, OtherWhenTraced, "'output' differs between"),
    (check_shapes, WrongSample, "the sample has 2 shapes"),
]


@pytest.mark.parametrize(("check", "cls", "words"), FAULTS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_fault_is_seen(check: Callable[..., None], cls: type[Op], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(use(cls))


@pytest.mark.parametrize("cls", [cls for _, cls, _ in FAULTS], ids=lambda v: v.__name__)
def test_all_checks_together_see_it(cls: type[Op]) -> None:
    with pytest.raises((AssertionError, SymgraphError)):
        check_operator(cls)


def test_a_right_first_derivative_is_not_blamed_for_the_second() -> None:
    check_sample_gradient(use(WrongSecondSlope))


@pytest.mark.parametrize("cls", [WrongState, ForgottenState], ids=lambda v: v.__name__)
def test_a_wrong_state_is_seen(cls: type[Op]) -> None:
    with pytest.raises(OperatorDefinitionError, match=r"compute (renews|returned)"):
        check_shapes(use(cls))


@pytest.mark.parametrize(
    ("cls", "words"),
    [(NoSentence, "begin with a sentence"), (NoShapeTold, "does not say its shape"), (NoSamples, "no samples")],
)
def test_missing_documentation_is_seen(cls: type[Op], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_documentation(cls)


# -- against MXNet's numbers ------------------------------------------------------------------------------------------


def altered(name: str, change: Callable[[tuple[Any, ...]], Any]) -> type[Op]:
    """Return a registered operator's class with its results changed."""
    original: Any = find(name)

    def compute(self: Any, xp: Any, *tensors: Any, **asked: Any) -> Any:
        result = original.compute(self, xp, *tensors, **asked)
        return change(result if isinstance(result, tuple) else (result,))

    return type(f"Altered{name}", (original,), {"compute": compute})


WRONG_RESULTS: list[tuple[str, str, Callable[[tuple[Any, ...]], Any]]] = [
    ("exp", "exp", lambda y: y[0] * 1.00001),
    ("sum", "sum-axis-1", lambda y: y[0] + 1e-5),
    ("argmax", "argmax-axis-1", lambda y: y[0] + 1),
    ("BatchNorm", "BatchNorm-float64", lambda y: (*y[:-1], y[-1] * 1.001)),
    ("BatchNorm", "BatchNorm-float64", lambda y: (*y[:-2], y[-2] + 0.001, y[-1])),
]


@pytest.mark.parametrize(("op", "case", "change"), WRONG_RESULTS)
def test_wrong_numbers_are_seen(
    monkeypatch: pytest.MonkeyPatch, op: str, case: str, change: Callable[[tuple[Any, ...]], Any]
) -> None:
    """A wrong output, or a wrong renewed state, differs from the golden one."""
    assert test_values.compare_values(case) == []
    cls = altered(op, change)
    monkeypatch.setattr(test_values, "operator", lambda name: cls.from_attrs(test_values.CASES[name]["attrs"]))
    assert test_values.compare_values(case) != []


def test_a_wrong_gradient_is_seen_in_the_goldens(monkeypatch: pytest.MonkeyPatch) -> None:
    original: Any = find("relu")

    def backward(self: Any, xp: Any, dy: Any, data: Any) -> Any:
        return dy * xp.astype(data >= 0, dy.dtype)  # MXNet's slope at 0 is 0

    cls = type("SteepRelu", (original,), {"backward": backward})
    monkeypatch.setattr(test_values, "operator", lambda name: cls.from_attrs({}))
    assert any("gradient by data" in text for text in test_values.compare_gradients("relu-special"))
