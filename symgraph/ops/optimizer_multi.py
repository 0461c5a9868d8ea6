"""Optimizer updates of several weights in one operator, and what optimizers ask about tensors.

The inputs are the tensors of the first weight, of the second, and so on: ``weight_0, grad_0, weight_1, grad_1``. There
is one output for each weight; states are renewed as in `symgraph.ops.optimizer_update`, which also says what the
formulas mean. To save calls is the engine's matter, whatever the graph; these operators are for graphs that have them.

What does not belong here: updates of one weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from symgraph.errors import ArgumentError, UnsupportedError
from symgraph.op import Floats, Op, PartialShape, Sample, Shape, Tensor, Tensors, arg, args, op, param
from symgraph.op.partial import same_shape
from symgraph.ops.optimizer_update import (
    BETA1,
    BETA2,
    BIAS_CORRECTION,
    CLIP_GRADIENT,
    EPSILON,
    EPSILON_LAMB,
    LOWER_BOUND,
    MOMENTUM,
    RESCALE_GRAD,
    UPPER_BOUND,
    Update,
    clip,
    lamb_direction,
    lamb_rate,
    scalars,
    single,
    usable,
)
from symgraph.ops.rules import floating, same_dtype

__all__ = ["MultiUpdate"]

LRS = param("Learning rate of each weight.")
WDS = param("Weight decay of each weight.")
NUM_WEIGHTS = param("Number of weights.", default=1, ge=1)
ETAS = param("Factor of the whole step of each weight, set by the learning rate schedule.")


class MultiUpdate(Update):
    """An update of several weights at once.

    A subclass names the `roles` of the tensors of one weight, which of them are `states`, the inputs after all of them
    (`tail`), and defines `rule`.
    """

    roles: ClassVar[tuple[str, ...]] = ("weight", "grad")
    states: ClassVar[tuple[str, ...]] = ()
    tail: ClassVar[tuple[str, ...]] = ()
    apart = frozenset({"lrs", "wds", "rescale_grad"})

    @property
    def num_updated(self) -> int:
        """How many weights there are."""
        return int(getattr(self, "num_weights"))  # noqa: B009 - of the subclasses

    @property
    def num_inputs(self) -> int:
        """How many inputs there are."""
        return len(self.input_names())

    def input_names(self) -> tuple[str, ...]:
        return (*(f"{role}_{k}" for k in range(self.num_updated) for role in self.roles), *self.tail)

    def mutated(self) -> tuple[str, ...]:
        return tuple(f"{role}_{k}" for k in range(self.num_updated) for role in self.roles if role in self.states)

    def output_names(self) -> tuple[str, ...]:
        return ("output",) if self.num_updated == 1 else tuple(f"output{k}" for k in range(self.num_updated))

    def _role(self, name: str) -> tuple[str, str]:
        if name in self.tail:
            return name, ""
        if name.startswith("output"):
            return "output", name.removeprefix("output") or "0"
        role, _, group = name.rpartition("_")
        return role, group

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:
        preloaded = {name: (self.num_updated,) for name in self.tail if name in ("lrs", "wds")}
        return super().shapes(**known) | preloaded

    def one_each(self, **values: Sequence[Any]) -> None:
        """Check that there is one value for each weight."""
        for name, value in values.items():
            if len(value) != self.num_updated:
                raise ArgumentError(
                    f"{name} has {len(value)} value(s), but there are {self.num_updated} weight(s)", where=self.op_name
                )

    def compute(self, xp: Any, *tensors: Any) -> Any:
        width, tail = len(self.roles), tensors[self.num_updated * len(self.roles) :]
        results = [self.step(xp, k, tail, *tensors[k * width : (k + 1) * width]) for k in range(self.num_updated)]
        return (*(r[0] for r in results), *(state for r in results for state in r[1:]))

    def step(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        """Return the new value of weight `k` and of its states; computed on `weight32` where there is one."""
        if "weight32" not in self.states:
            return self.rule(xp, k, tail, weight, grad, *states)
        rest, weight32 = states[:-1], states[-1]
        if weight.dtype == np.dtype("float32"):
            # MXNet: float32 weights are computed on directly; their weight32 is neither read nor renewed.
            return (*self.rule(xp, k, tail, weight, grad, *rest), weight32)
        weight32, *new = self.rule(xp, k, tail, weight32, single(xp, grad), *rest)
        return (xp.astype(weight32, weight.dtype), *new, weight32)

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        """Return the new value of weight `k` and of its states, all in one element type."""
        raise TypeError(f"{type(self).__name__} defines no rule")


class MultiSGD(MultiUpdate):
    """Gradient descent for several weights, with momentum if it is among the states."""

    lrs: Floats
    wds: Floats
    momentum: float
    rescale_grad: float
    clip_gradient: float

    def rates(self, xp: Any, k: int, tail: tuple[Any, ...], dtype: Any) -> tuple[Any, Any]:
        """Return the learning rate of weight `k` and its product with the decay, as 0-d arrays."""
        if tail:
            # MXNet: given as tensors, the two are multiplied as they are, in float32.
            lr, wd = (xp.reshape(xp.slice(x, [(k, k + 1, 1)]), ()) for x in tail)
            return xp.astype(lr, dtype), xp.astype(lr * wd, dtype)
        self.one_each(lrs=self.lrs, wds=self.wds)
        lr, wd = xp.scalar(self.lrs[k], dtype), xp.scalar(self.wds[k], dtype)
        return lr, lr * wd

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        (rescale,) = scalars(xp, weight, self.rescale_grad)
        lr, decay = self.rates(xp, k, tail, weight.dtype)
        step = lr * clip(xp, rescale * grad, self.clip_gradient)
        if not states:
            return (weight - (decay * weight + step),)
        mom = xp.scalar(self.momentum, weight.dtype) * states[0] - decay * weight - step
        return weight + mom, mom


@op("multi_sgd_update")
class MultiSGDUpdate(MultiSGD):
    r"""One step of gradient descent for several weights.

    For each: :math:`w' = w - ((\eta\lambda) w + \eta\, C(s g))`.
    """

    data: Tensors = args("For each weight: weight, gradient.", count="num_inputs")

    lrs: Floats = LRS
    wds: Floats = WDS
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad")
    samples = (Sample([*[(3, 4)] * 2, *[(2,)] * 2], {"lrs": (0.1, 0.2), "wds": (0.0, 0.01), "num_weights": 2}),)


@op("multi_sgd_mom_update")
class MultiSGDMomUpdate(MultiSGD):
    r"""One step of gradient descent with momentum for several weights.

    For each: :math:`m' = \mu m - (\eta\lambda) w - \eta\, C(s g)`, :math:`w' = w + m'`.
    """

    data: Tensors = args("For each weight: weight, gradient, momentum.", count="num_inputs")

    lrs: Floats = LRS
    wds: Floats = WDS
    momentum: float = MOMENTUM
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "mom")
    states = ("mom",)
    samples = (
        Sample(
            [*[(3, 4)] * 3, *[(2,)] * 3], {"lrs": (0.1, 0.2), "wds": (0.0, 0.01), "momentum": 0.9, "num_weights": 2}
        ),
    )


@op("multi_mp_sgd_update")
class MultiMPSGDUpdate(MultiSGD):
    """`multi_sgd_update` computed in float32 on `weight32` of each weight that is not float32 itself."""

    data: Tensors = args("For each weight: weight, gradient, weight32.", count="num_inputs")

    lrs: Floats = LRS
    wds: Floats = WDS
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "weight32")
    states = ("weight32",)
    single = frozenset({"weight32"})
    samples = (
        Sample(
            [*[(3, 4)] * 3, *[(2,)] * 3],
            {"lrs": (0.1, 0.2), "wds": (0.0, 0.01), "num_weights": 2},
            dtypes={"weight_0": "float16", "grad_0": "float16", "weight_1": "float16", "grad_1": "float16"},
        ),
    )


@op("multi_mp_sgd_mom_update")
class MultiMPSGDMomUpdate(MultiSGD):
    """`multi_sgd_mom_update` computed in float32 on `weight32` of each weight that is not float32 itself."""

    data: Tensors = args("For each weight: weight, gradient, momentum, weight32.", count="num_inputs")

    lrs: Floats = LRS
    wds: Floats = WDS
    momentum: float = MOMENTUM
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "mom", "weight32")
    states = ("mom", "weight32")
    single = frozenset({"mom", "weight32"})
    samples = (
        Sample(
            [*[(3, 4)] * 4, *[(2,)] * 4],
            {"lrs": (0.1, 0.2), "wds": (0.0, 0.01), "momentum": 0.9, "num_weights": 2},
            dtypes={"weight_0": "float16", "grad_0": "float16", "weight_1": "float16", "grad_1": "float16"},
        ),
    )


@op("preloaded_multi_sgd_update")
class PreloadedMultiSGDUpdate(MultiSGD):
    """`multi_sgd_update` with learning rates and decays given as tensors, so that they may change between steps."""

    data: Tensors = args("For each weight: weight, gradient; then lrs and wds.", count="num_inputs")

    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad")
    tail = ("lrs", "wds")
    single = frozenset({"lrs", "wds"})
    samples = (Sample([*[(3, 4)] * 2, *[(2,)] * 2, (2,), (2,)], {"num_weights": 2}),)


@op("preloaded_multi_sgd_mom_update")
class PreloadedMultiSGDMomUpdate(MultiSGD):
    """`multi_sgd_mom_update` with learning rates and decays given as tensors, so that they may change between steps."""

    data: Tensors = args("For each weight: weight, gradient, momentum; then lrs and wds.", count="num_inputs")

    momentum: float = MOMENTUM
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "mom")
    states = ("mom",)
    tail = ("lrs", "wds")
    single = frozenset({"lrs", "wds"})
    samples = (Sample([*[(3, 4)] * 3, *[(2,)] * 3, (2,), (2,)], {"momentum": 0.9, "num_weights": 2}),)


@op("preloaded_multi_mp_sgd_update")
class PreloadedMultiMPSGDUpdate(MultiSGD):
    """`preloaded_multi_sgd_update` computed in float32 on `weight32` of each weight that is not float32 itself."""

    data: Tensors = args("For each weight: weight, gradient, weight32; then lrs and wds.", count="num_inputs")

    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "weight32")
    states = ("weight32",)
    tail = ("lrs", "wds")
    single = frozenset({"weight32", "lrs", "wds"})
    samples = (
        Sample(
            [*[(3, 4)] * 3, *[(2,)] * 3, (2,), (2,)],
            {"num_weights": 2},
            dtypes={"weight_0": "float16", "grad_0": "float16", "weight_1": "float16", "grad_1": "float16"},
        ),
    )


@op("preloaded_multi_mp_sgd_mom_update")
class PreloadedMultiMPSGDMomUpdate(MultiSGD):
    """`preloaded_multi_sgd_mom_update` computed in float32 on `weight32` of each weight that is not float32 itself."""

    data: Tensors = args("For each weight: weight, gradient, momentum, weight32; then lrs and wds.", count="num_inputs")

    momentum: float = MOMENTUM
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "mom", "weight32")
    states = ("mom", "weight32")
    tail = ("lrs", "wds")
    single = frozenset({"mom", "weight32", "lrs", "wds"})
    samples = (
        Sample(
            [*[(3, 4)] * 4, *[(2,)] * 4, (2,), (2,)],
            {"momentum": 0.9, "num_weights": 2},
            dtypes={"weight_0": "float16", "grad_0": "float16", "weight_1": "float16", "grad_1": "float16"},
        ),
    )


class MultiAdamW(MultiUpdate):
    """`_adamw_update` for several weights; the factor of the gradient is one tensor for all."""

    lrs: Floats
    beta1: float
    beta2: float
    epsilon: float
    wds: Floats
    etas: Floats
    clip_gradient: float

    tail = ("rescale_grad",)

    def step(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        rescale, fit = usable(xp, tail[0])
        new = super().step(xp, k, (rescale,), weight, grad, *states)
        return tuple(xp.where(fit, a, b) for a, b in zip(new, (weight, *states), strict=True))

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        self.one_each(lrs=self.lrs, wds=self.wds, etas=self.etas)
        lr, beta1, beta2, epsilon, wd, eta = scalars(
            xp, weight, self.lrs[k], self.beta1, self.beta2, self.epsilon, self.wds[k], self.etas[k]
        )
        mean, var = states
        grad = clip(xp, xp.astype(tail[0], weight.dtype) * grad, self.clip_gradient)
        square = xp.square(grad)
        # MXNet: averages as interpolations, so an infinite gradient leaves NaN.
        mean = beta1 * (mean - grad) + grad
        var = beta2 * (var - square) + square
        return weight - eta * (lr * mean / (xp.sqrt(var) + epsilon) + wd * weight), mean, var


@op("_multi_adamw_update")
class MultiAdamWUpdate(MultiAdamW):
    r"""`_adamw_update` for several weights, with the averages as interpolations.

    For each: :math:`m' = \beta_1 (m - G) + G`, :math:`v' = \beta_2 (v - G^2) + G^2`; the rest is as in `_adamw_update`.
    """

    data: Tensors = args("For each weight: weight, gradient, mean, var; then rescale_grad.", count="num_inputs")

    lrs: Floats = LRS
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON
    wds: Floats = WDS
    etas: Floats = ETAS
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "mean", "var")
    states = ("mean", "var")
    samples = (
        Sample(
            [*[(3, 4)] * 4, *[(2,)] * 4, (1,)],
            {"lrs": (0.1, 0.2), "wds": (0.0, 0.01), "etas": (1.0, 0.5), "num_weights": 2},
            low=0.1,
        ),
    )


@op("_multi_mp_adamw_update")
class MultiMPAdamWUpdate(MultiAdamW):
    """`_multi_adamw_update` computed in float32 on `weight32` of each weight that is not float32 itself."""

    data: Tensors = args(
        "For each weight: weight, gradient, mean, var, weight32; then rescale_grad.", count="num_inputs"
    )

    lrs: Floats = LRS
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON
    wds: Floats = WDS
    etas: Floats = ETAS
    clip_gradient: float = CLIP_GRADIENT
    num_weights: int = NUM_WEIGHTS

    roles = ("weight", "grad", "mean", "var", "weight32")
    states = ("mean", "var", "weight32")
    single = frozenset({"mean", "var", "weight32", "rescale_grad"})
    samples = (
        Sample(
            [*[(3, 4)] * 5, *[(2,)] * 5, (1,)],
            {"lrs": (0.1, 0.2), "wds": (0.0, 0.01), "etas": (1.0, 0.5), "num_weights": 2},
            low=0.1,
            dtypes={"weight_0": "float16", "grad_0": "float16", "weight_1": "float16", "grad_1": "float16"},
        ),
    )


class MultiLamb(MultiUpdate):
    """Both phases of a LAMB step for several weights."""

    learning_rates: Floats
    wds: Floats
    step_count: Shape
    num_tensors: int

    @property
    def num_updated(self) -> int:
        return self.num_tensors

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        self.one_each(learning_rates=self.learning_rates, wds=self.wds, step_count=self.step_count)
        step, mean, var = lamb_direction(xp, self, self.step_count[k], self.wds[k], weight, grad, *states)
        r1, r2 = (xp.sqrt(xp.sum(xp.square(x))) for x in (weight, step))
        (lr,) = scalars(xp, weight, self.learning_rates[k])
        return weight - lamb_rate(xp, self, lr, r1, r2) * step, mean, var


_STEP_COUNT = param("Number of this step for each weight, counted from 1.")
_NUM_TENSORS = param("Number of weights.", default=1, ge=1)


@op("_multi_lamb_update")
class MultiLambUpdate(MultiLamb):
    """`lamb_update_phase1` and `lamb_update_phase2` for several weights, with the norms they need."""

    data: Tensors = args("For each weight: weight, gradient, mean, var.", count="num_inputs")

    learning_rates: Floats = LRS
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON_LAMB
    wds: Floats = WDS
    rescale_grad: float = RESCALE_GRAD
    lower_bound: float = LOWER_BOUND
    upper_bound: float = UPPER_BOUND
    clip_gradient: float = CLIP_GRADIENT
    bias_correction: bool = BIAS_CORRECTION
    step_count: Shape = _STEP_COUNT
    num_tensors: int = _NUM_TENSORS

    roles = ("weight", "grad", "mean", "var")
    states = ("mean", "var")
    samples = (
        Sample(
            [*[(3, 4)] * 4, *[(2,)] * 4],
            {"learning_rates": (0.1, 0.2), "wds": (0.0, 0.01), "step_count": (1, 3), "num_tensors": 2},
            low=0.1,
        ),
    )


@op("_multi_mp_lamb_update")
class MultiMPLambUpdate(MultiLamb):
    """`_multi_lamb_update` computed in float32 on `weight32` of each weight that is not float32 itself."""

    data: Tensors = args("For each weight: weight, gradient, mean, var, weight32.", count="num_inputs")

    learning_rates: Floats = LRS
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON_LAMB
    wds: Floats = WDS
    rescale_grad: float = RESCALE_GRAD
    lower_bound: float = LOWER_BOUND
    upper_bound: float = UPPER_BOUND
    clip_gradient: float = CLIP_GRADIENT
    bias_correction: bool = BIAS_CORRECTION
    step_count: Shape = _STEP_COUNT
    num_tensors: int = _NUM_TENSORS

    roles = ("weight", "grad", "mean", "var", "weight32")
    states = ("mean", "var", "weight32")
    single = frozenset({"mean", "var", "weight32"})
    samples = (
        Sample(
            [*[(3, 4)] * 5, *[(2,)] * 5],
            {"learning_rates": (0.1, 0.2), "wds": (0.0, 0.01), "step_count": (1, 3), "num_tensors": 2},
            low=0.1,
            dtypes={"weight_0": "float16", "grad_0": "float16", "weight_1": "float16", "grad_1": "float16"},
        ),
    )


# -- what optimizers ask about tensors --------------------------------------------------------------------------------


class Survey(Op):
    """A question about several floating point tensors of any shapes, answered by a float32 vector."""

    differentiable = False

    def input_names(self) -> tuple[str, ...]:
        return tuple(f"array_{k}" for k in range(int(getattr(self, "num_arrays"))))  # noqa: B009 - of the subclasses

    def answers(self) -> int:
        """Length of the answer."""
        return 1

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:
        """The inputs' shapes do not matter."""
        return {"output": (self.answers(),)}

    def dtypes(self, **known: Any) -> dict[str, Any]:
        """Floating point tensors of one type; the answer is float32."""
        names = self.input_names()
        for name in names:
            floating(name, known.get(name))
        return same_dtype(names, known) | {"output": np.dtype("float32")}


@op("multi_lars")
class MultiLARS(Op):
    r"""Learning rates by layer-wise adaptive rate scaling (You, Gitman and Ginsburg, 2017).

    With the norm :math:`r = \sqrt{\textit{weights\_sum\_sq}}`:
    :math:`\eta\, c\, r / (\sqrt{\textit{grads\_sum\_sq}}\, s + \lambda r + \epsilon)` where both norms are positive,
    :math:`\eta` elsewhere. Here *c* is ``eta``.
    """

    lrs: Tensor = arg("Learning rate of each weight, (weights,), float32.")
    weights_sum_sq: Tensor = arg("Sum of squares of each weight, (weights,), float32.")
    grads_sum_sq: Tensor = arg("Sum of squares of each gradient, (weights,), float32.")
    wds: Tensor = arg("Weight decay of each weight, (weights,), float32.")

    eta: float = param("Trust: how large a step may be beside the weights.", live=True)
    eps: float = param("Small number added to the divisor, against division by zero.", live=True)
    rescale_grad: float = RESCALE_GRAD

    differentiable = False
    samples = (Sample([(4,)] * 4, {"eta": 0.001, "eps": 1e-8}, low=0.1),)

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:
        """All alike."""
        return same_shape((*self.input_names(), "output"), known)

    def dtypes(self, **known: Any) -> dict[str, Any]:
        """All float32."""
        for name, dtype in known.items():
            floating(name, dtype, ("float32",))
        return dict.fromkeys((*self.input_names(), "output"), np.dtype("float32"))

    def compute(self, xp: Any, lrs: Any, weights_sum_sq: Any, grads_sum_sq: Any, wds: Any) -> Any:
        eta, eps, rescale = scalars(xp, lrs, self.eta, self.eps, self.rescale_grad)
        norm = xp.sqrt(weights_sum_sq)
        scaled = lrs * (eta * norm / (xp.sqrt(grads_sum_sq) * rescale + wds * norm + eps))
        return xp.where(xp.logical_and(norm > 0, grads_sum_sq > 0), scaled, lrs)


@op("multi_sum_sq")
class MultiSumSq(Survey):
    """Sum of squares of each of several tensors, as one float32 vector."""

    data: Tensors = args("Tensors of any shapes.", count="num_arrays", prefix="array_")

    num_arrays: int = param("Number of tensors.", ge=1)

    samples = (Sample([(3, 4), (5,)], {"num_arrays": 2}),)

    def answers(self) -> int:
        return self.num_arrays

    def compute(self, xp: Any, *tensors: Any) -> Any:
        return xp.stack([xp.sum(xp.square(single(xp, x))) for x in tensors])


def _all_finite(xp: Any, tensors: Sequence[Any], init_output: bool, name: str) -> Any:
    if not init_output:
        raise UnsupportedError(
            "init_output=False would combine the answer with what the output held before, but operators here do not "
            "read their output: ask about all tensors in one call",
            where=name,
        )
    finite = [xp.min(xp.isfinite(x)) for x in tensors]
    every = finite[0]
    for x in finite[1:]:
        every = xp.logical_and(every, x)
    return xp.reshape(single(xp, every), (1,))


@op("all_finite")
class AllFinite(Survey):
    """1 if every element is finite, 0 if one is infinite or NaN; float32, one element."""

    data: Tensor = arg("Tensor of any shape.")

    init_output: bool = param("Must be true: the answer is not combined with what the output held.", default=True)

    samples = (Sample([(3, 4)]),)

    def input_names(self) -> tuple[str, ...]:
        return ("data",)

    def compute(self, xp: Any, data: Any) -> Any:
        return _all_finite(xp, [data], self.init_output, self.op_name)


@op("multi_all_finite")
class MultiAllFinite(Survey):
    """1 if every element of every tensor is finite, 0 if one is infinite or NaN; float32, one element."""

    data: Tensors = args("Tensors of any shapes.", count="num_arrays", prefix="array_")

    num_arrays: int = param("Number of tensors.", default=1, ge=1)
    init_output: bool = param("Must be true: the answer is not combined with what the output held.", default=True)

    samples = (Sample([(3, 4), (5,)], {"num_arrays": 2}),)

    def compute(self, xp: Any, *tensors: Any) -> Any:
        return _all_finite(xp, tensors, self.init_output, self.op_name)


@op("reset_arrays")
class ResetArrays(Op):
    """Set tensors to zero; there is no output."""

    data: Tensors = args("Tensors of any shapes.", count="num_arrays", prefix="array_")

    num_arrays: int = param("Number of tensors.", ge=1)

    outputs = ()
    differentiable = False
    samples = (Sample([(3, 4), (5,)], {"num_arrays": 2}),)

    def mutated(self) -> tuple[str, ...]:
        return self.input_names()

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:
        """Nothing follows from anything."""
        return {}

    def dtypes(self, **known: Any) -> dict[str, Any]:
        """Floating point tensors of one type."""
        names = self.input_names()
        for name in names:
            floating(name, known.get(name))
        return same_dtype(names, known)

    def compute(self, xp: Any, *tensors: Any) -> Any:
        return tuple(xp.zeros_like(x) for x in tensors)
