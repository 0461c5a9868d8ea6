"""Special functions that NumPy lacks: `erf`, `erfinv`, `lgamma`, `digamma`, for arrays of float16, float32, float64.

Each is called like a ufunc, ``erf(x)`` or ``erf(x, out)``, and `out` may be `x`. They compute in float64, in blocks
that fit the first caches, and round once; only `erf`, which networks use as an activation, has a float32 form of its
own (relative error below 5e-7). Errors in float64, measured against 50-digit references: below 1e-15 relative for
`erf`, `erfinv` and `lgamma` and below 4e-15 for `digamma` of positive numbers, near their zeros too. For negative
numbers lgamma and digamma are reached by reflection, and near zeros there errors are small only in absolute terms.

What does not belong here: derivatives (`program.gradients`), and functions that are a line of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["digamma", "erf", "erfinv", "lgamma"]

Array = npt.NDArray[Any]
#: A flat array of float64, or, in the float32 form of a function, of float32.
Floats = npt.NDArray[np.floating[Any]]

#: Elements computed at a time: some ten temporaries of float64 in the second-level cache.
BLOCK = 8192


def _polynomial(x: Floats, coefficients: Sequence[float]) -> Floats:
    """Evaluate a polynomial, given from the highest power down, by Horner's rule."""
    result = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        result *= x
        result += c
    return result


def _where(masks: Sequence[Array], functions: Sequence[Callable[[Floats], Floats]], x: Floats) -> Floats:
    """Apply to each element the function whose mask, of disjoint `masks`, holds for it; NaN where none does."""
    result = np.full_like(x, np.nan)
    for mask, function in zip(masks, functions, strict=True):
        count = np.count_nonzero(mask)
        if count == x.size:
            return function(x)
        if count:
            result[mask] = function(x[mask])
    return result


def _elementwise(
    single: Callable[[Floats], Floats] | None = None,
) -> Callable[[Callable[[Floats], Floats]], Callable[..., Array]]:
    """Decorator: make a function like a ufunc of one that maps flat float64 arrays to new ones.

    `single` is the form used for float32 and float16, if there is one: it maps float32 arrays, and may change them.
    """

    def decorate(double: Callable[[Floats], Floats]) -> Callable[..., Array]:
        def function(x: npt.ArrayLike, out: Array | None = None) -> Array:
            x = np.asarray(x)
            if out is None:
                out = np.empty(x.shape, x.dtype if x.dtype.kind == "f" else np.float64)
            compute: Callable[[Floats], Floats] = double
            dtype: np.dtype[Any] = np.dtype(np.float64)
            if single is not None and x.dtype in (np.float32, np.float16):
                compute, dtype = single, np.dtype(np.float32)
            if not x.size:
                return out
            # What is not contiguous goes through buffers of a block. `out` may be `x`: a block is written when it has
            # been read.
            blocks = np.nditer(
                [x, out], ["external_loop", "buffered"], [["readonly"], ["writeonly"]], order="C", buffersize=BLOCK
            )
            with np.errstate(all="ignore"), blocks:
                for source, target in blocks:
                    np.copyto(target, compute(source.astype(dtype)), casting="same_kind")
            return out

        function.__name__ = function.__qualname__ = double.__name__
        function.__doc__ = double.__doc__
        return function

    return decorate


# Cody (1969), as printed in his subroutine CALERF: erf x = x R(x^2) up to 0.46875, erfc x = exp(-x^2) R(x) up to 4.
# The latter has an error of 1e-12 at 6, relative to an erfc of 2e-17: more than enough for 1 - erfc.
_ERF_SMALL = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERFC = (
    (
        *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1),
        *(2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3),
        1.23033935479799725e3,
    ),
    (
        *(1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3),
        *(3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
    ),
)


def _ratio(x: Floats, polynomials: tuple[Sequence[float], Sequence[float]]) -> Floats:
    above, below = polynomials
    result = _polynomial(x, above)
    result /= _polynomial(x, below)
    return result


def _erf_small(x: Floats) -> Floats:
    return x * _ratio(x * x, _ERF_SMALL)


def _erf_large(x: Floats) -> Floats:
    y = np.minimum(np.abs(x), 6.0)  # from there on the result is 1
    return np.copysign(1.0 - np.exp(-y * y) * _ratio(y, _ERFC), x)


#: Fitted for float32: erf x = x R(x^2) on [-4, 4], by least squares weighted towards the least greatest relative error
#: (Lawson's iteration), which is 2.5e-8; rounding in float32 makes it some 5e-7.
_ERF_SINGLE = (
    (1.98675411e-06, 2.84550479e-04, 3.88296158e-03, 5.31005338e-02, 1.93537131e-01, 1.12837911),
    (3.74190749e-05, 1.18546584e-03, 1.52064878e-02, 1.15346573e-01, 5.04850388e-01, 1.0),
)


def _erf_single(x: Floats) -> Floats:
    np.clip(x, -4.0, 4.0, out=x)
    x *= _ratio(x * x, _ERF_SINGLE)
    return np.clip(x, -1.0, 1.0, out=x)


@_elementwise(_erf_single)
def erf(x: Floats) -> Floats:
    """Error function: ``2 / sqrt(pi)`` times the integral of ``exp(-t^2)`` from 0 to `x`.

    Rational approximations of W. J. Cody, "Rational Chebyshev approximations for the error function",
    Mathematics of Computation 23 (1969).
    """
    y = np.abs(x)
    return _where((y <= 0.46875, y > 0.46875), (_erf_small, _erf_large), x)


# Wichura (1988), PPND16: quantile of the normal distribution at 0.5 + q. In the middle, |q| <= 0.425, it is q R(z) with
# z = 0.180625 - q^2; beyond, it is R(z) of z = sqrt(-log(0.5 - |q|)) less 1.6 (up to z = 5), or less 5.
_QUANTILE_MIDDLE = (
    (
        *(2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4),
        *(1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080),
    ),
    (
        *(5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4),
        *(5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
    ),
)
_QUANTILE_NEAR = (
    (
        *(7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258),
        *(3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734),
    ),
    (
        *(1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2),
        *(1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1.0),
    ),
)
_QUANTILE_FAR = (
    (
        *(2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2),
        *(2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720),
    ),
    (
        *(2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5),
        *(7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1),
        *(5.99832206555887937690e-1, 1.0),
    ),
)
_SQRT_HALF = 0.7071067811865475244


def _erfinv_middle(x: Floats) -> Floats:
    q = 0.5 * x
    return _SQRT_HALF * q * _ratio(0.180625 - q * q, _QUANTILE_MIDDLE)


def _erfinv_outer(x: Floats) -> Floats:
    # 1 - |x| is exact here.
    z = np.sqrt(-np.log(0.5 * (1.0 - np.abs(x))))
    far = z > 5
    return np.copysign(
        _SQRT_HALF
        * _where((~far, far), (lambda z: _ratio(z - 1.6, _QUANTILE_NEAR), lambda z: _ratio(z - 5.0, _QUANTILE_FAR)), z),
        x,
    )


@_elementwise()
def erfinv(x: Floats) -> Floats:
    """Inverse of `erf`; infinite at -1 and 1, NaN beyond.

    Rational approximations of M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution",
    Applied Statistics 37 (1988), with ``erfinv(x) = quantile((1 + x) / 2) / sqrt(2)``.
    """
    y = np.abs(x)
    return _where(
        (y <= 0.85, (y > 0.85) & (y < 1), y == 1),
        (_erfinv_middle, _erfinv_outer, lambda x: np.copysign(np.inf, x)),
        x,
    )


#: Bernoulli numbers B2, B4, ...
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
#: Coefficients of ``log gamma(2 + z) = (1 - euler) z + sum of (-1)^k (zeta(k) - 1) / k z^k`` (Abramowitz and Stegun
#: 6.1.33, with ``gamma(2 + z) = (1 + z) gamma(1 + z)``), from z^27 down to z^1.
_LGAMMA_AT_2 = (
    *(-2.7595228851242331452e-10, 5.7313672416788620133e-10, -1.1921401405860912074e-9, 2.4836745438024783172e-9),
    *(-5.1834750419700466551e-9, 1.0838659214896954091e-8, -2.271109460894316491e-8, 4.7698101693639805658e-8),
    *(-1.0043224823968099609e-7, 2.1207184805554665869e-7, -4.4924691987645660433e-7, 9.5514121304074198329e-7),
    *(-2.0392157538013662368e-6, 4.3748667899074878042e-6, -9.439488275268395904e-6, 2.0507212775670691553e-5),
    *(-4.49262367381331417e-5, 9.9457512781808533715e-5, -2.2315475845357937976e-4, 5.0966952474304242234e-4),
    *(-1.1927539117032609771e-3, 2.8905103307415232858e-3, -7.3855510286739852663e-3, 2.0580808427784547879e-2),
    *(-6.7352301053198095133e-2, 3.2246703342411321824e-1, 4.2278433509846713939e-1),
)
#: Coefficients of the Taylor series of digamma at its positive root, ``polygamma(k, root) / k!``, from k = 25 to 1.
_DIGAMMA_AT_ROOT = (
    *(5.178578575795222081e-5, -7.5691795821950659192e-5, 1.1063371177687474109e-4, -1.6170622091974803449e-4),
    *(2.3635601564027052792e-4, -3.4546802510630769956e-4, 5.0495326583460203518e-4, -7.3807093899600512957e-4),
    *(1.0788252019162965807e-3, -1.5769367714301972593e-3, 2.3051263267349278369e-3, -3.3698016554393280828e-3),
    *(4.9267813957298534464e-3, -7.204534386356868241e-3, 1.0538791616612175388e-2, -1.5424765904948959139e-2),
    *(2.259764823221810466e-2, -3.3161126474847359292e-2, 4.8804288164143107225e-2, -7.2199561256454710926e-2),
    *(1.0782405069126236576e-1, -1.639427054424065275e-1, 2.5849976095565101062e-1, -4.4276316898359210609e-1),
    9.6767224544762117043e-1,
)
#: The root, as a float64 and what it lacks.
_DIGAMMA_ROOT = (1.4616321449683622, 9.5499954299656977152e-17)
_HALF_LOG_TWO_PI = 0.91893853320467274178
_LOG_PI = 1.1447298858494001741


def _lgamma_at_2(z: Floats) -> Floats:
    return z * _polynomial(z, _LGAMMA_AT_2)


def _lgamma_small(x: Floats) -> Floats:
    # gamma(x) = gamma(x + 2) / (x (x + 1)), for x below a half
    return _lgamma_at_2(x) - np.log1p(x) - np.log(x)


def _lgamma_at_1(x: Floats) -> Floats:
    z = x - 1.0
    return _lgamma_at_2(z) - np.log1p(z)


def _lgamma_middle(x: Floats) -> Floats:
    # gamma(x) = (x - 1) (x - 2) ... gamma(2 + z), with z within a half of zero
    product = np.ones_like(x)
    x = x.copy()
    for _ in range(6):
        above = x > 2.5
        np.subtract(x, 1.0, out=x, where=above)
        np.multiply(product, x, out=product, where=above)
    return _lgamma_at_2(x - 2.0) + np.log(product)


def _lgamma_large(x: Floats) -> Floats:
    # Stirling's series: Abramowitz and Stegun 6.1.40
    z = 1.0 / x
    series = _polynomial(z * z, [b / (2 * k * (2 * k - 1)) for k, b in reversed(list(enumerate(_BERNOULLI, 1)))])
    return np.where(np.isinf(x), x, ((x - 0.5) * (np.log(x) - 1.0) + (_HALF_LOG_TWO_PI - 0.5)) + z * series)


def _lgamma_positive(x: Floats) -> Floats:
    return _where(
        (x < 0.5, (x >= 0.5) & (x <= 1.5), (x > 1.5) & (x < 8), x >= 8),
        (_lgamma_small, _lgamma_at_1, _lgamma_middle, _lgamma_large),
        x,
    )


def _lgamma_negative(x: Floats) -> Floats:
    # Reflection, Abramowitz and Stegun 6.1.17: gamma(x) gamma(-x) = -pi / (x sin(pi x)).
    fraction = x - np.rint(x)
    result = _LOG_PI - np.log(np.abs(x * np.sin(np.pi * fraction))) - _lgamma_positive(-x)
    return np.where(fraction == 0, np.inf, result)


@_elementwise()
def lgamma(x: Floats) -> Floats:
    """Logarithm of the absolute value of the gamma function; infinite at 0, -1, -2, ... and at both infinities.

    Taylor's series at 2 (Abramowitz and Stegun 6.1.33) and the recurrence below 8, Stirling's series (6.1.40) from
    there, reflection (6.1.17) below 0.
    """
    return _where(
        (x > 0, (x < 0) & np.isfinite(x), (x == 0) | (x == -np.inf)),
        (_lgamma_positive, _lgamma_negative, lambda x: np.full_like(x, np.inf)),
        x,
    )


def _digamma_at_root(x: Floats) -> Floats:
    z = (x - _DIGAMMA_ROOT[0]) - _DIGAMMA_ROOT[1]
    return z * _polynomial(z, _DIGAMMA_AT_ROOT)


def _digamma_elsewhere(x: Floats) -> Floats:
    # digamma(x) = digamma(x + 1) - 1 / x, up to where the asymptotic series (Abramowitz and Stegun 6.3.18) serves
    x = x.copy()
    steps = np.zeros_like(x)
    for _ in range(10):
        below = x < 10
        if not below.any():
            break
        np.add(steps, 1.0 / x, out=steps, where=below)
        np.add(x, 1.0, out=x, where=below)
    z = 1.0 / x
    z2 = z * z
    series = _polynomial(z2, [b / (2 * k) for k, b in reversed(list(enumerate(_BERNOULLI, 1)))])
    return np.log(x) - 0.5 * z - z2 * series - steps


def _digamma_positive(x: Floats) -> Floats:
    near = np.abs(x - _DIGAMMA_ROOT[0]) < 0.3
    return _where((near, ~near), (_digamma_at_root, _digamma_elsewhere), x)


def _digamma_negative(x: Floats) -> Floats:
    # Reflection, Abramowitz and Stegun 6.3.7: digamma(1 - x) = digamma(x) + pi / tan(pi x).
    fraction = x - np.rint(x)
    result = _digamma_positive(1.0 - x) - np.pi / np.tan(np.pi * fraction)
    # MXNet: the poles, where the function is without sign, are the largest number.
    return np.where(fraction == 0, np.inf, result)


@_elementwise()
def digamma(x: Floats) -> Floats:
    """Logarithmic derivative of the gamma function; infinite at 0, -1, -2, ... and at both infinities.

    Taylor's series at the positive root, else recurrence and asymptotic series (Abramowitz and Stegun 6.3.5, 6.3.18),
    reflection (6.3.7) below 0.
    """
    return _where(
        (x > 0, (x < 0) & np.isfinite(x), (x == 0) | (x == -np.inf)),
        (_digamma_positive, _digamma_negative, lambda x: np.full_like(x, np.inf)),
        x,
    )
