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

from typing import Any, ClassVar

import numpy as np

from symgraph.op import Double, Op, PartialShape, Sample, Tensor, arg, op, param
from symgraph.op.partial import same_shape
from symgraph.ops.rules import floating, same_dtype

__all__ = ["CLIP_GRADIENT", "CLIP_WEIGHTS", "LR", "MOMENTUM", "RESCALE_GRAD", "WD", "Update"]

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

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:
        """All tensors of one weight have one shape."""
        groups: dict[str, list[str]] = {}
        for name in (*self.input_names(), *self.output_names()):
            role, group = self._role(name)
            if role not in self.apart:
                groups.setdefault(group, []).append(name)
        found: dict[str, PartialShape] = {}
        for names in groups.values():
            found |= same_shape(names, known)
        return found

    def dtypes(self, **known: Any) -> dict[str, Any]:
        """One floating point type, except what is float32 throughout."""
        names = (*self.input_names(), *self.output_names())
        shared = [n for n in names if self._role(n)[0] not in self.single]
        for name in names:
            floating(name, known.get(name), self.floats if name in shared else ("float32",))
        return same_dtype(shared, known) | {n: np.dtype("float32") for n in names if n not in shared}


def scalars(xp: Any, tensor: Any, *values: Any) -> tuple[Any, ...]:
    """Return parameters as 0-d arrays of the tensor's element type, which must be a floating point one."""
    floating("weight", tensor.dtype)
    return tuple(xp.scalar(v, tensor.dtype) for v in values)


def clip(xp: Any, x: Any, bound: float) -> Any:
    return xp.clip(x, -bound, bound) if bound > 0 else x


def sign(xp: Any, x: Any) -> Any:
    # MXNet: the sign of NaN is 0.
    return xp.where(xp.isnan(x), 0.0, xp.sign(x))


def single(xp: Any, x: Any) -> Any:
    return xp.astype(x, "float32")


_ONE = ((3, 4), (3, 4))


# -- stochastic gradient descent --------------------------------------------------------------------------------------


def _sgd(xp: Any, o: Any, weight: Any, grad: Any) -> Any:
    lr, wd, rescale = scalars(xp, weight, o.lr, o.wd, o.rescale_grad)
    kept = (1 - lr * wd) * weight
    if o.clip_gradient > 0:
        return kept - lr * clip(xp, rescale * grad, o.clip_gradient)
    return kept - (lr * rescale) * grad


def _sgd_mom(xp: Any, o: Any, weight: Any, grad: Any, mom: Any) -> tuple[Any, Any]:
    lr, wd, rescale, momentum = scalars(xp, weight, o.lr, o.wd, o.rescale_grad, o.momentum)
    kept = momentum * mom - (lr * wd) * weight
    if o.clip_gradient > 0:
        mom = kept - lr * clip(xp, rescale * grad, o.clip_gradient)
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
        weight32 = _sgd(xp, self, weight32, single(xp, grad))
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
        weight32, mom = _sgd_mom(xp, self, weight32, single(xp, grad), mom)
        return xp.astype(weight32, weight.dtype), mom, weight32


def _nag_mom(xp: Any, o: Any, weight: Any, grad: Any, mom: Any) -> tuple[Any, Any]:
    lr, wd, rescale, momentum = scalars(xp, weight, o.lr, o.wd, o.rescale_grad, o.momentum)
    scaled = clip(xp, rescale * grad, o.clip_gradient)
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
        weight32, mom = _nag_mom(xp, self, weight32, single(xp, grad), mom)
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
        lr, wd = scalars(xp, weight, self.lr, self.wd)
        return (1 - lr * wd) * weight - lr * sign(xp, grad)


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
        lr, wd, rescale, momentum, wd_lh = scalars(
            xp, weight, self.lr, self.wd, self.rescale_grad, self.momentum, self.wd_lh
        )
        rest = 1 - momentum
        kept = momentum * mom - (rest * wd) * weight
        if self.clip_gradient > 0:
            mom = kept - rest * clip(xp, rescale * grad, self.clip_gradient)
        else:
            mom = kept - (rest * rescale) * grad
        return (1 - lr * wd_lh) * weight + lr * sign(xp, mom), mom


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
        lr, beta1, beta2, epsilon, wd, rescale = scalars(
            xp, weight, self.lr, self.beta1, self.beta2, self.epsilon, self.wd, self.rescale_grad
        )
        grad = clip(xp, grad * rescale + weight * wd, self.clip_gradient)
        mean = beta1 * mean + (1 - beta1) * grad
        var = beta2 * var + (1 - beta2) * grad * grad
        return weight - lr * mean / (xp.sqrt(var) + epsilon), mean, var


def _adamw(xp: Any, o: Any, weight: Any, grad: Any, mean: Any, var: Any, rescale: Any) -> tuple[Any, ...]:
    lr, beta1, beta2, epsilon, wd, eta = scalars(xp, weight, o.lr, o.beta1, o.beta2, o.epsilon, o.wd, o.eta)
    # MXNet: the complements of the decay rates are rounded to float32, whatever the weight is.
    rest1, rest2 = (xp.astype(1 - xp.scalar(b, "float32"), weight.dtype) for b in (o.beta1, o.beta2))
    grad = clip(xp, rescale * grad, o.clip_gradient)
    mean = beta1 * mean + rest1 * grad
    var = beta2 * var + rest2 * (grad * grad)
    return weight - eta * (lr * mean / (xp.sqrt(var) + epsilon) + wd * weight), mean, var


def usable(xp: Any, rescale: Any) -> tuple[Any, Any]:
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
        rescale, fit = usable(xp, rescale_grad)
        new = _adamw(xp, self, weight, grad, mean, var, xp.astype(rescale, weight.dtype))
        return tuple(xp.where(fit, a, b) for a, b in zip(new, (weight, mean, var), strict=True))


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
        rescale, fit = usable(xp, rescale_grad)
        new32, new_mean, new_var = _adamw(xp, self, weight32, single(xp, grad), mean, var, rescale)
        new = (xp.astype(new32, weight.dtype), new_mean, new_var, new32)
        return tuple(xp.where(fit, a, b) for a, b in zip(new, (weight, mean, var, weight32), strict=True))


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
        lr, lamda1, beta, wd, rescale = scalars(xp, weight, self.lr, self.lamda1, self.beta, self.wd, self.rescale_grad)
        grad = clip(xp, grad * rescale, self.clip_gradient)
        total = n + xp.square(grad)
        root = xp.sqrt(total)
        z = z + (grad - (root - xp.sqrt(n)) * weight / lr)
        scale = (beta + root) / lr + wd
        kept = xp.astype(xp.abs(z) > lamda1, weight.dtype)
        return (sign(xp, z) * lamda1 - z) / scale * kept, z, total


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
    # MXNet: a 64-bit parameter whose default was rounded to 32 bits.
    epsilon: Double = param(
        "Small number added to the root, against division by zero.", default=9.9999999392252903e-09, live=True
    )
    t: int = STEP
    wd: float = WD
    rescale_grad: float = RESCALE_GRAD
    clip_grad: float = param(
        "Limit the rescaled gradient with decay to [-clip_grad, clip_grad]; not positive: no limit.", default=-1.0
    )

    samples = (Sample([(3, 4)] * 5, {"lr": 0.1, "t": 1}, low=0.1),)

    def compute(self, xp: Any, weight: Any, grad: Any, d: Any, v: Any, z: Any) -> Any:
        lr, beta1, beta2, epsilon, t, wd, rescale = scalars(
            xp, weight, self.lr, self.beta1, self.beta2, self.epsilon, self.t, self.wd, self.rescale_grad
        )
        grad = clip(xp, rescale * grad + wd * weight, self.clip_grad)
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
        lr, gamma1, epsilon, wd, rescale = scalars(
            xp, weight, self.lr, self.gamma1, self.epsilon, self.wd, self.rescale_grad
        )
        grad = clip(xp, rescale * grad + wd * weight, self.clip_gradient)
        n = (1 - gamma1) * xp.square(grad) + gamma1 * n
        weight = weight - lr * (grad / xp.sqrt(n + epsilon))
        return clip(xp, weight, self.clip_weights), n


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
        lr, gamma1, gamma2, epsilon, wd, rescale = scalars(
            xp, weight, self.lr, self.gamma1, self.gamma2, self.epsilon, self.wd, self.rescale_grad
        )
        grad = clip(xp, rescale * grad + wd * weight, self.clip_gradient)
        share = (1 - gamma1) * grad
        n = share * grad + gamma1 * n
        g = share + gamma1 * g
        delta = gamma2 * delta - lr * grad / xp.sqrt(n - xp.square(g) + epsilon)
        return clip(xp, weight + delta, self.clip_weights), n, g, delta


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
        lr, epsilon, wd, rescale = scalars(xp, weight, self.lr, self.epsilon, self.wd, self.rescale_grad)
        grad = clip(xp, rescale * grad, self.clip_gradient)
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

    def shapes(self, **known: PartialShape | None) -> dict[str, PartialShape]:
        found = super().shapes(**known)
        weight = found.get("weight")
        return found if weight is None else found | {"history": (weight[0], 1)}

    def compute(self, xp: Any, weight: Any, grad: Any, history: Any) -> Any:
        lr, epsilon, rescale = scalars(xp, weight, self.lr, self.epsilon, self.rescale_grad)
        grad = clip(xp, rescale * grad, self.clip_gradient)
        rows = xp.reshape(xp.square(grad), (weight.shape[0], -1))
        history = history + xp.mean(rows, 1, keepdims=True)
        scale = xp.reshape(xp.sqrt(history + epsilon), (weight.shape[0], *[1] * (weight.ndim - 1)))
        return weight - lr * grad / scale, history


# -- layer-wise adaptive steps ----------------------------------------------------------------------------------------


def lamb_direction(xp: Any, o: Any, t: Any, wd: Any, weight: Any, grad: Any, mean: Any, var: Any) -> tuple[Any, ...]:
    """Return the direction of a LAMB step and the new averages."""
    beta1, beta2, epsilon, t, wd, rescale = scalars(xp, weight, o.beta1, o.beta2, o.epsilon, t, wd, o.rescale_grad)
    grad = clip(xp, grad * rescale, o.clip_gradient)
    mean = beta1 * mean + (1 - beta1) * grad
    var = beta2 * var + (1 - beta2) * grad * grad
    if o.bias_correction:
        step = mean / (1 - beta1**t) / (xp.sqrt(var / (1 - beta2**t)) + epsilon)
    else:
        step = mean / (xp.sqrt(var) + epsilon)
    return step + wd * weight, mean, var


def lamb_rate(xp: Any, o: Any, lr: Any, r1: Any, r2: Any) -> Any:
    """Return the learning rate times norm of the weights over norm of the step, all 0-d; the ratio of zeros is 1."""
    if o.lower_bound >= 0:
        r1 = xp.maximum(r1, o.lower_bound)
    if o.upper_bound >= 0:
        r1 = xp.minimum(r1, o.upper_bound)
    return xp.where(xp.logical_or(r1 == 0, r2 == 0), lr, lr * r1 / r2)


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
        return lamb_direction(xp, self, self.t, self.wd, weight, grad, mean, var)


@op("lamb_update_phase2")
class LambUpdatePhase2(Update):
    r"""Second half of a LAMB step (You et al., 2020): along the direction of `lamb_update_phase1`.

    :math:`w' = w - ((\eta r_1) / r_2)\,g`, where :math:`r_1` is kept within the bounds; the ratio is 1 where either
    norm is zero.
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
        (lr,) = scalars(xp, weight, self.lr)
        return weight - lamb_rate(xp, self, lr, xp.reshape(r1, ()), xp.reshape(r2, ())) * g


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
        return lamb_direction(xp, self, self.t, self.wd, weight32, single(xp, grad), mean, var)


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
        (lr,) = scalars(xp, weight32, self.lr)
        new = weight32 - lamb_rate(xp, self, lr, xp.reshape(r1, ()), xp.reshape(r2, ())) * g
        # MXNet: weight32 is declared as a state, but stays as it is.
        return xp.astype(new, weight.dtype), weight32
