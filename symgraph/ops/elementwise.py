"""Operators that work element by element: functions of one array, of two, of an array and a number; choice and casts.

Most are rows of tables; `symgraph.op.families` says what a row makes. Reductions, and whatever moves elements to other
places, are elsewhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.op import Double, DTypeName, NumberDType, Op, Sample, Shape, Tensor, Tensors, arg, args, op, param
from symgraph.op.families import Domain, binary, broadcasting, scalar, typed_number, unary
from symgraph.op.partial import axis_of, merge, same_shape

# -- functions of one array -------------------------------------------------------------------------------------------


def _round(xp: Any, x: Any) -> Any:
    whole = xp.trunc(x)
    return xp.where(xp.abs(x - whole) >= 0.5, whole + xp.sign(x), whole)


def _rint(xp: Any, x: Any) -> Any:
    # MXNet: halves go down, not to the even neighbour.
    low, high = xp.floor(x), xp.ceil(x)
    return xp.where(x - low <= high - x, low, high)


def _gamma(xp: Any, x: Any) -> Any:
    # By way of the logarithm, whose error the exponential multiplies; doubles leave enough room for that.
    wide = xp.astype(x, "float64")
    below = xp.floor(wide)
    size = xp.exp(xp.lgamma(wide))
    odd = xp.logical_and(wide < 0, xp.not_equal(xp.remainder(below, 2), 0))
    signed = xp.where(odd, -size, size)
    pole = xp.logical_and(wide < 0, xp.equal(wide, below))
    signed = xp.where(pole, math.nan, signed)
    # The logarithm does not tell +0 from -0.
    return xp.astype(xp.where(xp.equal(wide, 0), xp.reciprocal(wide), signed), x.dtype)


def _gamma_backward(xp: Any, dy: Any, x: Any, y: Any) -> Any:
    return dy * (y * xp.digamma(x))


def _sign(xp: Any, x: Any) -> Any:
    # MXNet: the sign of NaN is 0.
    return xp.where(xp.isnan(x), 0, xp.sign(x)) if x.dtype.kind == "f" else xp.sign(x)


def _root_backward(order: float) -> Any:
    """Return the gradient of ``x ** (-1 / order)``, by way of the result: more exact, and right at both zeros."""

    def rule(xp: Any, dy: Any, x: Any, y: Any) -> Any:
        return dy * (y / (x * -order))

    return rule


def _softsign_backward(xp: Any, dy: Any, x: Any, y: Any) -> Any:
    return dy / xp.square(xp.abs(x) + 1)


def _relu_backward(xp: Any, dy: Any, x: Any, y: Any) -> Any:
    return dy * xp.astype(y > 0, dy.dtype)


def _softsign(xp: Any, x: Any) -> Any:
    return x / (xp.abs(x) + 1)


def _test(xp: Any, test: Any, like: Any) -> Any:
    """Turn a test into ones and zeros of the operands' element type, as MXNet's comparisons give."""
    return xp.astype(test, like.dtype)


# fmt: off
unary("abs", "Absolute value.", lambda xp, x: xp.abs(x),
      aliases=["_sparse_abs"], domain="number", low=-2, high=2, whole=(-3, 4))
unary("sign", "Sign: -1, 0 or 1.", _sign,
      aliases=["_sparse_sign"], domain="number", low=-2, high=2, whole=(-3, 4))
unary("negative", "Negative value, ``-data``.", lambda xp, x: xp.negative(x),
      aliases=["_sparse_negative"], domain="number", low=-2, high=2, whole=(-3, 4))
unary("square", "Square, ``data ** 2``.", lambda xp, x: xp.square(x),
      aliases=["_sparse_square"], domain="number", low=-2, high=2, whole=(-3, 4))
unary("round", "Nearest whole number; halves go away from zero.", _round,
      aliases=["_sparse_round"], low=-3, high=3, whole=(-3, 4))
unary("rint", "Nearest whole number; halves go down.", _rint,
      aliases=["_sparse_rint"], low=-3, high=3, whole=(-3, 4))
unary("ceil", "Least whole number not below ``data``.", lambda xp, x: xp.ceil(x),
      aliases=["_sparse_ceil"], low=-3, high=3, whole=(-3, 4))
unary("floor", "Greatest whole number not above ``data``.", lambda xp, x: xp.floor(x),
      aliases=["_sparse_floor"], low=-3, high=3, whole=(-3, 4))
unary("trunc", "Whole part: the digits after the point cut off.", lambda xp, x: xp.trunc(x),
      aliases=["_sparse_trunc"], low=-3, high=3, whole=(-3, 4))
unary("fix", "Nearest whole number towards zero; the same as `trunc`.", lambda xp, x: xp.trunc(x),
      aliases=["_sparse_fix"], low=-3, high=3, whole=(-3, 4))
unary("sqrt", "Square root; NaN below zero.", lambda xp, x: xp.sqrt(x),
      aliases=["_sparse_sqrt"], low=0.1, high=4, whole=(0, 10))
unary("rsqrt", "Reciprocal of the square root, ``1 / sqrt(data)``.", lambda xp, x: xp.reciprocal(xp.sqrt(x)),
      backward=_root_backward(2), aliases=["_sparse_rsqrt"], low=0.1, high=4, whole=(1, 5))
unary("cbrt", "Cube root, of negative numbers, too.", lambda xp, x: xp.cbrt(x),
      aliases=["_sparse_cbrt"], low=0.1, high=4, whole=(-8, 10))
unary("rcbrt", "Reciprocal of the cube root, ``1 / cbrt(data)``.", lambda xp, x: xp.reciprocal(xp.cbrt(x)),
      backward=_root_backward(3), low=0.1, high=4, whole=(1, 9))
unary("reciprocal", "Reciprocal, ``1 / data``.", lambda xp, x: xp.reciprocal(x), low=0.2, high=3, whole=(1, 3))
unary("exp", "Exponential, ``e ** data``.", lambda xp, x: xp.exp(x),
      aliases=["_sparse_exp"], low=-2, high=2, whole=(-3, 4))
unary("expm1", "Exponential less one, exact near zero.", lambda xp, x: xp.expm1(x),
      aliases=["_sparse_expm1"], low=-2, high=2, whole=(-3, 4))
unary("log", "Natural logarithm.", lambda xp, x: xp.log(x),
      aliases=["_sparse_log"], low=0.1, high=4, whole=(1, 10))
unary("log10", "Logarithm to base 10.", lambda xp, x: xp.log10(x),
      aliases=["_sparse_log10"], low=0.1, high=4, whole=(1, 100))
unary("log2", "Logarithm to base 2.", lambda xp, x: xp.log2(x),
      aliases=["_sparse_log2"], low=0.1, high=4, whole=(1, 10))
unary("log1p", "Logarithm of ``1 + data``, exact near zero.", lambda xp, x: xp.log1p(x),
      aliases=["_sparse_log1p"], low=-0.9, high=3, whole=(0, 10))
unary("sin", "Sine of an angle in radians.", lambda xp, x: xp.sin(x),
      aliases=["_sparse_sin"], low=-3, high=3, whole=(-3, 4))
unary("cos", "Cosine of an angle in radians.", lambda xp, x: xp.cos(x),
      aliases=["_sparse_cos"], low=-3, high=3, whole=(-3, 4))
unary("tan", "Tangent of an angle in radians.", lambda xp, x: xp.tan(x),
      aliases=["_sparse_tan"], low=-1.2, high=1.2, whole=(-3, 4))
unary("arcsin", "Inverse sine, in radians.", lambda xp, x: xp.asin(x),
      aliases=["_sparse_arcsin"], low=-0.9, high=0.9, whole=(-1, 2))
unary("arccos", "Inverse cosine, in radians.", lambda xp, x: xp.acos(x),
      aliases=["_sparse_arccos"], low=-0.9, high=0.9, whole=(-1, 2))
unary("arctan", "Inverse tangent, in radians.", lambda xp, x: xp.atan(x),
      aliases=["_sparse_arctan"], low=-3, high=3, whole=(-3, 4))
unary("sinh", "Hyperbolic sine.", lambda xp, x: xp.sinh(x),
      aliases=["_sparse_sinh"], low=-2, high=2, whole=(-3, 4))
unary("cosh", "Hyperbolic cosine.", lambda xp, x: xp.cosh(x),
      aliases=["_sparse_cosh"], low=-2, high=2, whole=(-3, 4))
unary("tanh", "Hyperbolic tangent.", lambda xp, x: xp.tanh(x),
      aliases=["_sparse_tanh"], low=-2, high=2, whole=(-3, 4))
unary("arcsinh", "Inverse hyperbolic sine.", lambda xp, x: xp.asinh(x),
      aliases=["_sparse_arcsinh"], low=-3, high=3, whole=(-3, 4))
unary("arccosh", "Inverse hyperbolic cosine, of numbers from 1 on.", lambda xp, x: xp.acosh(x),
      aliases=["_sparse_arccosh"], low=1.1, high=4, whole=(1, 10))
unary("arctanh", "Inverse hyperbolic tangent, of numbers between -1 and 1.", lambda xp, x: xp.atanh(x),
      aliases=["_sparse_arctanh"], low=-0.9, high=0.9)
unary("degrees", "Degrees of an angle in radians.", lambda xp, x: x * (180.0 / math.pi),
      aliases=["_sparse_degrees"], low=-2, high=2, whole=(-3, 4))
unary("radians", "Radians of an angle in degrees.", lambda xp, x: x * (math.pi / 180.0),
      aliases=["_sparse_radians"], low=-90, high=90, whole=(-90, 100))
unary("gamma", "Gamma function.", _gamma, backward=_gamma_backward,
      aliases=["_npx_gamma", "_sparse_gamma"], low=0.3, high=4, whole=(1, 6))
unary("gammaln", "Logarithm of the absolute value of the gamma function.", lambda xp, x: xp.lgamma(x),
      aliases=["_npx_gammaln", "_sparse_gammaln"], low=0.3, high=4, whole=(1, 6))
unary("erf", "Error function of Gauss.", lambda xp, x: xp.erf(x),
      aliases=["_npx_erf"], low=-2, high=2, whole=(-3, 4))
unary("erfinv", "Inverse error function, of numbers between -1 and 1.", lambda xp, x: xp.erfinv(x),
      aliases=["_npx_erfinv"], low=-0.9, high=0.9)
unary("relu", "Rectifier, ``max(data, 0)``; its slope at 0 is 0.", lambda xp, x: xp.relu(x), backward=_relu_backward,
      aliases=["_sparse_relu"], domain="number", low=-2, high=2, whole=(-3, 4))
unary("sigmoid", "Logistic function, ``1 / (1 + exp(-data))``.", lambda xp, x: xp.sigmoid(x),
      aliases=["_sparse_sigmoid"], low=-4, high=4, whole=(-3, 4))
unary("softsign", "Softsign, ``data / (1 + abs(data))``.", _softsign, backward=_softsign_backward,
      low=-4, high=4, whole=(-3, 4))
unary("logical_not", "One where ``data`` is zero, zero elsewhere.",
      lambda xp, x: _test(xp, xp.logical_not(x), x), domain="any", low=-2, high=2, whole=(-1, 2))
unary("_copy", "The input itself.", lambda xp, x: x,
      aliases=["identity"], domain="any", low=-2, high=2, whole=(-3, 4))
unary("BlockGrad", "The input itself, as a constant to differentiation: its gradient is zero.",
      lambda xp, x: xp.stop_gradient(x), aliases=["_sparse_stop_gradient", "stop_gradient"],
      domain="any", low=-2, high=2, whole=(-3, 4), smooth=False).is_loss = True  # it reads no head gradient
unary("zeros_like", "Zeros.", lambda xp, x: xp.zeros_like(x),
      aliases=["_sparse_zeros_like"], domain="any", whole=(-3, 4))
unary("ones_like", "Ones.", lambda xp, x: xp.ones_like(x), domain="any", whole=(-3, 4))
unary("_contrib_div_sqrt_dim", "The input divided by the root of the length of its last axis, as attention scales.",
      lambda xp, x: x / math.sqrt(x.shape[-1]), low=-2, high=2)
unary("_contrib_round_ste", "Nearest whole number, halves away from zero; the gradient passes straight through.",
      _round, backward=lambda xp, dy, x, y: dy, aliases=["_sparse__contrib_round_ste"], low=-3, high=3, smooth=False)
unary("_contrib_sign_ste", "Sign; the gradient passes straight through.",
      _sign, backward=lambda xp, dy, x, y: dy, aliases=["_sparse__contrib_sign_ste"],
      domain="number", low=-3, high=3, smooth=False)
# fmt: on


@op("make_loss", aliases=["_sparse_make_loss"])
class MakeLossPlain(Op):
    """The input itself, as a loss: its gradient is one everywhere, whatever the head gradient."""

    data: Tensor = arg("Loss, of any shape; usually one number for each example.")

    outputs = ("loss",)
    is_loss = True
    samples = (Sample([(3, 4)]), Sample([(3,)], dtypes={"data": "float64"}))

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "loss"), known)

    def compute(self, xp, data):
        """Return the input."""
        return data

    def backward(self, xp, dy, data):
        """Return ones."""
        return xp.ones_like(data)


@op("hard_sigmoid")
class HardSigmoid(Op):
    """Piecewise linear sigmoid: ``clip(alpha * data + beta, 0, 1)``.

    The result has the shape and element type of `data`, which must be floating point.
    """

    data: Tensor = arg("Input, of any shape.")

    alpha: float = param("Slope of the middle part.", default=0.2)
    beta: float = param("Value at zero.", default=0.5)

    samples = (
        Sample([(3, 4)], low=-4, high=4),
        Sample([(2, 0, 3)]),
        Sample([(5,)], {"alpha": 0.1, "beta": 0.7}, low=-4, high=4),
    )

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def compute(self, xp, data):
        """Return the function."""
        if data.dtype.kind != "f":
            raise DTypeError(f"data has element type {data.dtype}, but must be floating point")
        return xp.clip(data * self.alpha + self.beta, 0, 1)

    def backward(self, xp, dy, output):
        """Return the slope times the head gradient; at the corners it is zero."""
        inside = xp.logical_and(output > 0, output < 1)
        return dy * (xp.astype(inside, dy.dtype) * self.alpha)


@op("smooth_l1", aliases=["_npx_smooth_l1"])
class SmoothL1(Op):
    r"""Smooth L1 loss: quadratic near zero, linear elsewhere (Girshick, 2015, *Fast R-CNN*).

    With :math:`s` = `scalar`: :math:`(s x)^2 / 2` where :math:`|x| < 1 / s^2`, else :math:`|x| - 1 / (2 s^2)`. The
    result has the shape and element type of `data`.
    """

    data: Tensor = arg("Input, of any shape; usually prediction less target.")

    scalar: float = param("Steepness of the quadratic part, s in the formula.", default=1.0)

    samples = (
        Sample([(3, 4)], low=-3, high=3),
        Sample([(2, 0, 3)]),
        Sample([(8,)], {"scalar": 2.0}, low=-1, high=1),
        Sample([(8,)], {"scalar": 0.0}, low=-1, high=1),
    )

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def _inside(self, xp, data):
        return xp.abs(data) < (1.0 / self.scalar**2 if self.scalar else math.inf)

    def compute(self, xp, data):
        """Return the loss of each element."""
        square = self.scalar**2
        curved = xp.square(data) * (0.5 * square)
        straight = xp.abs(data) - (0.5 / square if square else math.inf)
        return xp.where(self._inside(xp, data), curved, straight)

    def backward(self, xp, dy, data):
        """Return the slope times the head gradient."""
        return dy * xp.where(self._inside(xp, data), data * self.scalar**2, xp.sign(data))


# -- functions of two arrays, and of an array and a number ------------------------------------------------------------


def _divide(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return xp.divide(x, y)
    # Integers are cut off towards zero, as in C.
    size = xp.floor_divide(xp.abs(x), xp.abs(y))
    return xp.where(xp.equal(x < 0, y < 0), size, xp.negative(size)) if x.dtype.kind == "i" else size


def _modulo(xp: Any, x: Any, y: Any) -> Any:
    # MXNet: the remainder of a division by zero is zero. Its sign is the divisor's.
    return xp.where(xp.equal(y, 0), xp.asarray(0, x.dtype), xp.remainder(x, y))


def _modulo_backward(xp: Any, dy: Any, x: Any, y: Any) -> Any:
    return dy, -dy * xp.floor(x / y)


def _power(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return xp.power(x, y)
    wide = xp.power(xp.astype(x, "float64"), xp.astype(y, "float64"))
    return xp.astype(xp.astype(wide, "int64"), x.dtype)


def _compare(name: str) -> Any:
    def function(xp: Any, x: Any, y: Any) -> Any:
        return _test(xp, getattr(xp, name)(x, y), x)

    return function


# A row: stem of the names in MXNet's three spellings, the function, its domain, and the sentence of its documentation.
# fmt: off
_ARITHMETIC: list[tuple[str, Any, Domain, str]] = [
    ("add", lambda xp, x, y: xp.add(x, y), "number", "Sum, ``{} + {}``."),
    ("sub", lambda xp, x, y: xp.subtract(x, y), "number", "Difference, ``{} - {}``."),
    ("mul", lambda xp, x, y: xp.multiply(x, y), "number", "Product, ``{} * {}``."),
    ("div", _divide, "number", "Quotient, ``{} / {}``; of integers, cut off towards zero."),
    ("mod", _modulo, "number", "Remainder of ``{} / {}``, with the divisor's sign; 0 if the divisor is 0."),
    ("power", _power, "number", "Power, ``{} ** {}``."),
    ("maximum", lambda xp, x, y: xp.maximum(x, y), "number",
     "The greater of ``{}`` and ``{}``; the gradient of equal ones goes to the first."),
    ("minimum", lambda xp, x, y: xp.minimum(x, y), "number",
     "The lesser of ``{}`` and ``{}``; the gradient of equal ones goes to the first."),
    ("hypot", lambda xp, x, y: xp.hypot(x, y), "float", "Hypotenuse, ``sqrt({} ** 2 + {} ** 2)``."),
]
_COMPARISONS = [
    ("equal",         _compare("equal"),         "``{} == {}``"),
    ("not_equal",     _compare("not_equal"),     "``{} != {}``"),
    ("greater",       _compare("greater"),       "``{} > {}``"),
    ("greater_equal", _compare("greater_equal"), "``{} >= {}``"),
    ("lesser",        _compare("less"),          "``{} < {}``"),
    ("lesser_equal",  _compare("less_equal"),    "``{} <= {}``"),
    ("logical_and",   _compare("logical_and"),   "both ``{}`` and ``{}`` are not zero"),
    ("logical_or",    _compare("logical_or"),    "``{}`` or ``{}`` is not zero, or both"),
    ("logical_xor",   _compare("logical_xor"),   "one of ``{}`` and ``{}`` is zero, the other not"),
]
# name of the element-wise operator, and its aliases
_ELEMENTWISE = {
    "add": ("elemwise_add", ["_Plus", "_add", "_plus", "_sparse_elemwise_add"]),
    "sub": ("elemwise_sub", ["_Minus", "_minus", "_sparse_elemwise_sub", "_sub"]),
    "mul": ("elemwise_mul", ["_Mul", "_mul", "_sparse_elemwise_mul"]),
    "div": ("elemwise_div", ["_Div", "_div", "_sparse_elemwise_div"]),
}
_BROADCAST_ALIASES = {
    "add": ["_sparse_broadcast_add", "_sparse_broadcast_plus", "broadcast_plus"],
    "sub": ["_sparse_broadcast_minus", "_sparse_broadcast_sub", "broadcast_minus"],
    "mul": ["_sparse_broadcast_mul"],
    "div": ["_sparse_broadcast_div"],
    "maximum": ["_npi_maximum"],
    "minimum": ["_npi_minimum"],
}
# name of the operator with a number: (stem, reversed, aliases)
_SCALAR = {
    "_plus_scalar":    ("add", False, ["_PlusScalar"]),
    "_minus_scalar":   ("sub", False, ["_MinusScalar"]),
    "_rminus_scalar":  ("sub", True,  ["_RMinusScalar"]),
    "_mul_scalar":     ("mul", False, ["_MulScalar"]),
    "_div_scalar":     ("div", False, ["_DivScalar"]),
    "_rdiv_scalar":    ("div", True,  ["_RDivScalar"]),
    "_mod_scalar":     ("mod", False, ["_ModScalar"]),
    "_rmod_scalar":    ("mod", True,  ["_RModScalar"]),
    "_power_scalar":   ("power", False, ["_PowerScalar"]),
    "_rpower_scalar":  ("power", True,  ["_RPowerScalar"]),
    "_maximum_scalar": ("maximum", False, ["_MaximumScalar", "_npi_maximum_scalar"]),
    "_minimum_scalar": ("minimum", False, ["_MinimumScalar", "_npi_minimum_scalar"]),
    "_hypot_scalar":   ("hypot", False, ["_HypotScalar", "_npi_hypot_scalar"]),
}
# fmt: on


def _camel(stem: str, joint: str) -> str:
    return joint.join(part.capitalize() for part in stem.split("_"))


def _reversed(function: Any) -> Any:
    return lambda xp, x, y: function(xp, y, x)


def _side(rule: Any, index: int) -> Any:
    """Return the rule for one operand, the other one being a number."""
    if index == 0:
        return lambda xp, dy, x, number: rule(xp, dy, x, number)[0]
    return lambda xp, dy, x, number: rule(xp, dy, number, x)[1]


for _stem, _function, _domain, _doc in _ARITHMETIC:
    _rule = _modulo_backward if _stem == "mod" else None
    _name, _aliases = _ELEMENTWISE.get(_stem, (f"_{_stem}", [f"_{_stem.capitalize()}"]))
    binary(_name, _doc.format("lhs", "rhs"), _function, aliases=_aliases, domain=_domain, backward=_rule)
    broadcasting(
        f"broadcast_{_stem}",
        _doc.format("lhs", "rhs"),
        _function,
        aliases=_BROADCAST_ALIASES.get(_stem, []),
        domain=_domain,
        backward=_rule,
    )
    for _name, (_of, _reverse, _aliases) in _SCALAR.items():
        if _of == _stem:
            scalar(
                _name,
                _doc.format(*(("scalar", "data") if _reverse else ("data", "scalar"))),
                _reversed(_function) if _reverse else _function,
                aliases=_aliases,
                domain=_domain,
                backward=_rule and _side(_rule, int(_reverse)),
            )
for _stem, _function, _doc in _COMPARISONS:
    _sentence = f"One where {_doc}, zero elsewhere."
    binary(
        f"_{_stem}",
        _sentence.format("lhs", "rhs"),
        _function,
        aliases=[f"_{_camel(_stem, '_')}"],
        domain="any",
    )
    broadcasting(f"broadcast_{_stem}", _sentence.format("lhs", "rhs"), _function, domain="any")
    scalar(
        f"_{_stem}_scalar",
        _sentence.format("data", "scalar"),
        _function,
        aliases=[f"_{_camel(_stem, '')}Scalar"],
        domain="any",
    )


@op("_contrib_gradientmultiplier")
class GradientMultiplier(Op):
    """The input itself; its gradient is multiplied by a number, negative for gradient reversal."""

    data: Tensor = arg("Input, of any shape.")

    scalar: Double = param("What the gradient is multiplied by.", default=1.0)
    is_int: bool = param("Not used; whether the number was written as a whole number.", default=True)

    samples = (Sample([(2, 3)], {"scalar": -0.5}, smooth=False),)

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def compute(self, xp, data):
        """Return the input."""
        return data

    def backward(self, xp, dy):
        """Return the scaled head gradient."""
        return dy * self.scalar


@op("add_n", aliases=["ElementWiseSum", "_sparse_ElementWiseSum", "_sparse_add_n"])
class AddN(Op):
    """Sum of any number of arrays of equal shape."""

    args: Tensors = args("Summands, of one shape and element type.", count="num_args")

    num_args: int = param("Number of summands.", ge=1)

    samples = (
        Sample([(2, 3)], {"num_args": 1}),
        Sample([(2, 3)] * 3, {"num_args": 3}),
        Sample([(2, 0)] * 2, {"num_args": 2}),
        Sample([(2, 3)] * 2, {"num_args": 2}, low=0, high=9, dtypes={"arg0": "int32", "arg1": "int32"}),
    )

    def shapes(self, **known):
        """All summands and the sum are alike."""
        return same_shape((*self.input_names(), "output"), known)

    def compute(self, xp, *tensors):
        """Return the sum, added up from left to right."""
        total = tensors[0]
        for x in tensors[1:]:
            if x.shape != total.shape:
                raise ShapeError(f"summands have shapes {total.shape} and {x.shape}, but they must be equal")
            total = total + x
        return total


@op("clip", aliases=["_npi_clip", "_sparse_clip"])
class Clip(Op):
    """Limit to an interval: ``min(max(data, a_min), a_max)``; NaN stays NaN.

    The result has the shape and element type of `data`. The gradient passes where `data` lies in the interval, its
    ends included.
    """

    data: Tensor = arg("Input, of any shape.")

    a_min: float = param("Lower end of the interval.")
    a_max: float = param("Upper end of the interval.")

    samples = (
        Sample([(3, 4)], {"a_min": -0.7, "a_max": 0.3}, low=-2, high=2),
        Sample([(2, 0, 3)], {"a_min": -1, "a_max": 1}),
        Sample([(8,)], {"a_min": 2, "a_max": 5}, low=0, high=9, dtypes={"data": "int32"}),
    )

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def _ends(self, dtype):
        return typed_number(self.a_min, dtype), typed_number(self.a_max, dtype)

    def compute(self, xp, data):
        """Return the limited array."""
        low, high = self._ends(data.dtype)
        if low <= high:
            return xp.clip(data, low, high)
        # MXNet: where the ends are swapped, being above the upper one counts first.
        return xp.where(data > high, high, xp.maximum(data, low))

    def backward(self, xp, dy, data):
        """Return the head gradient inside the interval, zero outside."""
        low, high = self._ends(data.dtype)
        inside = xp.logical_and(data >= low, data <= high)
        return xp.where(inside, dy, 0)


@op("Cast", aliases=["_npi_cast", "_npx_cast", "cast"])
class Cast(Op):
    """Convert to another element type.

    The result has the shape of `data`. Floating point numbers are cut off towards zero when they become integers; what
    is not zero becomes true. The gradient is converted back.
    """

    data: Tensor = arg("Input, of any shape and element type.")

    dtype: DTypeName = param("Element type of the result.")

    samples = (
        Sample([(3, 4)], {"dtype": "float64"}),
        Sample([(3, 4)], {"dtype": "int32"}, low=-9, high=9, smooth=False),
        Sample([(3,)], {"dtype": "float16"}, dtypes={"data": "float64"}, smooth=False),
        Sample([(3,)], {"dtype": "float32"}, low=0, high=9, dtypes={"data": "int64"}),
        Sample([(5,)], {"dtype": "uint8"}, low=0, high=255, dtypes={"data": "int32"}),
        Sample([(5,)], {"dtype": "bool"}, low=0, high=2, dtypes={"data": "int8"}),
        Sample([(0, 2)], {"dtype": "float32"}),
    )

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def dtypes(self):
        """The parameter says it."""
        return {"output": np.dtype(self.dtype)}

    def compute(self, xp, data):
        """Return the converted array."""
        return xp.astype(data, self.dtype)

    def backward(self, xp, dy, data):
        """Return the head gradient, converted back; also through integers."""
        return xp.astype(dy, data.dtype)


@op("amp_cast")
class AmpCast(Op):
    """Convert between float16 and float32, for mixed precision; every other type passes unchanged."""

    data: Tensor = arg("Input, of any shape and element type.")

    dtype: NumberDType = param("Element type of the result.")

    samples = (
        Sample([(3, 4)], {"dtype": "float16"}),
        Sample([(3, 4)], {"dtype": "float32"}, dtypes={"data": "float64"}),
        Sample([(3, 4)], {"dtype": "float16"}, low=0, high=9, dtypes={"data": "int32"}),
    )

    def shapes(self, **known):
        """Input and output are alike."""
        return same_shape(("data", "output"), known)

    def _result(self, data):
        target = np.dtype(self.dtype)
        return target if {data.name, target.name} <= {"float16", "float32"} else data

    def dtypes(self, data=None):
        """What is not floating point keeps its type."""
        return {} if data is None else {"output": self._result(data)}

    def compute(self, xp, data):
        """Return the converted array."""
        return xp.astype(data, self._result(data.dtype))


@op("where", aliases=["_sparse_where"])
class Where(Op):
    """Choose elements of `x` where `condition` is not zero, of `y` elsewhere.

    The result has the shape and element type of `x` and `y`. The gradient goes to what was chosen; `condition` has
    zero gradient.
    """

    condition: Tensor = arg("Test, of the shape of `x`, or of shape (rows,) to choose whole rows along the first axis.")
    x: Tensor = arg("Chosen where `condition` is not zero, of any shape.")
    y: Tensor = arg("Chosen where `condition` is zero, of the shape of `x`.")

    samples = (
        Sample([(2, 3)] * 3, integers={"condition": 2}),
        Sample([(2,), (2, 3), (2, 3)], integers={"condition": 2}),
        Sample([(2, 3)] * 3, integers={"condition": 2}, dtypes={"condition": "int32", "x": "float64", "y": "float64"}),
        Sample([(4,)] * 3, low=0, high=9, integers={"condition": 2}, dtypes={"x": "int32", "y": "int32"}),
        Sample([(0, 3)] * 3, integers={"condition": 2}),
    )

    def shapes(self, condition=None, **known):
        """Both choices and the result are alike; of a condition with several axes, so is that."""
        found = same_shape(("x", "y", "output"), known)
        if condition is not None and len(condition) > 1:
            return dict.fromkeys(("condition", "x", "y", "output"), merge(found.get("x"), condition))
        if condition is not None and "x" in found:
            return {**found, "condition": merge(found["x"][:1], condition)}
        return found

    def dtypes(self, x=None, y=None, output=None):
        """The choices and the result are alike; the condition may have any type."""
        found = next((t for t in (x, y, output) if t is not None), None)
        return {} if found is None else dict.fromkeys(("x", "y", "output"), found)

    def compute(self, xp, condition, x, y):
        """Return the chosen elements."""
        if x.shape != y.shape:
            raise ShapeError(f"x has shape {x.shape} and y {y.shape}, but they must be equal")
        if condition.ndim == 1 and x.ndim > 1 and condition.shape[0] == x.shape[0]:
            condition = xp.reshape(condition, (x.shape[0],) + (1,) * (x.ndim - 1))
        elif condition.shape != x.shape:
            raise ShapeError(
                f"condition has shape {condition.shape}, but must have the shape {x.shape} of x, or {x.shape[:1]}"
            )
        return xp.where(condition, x, y)


# -- repetition to a larger shape -------------------------------------------------------------------------------------


@op("broadcast_to")
class BroadcastTo(Op):
    """Repeat along axes of length 1 to reach a shape."""

    data: Tensor = arg("Input, of as many axes as `shape`; an axis of length 1 may be repeated.")

    shape: Shape = param("Shape of the result; 0 keeps the length of that axis.", default=())

    samples = (
        Sample([(1, 3, 1)], {"shape": (2, 3, 4)}),
        Sample([(1, 3, 1)], {"shape": (2, 0, 4)}),
        Sample([(2, 3)], {"shape": (2, 3)}),
        Sample([(1, 3)], {"shape": (2, 3)}, low=0, high=9, dtypes={"data": "int32"}),
    )

    def shapes(self, data=None, output=None):
        """The parameter says it; where it keeps a length, input and output are alike."""
        asked = tuple(n or None for n in self.shape)
        result = merge(asked, self._target(data) if data is not None else None, output)
        kept = tuple(n if a is None else None for n, a in zip(result, asked, strict=True))
        return {"output": result, "data": merge(data, kept)}

    def _target(self, data):
        if len(self.shape) != len(data):
            raise ShapeError(f"data has shape {data}, but must have {len(self.shape)} axes to become {self.shape}")
        target = tuple(n or m for n, m in zip(self.shape, data, strict=True))
        if any(m not in (1, n, None) for m, n in zip(data, target, strict=True)):
            raise ShapeError(f"data has shape {data}, which cannot be repeated to {target}")
        return target

    def compute(self, xp, data):
        """Return the repeated array."""
        return xp.broadcast_to(data, self._target(data.shape))


@op("broadcast_axis", aliases=["broadcast_axes"])
class BroadcastAxis(Op):
    """Repeat along given axes of length 1."""

    data: Tensor = arg("Input, with length 1 along each of `axis`.")

    axis: Shape = param("Axes to repeat along; negative ones count from the last.", default=())
    size: Shape = param("Length of each of them in the result.", default=(), ge=0)

    samples = (
        Sample([(1, 3, 1)], {"axis": (0, 2), "size": (2, 4)}),
        Sample([(1, 3)], {"axis": 0, "size": 2}),
        Sample([(1, 3, 1)], {"axis": -1, "size": 2}),
        Sample([(2, 3)]),
        Sample([(1, 3)], {"axis": 0, "size": 2}, low=0, high=9, dtypes={"data": "int64"}),
    )

    def _sizes(self, rank):
        if len(self.axis) != len(self.size):
            raise ShapeError(f"axis names {len(self.axis)} axes, but size gives {len(self.size)} lengths")
        return {axis_of(k, rank): n for k, n in zip(self.axis, self.size, strict=True)}

    def shapes(self, data=None, output=None):
        """All but the given axes are alike; those have length 1."""
        if data is None and output is None:
            return {}
        sizes = self._sizes(len(data if data is not None else output))
        result = merge(None if data is None else tuple(sizes.get(k, n) for k, n in enumerate(data)), output)
        return {"output": result, "data": tuple(1 if k in sizes else n for k, n in enumerate(result))}

    def compute(self, xp, data):
        """Return the repeated array."""
        sizes = self._sizes(data.ndim)
        if any(data.shape[k] != 1 for k in sizes):
            raise ShapeError(f"data has shape {data.shape}, but must have length 1 along the axes {self.axis}")
        return xp.broadcast_to(data, tuple(sizes.get(k, n) for k, n in enumerate(data.shape)))


@op("broadcast_like")
class BroadcastLike(Op):
    """Repeat `lhs` along axes of length 1 to reach the shape of `rhs`, or some lengths of it."""

    lhs: Tensor = arg("What is repeated; an axis of length 1 may be repeated.")
    rhs: Tensor = arg("What gives the shape; its values do not matter.")

    lhs_axes: Shape | None = param("Axes of `lhs` to repeat along; None: all.", default=None)
    rhs_axes: Shape | None = param("Axes of `rhs` that give their lengths; None: all.", default=None)

    samples = (
        Sample([(1, 3, 1), (2, 3, 4)]),
        Sample([(1, 3), (4, 5)], {"lhs_axes": (0,), "rhs_axes": (-1,)}),
        Sample([(1, 3, 1), (4, 5)], {"lhs_axes": (0, 2), "rhs_axes": (1, 0)}),
        Sample([(1, 3), (2, 3)], dtypes={"rhs": "int32"}, integers={"rhs": 3}),
    )

    def dtypes(self, lhs=None, output=None):
        """`rhs` may have any type."""
        found = lhs if lhs is not None else output
        return {} if found is None else {"lhs": found, "output": found}

    def compute(self, xp, lhs, rhs):
        """Return `lhs` repeated."""
        if (self.lhs_axes is None) != (self.rhs_axes is None):
            raise ArgumentError("lhs_axes and rhs_axes must be given together")
        if self.lhs_axes is None or self.rhs_axes is None:
            if lhs.ndim != rhs.ndim:
                raise ShapeError(f"lhs has shape {lhs.shape} and rhs {rhs.shape}, but they must have equally many axes")
            target = list(rhs.shape)
        else:
            if len(self.lhs_axes) != len(self.rhs_axes):
                raise ArgumentError(f"lhs_axes {self.lhs_axes} and rhs_axes {self.rhs_axes} must be equally many")
            target = list(lhs.shape)
            for k, m in zip(self.lhs_axes, self.rhs_axes, strict=True):
                if not (-lhs.ndim <= k < lhs.ndim and -rhs.ndim <= m < rhs.ndim):
                    raise ShapeError(f"lhs {lhs.shape} has no axis {k}, or rhs {rhs.shape} no axis {m}")
                target[k] = rhs.shape[m]
        if any(m not in (1, n) for m, n in zip(lhs.shape, target, strict=True)):
            raise ShapeError(f"lhs has shape {lhs.shape}, which cannot be repeated to {tuple(target)}")
        return xp.broadcast_to(lhs, target)
