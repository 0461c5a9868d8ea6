r"""Optimizer updates: one step of an optimizer as an operator, so that a training step is one graph.

The output is the new weight. States are inputs marked ``mutates``: they show as auxiliary states of a symbol, and
`compute` returns their new values after the new weight. Nothing is changed in place here; who stores the results
decides that.

Notation in the docstrings: *w* weight, *g* gradient, *s* ``rescale_grad``, :math:`\lambda` ``wd``, :math:`\eta`
``lr``; *C* limits to [-``clip_gradient``, ``clip_gradient``] if ``clip_gradient`` is positive and is nothing
otherwise. What a formula says is computed in exactly that order and grouping, every operation rounded to the
element type of the weight (float32 in the mixed precision updates): that is what makes results equal MXNet's bit for
bit. A term like :math:`\lambda w` stands there for :math:`\lambda = 0`, too: it carries infinite weights on as NaN,
and being always there lets :math:`\lambda` change between steps.

Numbers that schedules change (learning rate, decay, momentum, the step's number) are live: they enter as 0-d arrays
and `compute` never branches on them. Bounds of clipping are not; they decide which primitives there are.

What does not belong here: schedules, the choice of an update for a parameter, and whatever keeps states; that is
`symgraph.optimizer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from symgraph.errors import ArgumentError, UnsupportedError
from symgraph.op import Double, Floats, Op, PartialShape, Sample, Shape, Tensor, Tensors, arg, args, op, param
from symgraph.ops.rules import alike, floating, same_dtype

__all__ = ["CLIP_GRADIENT", "CLIP_WEIGHTS", "LR", "MOMENTUM", "RESCALE_GRAD", "WD", "MultiUpdate", "Update"]

_FLOATS = ("float16", "float32", "float64")

# -- inputs and parameters that many updates share --------------------------------------------------------------------

WEIGHT = arg("Weights, any shape.")
GRAD = arg("Gradient of the loss by the weights, same shape as they.")
WEIGHT32 = arg("Weights in float32, of which `weight` is the rounded copy.", mutates=True)
MEAN = arg("Decaying average of the gradient, same shape as the weights.", mutates=True)
VAR = arg("Decaying average of the squared gradient, same shape as the weights.", mutates=True)
MOM = arg("Momentum: what the last steps added to the weights, decaying; same shape as they.", mutates=True)
RESCALE = arg("Number to multiply the gradient by, one element. Where it is zero, infinite or NaN, nothing changes.")

LR = param("Learning rate.", live=True)
WD = param("Weight decay: the gradient of `wd / 2` times the squared weights is added.", default=0.0, live=True)
RESCALE_GRAD = param("Number to multiply the gradient by, for example 1 / batch size.", default=1.0, live=True)
CLIP_GRADIENT = param(
    "Limit the rescaled gradient to [-clip_gradient, clip_gradient]; not positive: no limit.", default=-1.0
)
CLIP_WEIGHTS = param("Limit the new weights to [-clip_weights, clip_weights]; not positive: no limit.", default=-1.0)
MOMENTUM = param("Share of the momentum that is kept.", default=0.0, live=True)
LAZY_UPDATE = param("Concerns row-sparse gradients only; dense ones are always used whole.", default=True)
BETA1 = param("Decay rate of the average of the gradient.", default=0.9, live=True)
BETA2 = param("Decay rate of the average of the squared gradient.", default=0.999, live=True)
EPSILON = param("Small number added to the root, against division by zero.", default=1e-8, live=True)
EPSILON_LAMB = param("Small number added to the root, against division by zero.", default=1e-6, live=True)
ETA = param("Factor of the whole step, set by the learning rate schedule.", live=True)
STEP = param("Number of this step, counted from 1.", live=True)
BIAS_CORRECTION = param("Divide the averages by what they would be for a gradient of one.", default=True)
LOWER_BOUND = param("Least norm of the weights to reckon with; negative: no limit.", default=-1.0)
UPPER_BOUND = param("Greatest norm of the weights to reckon with; negative: no limit.", default=-1.0)
LRS = param("Learning rate of each weight.")
WDS = param("Weight decay of each weight.")
NUM_WEIGHTS = param("Number of weights.", default=1, ge=1)

PRELOADED_LRS = "Learning rate of each weight, (num_weights,), float32."
PRELOADED_WDS = "Weight decay of each weight, (num_weights,), float32."


# -- what all updates share -------------------------------------------------------------------------------------------


class Update(Op):
    """Rules of shapes and dtypes: all tensors of one weight are alike, states may be float32 throughout."""

    differentiable = False
    #: Element types that the weight may have.
    floats: ClassVar[tuple[str, ...]] = _FLOATS
    #: Roles that are float32 whatever the weight is; the others share the weight's element type.
    single: ClassVar[frozenset[str]] = frozenset()
    #: Roles that do not have the weight's shape.
    apart: ClassVar[frozenset[str]] = frozenset({"rescale_grad"})

    def _role(self, name: str) -> tuple[str, str]:
        """Return what an input or output is for, and which weight it belongs to."""
        return name, ""

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:  # type: ignore[override]
        """All tensors of one weight have one shape."""
        groups: dict[str, list[str]] = {}
        for name in (*self.input_names(), *self.output_names()):
            role, group = self._role(name)
            if role not in self.apart:
                groups.setdefault(group, []).append(name)
        found: dict[str, PartialShape] = {}
        for names in groups.values():
            found |= alike(names, known)
        return found

    def dtypes(self, **known: Any) -> dict[str, Any]:  # type: ignore[override]
        """One floating point type, except what is float32 throughout."""
        names = (*self.input_names(), *self.output_names())
        shared = [n for n in names if self._role(n)[0] not in self.single]
        for name in names:
            floating(name, known.get(name), self.floats if name in shared else ("float32",))
        return same_dtype(shared, known) | {n: np.dtype("float32") for n in names if n not in shared}


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
        return int(getattr(self, "num_weights"))  # noqa: B009

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

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:  # type: ignore[override]
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
        *states, weight32 = states
        if weight.dtype == np.dtype("float32"):
            # MXNet: float32 weights are computed on directly; their weight32 is neither read nor renewed.
            return (*self.rule(xp, k, tail, weight, grad, *states), weight32)
        weight32, *states = self.rule(xp, k, tail, weight32, _single(xp, grad), *states)
        return (xp.astype(weight32, weight.dtype), *states, weight32)

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        """Return the new value of weight `k` and of its states, all in one element type."""
        raise TypeError(f"{type(self).__name__} defines no rule")


def _scalars(xp: Any, tensor: Any, *values: Any) -> tuple[Any, ...]:
    """Return parameters as 0-d arrays of the tensor's element type, which must be a floating point one."""
    floating("weight", tensor.dtype)
    return tuple(xp.scalar(v, tensor.dtype) for v in values)


def _clip(xp: Any, x: Any, bound: float) -> Any:
    return xp.clip(x, -bound, bound) if bound > 0 else x


def _sign(xp: Any, x: Any) -> Any:
    # MXNet: the sign of NaN is 0.
    return xp.where(xp.isnan(x), 0.0, xp.sign(x))


def _single(xp: Any, x: Any) -> Any:
    return xp.astype(x, "float32")


def _element(xp: Any, vector: Any, k: int, dtype: Any) -> Any:
    """Return one element of a vector as a 0-d array."""
    return xp.astype(xp.reshape(xp.slice(vector, [(k, k + 1, 1)]), ()), dtype)


_ONE = ((3, 4), (3, 4))


# -- stochastic gradient descent --------------------------------------------------------------------------------------


def _sgd(xp: Any, o: Any, weight: Any, grad: Any) -> Any:
    lr, wd, rescale = _scalars(xp, weight, o.lr, o.wd, o.rescale_grad)
    kept = (1 - lr * wd) * weight
    if o.clip_gradient > 0:
        return kept - lr * _clip(xp, rescale * grad, o.clip_gradient)
    return kept - (lr * rescale) * grad


def _sgd_mom(xp: Any, o: Any, weight: Any, grad: Any, mom: Any) -> tuple[Any, Any]:
    lr, wd, rescale, momentum = _scalars(xp, weight, o.lr, o.wd, o.rescale_grad, o.momentum)
    kept = momentum * mom - (lr * wd) * weight
    if o.clip_gradient > 0:
        mom = kept - lr * _clip(xp, rescale * grad, o.clip_gradient)
    else:
        mom = kept - (lr * rescale) * grad
    return weight + mom, mom


@op("sgd_update", aliases=("_sparse_sgd_update",))
class SGDUpdate(Update):
    r"""One step of stochastic gradient descent (Robbins and Monro, 1951).

    :math:`w' = (1 - \eta\lambda) w - \eta\, C(s g)`; without clipping the last term is :math:`(\eta s) g`.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD

    lr: float = LR
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    lazy_update: bool = LAZY_UPDATE

    samples = (Sample(_ONE, {"lr": 0.1}), Sample(_ONE, {"lr": 0.1, "wd": 0.01, "clip_gradient": 0.3}))

    def compute(self, xp: Any, weight: Any, grad: Any) -> Any:
        return _sgd(xp, self, weight, grad)


@op("sgd_mom_update", aliases=("_sparse_sgd_mom_update",))
class SGDMomUpdate(Update):
    r"""One step of gradient descent with momentum (Polyak, 1964).

    :math:`m' = \mu m - (\eta\lambda) w - \eta\, C(s g)`, without clipping the last term is :math:`(\eta s) g`; then
    :math:`w' = w + m'`.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mom: Tensor = MOM

    lr: float = LR
    momentum: float = MOMENTUM
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    lazy_update: bool = LAZY_UPDATE

    samples = (Sample([(3, 4)] * 3, {"lr": 0.1, "momentum": 0.9}),)

    def compute(self, xp: Any, weight: Any, grad: Any, mom: Any) -> Any:
        return _sgd_mom(xp, self, weight, grad, mom)


@op("mp_sgd_update")
class MPSGDUpdate(Update):
    """`sgd_update` computed in float32 on `weight32`; the new weight is the result, rounded."""

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    weight32: Tensor = WEIGHT32

    lr: float = LR
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    lazy_update: bool = LAZY_UPDATE

    single = frozenset({"weight32"})
    samples = (Sample([(3, 4)] * 3, {"lr": 0.1}, dtypes={"weight": "float16", "grad": "float16"}),)

    def compute(self, xp: Any, weight: Any, grad: Any, weight32: Any) -> Any:
        weight32 = _sgd(xp, self, weight32, _single(xp, grad))
        return xp.astype(weight32, weight.dtype), weight32


@op("mp_sgd_mom_update")
class MPSGDMomUpdate(Update):
    """`sgd_mom_update` computed in float32 on `weight32`; the new weight is the result, rounded."""

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mom: Tensor = MOM
    weight32: Tensor = WEIGHT32

    lr: float = LR
    momentum: float = MOMENTUM
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    lazy_update: bool = LAZY_UPDATE

    single = frozenset({"mom", "weight32"})
    samples = (Sample([(3, 4)] * 4, {"lr": 0.1, "momentum": 0.9}, dtypes={"weight": "float16", "grad": "float16"}),)

    def compute(self, xp: Any, weight: Any, grad: Any, mom: Any, weight32: Any) -> Any:
        weight32, mom = _sgd_mom(xp, self, weight32, _single(xp, grad), mom)
        return xp.astype(weight32, weight.dtype), mom, weight32


def _nag_mom(xp: Any, o: Any, weight: Any, grad: Any, mom: Any) -> tuple[Any, Any]:
    lr, wd, rescale, momentum = _scalars(xp, weight, o.lr, o.wd, o.rescale_grad, o.momentum)
    scaled = _clip(xp, rescale * grad, o.clip_gradient)
    kept = momentum * mom
    new = weight - kept + (momentum + 1) * (kept - lr * (scaled + wd * weight))
    # MXNet: the decay in the new momentum is that of the new weight, as it is when the weight is renewed in place.
    return new, kept - lr * (scaled + wd * new)


@op("nag_mom_update")
class NAGMomUpdate(Update):
    r"""One step of Nesterov's accelerated gradient (Nesterov, 1983; Sutskever et al., 2013).

    With :math:`d(v) = \eta (C(s g) + \lambda v)`:
    :math:`w' = w - \mu m + (\mu + 1)(\mu m - d(w))`, then :math:`m' = \mu m - d(w')`.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mom: Tensor = MOM

    lr: float = LR
    momentum: float = MOMENTUM
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT

    samples = (Sample([(3, 4)] * 3, {"lr": 0.1, "momentum": 0.9, "wd": 0.01}),)

    def compute(self, xp: Any, weight: Any, grad: Any, mom: Any) -> Any:
        return _nag_mom(xp, self, weight, grad, mom)


@op("mp_nag_mom_update")
class MPNAGMomUpdate(Update):
    """`nag_mom_update` computed in float32 on `weight32`; the new weight is the result, rounded."""

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mom: Tensor = MOM
    weight32: Tensor = WEIGHT32

    lr: float = LR
    momentum: float = MOMENTUM
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT

    single = frozenset({"mom", "weight32"})
    samples = (Sample([(3, 4)] * 4, {"lr": 0.1, "momentum": 0.9}, dtypes={"weight": "float16", "grad": "float16"}),)

    def compute(self, xp: Any, weight: Any, grad: Any, mom: Any, weight32: Any) -> Any:
        weight32, mom = _nag_mom(xp, self, weight32, _single(xp, grad), mom)
        return xp.astype(weight32, weight.dtype), mom, weight32


@op("signsgd_update")
class SignSGDUpdate(Update):
    r"""One step along the sign of the gradient (Bernstein et al., 2018).

    :math:`w' = (1 - \eta\lambda) w - \eta\, \mathrm{sign}(g)`. The sign of NaN is 0.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD

    lr: float = LR
    wd: float = WD
    rescale_grad: float = param("No effect: a positive factor leaves the sign as it is.", default=1.0)
    clip_gradient: float = param("No effect: a limit leaves the sign as it is.", default=-1.0)

    samples = (Sample(_ONE, {"lr": 0.1, "wd": 0.01}),)

    def compute(self, xp: Any, weight: Any, grad: Any) -> Any:
        lr, wd = _scalars(xp, weight, self.lr, self.wd)
        return (1 - lr * wd) * weight - lr * _sign(xp, grad)


@op("signum_update")
class SignumUpdate(Update):
    r"""One step along the sign of the momentum (Bernstein et al., 2018).

    :math:`m' = \mu m - ((1-\mu)\lambda) w - (1-\mu)\, C(s g)`, without clipping the last term is
    :math:`((1-\mu) s) g`; then :math:`w' = (1 - \eta\,\mathit{wd\_lh}) w + \eta\, \mathrm{sign}(m')`.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mom: Tensor = MOM

    lr: float = LR
    momentum: float = MOMENTUM
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    wd_lh: float = param(
        "Weight decay apart from the gradient: each step shrinks the weights by it.", default=0.0, live=True
    )

    samples = (Sample([(3, 4)] * 3, {"lr": 0.1, "momentum": 0.9, "wd_lh": 0.01}),)

    def compute(self, xp: Any, weight: Any, grad: Any, mom: Any) -> Any:
        lr, wd, rescale, momentum, wd_lh = _scalars(
            xp, weight, self.lr, self.wd, self.rescale_grad, self.momentum, self.wd_lh
        )
        rest = 1 - momentum
        kept = momentum * mom - (rest * wd) * weight
        if self.clip_gradient > 0:
            mom = kept - rest * _clip(xp, rescale * grad, self.clip_gradient)
        else:
            mom = kept - (rest * rescale) * grad
        return (1 - lr * wd_lh) * weight + lr * _sign(xp, mom), mom


# -- adaptive steps ---------------------------------------------------------------------------------------------------


@op("adam_update", aliases=("_sparse_adam_update",))
class AdamUpdate(Update):
    r"""One Adam step (Kingma and Ba, 2015), without bias correction: the learning rate is to carry it.

    With :math:`G = C(s g + \lambda w)`: :math:`m' = \beta_1 m + (1-\beta_1) G`,
    :math:`v' = \beta_2 v + ((1-\beta_2) G) G`, :math:`w' = w - \eta m' / (\sqrt{v'} + \epsilon)`.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mean: Tensor = MEAN
    var: Tensor = VAR

    lr: float = LR
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    lazy_update: bool = LAZY_UPDATE

    samples = (Sample([(3, 4)] * 4, {"lr": 0.1}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, mean: Any, var: Any) -> Any:
        lr, beta1, beta2, epsilon, wd, rescale = _scalars(
            xp, weight, self.lr, self.beta1, self.beta2, self.epsilon, self.wd, self.rescale_grad
        )
        grad = _clip(xp, grad * rescale + weight * wd, self.clip_gradient)
        mean = beta1 * mean + (1 - beta1) * grad
        var = beta2 * var + (1 - beta2) * grad * grad
        return weight - lr * mean / (xp.sqrt(var) + epsilon), mean, var


def _adamw(xp: Any, o: Any, weight: Any, grad: Any, mean: Any, var: Any, rescale: Any) -> tuple[Any, ...]:
    lr, beta1, beta2, epsilon, wd, eta = _scalars(xp, weight, o.lr, o.beta1, o.beta2, o.epsilon, o.wd, o.eta)
    # MXNet: the complements of the decay rates are rounded to float32, whatever the weight is.
    rest1, rest2 = (xp.astype(1 - xp.scalar(b, "float32"), weight.dtype) for b in (o.beta1, o.beta2))
    grad = _clip(xp, rescale * grad, o.clip_gradient)
    mean = beta1 * mean + rest1 * grad
    var = beta2 * var + rest2 * (grad * grad)
    return weight - eta * (lr * mean / (xp.sqrt(var) + epsilon) + wd * weight), mean, var


def _usable(xp: Any, rescale: Any) -> tuple[Any, Any]:
    """Return the factor of the gradient as a 0-d array, and whether it is fit for use."""
    rescale = xp.reshape(rescale, ())
    return rescale, xp.logical_and(xp.isfinite(rescale), rescale != 0)


@op("_adamw_update")
class AdamWUpdate(Update):
    r"""One Adam step with weight decay apart from the gradient (Loshchilov and Hutter, 2019).

    With :math:`G = C(s g)`: :math:`m' = \beta_1 m + (1-\beta_1) G`, :math:`v' = \beta_2 v + (1-\beta_2) G^2`,
    :math:`w' = w - \eta_t (\eta m' / (\sqrt{v'} + \epsilon) + \lambda w)`. Here *s* is a tensor, and where it is zero,
    infinite or NaN, as dynamic loss scaling makes it after an overflow, nothing changes.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mean: Tensor = MEAN
    var: Tensor = VAR
    rescale_grad: Tensor = RESCALE

    lr: float = LR
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON
    wd: float = WD
    eta: float = ETA
    clip_gradient: float = CLIP_GRADIENT

    single = frozenset({"rescale_grad"})
    samples = (Sample([*[(3, 4)] * 4, (1,)], {"lr": 0.1, "eta": 1.0}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, mean: Any, var: Any, rescale_grad: Any) -> Any:
        rescale, usable = _usable(xp, rescale_grad)
        new = _adamw(xp, self, weight, grad, mean, var, xp.astype(rescale, weight.dtype))
        return tuple(xp.where(usable, a, b) for a, b in zip(new, (weight, mean, var), strict=True))


@op("_mp_adamw_update")
class MPAdamWUpdate(Update):
    """`_adamw_update` computed in float32 on `weight32`; the new weight is the result, rounded."""

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mean: Tensor = MEAN
    var: Tensor = VAR
    weight32: Tensor = WEIGHT32
    rescale_grad: Tensor = RESCALE

    lr: float = LR
    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON
    wd: float = WD
    eta: float = ETA
    clip_gradient: float = CLIP_GRADIENT

    single = frozenset({"mean", "var", "weight32", "rescale_grad"})
    samples = (
        Sample(
            [*[(3, 4)] * 5, (1,)], {"lr": 0.1, "eta": 1.0}, low=0.1, dtypes={"weight": "float16", "grad": "float16"}
        ),
    )

    def compute(self, xp: Any, weight: Any, grad: Any, mean: Any, var: Any, weight32: Any, rescale_grad: Any) -> Any:
        rescale, usable = _usable(xp, rescale_grad)
        new32, new_mean, new_var = _adamw(xp, self, weight32, _single(xp, grad), mean, var, rescale)
        new = (xp.astype(new32, weight.dtype), new_mean, new_var, new32)
        return tuple(xp.where(usable, a, b) for a, b in zip(new, (weight, mean, var, weight32), strict=True))


@op("ftrl_update", aliases=("_sparse_ftrl_update",))
class FTRLUpdate(Update):
    r"""One step of FTRL-Proximal (McMahan et al., 2013), which keeps small weights at exactly zero.

    With :math:`G = C(s g)`: :math:`n' = n + G^2`, :math:`z' = z + (G - (\sqrt{n'} - \sqrt{n}) w / \eta)`,
    :math:`w' = (\mathrm{sign}(z')\,\lambda_1 - z') / ((\beta + \sqrt{n'})/\eta + \lambda)` where
    :math:`|z'| > \lambda_1`, else 0.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    z: Tensor = arg("Sum of the gradients, corrected for the steps made; same shape as the weights.", mutates=True)
    n: Tensor = arg("Sum of the squared gradients, same shape as the weights.", mutates=True)

    lr: float = LR
    lamda1: float = param("Threshold below which a weight is zero (L1 penalty).", default=0.01, live=True)
    beta: float = param("Number added to the root of the sum of squared gradients.", default=1.0, live=True)
    wd: float = param("L2 penalty of the weights.", default=0.0, live=True)
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT

    samples = (Sample([(3, 4)] * 4, {"lr": 0.1}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, z: Any, n: Any) -> Any:
        lr, lamda1, beta, wd, rescale = _scalars(
            xp, weight, self.lr, self.lamda1, self.beta, self.wd, self.rescale_grad
        )
        grad = _clip(xp, grad * rescale, self.clip_gradient)
        total = n + xp.square(grad)
        root = xp.sqrt(total)
        z = z + (grad - (root - xp.sqrt(n)) * weight / lr)
        scale = (beta + root) / lr + wd
        kept = xp.astype(xp.abs(z) > lamda1, weight.dtype)
        return (_sign(xp, z) * lamda1 - z) / scale * kept, z, total


@op("ftml_update")
class FTMLUpdate(Update):
    r"""One step of Follow The Moving Leader (Zheng and Kwok, 2017).

    With :math:`G = C(s g + \lambda w)`: :math:`v' = \beta_2 v + (1-\beta_2) G^2`,
    :math:`d' = ((1-\beta_1^t)/\eta)(\sqrt{v'/(1-\beta_2^t)} + \epsilon)`,
    :math:`z' = \beta_1 z + (1-\beta_1) G - (d' - \beta_1 d) w`, :math:`w' = -z' / d'`.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    d: Tensor = arg("Curvature of the model at the last step, same shape as the weights.", mutates=True)
    v: Tensor = VAR
    z: Tensor = arg("Linear term of the model, same shape as the weights.", mutates=True)

    lr: float = LR
    beta1: float = param("Decay rate of the linear term and the curvature.", default=0.6, live=True)
    beta2: float = BETA2
    epsilon: Double = EPSILON
    t: int = STEP
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_grad: float = param(
        "Limit the rescaled gradient with decay to [-clip_grad, clip_grad]; not positive: no limit.", default=-1.0
    )

    samples = (Sample([(3, 4)] * 5, {"lr": 0.1, "t": 1}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, d: Any, v: Any, z: Any) -> Any:
        lr, beta1, beta2, epsilon, t, wd, rescale = _scalars(
            xp, weight, self.lr, self.beta1, self.beta2, self.epsilon, self.t, self.wd, self.rescale_grad
        )
        grad = _clip(xp, rescale * grad + wd * weight, self.clip_grad)
        v = beta2 * v + (1 - beta2) * xp.square(grad)
        new = (1 - beta1**t) / lr * (xp.sqrt(v / (1 - beta2**t)) + epsilon)
        z = beta1 * z + (1 - beta1) * grad - (new - beta1 * d) * weight
        return -z / new, new, v, z


@op("rmsprop_update")
class RMSPropUpdate(Update):
    r"""One RMSProp step (Tieleman and Hinton, 2012, lecture 6e).

    With :math:`G = C(s g + \lambda w)`: :math:`n' = (1-\gamma_1) G^2 + \gamma_1 n`,
    :math:`w' = w - \eta (G / \sqrt{n' + \epsilon})`, then the weights are limited.

    Systems differ in the place of epsilon, of decay and of momentum; this is the rule of MXNet 0.10 to 1.9. Epsilon is
    inside the root, and decay is added before clipping, so the limited value goes into the average.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    n: Tensor = VAR

    lr: float = LR
    gamma1: float = param("Decay rate of the average of the squared gradient.", default=0.95, live=True)
    epsilon: float = param("Small number added under the root, against division by zero.", default=1e-8, live=True)
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    clip_weights: float = CLIP_WEIGHTS

    samples = (
        Sample([(3, 4)] * 3, {"lr": 0.1}, low=0.1),
        Sample([(3, 4)] * 3, {"lr": 0.1, "wd": 0.01, "clip_gradient": 0.3, "clip_weights": 0.4}, low=0.1),
    )

    def compute(self, xp: Any, weight: Any, grad: Any, n: Any) -> Any:
        lr, gamma1, epsilon, wd, rescale = _scalars(
            xp, weight, self.lr, self.gamma1, self.epsilon, self.wd, self.rescale_grad
        )
        grad = _clip(xp, rescale * grad + wd * weight, self.clip_gradient)
        n = (1 - gamma1) * xp.square(grad) + gamma1 * n
        weight = weight - lr * (grad / xp.sqrt(n + epsilon))
        return _clip(xp, weight, self.clip_weights), n


@op("rmspropalex_update")
class RMSPropAlexUpdate(Update):
    r"""One step of centred RMSProp with momentum (Graves, 2013, equations 38 to 45).

    With :math:`G = C(s g + \lambda w)`: :math:`n' = ((1-\gamma_1) G) G + \gamma_1 n`,
    :math:`a' = (1-\gamma_1) G + \gamma_1 a`,
    :math:`\delta' = \gamma_2 \delta - \eta G / \sqrt{n' - a'^2 + \epsilon}`, :math:`w' = w + \delta'`, then the weights
    are limited. The state *a* is the input ``g``.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    n: Tensor = VAR
    g: Tensor = MEAN
    delta: Tensor = arg("The last step, same shape as the weights.", mutates=True)

    lr: float = LR
    gamma1: float = param("Decay rate of both averages.", default=0.95, live=True)
    gamma2: float = param("Share of the last step that is repeated.", default=0.9, live=True)
    epsilon: float = param("Small number added under the root, against division by zero.", default=1e-8, live=True)
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    clip_weights: float = CLIP_WEIGHTS

    # The averages start at zero here: for others the variance under the root would be negative.
    samples = (Sample([(3, 4)] * 5, {"lr": 0.1, "epsilon": 2.0}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, n: Any, g: Any, delta: Any) -> Any:
        lr, gamma1, gamma2, epsilon, wd, rescale = _scalars(
            xp, weight, self.lr, self.gamma1, self.gamma2, self.epsilon, self.wd, self.rescale_grad
        )
        grad = _clip(xp, rescale * grad + wd * weight, self.clip_gradient)
        share = (1 - gamma1) * grad
        n = share * grad + gamma1 * n
        g = share + gamma1 * g
        delta = gamma2 * delta - lr * grad / xp.sqrt(n - xp.square(g) + epsilon)
        return _clip(xp, weight + delta, self.clip_weights), n, g, delta


@op("_sparse_adagrad_update")
class AdaGradUpdate(Update):
    r"""One AdaGrad step (Duchi, Hazan and Singer, 2011).

    With :math:`G = C(s g)`: :math:`h' = h + G^2`, :math:`w' = w - \eta (G / \sqrt{h' + \epsilon} + \lambda w)`. MXNet
    has it for row-sparse gradients without decay only; for a dense gradient this is what it computes on rows that
    are all there.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    history: Tensor = arg("Sum of the squared gradients, same shape as the weights.", mutates=True)

    lr: float = LR
    epsilon: float = param("Small number added under the root, against division by zero.", default=1e-7, live=True)
    wd: float = param("Weight decay, apart from the gradient.", default=0.0, live=True)
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT

    samples = (Sample([(3, 4)] * 3, {"lr": 0.1}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, history: Any) -> Any:
        lr, epsilon, wd, rescale = _scalars(xp, weight, self.lr, self.epsilon, self.wd, self.rescale_grad)
        grad = _clip(xp, rescale * grad, self.clip_gradient)
        history = history + xp.square(grad)
        return weight - lr * (grad / xp.sqrt(history + epsilon) + wd * weight), history


@op("_contrib_group_adagrad_update")
class GroupAdaGradUpdate(Update):
    r"""One AdaGrad step with one sum of squared gradients for each row.

    With :math:`G = C(s g)`: :math:`h' = h + \mathrm{mean}(G^2)` over each row, :math:`w' = w - \eta G / \sqrt{h' +
    \epsilon}`. MXNet has it for row-sparse gradients only; this is what it computes on rows that are all there.
    """

    weight: Tensor = arg("Weights, (rows, ...).")
    grad: Tensor = GRAD
    history: Tensor = arg("Sum of the mean squared gradient of each row, (rows, 1).", mutates=True)

    lr: float = LR
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT
    epsilon: float = param("Small number added under the root, against division by zero.", default=1e-5, live=True)

    apart = frozenset({"history"})
    samples = (Sample([(3, 4), (3, 4), (3, 1)], {"lr": 0.1}, low=0.1),)

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:  # type: ignore[override]
        found = super().shapes(**known)
        weight = found.get("weight")
        return found if weight is None else found | {"history": (weight[0], 1)}

    def compute(self, xp: Any, weight: Any, grad: Any, history: Any) -> Any:
        lr, epsilon, rescale = _scalars(xp, weight, self.lr, self.epsilon, self.rescale_grad)
        grad = _clip(xp, rescale * grad, self.clip_gradient)
        rows = xp.reshape(xp.square(grad), (weight.shape[0], -1))
        history = history + xp.mean(rows, 1, keepdims=True)
        scale = xp.reshape(xp.sqrt(history + epsilon), (weight.shape[0], *[1] * (weight.ndim - 1)))
        return weight - lr * grad / scale, history


# -- layer-wise adaptive steps ----------------------------------------------------------------------------------------


def _lamb_direction(xp: Any, o: Any, t: Any, wd: Any, weight: Any, grad: Any, mean: Any, var: Any) -> tuple[Any, ...]:
    """Return the direction of a LAMB step and the new averages."""
    beta1, beta2, epsilon, t, wd, rescale = _scalars(xp, weight, o.beta1, o.beta2, o.epsilon, t, wd, o.rescale_grad)
    grad = _clip(xp, grad * rescale, o.clip_gradient)
    mean = beta1 * mean + (1 - beta1) * grad
    var = beta2 * var + (1 - beta2) * grad * grad
    if o.bias_correction:
        step = mean / (1 - beta1**t) / (xp.sqrt(var / (1 - beta2**t)) + epsilon)
    else:
        step = mean / (xp.sqrt(var) + epsilon)
    return step + wd * weight, mean, var


def _lamb_ratio(xp: Any, o: Any, r1: Any, r2: Any) -> Any:
    """Return norm of the weights over norm of the step, both 0-d; 1 where either is zero."""
    if o.lower_bound >= 0:
        r1 = xp.maximum(r1, o.lower_bound)
    if o.upper_bound >= 0:
        r1 = xp.minimum(r1, o.upper_bound)
    return xp.where(xp.logical_or(r1 == 0, r2 == 0), 1.0, r1 / r2)


@op("lamb_update_phase1")
class LambUpdatePhase1(Update):
    r"""First half of a LAMB step (You et al., 2020): the direction, which has the same shape as the weights.

    With :math:`G = C(s g)`: :math:`m' = \beta_1 m + (1-\beta_1) G`, :math:`v' = \beta_2 v + ((1-\beta_2) G) G`, output
    :math:`\hat m / (\sqrt{\hat v} + \epsilon) + \lambda w`, where :math:`\hat m = m' / (1-\beta_1^t)` and
    :math:`\hat v = v' / (1-\beta_2^t)` with bias correction, else :math:`m'` and :math:`v'`.
    """

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mean: Tensor = MEAN
    var: Tensor = VAR

    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON_LAMB
    t: int = STEP
    bias_correction: bool = BIAS_CORRECTION
    wd: float = param("Weight decay, apart from the gradient.", live=True)
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT

    samples = (Sample([(3, 4)] * 4, {"t": 2, "wd": 0.01}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, mean: Any, var: Any) -> Any:
        return _lamb_direction(xp, self, self.t, self.wd, weight, grad, mean, var)


@op("lamb_update_phase2")
class LambUpdatePhase2(Update):
    r"""Second half of a LAMB step (You et al., 2020): along the direction of `lamb_update_phase1`.

    :math:`w' = w - \eta\,(r_1 / r_2)\,g`, where :math:`r_1` is kept within the bounds; the ratio is 1 where either norm
    is zero.
    """

    weight: Tensor = WEIGHT
    g: Tensor = arg("Direction of the step, same shape as the weights.")
    r1: Tensor = arg("Norm of the weights, one element.")
    r2: Tensor = arg("Norm of the direction, one element.")

    lr: float = LR
    lower_bound: float = LOWER_BOUND
    upper_bound: float = UPPER_BOUND

    apart = frozenset({"r1", "r2"})
    samples = (Sample([(3, 4), (3, 4), (1,), (1,)], {"lr": 0.1, "lower_bound": 0.5}, low=0.1),)

    def compute(self, xp: Any, weight: Any, g: Any, r1: Any, r2: Any) -> Any:
        (lr,) = _scalars(xp, weight, self.lr)
        return weight - lr * _lamb_ratio(xp, self, xp.reshape(r1, ()), xp.reshape(r2, ())) * g


@op("mp_lamb_update_phase1")
class MPLambUpdatePhase1(Update):
    """`lamb_update_phase1` of float16 weights computed in float32 on `weight32`; the direction is float32."""

    weight: Tensor = WEIGHT
    grad: Tensor = GRAD
    mean: Tensor = MEAN
    var: Tensor = VAR
    weight32: Tensor = arg("Weights in float32, of which `weight` is the rounded copy.")

    beta1: float = BETA1
    beta2: float = BETA2
    epsilon: float = EPSILON_LAMB
    t: int = STEP
    bias_correction: bool = BIAS_CORRECTION
    wd: float = param("Weight decay, apart from the gradient.", live=True)
    rescale_grad: float = RESCALE_GRAD
    clip_gradient: float = CLIP_GRADIENT

    # MXNet: only float16 weights.
    floats = ("float16",)
    single = frozenset({"mean", "var", "weight32", "output"})
    samples = (Sample([(3, 4)] * 5, {"t": 2, "wd": 0.01}, low=0.1, dtypes={"weight": "float16", "grad": "float16"}),)

    def compute(self, xp: Any, weight: Any, grad: Any, mean: Any, var: Any, weight32: Any) -> Any:
        return _lamb_direction(xp, self, self.t, self.wd, weight32, _single(xp, grad), mean, var)


@op("mp_lamb_update_phase2")
class MPLambUpdatePhase2(Update):
    """`lamb_update_phase2` computed in float32 from `weight32`; the new weight is the result, rounded."""

    weight: Tensor = WEIGHT
    g: Tensor = arg("Direction of the step, float32, same shape as the weights.")
    r1: Tensor = arg("Norm of the weights, one element.")
    r2: Tensor = arg("Norm of the direction, one element.")
    weight32: Tensor = WEIGHT32

    lr: float = LR
    lower_bound: float = LOWER_BOUND
    upper_bound: float = UPPER_BOUND

    single = frozenset({"g", "r1", "r2", "weight32"})
    apart = frozenset({"r1", "r2"})
    samples = (Sample([(3, 4), (3, 4), (1,), (1,), (3, 4)], {"lr": 0.1}, low=0.1, dtypes={"weight": "float16"}),)

    def compute(self, xp: Any, weight: Any, g: Any, r1: Any, r2: Any, weight32: Any) -> Any:
        (lr,) = _scalars(xp, weight32, self.lr)
        new = weight32 - lr * _lamb_ratio(xp, self, xp.reshape(r1, ()), xp.reshape(r2, ())) * g
        # MXNet: weight32 is declared as a state, but stays as it is.
        return xp.astype(new, weight.dtype), weight32


# -- several weights at once ------------------------------------------------------------------------------------------


class MultiSGD(MultiUpdate):
    """Gradient descent for several weights, with momentum if it is among the states."""

    def rates(self, xp: Any, k: int, tail: tuple[Any, ...], dtype: Any) -> tuple[Any, Any]:
        """Return learning rate and decay of weight `k` as 0-d arrays."""
        if tail:
            return _element(xp, tail[0], k, dtype), _element(xp, tail[1], k, dtype)
        self.one_each(lrs=self.lrs, wds=self.wds)  # type: ignore[attr-defined]
        return xp.scalar(self.lrs[k], dtype), xp.scalar(self.wds[k], dtype)  # type: ignore[attr-defined]

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        o: Any = self
        (rescale,) = _scalars(xp, weight, o.rescale_grad)
        lr, wd = self.rates(xp, k, tail, weight.dtype)
        step = lr * _clip(xp, rescale * grad, o.clip_gradient)
        if not states:
            return (weight - (lr * wd * weight + step),)
        mom = xp.scalar(o.momentum, weight.dtype) * states[0] - lr * wd * weight - step
        return weight + mom, mom


_DATA_SGD = args("For each weight: weight, gradient.", count="num_inputs")
_DATA_SGD_MOM = args("For each weight: weight, gradient, momentum.", count="num_inputs")
_DATA_MP_SGD = args("For each weight: weight, gradient, weight32.", count="num_inputs")
_DATA_MP_SGD_MOM = args("For each weight: weight, gradient, momentum, weight32.", count="num_inputs")
_DATA_PRE_SGD = args("For each weight: weight, gradient; then lrs and wds.", count="num_inputs")
_DATA_PRE_SGD_MOM = args("For each weight: weight, gradient, momentum; then lrs and wds.", count="num_inputs")
_DATA_PRE_MP_SGD = args("For each weight: weight, gradient, weight32; then lrs and wds.", count="num_inputs")
_DATA_PRE_MP_SGD_MOM = args(
    "For each weight: weight, gradient, momentum, weight32; then lrs and wds.", count="num_inputs"
)


@op("multi_sgd_update")
class MultiSGDUpdate(MultiSGD):
    r"""One step of gradient descent for several weights.

    For each: :math:`w' = w - ((\eta\lambda) w + \eta\, C(s g))`.
    """

    data: Tensors = _DATA_SGD

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

    data: Tensors = _DATA_SGD_MOM

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

    data: Tensors = _DATA_MP_SGD

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

    data: Tensors = _DATA_MP_SGD_MOM

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

    data: Tensors = _DATA_PRE_SGD

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

    data: Tensors = _DATA_PRE_SGD_MOM

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

    data: Tensors = _DATA_PRE_MP_SGD

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

    data: Tensors = _DATA_PRE_MP_SGD_MOM

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

    tail = ("rescale_grad",)

    def step(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        rescale, usable = _usable(xp, tail[0])
        new = super().step(xp, k, (rescale,), weight, grad, *states)
        return tuple(xp.where(usable, a, b) for a, b in zip(new, (weight, *states), strict=True))

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        o: Any = self
        self.one_each(lrs=o.lrs, wds=o.wds, etas=o.etas)
        lr, beta1, beta2, epsilon, wd, eta = _scalars(
            xp, weight, o.lrs[k], o.beta1, o.beta2, o.epsilon, o.wds[k], o.etas[k]
        )
        mean, var = states
        grad = _clip(xp, xp.astype(tail[0], weight.dtype) * grad, o.clip_gradient)
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
    etas: Floats = param("Factor of the whole step of each weight, set by the learning rate schedule.")
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
    etas: Floats = param("Factor of the whole step of each weight, set by the learning rate schedule.")
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

    @property
    def num_updated(self) -> int:
        return int(getattr(self, "num_tensors"))  # noqa: B009

    def rule(self, xp: Any, k: int, tail: tuple[Any, ...], weight: Any, grad: Any, *states: Any) -> tuple[Any, ...]:
        o: Any = self
        self.one_each(learning_rates=o.learning_rates, wds=o.wds, step_count=o.step_count)
        step, mean, var = _lamb_direction(xp, o, o.step_count[k], o.wds[k], weight, grad, *states)
        r1, r2 = (xp.sqrt(xp.sum(xp.square(x))) for x in (weight, step))
        (lr,) = _scalars(xp, weight, o.learning_rates[k])
        return weight - lr * _lamb_ratio(xp, o, r1, r2) * step, mean, var


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
        return tuple(f"array_{k}" for k in range(int(getattr(self, "num_arrays"))))  # noqa: B009

    def answers(self) -> int:
        """Length of the answer."""
        return 1

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:  # type: ignore[override]
        """The inputs' shapes do not matter."""
        return {"output": (self.answers(),)}

    def dtypes(self, **known: Any) -> dict[str, Any]:  # type: ignore[override]
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

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:  # type: ignore[override]
        """All alike."""
        return alike((*self.input_names(), "output"), known)

    def dtypes(self, **known: Any) -> dict[str, Any]:  # type: ignore[override]
        """All float32."""
        for name, dtype in known.items():
            floating(name, dtype, ("float32",))
        return dict.fromkeys((*self.input_names(), "output"), np.dtype("float32"))

    def compute(self, xp: Any, lrs: Any, weights_sum_sq: Any, grads_sum_sq: Any, wds: Any) -> Any:
        eta, eps, rescale = _scalars(xp, lrs, self.eta, self.eps, self.rescale_grad)
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
        return xp.stack([xp.sum(xp.square(_single(xp, x))) for x in tensors])


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
    return xp.reshape(_single(xp, every), (1,))


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

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:  # type: ignore[override]
        """Nothing follows from anything."""
        return {}

    def dtypes(self, **known: Any) -> dict[str, Any]:  # type: ignore[override]
        """Floating point tensors of one type."""
        names = self.input_names()
        for name in names:
            floating(name, known.get(name))
        return same_dtype(names, known)

    def compute(self, xp: Any, *tensors: Any) -> Any:
        return tuple(xp.zeros_like(x) for x in tensors)
