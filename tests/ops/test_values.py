"""Every operator against MXNet 1.9.1: values, gradients, renewed states, names, shapes, element types, refusals.

The calls and what MXNet did with them are in ``tests/goldens/operators``; see the README there. Where an operator
deliberately does something else, a table below says so, and each entry is checked to be a difference indeed.
"""

from __future__ import annotations

import fnmatch
from typing import Any

import numpy as np
import pytest

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.errors import SymgraphError
from symgraph.op import Op, get
from symgraph.testing.running import forward, gradient, infer
from tests.goldens.store import Goldens

GOLDENS = Goldens("operators")
CASES = {name: case for name, case in GOLDENS.cases.items() if get(case["op"]) is not None}

#: Largest allowed difference, in units of machine epsilon times the magnitude of what is compared; where results
#: cancel, times the magnitude of the inputs, which is one. MXNet and NumPy both promise a function of one number
#: to within a few units in the last place, and composites round at each step; the largest difference found is 4.
#: Sums of the 24 terms here may differ by the order of addition: found, 7.
UNITS = 8.0

#: The same for gradients that are differences of terms larger than themselves: head gradients less their means.
UNITS_OF = {"BatchNorm": 32.0, "BatchNorm_v1": 32.0, "LayerNorm": 32.0, "GroupNorm": 32.0, "InstanceNorm": 32.0}

#: What is not compared, by case and array (``out`` or ``grad``), and why. `*` stands for anything.
DIFFERENT: dict[tuple[str, str], str] = {
    ("degrees-float64", "*"): "MXNet's constant pi/180 is rounded to float32",
    ("radians-float64", "*"): "MXNet's constant pi/180 is rounded to float32",
    ("erf-float64", "grad"): "MXNet's constant 2/sqrt(pi) is rounded to float32",
    ("erfinv-float64", "grad"): "MXNet's constant sqrt(pi)/2 is rounded to float32",
    ("gamma-float64", "grad"): "MXNet's digamma is computed in float32",
    ("gammaln-float64", "grad"): "MXNet's digamma is computed in float32",
    ("nansum-inf", "out"): "MXNet's compensated summation makes NaN of infinity",
    ("nansum-nan", "out"): "MXNet's compensated summation makes NaN of infinity",
    ("nansum-nan-all", "out"): "MXNet's compensated summation makes NaN of infinity",
    ("norm-inf", "*"): "MXNet scales, so that squares do not overflow; here 1e30 squared is infinite in float32",
    ("gather_nd-negative", "grad"): "MXNet writes the gradient of negative indices outside of the array",
    ("_rdiv_scalar-inf", "grad"): "infinity / 1e60, the square being infinite in MXNet; here infinity / 1e30 / 1e30",
    ("LeakyReLU-leaky-float64", "out"): "MXNet rounds the product with the slope to float32",
    ("LeakyReLU-gelu-float64", "*"): "MXNet's constants are rounded to float32",
    ("LeakyReLU-selu-float64", "out"): "MXNet's constants are rounded to float32",
    ("LeakyReLU-selu*", "grad"): "MXNet takes the exponential of the output, where that of the data is due",
    ("LeakyReLU-negative-slope", "grad"): "MXNet looks at the sign of the output, which a negative slope turns around",
    ("SoftmaxActivation-4d", "*"): "MXNet's CPU kernel takes the last axis, its documentation says the whole instance",
    ("SoftmaxActivation-instance", "*"): "MXNet's CPU kernel takes the last axis, its documentation says the instance",
    ("*RegressionOutput-float64", "grad"): "MXNet's factor, one over the number of labels, is rounded to float32",
}

#: What MXNet refuses while shapes and types are inferred, and is accepted here.
ACCEPTED = {
    "broadcast_axis-negative": "negative axes count from the last, as everywhere",
    "_random_uniform-None": "dtype None is the default",
    "_random_normal-None": "dtype None is the default",
    "InstanceNorm-float64": "float64 as everywhere",
    **dict.fromkeys(
        """Pooling-avg-same-1d-no-pad Pooling-max-same-1d-no-pad Pooling-avg-same-22 Pooling-lp-same-22
        Pooling-max-same-22 Pooling-sum-same-22 Pooling-avg-same-32 Pooling-lp-same-32 Pooling-max-same-32
        Pooling-sum-same-32 Pooling-avg-same-23-stride1 Pooling-lp-same-23-stride1 Pooling-max-same-23-stride1
        Pooling-sum-same-23-stride1""".split(),
        "pooling_convention='same', for which MXNet looks at the wrong axes and never lets anything through",
    ),
}

#: What MXNet does without complaint, and is refused here.
REFUSED = {
    "stack-mismatch": "shapes that differ: MXNet reads one array as if it had the other's shape",
    "where-broadcast": "a condition of another shape: MXNet reads beyond its end",
    "LeakyReLU-prelu-bad-gamma": "a slope for two of three channels: MXNet reads beyond its end",
}


def parameters(names: Any) -> Any:
    return pytest.mark.parametrize("name", list(names))


def renamed(name: str) -> dict[str, str]:
    """Return the operator's names of a case's inputs; a list of inputs is numbered in the case."""
    given, names = CASES[name]["inputs"], operator(name).input_names()
    if sorted(given) == sorted(names) or not all(n.startswith("arg") for n in given):
        return {n: n for n in given}
    return dict(zip(given, names, strict=True))


def role_arrays(name: str, role: str) -> dict[str, np.ndarray]:
    """Return the arrays of one role (``in``, ``grad``) by the operator's names."""
    names = renamed(name)
    found = {r.removeprefix(f"{role}."): x for r, x in GOLDENS.arrays(name).items() if r.startswith(f"{role}.")}
    return {names.get(n, n): x for n, x in found.items()}


def inputs_of(name: str) -> dict[str, np.ndarray]:
    return role_arrays(name, "in")


def operator(name: str) -> Op:
    case = CASES[name]
    cls = get(case["op"])
    assert cls is not None
    return cls.from_attrs(case["attrs"])


def epsilon(*arrays: np.ndarray) -> float:
    """Return the machine epsilon of the coarsest type among arrays: MXNet computes in it, and converts at the end."""
    return max(float(np.finfo(x.dtype).eps) for x in arrays if x.dtype.kind == "f")


def away(found: np.ndarray, wanted: np.ndarray, eps: float) -> np.ndarray:
    """Return the difference of each element in the units of `UNITS`; infinite where only one is NaN."""
    with np.errstate(all="ignore"):
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        finite = np.abs(wanted[np.isfinite(wanted)], dtype=np.float64)
        least = min(1.0, float(np.max(finite, initial=0.0)))
        size = np.maximum(np.abs(wanted.astype(np.float64)), least)
        units = np.abs(found.astype(np.float64) - wanted.astype(np.float64)) / (eps * size)
    return np.where(same, 0.0, np.where(np.isnan(units), np.inf, units))


def difference(
    found: np.ndarray,
    wanted: np.ndarray,
    *sources: np.ndarray,
    allowed: float = UNITS,
    skip: np.ndarray | None = None,
) -> str | None:
    """Say how an array differs from the golden one beyond what is allowed; None if it does not."""
    if (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
        return f"is {found.dtype}{found.shape}, in MXNet {wanted.dtype}{wanted.shape}"
    if wanted.dtype.kind == "f":
        units = away(found, wanted, epsilon(wanted, *sources))
    else:
        units = np.where(found == wanted, 0.0, np.inf)
    if skip is not None:
        units = np.where(skip, 0.0, units)
    wrong = units > allowed
    if not wrong.any():
        return None
    return f"is {found[wrong][:4]}, in MXNet {wanted[wrong][:4]}: {units.max():.3g} units"


def reason(name: str, kind: str) -> str | None:
    """Return why an array of a case is not compared."""
    fitting = (why for (case, of), why in DIFFERENT.items() if fnmatch.fnmatch(name, case) and of in ("*", kind))
    return next(fitting, None)


def compare_values(name: str) -> list[str]:
    """Return how outputs and renewed states of a case differ."""
    case, arrays, op = CASES[name], GOLDENS.arrays(name), operator(name)
    inputs = inputs_of(name)
    results = forward(op, inputs, case["train"])
    found = []
    for k, output in enumerate(op.output_names()):
        if f"out.{k}" in arrays:
            found.append((output, difference(results.outputs[output], arrays[f"out.{k}"], *inputs.values())))
    for state, new in results.renewed.items():
        # MXNet renews BatchNorm's averages in the backward pass, everything else in the forward pass.
        wanted = arrays.get(f"after_backward.{state}", arrays.get(f"after_forward.{state}", inputs[state]))
        found.append((state, difference(new, wanted, *inputs.values())))
    return [f"{what} {text}" for what, text in found if text]


def compare_gradients(name: str) -> list[str]:
    """Return how the gradients of a case differ."""
    case, arrays, op = CASES[name], GOLDENS.arrays(name), operator(name)
    wanted = role_arrays(name, "grad")
    if not wanted:
        return []
    inputs = inputs_of(name)
    heads = [arrays[f"head.{k}"] for k in range(op.num_visible())]
    grads = gradient(op, inputs, heads, case["train"])
    found = []
    for what, reference in wanted.items():
        nothing = np.isnan(inputs[what])  # a derivative at NaN means nothing
        if case["op"] in ("prod", "nanprod"):
            # MXNet divides the product by the factor, which gives NaN for factors of zero; here it is right.
            nothing |= np.isnan(reference)
        allowed = UNITS_OF.get(case["op"], UNITS)
        text = difference(grads[what], reference, *inputs.values(), *heads, allowed=allowed, skip=nothing)
        if text:
            found.append(f"gradient by {what} {text}")
    return found


COMPUTED = [name for name, case in CASES.items() if "refused" not in case and name not in REFUSED]


@parameters(COMPUTED)
def test_facts(name: str) -> None:
    """Names, shapes and element types, inferred, are those that MXNet computed."""
    case, op, inputs = CASES[name], operator(name), inputs_of(name)
    assert sorted(op.input_names()) == sorted(renamed(name).values())
    assert list(op.mutated()) == case["aux"]
    assert [f"op_{output}" for output in op.output_names()] == case["outputs"]
    assert op.num_visible() == case["visible"]
    found = infer(op, {n: x.shape for n, x in inputs.items()}, {n: x.dtype for n, x in inputs.items()})
    outputs = op.output_names()
    if "shapes" in case:
        assert [list(found.shapes[n] or ()) for n in outputs] == case["shapes"]
        assert [str(found.dtypes[n]) for n in outputs] == case["dtypes"]


@parameters(name for name in COMPUTED if any(r.startswith("out.") for r in CASES[name]["arrays"]))
def test_values(name: str) -> None:
    """Outputs and renewed states are those of MXNet."""
    if not reason(name, "out"):
        assert compare_values(name) == []


@parameters(name for name in COMPUTED if any(r.startswith("grad.") for r in CASES[name]["arrays"]))
def test_gradients(name: str) -> None:
    """Gradients are those of MXNet."""
    if not reason(name, "grad"):
        assert compare_gradients(name) == []


def test_each_difference_is_one() -> None:
    """The table of differences names nothing that agrees."""
    for (pattern, kind), why in DIFFERENT.items():
        names = [n for n in COMPUTED if fnmatch.fnmatch(n, pattern)]
        found = [text for n in names if kind in ("*", "out") for text in compare_values(n)]
        found += [text for n in names if kind in ("*", "grad") for text in compare_gradients(n)]
        assert found, f"{pattern}: {why}, but there is no difference"


@parameters(name for name, case in CASES.items() if case.get("refused") in ("compose", "infer_shape", "infer_type"))
def test_refusals(name: str) -> None:
    """What MXNet refuses at inference is refused."""

    def attempt() -> None:
        op, inputs = operator(name), inputs_of(name)
        infer(op, {n: x.shape for n, x in inputs.items()}, {n: x.dtype for n, x in inputs.items()})

    if name in ACCEPTED:
        attempt()
        return
    with pytest.raises(SymgraphError):
        attempt()


@parameters(REFUSED)
def test_own_refusals(name: str) -> None:
    """What is refused here, and not in MXNet, for a reason."""
    inputs = inputs_of(name)
    with pytest.raises(SymgraphError):
        infer(operator(name), {n: x.shape for n, x in inputs.items()}, {n: x.dtype for n, x in inputs.items()})


def known(shape: list[int] | None) -> tuple[int | None, ...] | None:
    """Return a shape as MXNet prints it with None for what is unknown."""
    return tuple(n or None for n in shape) if shape else None


def concludes(found: Any, least: Any) -> bool:
    """Tell whether a shape says at least as much as another, and nothing else."""
    if least is None:
        return True
    return (
        found is not None
        and len(found) == len(least)
        and all(m == n for m, n in zip(found, least, strict=True) if n is not None)
    )


@parameters(name for name in COMPUTED if "shapes_from" in CASES[name])
def test_partial_shapes(name: str) -> None:
    """From the shape of one input follows at least what follows in MXNet."""
    op, inputs = operator(name), inputs_of(name)
    names = renamed(name)
    for given, conclusions in CASES[name]["shapes_from"].items():
        if conclusions == "refused":
            continue
        found = infer(op, {names[given]: inputs[names[given]].shape}, partial=True).shapes
        for what, shape in conclusions["inputs"].items():
            own = found[names[what]]
            assert concludes(own, known(shape)), f"{what} from {given}: {own}, in MXNet {shape}"
        if any(known(shape) is None or None in (known(shape) or ()) for shape in conclusions["inputs"].values()):
            continue  # MXNet takes unknown lengths for 0 here, and adds them up
        for what, shape in zip(op.output_names(), conclusions["outputs"], strict=False):
            assert concludes(found[what], known(shape)), f"{what} from {given}: {found[what]}, in MXNet {shape}"


@parameters(name for name in COMPUTED if isinstance(CASES[name].get("types_from_first"), dict))
def test_partial_types(name: str) -> None:
    """From the element type of the first input follows what follows in MXNet."""
    op, inputs, conclusions = operator(name), inputs_of(name), CASES[name]["types_from_first"]
    names = renamed(name)
    first = names[CASES[name]["inputs"][0]]
    found = infer(op, None, {first: inputs[first].dtype}, partial=True).dtypes
    for what, dtype in conclusions["inputs"].items():
        assert dtype is None or str(found[names[what]]) == dtype, what
    for what, dtype in zip(op.output_names(), conclusions["outputs"], strict=False):
        assert dtype is None or str(found[what]) == dtype, what
