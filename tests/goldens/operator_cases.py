"""The operator cases: which operator, which parameters, which data. No numbers of any run are here.

A case names an operator as it is called, the parameters as a user would write them, and how each input is made.
``make_operators`` runs the list on MXNet. The list is plain data: adding a case is adding a line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

NAN, INF = float("nan"), float("inf")


class Spec(NamedTuple):
    """How an input array is made: kind, shape, dtype and the values or the range."""

    kind: str
    shape: tuple[int, ...]
    dtype: str
    values: Any


class Case(NamedTuple):
    """One call of an operator."""

    id: str
    op: str
    inputs: dict[str, Spec]
    attrs: dict[str, Any]
    train: bool
    """The flag of the forward pass; with True the gradients are recorded too."""
    grad: bool
    values: bool
    """False for random operators: only shapes and dtypes are recorded."""
    partial: bool
    """Whether to record what follows from single inputs (several inputs only)."""


CASES: list[Case] = []


def case(
    id: str,
    op: str,
    inputs: dict[str, Spec] | None = None,
    *,
    train: bool = True,
    grad: bool = True,
    values: bool = True,
    partial: bool = True,
    **attrs: Any,
) -> None:
    """Add one case; keyword arguments are the operator's parameters."""
    CASES.append(Case(id, op, inputs or {}, attrs, train, grad, values, partial))


def uniform(*shape: int, low: float = -1.0, high: float = 1.0, dtype: str = "float32") -> Spec:
    """Uniform numbers in [low, high)."""
    return Spec("uniform", shape, dtype, (low, high))


def whole(*shape: int, low: int = 0, high: int = 4, dtype: str = "float32") -> Spec:
    """Whole numbers low .. high - 1, with repetitions."""
    return Spec("integers", shape, dtype, (low, high))


def distinct(*shape: int, dtype: str = "float32") -> Spec:
    """Distinct numbers, a quarter apart, in random order (no ties)."""
    return Spec("distinct", shape, dtype, None)


def given(*values: Any, shape: tuple[int, ...] | None = None, dtype: str = "float32") -> Spec:
    """The given numbers."""
    return Spec("values", (len(values),) if shape is None else shape, dtype, list(values))


SPECIAL = (
    *(NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.0, -3.0, 0.25, -0.25, 7.7, -7.7),
    *(
        88.0,
        -88.0,
        120.0,
        -120.0,
        1e-30,
        -1e-30,
        1e30,
        -1e30,
        3e38,
        16777216.0,
        0.49999997,
        -0.49999997,
        1e-3,
        20.0,
        -20.0,
    ),
)
FLOATS = ("float32", "float64", "float16")
INTEGERS = ("int32", "int64", "int8", "uint8")

# Outputs that are random or never written by the native kernels; shapes and dtypes are recorded, values not.
UNWRITTEN = {"Dropout": {1}, "LeakyReLU": {1}, "Pooling": {1}}

# The operators of the first slice: those issue 2 names, less the optimizer updates, which have goldens of their own.
UNARY = {
    # name: (lowest, highest, whole numbers inside its domain)
    "abs": (-2, 2, (-3, 0, 1, 2)),
    "sign": (-2, 2, (-3, 0, 1, 2)),
    "round": (-3, 3, (-3, 0, 1, 2)),
    "rint": (-3, 3, (-3, 0, 1, 2)),
    "ceil": (-3, 3, (-3, 0, 1, 2)),
    "floor": (-3, 3, (-3, 0, 1, 2)),
    "trunc": (-3, 3, (-3, 0, 1, 2)),
    "fix": (-3, 3, (-3, 0, 1, 2)),
    "square": (-2, 2, (-3, 0, 1, 2)),
    "sqrt": (0.1, 4, (0, 1, 2, 9)),
    "rsqrt": (0.1, 4, (1, 2, 4, 1)),
    "cbrt": (-3, 3, (-8, 0, 1, 9)),
    "rcbrt": (0.1, 3, (1, 1, 8, 2)),
    "exp": (-2, 2, (-3, 0, 1, 2)),
    "log": (0.1, 4, (1, 2, 3, 9)),
    "log10": (0.1, 4, (1, 2, 10, 99)),
    "log2": (0.1, 4, (1, 2, 3, 8)),
    "log1p": (-0.9, 3, (0, 1, 2, 9)),
    "expm1": (-2, 2, (-3, 0, 1, 2)),
    "sin": (-3, 3, (-3, 0, 1, 2)),
    "cos": (-3, 3, (-3, 0, 1, 2)),
    "tan": (-1.2, 1.2, (-3, 0, 1, 2)),
    "arcsin": (-0.9, 0.9, (-1, 0, 1, 0)),
    "arccos": (-0.9, 0.9, (-1, 0, 1, 0)),
    "arctan": (-3, 3, (-3, 0, 1, 2)),
    "sinh": (-2, 2, (-3, 0, 1, 2)),
    "cosh": (-2, 2, (-3, 0, 1, 2)),
    "tanh": (-2, 2, (-3, 0, 1, 2)),
    "arcsinh": (-3, 3, (-3, 0, 1, 2)),
    "arccosh": (1.1, 4, (1, 2, 3, 9)),
    "arctanh": (-0.9, 0.9, (0, 0, 0, 0)),
    "degrees": (-2, 2, (-3, 0, 1, 2)),
    "radians": (-90, 90, (-90, 0, 57, 100)),
    "gamma": (0.2, 5, (1, 2, 3, 4)),
    "gammaln": (0.2, 5, (1, 2, 3, 4)),
    "erf": (-2, 2, (-3, 0, 1, 2)),
    "erfinv": (-0.95, 0.95, (0, 0, 0, 0)),
    "reciprocal": (0.2, 3, (1, 2, 1, -1)),
    "relu": (-2, 2, (-3, 0, 1, 2)),
    "sigmoid": (-4, 4, (-3, 0, 1, 2)),
    "softsign": (-4, 4, (-3, 0, 1, 2)),
    "negative": (-2, 2, (-3, 0, 1, 2)),
    "logical_not": (-2, 2, (-3, 0, 1, 2)),
    "_copy": (-2, 2, (-3, 0, 1, 2)),
    "BlockGrad": (-2, 2, (-3, 0, 1, 2)),
    "zeros_like": (-2, 2, (-3, 0, 1, 2)),
    "ones_like": (-2, 2, (-3, 0, 1, 2)),
    "make_loss": (-2, 2, (-3, 0, 1, 2)),
    "hard_sigmoid": (-4, 4, (-3, 0, 1, 2)),
}
ARITHMETIC = ("add", "sub", "mul", "div")
BINARY = {
    "elemwise_add": "broadcast_add",
    "elemwise_sub": "broadcast_sub",
    "elemwise_mul": "broadcast_mul",
    "elemwise_div": "broadcast_div",
    "_mod": "broadcast_mod",
    "_power": "broadcast_power",
    "_maximum": "broadcast_maximum",
    "_minimum": "broadcast_minimum",
    "_hypot": "broadcast_hypot",
    "_equal": "broadcast_equal",
    "_not_equal": "broadcast_not_equal",
    "_greater": "broadcast_greater",
    "_greater_equal": "broadcast_greater_equal",
    "_lesser": "broadcast_lesser",
    "_lesser_equal": "broadcast_lesser_equal",
    "_logical_and": "broadcast_logical_and",
    "_logical_or": "broadcast_logical_or",
    "_logical_xor": "broadcast_logical_xor",
}
SCALAR = tuple(
    f"_{name}_scalar"
    for name in (
        *(
            "plus",
            "minus",
            "rminus",
            "mul",
            "div",
            "rdiv",
            "mod",
            "rmod",
            "maximum",
            "minimum",
            "power",
            "rpower",
            "hypot",
        ),
        *("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal"),
        *("logical_and", "logical_or", "logical_xor"),
    )
)
REDUCTIONS = ("sum", "mean", "prod", "nansum", "nanprod", "max", "min")
SLICE = {
    *(set(UNARY) - {"_copy"}),
    *("_copy", "smooth_l1"),
    *BINARY,
    *BINARY.values(),
    *SCALAR,
    *("broadcast_to", "broadcast_axis", "broadcast_like", "add_n"),
    *REDUCTIONS,
    *("norm", "argmax", "argmin", "argmax_channel"),
    *("dot", "batch_dot", "transpose", "Reshape", "Flatten", "expand_dims", "slice", "slice_axis", "Concat"),
    *("SliceChannel", "stack", "take", "one_hot", "where", "clip", "Cast"),
    *("FullyConnected", "Convolution", "Pooling", "BatchNorm", "Activation", "LeakyReLU", "Dropout"),
    *("softmax", "log_softmax", "Embedding", "SoftmaxOutput"),
    *("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput", "MakeLoss"),
    *("_zeros", "_ones", "_arange", "_full", "_random_uniform", "_random_normal"),
}

# ---- elementwise, one input ----------------------------------------------------------------------------------------

for name, (low, high, integers) in UNARY.items():
    case(f"{name}", name, {"data": uniform(3, 4, low=low, high=high)})
    case(f"{name}-special", name, {"data": given(*SPECIAL)})
    case(f"{name}-float64", name, {"data": uniform(2, 3, low=low, high=high, dtype="float64")})
    case(f"{name}-float16", name, {"data": uniform(2, 3, low=low, high=high, dtype="float16")})
    case(f"{name}-int32", name, {"data": given(*integers, dtype="int32")})
    case(f"{name}-int64", name, {"data": given(*integers, dtype="int64")})
    case(f"{name}-int8", name, {"data": given(*integers, dtype="int8")})
    case(f"{name}-uint8", name, {"data": given(*(abs(value) for value in integers), dtype="uint8")})

case("hard_sigmoid-alpha-beta", "hard_sigmoid", {"data": uniform(3, 4, low=-4, high=4)}, alpha=0.1, beta=0.7)
case("hard_sigmoid-corners", "hard_sigmoid", {"data": given(-2.5, 2.5, -2.4999, 2.4999, 0.0)})
case("relu-4d", "relu", {"data": uniform(2, 3, 2, 2)})
for scalar in (1.0, 2.0, 0.5, 0.0):
    case(
        f"smooth_l1-{scalar}",
        "smooth_l1",
        {"data": given(-3, -1, -0.26, -0.25, -0.1, 0, 0.1, 0.25, 0.5, 1, 4, NAN)},
        scalar=scalar,
    )
case("smooth_l1-float64", "smooth_l1", {"data": uniform(2, 3, dtype="float64")}, scalar=1.5)
case("shape_array", "shape_array", {"data": uniform(2, 3, 4)})
case("size_array", "size_array", {"data": uniform(2, 3, 4)})
for act_type in ("relu", "sigmoid", "softrelu", "softsign", "tanh"):
    case(f"Activation-{act_type}", "Activation", {"data": uniform(2, 3, 2, low=-3, high=3)}, act_type=act_type)
    case(f"Activation-{act_type}-special", "Activation", {"data": given(*SPECIAL)}, act_type=act_type)
    case(
        f"Activation-{act_type}-float64",
        "Activation",
        {"data": uniform(2, 3, low=-3, high=3, dtype="float64")},
        act_type=act_type,
    )
    case(
        f"Activation-{act_type}-float16",
        "Activation",
        {"data": uniform(2, 3, low=-3, high=3, dtype="float16")},
        act_type=act_type,
    )
case("Activation-inference", "Activation", {"data": uniform(2, 3)}, train=False, act_type="tanh")
case("Activation-unknown", "Activation", {"data": uniform(2, 3)}, act_type="swish")
case("Activation-none", "Activation", {"data": uniform(2, 3)})
for act_type in ("leaky", "elu", "selu", "gelu"):
    case(f"LeakyReLU-{act_type}", "LeakyReLU", {"data": uniform(2, 3, 2, low=-3, high=3)}, act_type=act_type)
    case(f"LeakyReLU-{act_type}-special", "LeakyReLU", {"data": given(*SPECIAL)}, act_type=act_type)
    case(
        f"LeakyReLU-{act_type}-slope",
        "LeakyReLU",
        {"data": uniform(2, 3, low=-3, high=3)},
        act_type=act_type,
        slope=0.1,
    )
    case(
        f"LeakyReLU-{act_type}-float64",
        "LeakyReLU",
        {"data": uniform(2, 3, low=-3, high=3, dtype="float64")},
        act_type=act_type,
    )
    case(
        f"LeakyReLU-{act_type}-float16",
        "LeakyReLU",
        {"data": uniform(2, 3, low=-3, high=3, dtype="float16")},
        act_type=act_type,
    )
case("LeakyReLU-default", "LeakyReLU", {"data": uniform(2, 3)})
case("LeakyReLU-negative-slope", "LeakyReLU", {"data": uniform(2, 3)}, slope=-0.5)
case("LeakyReLU-prelu", "LeakyReLU", {"data": uniform(2, 3, 2), "gamma": uniform(3)}, act_type="prelu")
case("LeakyReLU-prelu-one", "LeakyReLU", {"data": uniform(2, 3, 2), "gamma": uniform(1)}, act_type="prelu")
case("LeakyReLU-prelu-2d", "LeakyReLU", {"data": uniform(4, 3), "gamma": uniform(3)}, act_type="prelu")
case("LeakyReLU-prelu-1d", "LeakyReLU", {"data": uniform(4), "gamma": uniform(1)}, act_type="prelu")
case("LeakyReLU-prelu-4d", "LeakyReLU", {"data": uniform(2, 3, 2, 2), "gamma": uniform(3)}, act_type="prelu")
case("LeakyReLU-prelu-bad-gamma", "LeakyReLU", {"data": uniform(2, 3, 2), "gamma": uniform(2)}, act_type="prelu")
case(
    "LeakyReLU-prelu-special",
    "LeakyReLU",
    {"data": given(NAN, INF, -INF, 0.0, -0.0, 1, -1, 2, shape=(4, 2)), "gamma": given(0.5, -0.5)},
    act_type="prelu",
)
case("LeakyReLU-rrelu-inference", "LeakyReLU", {"data": uniform(2, 3, low=-3, high=3)}, train=False, act_type="rrelu")
case(
    "LeakyReLU-rrelu-bounds",
    "LeakyReLU",
    {"data": uniform(2, 3, low=-3, high=3)},
    train=False,
    act_type="rrelu",
    lower_bound=0.2,
    upper_bound=0.7,
)
case(
    "LeakyReLU-rrelu-equal-bounds",
    "LeakyReLU",
    {"data": uniform(2, 3, low=-3, high=3)},
    act_type="rrelu",
    lower_bound=0.25,
    upper_bound=0.25,
)

# ---- elementwise, two inputs ---------------------------------------------------------------------------------------

GRID = (NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.5, -2.0, 3.0)
GRID_LEFT = given(*(a for a in GRID for _ in GRID), shape=(10, 10))
GRID_RIGHT = given(*(b for _ in GRID for b in GRID), shape=(10, 10))
for name, broadcast in BINARY.items():
    logical = "logical" in name or "equal" in name
    for op in (name, broadcast):
        case(f"{op}", op, {"lhs": uniform(3, 4, low=0.2, high=2), "rhs": uniform(3, 4, low=0.2, high=2)})
        case(f"{op}-ties", op, {"lhs": whole(3, 4, low=-2, high=3), "rhs": whole(3, 4, low=-2, high=3)})
        case(f"{op}-special", op, {"lhs": GRID_LEFT, "rhs": GRID_RIGHT}, partial=False)
        for dtype in ("float64", "float16"):
            case(
                f"{op}-{dtype}",
                op,
                {
                    "lhs": uniform(2, 3, low=0.2, high=2, dtype=dtype),
                    "rhs": uniform(2, 3, low=0.2, high=2, dtype=dtype),
                },
            )
        for dtype in INTEGERS:
            left = given(7, 2, 5, 1, 3, 9, dtype=dtype) if dtype == "uint8" else given(7, -7, 5, -1, 3, 9, dtype=dtype)
            right = (
                given(2, 2, 1, 3, 1, 2, dtype=dtype)
                if name == "_power" or dtype == "uint8"
                else given(2, 2, -5, -3, 3, -2, dtype=dtype)
            )
            case(f"{op}-{dtype}", op, {"lhs": left, "rhs": right}, partial=False)
        case(
            f"{op}-mixed-dtypes",
            op,
            {"lhs": uniform(2, 3, low=0.2, high=2), "rhs": uniform(2, 3, low=0.2, high=2, dtype="float64")},
        )
        case(
            f"{op}-mixed-int",
            op,
            {"lhs": uniform(2, 3, low=0.2, high=2), "rhs": given(1, 2, 3, 1, 2, 3, shape=(2, 3), dtype="int32")},
        )
        case(f"{op}-shape-mismatch", op, {"lhs": uniform(2, 3), "rhs": uniform(3, 2)})
    case(f"{name}-1-in-shape", name, {"lhs": uniform(2, 3, low=0.2, high=2), "rhs": uniform(1, 3, low=0.2, high=2)})
    case(
        f"{broadcast}-right",
        broadcast,
        {"lhs": uniform(2, 3, 4, low=0.2, high=2), "rhs": uniform(1, 3, 1, low=0.2, high=2)},
    )
    case(
        f"{broadcast}-left",
        broadcast,
        {"lhs": uniform(2, 1, 1, low=0.2, high=2), "rhs": uniform(2, 3, 2, low=0.2, high=2)},
    )
    case(
        f"{broadcast}-both",
        broadcast,
        {"lhs": uniform(2, 1, 3, low=0.2, high=2), "rhs": uniform(1, 4, 1, low=0.2, high=2)},
    )
    case(
        f"{broadcast}-ties-both",
        broadcast,
        {"lhs": whole(3, 1, low=-2, high=3), "rhs": whole(1, 4, low=-2, high=3)},
        partial=False,
    )
case("broadcast_add-fewer-axes", "broadcast_add", {"lhs": uniform(2, 3), "rhs": uniform(3)})
case("broadcast_add-one-element", "broadcast_add", {"lhs": uniform(2, 3), "rhs": uniform(1, 1)})
case("broadcast_add-6d", "broadcast_add", {"lhs": uniform(2, 1, 2, 1, 2, 1), "rhs": uniform(1, 2, 1, 2, 1, 2)})
case("broadcast_mul-5d", "broadcast_mul", {"lhs": uniform(2, 1, 2, 1, 3), "rhs": uniform(1, 2, 2, 2, 3)})
case(
    "broadcast_power-negative-base",
    "broadcast_power",
    {"lhs": given(-2, -2, -2, -2, 0, 0), "rhs": given(2, 3, -1, 0.5, 0, -1)},
)
case("_mod-signs", "_mod", {"lhs": given(5.5, -5.5, 5.5, -5.5, 6, -6), "rhs": given(2, 2, -2, -2, 3, -3)})
case("_mod-int-zero", "_mod", {"lhs": given(5, -5, 0, dtype="int32"), "rhs": given(0, 0, 0, dtype="int32")})
for count in (1, 2, 3, 5):
    case(f"add_n-{count}", "add_n", {f"arg{index}": uniform(2, 3) for index in range(count)})
case("add_n-float64", "add_n", {f"arg{index}": uniform(2, 3, dtype="float64") for index in range(3)})
case("add_n-int32", "add_n", {f"arg{index}": whole(2, 3, dtype="int32") for index in range(3)})
case("add_n-mismatch", "add_n", {"arg0": uniform(2, 3), "arg1": uniform(3, 2)})

SHORT = (NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.5, -1.5, 3.0, -3.0, 7.7, 1e30)
for name in SCALAR:
    for scalar in (2.5, -1.5, 0.0, 1.0, 3.0, INF, NAN):
        case(f"{name}-{scalar}", name, {"data": given(*SHORT)}, scalar=scalar)
    case(f"{name}-whole", name, {"data": given(*SHORT)}, scalar=3)
    case(f"{name}-default", name, {"data": uniform(2, 3, low=0.2, high=2)})
    case(f"{name}-tenth", name, {"data": uniform(2, 3, low=0.2, high=2)}, scalar=0.1)
    case(f"{name}-float64", name, {"data": uniform(2, 3, low=0.2, high=2, dtype="float64")}, scalar=0.1)
    case(f"{name}-float16", name, {"data": uniform(2, 3, low=0.2, high=2, dtype="float16")}, scalar=0.1)
    for dtype in INTEGERS:
        case(f"{name}-{dtype}", name, {"data": given(7, 5, 1, 3, 9, dtype=dtype)}, scalar=3)
    case(f"{name}-int32-not-int", name, {"data": given(7, 5, 1, 3, 9, dtype="int32")}, scalar=2.5, is_int=False)
    case(f"{name}-int32-is-int", name, {"data": given(7, 5, 1, 3, 9, dtype="int32")}, scalar=2.5, is_int=True)
    case(f"{name}-int32-fraction", name, {"data": given(7, 5, 1, 3, 9, dtype="int32")}, scalar=2.5)
    case(
        f"{name}-int32-negative",
        name,
        {"data": given(-7, -5, 1, 3, 9, dtype="int32")},
        scalar=2 if "power" in name else -2,
    )

# ---- broadcasting --------------------------------------------------------------------------------------------------

case("broadcast_to", "broadcast_to", {"data": uniform(1, 3, 1)}, shape=(2, 3, 4))
case("broadcast_to-keep", "broadcast_to", {"data": uniform(1, 3, 1)}, shape=(2, 0, 4))
case("broadcast_to-same", "broadcast_to", {"data": uniform(2, 3)}, shape=(2, 3))
case("broadcast_to-more-axes", "broadcast_to", {"data": uniform(3)}, shape=(2, 3))
case("broadcast_to-impossible", "broadcast_to", {"data": uniform(2, 3)}, shape=(4, 3))
case("broadcast_to-default", "broadcast_to", {"data": uniform(1, 3)})
case("broadcast_to-float64", "broadcast_to", {"data": uniform(1, 3, dtype="float64")}, shape=(2, 3))
case("broadcast_to-int32", "broadcast_to", {"data": whole(1, 3, dtype="int32")}, shape=(2, 3))
case("broadcast_axis", "broadcast_axis", {"data": uniform(1, 3, 1)}, axis=0, size=2)
case("broadcast_axis-two", "broadcast_axis", {"data": uniform(1, 3, 1)}, axis=(0, 2), size=(2, 4))
case("broadcast_axis-negative", "broadcast_axis", {"data": uniform(1, 3, 1)}, axis=-1, size=2)
case("broadcast_axis-not-one", "broadcast_axis", {"data": uniform(2, 3)}, axis=0, size=4)
case("broadcast_axis-default", "broadcast_axis", {"data": uniform(1, 3)})
case("broadcast_axis-alias", "broadcast_axes", {"data": uniform(1, 3, 1)}, axis=(0, 2), size=(2, 4))
case("broadcast_axis-int64", "broadcast_axis", {"data": whole(1, 3, dtype="int64")}, axis=0, size=2)
case("broadcast_like", "broadcast_like", {"lhs": uniform(1, 3, 1), "rhs": uniform(2, 3, 4)})
case(
    "broadcast_like-axes", "broadcast_like", {"lhs": uniform(1, 3), "rhs": uniform(4, 5)}, lhs_axes=(0,), rhs_axes=(-1,)
)
case(
    "broadcast_like-axes-two",
    "broadcast_like",
    {"lhs": uniform(1, 3, 1), "rhs": uniform(4, 5)},
    lhs_axes=(0, 2),
    rhs_axes=(1, 0),
)
case("broadcast_like-dtypes", "broadcast_like", {"lhs": uniform(1, 3), "rhs": uniform(2, 3, dtype="float64")})
case("broadcast_like-mismatch", "broadcast_like", {"lhs": uniform(2, 3), "rhs": uniform(4, 3)})

# ---- reductions ----------------------------------------------------------------------------------------------------

HOLES = given(1, NAN, 2, -0.5, NAN, NAN, 3, 0, INF, 0.5, 2, -1, shape=(3, 4))
for name in REDUCTIONS:
    data = {"data": uniform(2, 3, 4, low=-2, high=2)}
    case(f"{name}", name, data)
    for label, axis in {
        "0": 0,
        "1": 1,
        "minus1": -1,
        "02": (0, 2),
        "20": (2, 0),
        "012": (0, 1, 2),
        "minus": (-1, -3),
        "empty": (),
        "one": (1,),
    }.items():
        case(f"{name}-axis-{label}", name, data, axis=axis)
        case(f"{name}-axis-{label}-keepdims", name, data, axis=axis, keepdims=True)
        case(f"{name}-axis-{label}-exclude", name, data, axis=axis, exclude=True)
    case(f"{name}-keepdims", name, data, keepdims=True)
    case(f"{name}-none", name, data, axis=None)
    case(f"{name}-exclude", name, data, exclude=True)
    case(f"{name}-exclude-keepdims", name, data, axis=1, exclude=True, keepdims=True)
    case(f"{name}-1d", name, {"data": uniform(5)}, axis=0)
    case(f"{name}-one-element", name, {"data": uniform(1, 1)})
    case(f"{name}-4d", name, {"data": uniform(2, 3, 2, 2)}, axis=(1, 3))
    case(f"{name}-6d", name, {"data": uniform(2, 1, 2, 2, 1, 2)}, axis=(0, 3, 5))
    case(f"{name}-bad-axis", name, data, axis=3)
    case(f"{name}-twice", name, data, axis=(1, 1))
    case(f"{name}-ties", name, {"data": whole(3, 4, low=-1, high=2)}, axis=1)
    case(f"{name}-zeros", name, {"data": given(0, 2, 3, 0, 0, 5, 1, 2, 4, shape=(3, 3))}, axis=1)
    case(f"{name}-nan", name, {"data": HOLES}, axis=1)
    case(f"{name}-nan-all", name, {"data": HOLES})
    case(f"{name}-inf", name, {"data": given(INF, -INF, 1, INF, 2, 3, -INF, 0, 1, shape=(3, 3))}, axis=1)
    case(f"{name}-float64", name, {"data": uniform(2, 3, dtype="float64")}, axis=0)
    case(f"{name}-float16", name, {"data": uniform(2, 40, dtype="float16")}, axis=1)
    for dtype in INTEGERS:
        case(f"{name}-{dtype}", name, {"data": whole(2, 3, low=1, high=6, dtype=dtype)}, axis=1)
case("sum-float16-large", "sum", {"data": given(*([2048.0] + [1.0] * 64), dtype="float16")}, grad=False)
case("sum-float32-large", "sum", {"data": given(*([16777216.0] + [1.0] * 64))}, grad=False)
case("mean-float32-large", "mean", {"data": given(*([16777216.0] + [1.0] * 63))}, grad=False)
case("sum-uint8-overflow", "sum", {"data": given(200, 100, 7, dtype="uint8")})
case("sum-alias", "sum_axis", {"data": uniform(2, 3)}, axis=1)
case("max-alias", "max_axis", {"data": uniform(2, 3)}, axis=1)
case("min-alias", "min_axis", {"data": uniform(2, 3)}, axis=1)
for order in (1, 2):
    data = {"data": uniform(2, 3, 4, low=-2, high=2)}
    case(f"norm-{order}", "norm", data, ord=order)
    for label, axis in {"0": 0, "minus1": -1, "02": (0, 2), "none": None, "empty": ()}.items():
        case(f"norm-{order}-axis-{label}", "norm", data, ord=order, axis=axis)
        case(f"norm-{order}-axis-{label}-keepdims", "norm", data, ord=order, axis=axis, keepdims=True)
    case(f"norm-{order}-zeros", "norm", {"data": given(0, 0, 0, 0, 3, -4, shape=(3, 2))}, ord=order, axis=1)
    case(f"norm-{order}-float64", "norm", {"data": uniform(2, 3, dtype="float64")}, ord=order, axis=1)
    case(f"norm-{order}-float16", "norm", {"data": uniform(2, 3, dtype="float16")}, ord=order, axis=1)
    for dtype in ("int32", "int64"):
        case(f"norm-{order}-{dtype}", "norm", {"data": whole(2, 3, dtype=dtype)}, ord=order, axis=1)
case("norm-3", "norm", {"data": uniform(2, 3)}, ord=3)
case("norm-three-axes", "norm", {"data": uniform(2, 3, 2)}, axis=(0, 1, 2))
case("norm-inf", "norm", {"data": given(INF, 1, NAN, 2, 1e30, 1e30, shape=(3, 2))}, axis=1)
for dtype in ("float16", "float32", "float64", "int32", "int64", "int8"):
    case(f"norm-out-{dtype}", "norm", {"data": uniform(2, 3, low=-3, high=3)}, axis=1, out_dtype=dtype)
for name in ("argmax", "argmin"):
    case(f"{name}", name, {"data": distinct(2, 3, 4)})
    for axis in (0, 1, 2, -1, -2):
        case(f"{name}-axis-{axis}", name, {"data": distinct(2, 3, 4)}, axis=axis)
        case(f"{name}-axis-{axis}-keepdims", name, {"data": distinct(2, 3, 4)}, axis=axis, keepdims=True)
    case(f"{name}-keepdims", name, {"data": distinct(2, 3)}, keepdims=True)
    case(f"{name}-ties", name, {"data": whole(4, 5, high=3)}, axis=1)
    case(f"{name}-nan", name, {"data": HOLES}, axis=1)
    case(f"{name}-nan-first", name, {"data": given(NAN, 1, 2, NAN, NAN, NAN, shape=(2, 3))}, axis=1)
    case(f"{name}-bad-axis", name, {"data": distinct(2, 3)}, axis=2)
    for dtype in ("float64", "float16", *INTEGERS):
        case(f"{name}-{dtype}", name, {"data": whole(3, 5, low=0, high=9, dtype=dtype)}, axis=1)
case("argmax_channel", "argmax_channel", {"data": distinct(3, 4)})
case("argmax_channel-3d", "argmax_channel", {"data": distinct(2, 3, 2)})
case("argmax_channel-ties", "argmax_channel", {"data": whole(4, 5, high=3)})
case("moments", "moments", {"data": uniform(2, 3, 4)}, axes=(0, 2))
case("moments-keepdims", "moments", {"data": uniform(2, 3)}, axes=(1,), keepdims=True)
case("moments-all", "moments", {"data": uniform(2, 3)})

# ---- products ------------------------------------------------------------------------------------------------------

for a in (False, True):
    for b in (False, True):
        left, right = uniform(*((4, 2) if a else (2, 4))), uniform(*((3, 4) if b else (4, 3)))
        case(f"dot-{a:d}{b:d}", "dot", {"lhs": left, "rhs": right}, transpose_a=a, transpose_b=b)
        left, right = uniform(*((2, 4, 2) if a else (2, 2, 4))), uniform(*((2, 3, 4) if b else (2, 4, 3)))
        case(f"batch_dot-{a:d}{b:d}", "batch_dot", {"lhs": left, "rhs": right}, transpose_a=a, transpose_b=b)
        left, right = uniform(*((4, 2, 3) if a else (2, 3, 4))), uniform(*((2, 3, 4) if b else (4, 2, 3)))
        case(f"dot-3d-{a:d}{b:d}", "dot", {"lhs": left, "rhs": right}, transpose_a=a, transpose_b=b)
        case(f"dot-1d-{a:d}{b:d}", "dot", {"lhs": uniform(4), "rhs": uniform(4)}, transpose_a=a, transpose_b=b)
case("dot", "dot", {"lhs": uniform(2, 4), "rhs": uniform(4, 3)})
case("dot-2d-1d", "dot", {"lhs": uniform(2, 4), "rhs": uniform(4)})
case("dot-2d-1d-transpose", "dot", {"lhs": uniform(4, 2), "rhs": uniform(4)}, transpose_a=True)
case("dot-1d-2d", "dot", {"lhs": uniform(4), "rhs": uniform(4, 3)})
case("dot-1d-2d-transpose", "dot", {"lhs": uniform(4), "rhs": uniform(3, 4)}, transpose_b=True)
case("dot-3d-2d", "dot", {"lhs": uniform(2, 3, 4), "rhs": uniform(4, 5)})
case("dot-3d-2d-transpose", "dot", {"lhs": uniform(2, 3, 4), "rhs": uniform(5, 4)}, transpose_b=True)
case("dot-2d-3d", "dot", {"lhs": uniform(2, 4), "rhs": uniform(4, 3, 2)})
case("dot-3d-1d", "dot", {"lhs": uniform(2, 3, 4), "rhs": uniform(4)})
case("dot-1d-3d", "dot", {"lhs": uniform(4), "rhs": uniform(4, 2, 3)})
case("dot-mismatch", "dot", {"lhs": uniform(2, 4), "rhs": uniform(3, 2)})
case("dot-1d-mismatch", "dot", {"lhs": uniform(4), "rhs": uniform(3)})
case("dot-nan", "dot", {"lhs": given(NAN, 0, 1, INF, shape=(2, 2)), "rhs": given(0, 1, 1, 0, shape=(2, 2))})
for dtype in ("float64", "float16", "int32", "int64"):
    case(f"dot-{dtype}", "dot", {"lhs": whole(2, 3, dtype=dtype), "rhs": whole(3, 2, dtype=dtype)})
    case(f"dot-1d-{dtype}", "dot", {"lhs": whole(3, dtype=dtype), "rhs": whole(3, dtype=dtype)})
    case(f"batch_dot-{dtype}", "batch_dot", {"lhs": whole(2, 2, 3, dtype=dtype), "rhs": whole(2, 3, 2, dtype=dtype)})
case("dot-mixed", "dot", {"lhs": uniform(2, 3), "rhs": uniform(3, 2, dtype="float64")})
case("dot-forward-stype", "dot", {"lhs": uniform(2, 4), "rhs": uniform(4, 3)}, forward_stype="default")
case(
    "batch_dot-forward-stype", "batch_dot", {"lhs": uniform(2, 2, 4), "rhs": uniform(2, 4, 3)}, forward_stype="default"
)
case("batch_dot", "batch_dot", {"lhs": uniform(2, 2, 4), "rhs": uniform(2, 4, 3)})
case("batch_dot-4d", "batch_dot", {"lhs": uniform(2, 3, 2, 4), "rhs": uniform(2, 3, 4, 2)})
case("batch_dot-2d", "batch_dot", {"lhs": uniform(2, 4), "rhs": uniform(4, 3)})
case("batch_dot-batch-mismatch", "batch_dot", {"lhs": uniform(2, 2, 4), "rhs": uniform(3, 4, 3)})
case("batch_dot-batch-one", "batch_dot", {"lhs": uniform(1, 2, 4), "rhs": uniform(3, 4, 3)})
case("batch_dot-mismatch", "batch_dot", {"lhs": uniform(2, 2, 4), "rhs": uniform(2, 3, 3)})
case("khatri_rao", "khatri_rao", {"arg0": uniform(2, 3), "arg1": uniform(4, 3)})

# ---- shape ---------------------------------------------------------------------------------------------------------

case("transpose", "transpose", {"data": uniform(2, 3)})
case("transpose-1d", "transpose", {"data": uniform(3)})
case("transpose-3d", "transpose", {"data": uniform(2, 3, 4)})
for axes in ((0, 2, 1), (1, 0, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0), (0, 1, 2)):
    case("transpose-" + "".join(map(str, axes)), "transpose", {"data": uniform(2, 3, 4)}, axes=axes)
case("transpose-4d", "transpose", {"data": uniform(2, 3, 2, 4)}, axes=(0, 3, 1, 2))
case("transpose-6d", "transpose", {"data": uniform(1, 2, 3, 2, 1, 2)}, axes=(5, 3, 1, 0, 2, 4))
case("transpose-empty", "transpose", {"data": uniform(2, 3)}, axes=())
case("transpose-negative", "transpose", {"data": uniform(2, 3, 4)}, axes=(0, -1, 1))
case("transpose-too-few", "transpose", {"data": uniform(2, 3, 4)}, axes=(1, 0))
case("transpose-int32", "transpose", {"data": whole(2, 3, dtype="int32")})
case("transpose-float64", "transpose", {"data": uniform(2, 3, dtype="float64")})

RESHAPES = {
    "plain": ((2, 3, 4), (4, 6)),
    "same": ((2, 3), (2, 3)),
    "int": ((2, 3), (6,)),
    "infer": ((2, 3, 4), (6, -1)),
    "infer-first": ((2, 3, 4), (-1, 8)),
    "flat": ((2, 3, 4), (-1,)),
    "copy": ((2, 3, 4), (0, 0, 4)),
    "copy-infer": ((2, 3, 4), (0, -1)),
    "copy-middle": ((2, 3, 4), (4, 0, 2)),
    "infer-copy": ((2, 3, 4), (-1, 0)),
    "rest": ((2, 3, 4), (-2,)),
    "rest-after": ((2, 3, 4), (2, -2)),
    "rest-more": ((2, 3, 4), (-2, 1, 1)),
    "rest-zero": ((2, 3, 4), (0, -2)),
    "rest-none-left": ((2, 3), (2, 3, -2)),
    "merge": ((2, 3, 4), (-3, 4)),
    "merge-twice": ((2, 3, 4, 5), (-3, -3)),
    "copy-merge": ((2, 3, 4), (0, -3)),
    "merge-rest": ((2, 3, 4), (-3, -2)),
    "split": ((2, 3, 4), (-4, 1, 2, -2)),
    "split-infer-first": ((6, 3, 4), (-4, -1, 2, -2)),
    "split-infer-second": ((2, 6, 4), (0, -4, 3, -1, -2)),
    "split-last": ((2, 6), (0, -4, 2, 3)),
    "split-copy": ((2, 3, 4), (2, -4, -1, 3, -2)),
    "ones": ((1, 6), (6, 1, 1)),
    "wrong-size": ((2, 3), (4, 2)),
    "two-unknown": ((2, 3, 4), (-1, -1)),
    "not-divisible": ((2, 3), (4, -1)),
    "merge-too-few": ((2, 3), (0, -3)),
    "split-wrong": ((2, 6), (0, -4, 4, 2)),
    "split-two-unknown": ((2, 6), (0, -4, -1, -1)),
    "split-short": ((2, 6), (0, -4, 2)),
    "copy-too-many": ((2, 3), (0, 0, 0)),
    "minus-five": ((2, 3), (-5,)),
    "empty": ((2, 3), ()),
}
for label, (shape, target) in RESHAPES.items():
    case(f"Reshape-{label}", "Reshape", {"data": uniform(*shape)}, shape=target)
    case(f"Reshape-{label}-reverse", "Reshape", {"data": uniform(*shape)}, shape=target, reverse=True)
case("Reshape-reverse-keep", "Reshape", {"data": uniform(10, 5, 4)}, shape=(-1, 0), reverse=True)
case("Reshape-reverse-many", "Reshape", {"data": uniform(2, 3, 4)}, shape=(0, 0, -1, 1), reverse=True)
case("Reshape-target", "Reshape", {"data": uniform(2, 3, 4)}, target_shape=(2, 12))
case("Reshape-target-unknown", "Reshape", {"data": uniform(2, 3, 4)}, target_shape=(2, 0))
case("Reshape-target-keep-highest", "Reshape", {"data": uniform(2, 3, 4)}, target_shape=(7, 0), keep_highest=True)
case("Reshape-target-and-shape", "Reshape", {"data": uniform(2, 3, 4)}, target_shape=(2, 12), shape=(4, 6))
case("Reshape-target-wrong", "Reshape", {"data": uniform(2, 3, 4)}, target_shape=(5, 5))
case("Reshape-nothing", "Reshape", {"data": uniform(2, 3)})
case("Reshape-int32", "Reshape", {"data": whole(2, 3, dtype="int32")}, shape=(3, 2))
case("Reshape-alias", "reshape", {"data": uniform(2, 3)}, shape=(3, -1))
case("Flatten", "Flatten", {"data": uniform(2, 3, 4)})
case("Flatten-1d", "Flatten", {"data": uniform(3)})
case("Flatten-2d", "Flatten", {"data": uniform(3, 2)})
case("Flatten-4d", "Flatten", {"data": uniform(2, 3, 2, 2)})
case("Flatten-int64", "Flatten", {"data": whole(2, 3, 2, dtype="int64")})
for axis in (0, 1, 2, -1, -2, -3, 3, -4):
    case(f"expand_dims-{axis}", "expand_dims", {"data": uniform(2, 3)}, axis=axis)
case("expand_dims-1d", "expand_dims", {"data": uniform(3)}, axis=1)
case("expand_dims-int8", "expand_dims", {"data": whole(3, dtype="int8")}, axis=0)
for label, axis in {
    "none": None,
    "0": 0,
    "2": 2,
    "minus1": -1,
    "02": (0, 2),
    "wrong": 1,
    "range": 4,
    "empty": (),
}.items():
    case(f"squeeze-{label}", "squeeze", {"data": uniform(1, 3, 1, 2)}, axis=axis)
case("squeeze-minus2", "squeeze", {"data": uniform(1, 3, 1, 2)}, axis=-2)
case("squeeze-nothing", "squeeze", {"data": uniform(2, 3)})
case("squeeze-all-ones", "squeeze", {"data": uniform(1, 1)})
case("squeeze-multiple", "squeeze", {"data": uniform(1, 3, 1)}, axis=(-1, 0))
SLICES = {
    "plain": ((0, 1), (2, 3), None),
    "first-axis": ((1,), (2,), None),
    "none-begin": ((None, 1), (2, 3), None),
    "none-end": ((1, 1), (None, None), None),
    "all-none": ((None,), (None,), None),
    "negative": ((-2, -3), (-1, -1), None),
    "negative-end": ((0, 0), (-1, -2), None),
    "beyond": ((0, 1), (10, 10), None),
    "step": ((0, 0), (3, 4), (2, 3)),
    "step-none": ((0, 0), (3, 4), (None, 2)),
    "step-negative": ((None, None), (None, None), (-1, -2)),
    "step-negative-bounds": ((2, 3), (0, 0), (-1, -1)),
    "step-negative-to-none": ((2, 3), (None, None), (-2, -1)),
    "step-zero": ((0, 0), (3, 4), (0, 1)),
    "step-short": ((0, 0), (3, 4), (2,)),
    "empty": ((1, 0), (1, 4), None),
    "reversed-bounds": ((2, 0), (1, 4), None),
    "begin-beyond": ((5,), (7,), None),
    "end-zero": ((0, 0), (0, 4), None),
    "too-many": ((0, 0, 0, 0), (1, 1, 1, 1), None),
    "lengths-differ": ((0, 0), (1,), None),
    "far-negative": ((-10, 0), (2, 4), None),
}
for label, (begin, end, step) in SLICES.items():
    more = {} if step is None else {"step": step}
    case(f"slice-{label}", "slice", {"data": uniform(3, 4)}, begin=begin, end=end, **more)
case("slice-3d", "slice", {"data": uniform(2, 3, 4)}, begin=(0, 1, 1), end=(2, 3, 4), step=(1, 1, 2))
case("slice-1d", "slice", {"data": uniform(6)}, begin=(1,), end=(6,), step=(2,))
case("slice-int32", "slice", {"data": whole(3, 4, dtype="int32")}, begin=(0, 1), end=(2, 3))
case("slice-alias", "crop", {"data": uniform(3, 4)}, begin=(0, 1), end=(2, 3))
for label, (axis, begin, end) in {
    "plain": (0, 1, 3),
    "last": (1, 1, 3),
    "negative-axis": (-1, 0, 2),
    "none": (1, 1, None),
    "negative": (1, -3, -1),
    "negative-begin": (1, -2, None),
    "beyond": (1, 1, 9),
    "empty": (1, 2, 2),
    "begin-beyond": (1, 5, None),
    "bad-axis": (2, 0, 1),
    "reversed": (1, 3, 1),
    "begin-too-negative": (1, -9, None),
}.items():
    case(f"slice_axis-{label}", "slice_axis", {"data": uniform(3, 4)}, axis=axis, begin=begin, end=end)
case("slice_axis-3d", "slice_axis", {"data": uniform(2, 3, 4)}, axis=1, begin=1, end=3)
case("slice_axis-float64", "slice_axis", {"data": uniform(2, 3, dtype="float64")}, axis=1, begin=1, end=3)
case("slice_like", "slice_like", {"data": uniform(3, 4), "shape_like": uniform(2, 3)})
case("slice_like-axes", "slice_like", {"data": uniform(3, 4), "shape_like": uniform(2, 3)}, axes=(0,))
case("slice_like-negative-axis", "slice_like", {"data": uniform(3, 4), "shape_like": uniform(2, 3)}, axes=(-1,))
case("slice_like-more-axes", "slice_like", {"data": uniform(3, 4, 5), "shape_like": uniform(2, 3)}, axes=(0, 1))
case("slice_like-rank", "slice_like", {"data": uniform(3, 4, 5), "shape_like": uniform(2, 3)})
case("slice_like-larger", "slice_like", {"data": uniform(3, 4), "shape_like": uniform(5, 3)})
case("slice_like-dtypes", "slice_like", {"data": uniform(3, 4), "shape_like": whole(2, 3, dtype="int32")})
for axis in (0, 1, 2, -1):
    shape = [2, 3, 4]
    case(
        f"Concat-{axis}",
        "Concat",
        {
            f"arg{index}": uniform(*(size + index if axis % 3 == at else size for at, size in enumerate(shape)))
            for index in range(3)
        },
        dim=axis,
    )
case("Concat-default", "Concat", {"arg0": uniform(2, 3), "arg1": uniform(2, 1)})
case("Concat-one", "Concat", {"arg0": uniform(2, 3)})
case("Concat-1d", "Concat", {"arg0": uniform(2), "arg1": uniform(3)}, dim=0)
case("Concat-mismatch", "Concat", {"arg0": uniform(2, 3), "arg1": uniform(3, 3)})
case("Concat-rank", "Concat", {"arg0": uniform(2, 3), "arg1": uniform(2, 3, 1)})
case("Concat-bad-axis", "Concat", {"arg0": uniform(2, 3), "arg1": uniform(2, 3)}, dim=2)
case("Concat-int32", "Concat", {"arg0": whole(2, 3, dtype="int32"), "arg1": whole(2, 1, dtype="int32")})
case("Concat-float64", "Concat", {"arg0": uniform(2, 3, dtype="float64"), "arg1": uniform(2, 1, dtype="float64")})
case("Concat-mixed", "Concat", {"arg0": uniform(2, 3), "arg1": uniform(2, 1, dtype="float64")})
case("Concat-alias", "concat", {"arg0": uniform(2, 3), "arg1": uniform(2, 1)}, dim=1)
case("SliceChannel", "SliceChannel", {"data": uniform(2, 6)}, num_outputs=3)
case("SliceChannel-0", "SliceChannel", {"data": uniform(4, 3)}, num_outputs=2, axis=0)
case("SliceChannel-negative", "SliceChannel", {"data": uniform(2, 3, 4)}, num_outputs=2, axis=-1)
case("SliceChannel-squeeze", "SliceChannel", {"data": uniform(2, 3, 4)}, num_outputs=3, axis=1, squeeze_axis=True)
case("SliceChannel-squeeze-last", "SliceChannel", {"data": uniform(2, 3)}, num_outputs=3, axis=-1, squeeze_axis=True)
case("SliceChannel-squeeze-not-one", "SliceChannel", {"data": uniform(2, 4)}, num_outputs=2, axis=1, squeeze_axis=True)
case("SliceChannel-one", "SliceChannel", {"data": uniform(2, 3)}, num_outputs=1)
case("SliceChannel-not-divisible", "SliceChannel", {"data": uniform(2, 5)}, num_outputs=2)
case("SliceChannel-4d", "SliceChannel", {"data": uniform(2, 4, 2, 2)}, num_outputs=2)
case("SliceChannel-int32", "SliceChannel", {"data": whole(2, 4, dtype="int32")}, num_outputs=2)
case("SliceChannel-alias", "split", {"data": uniform(2, 6)}, num_outputs=2, axis=1)
case("_split_v2-sections", "_split_v2", {"data": uniform(2, 6)}, indices=(), sections=3, axis=1)
case("_split_v2-indices", "_split_v2", {"data": uniform(2, 6)}, indices=(0, 2, 5), axis=1)
case("_split_v2-squeeze", "_split_v2", {"data": uniform(2, 3)}, indices=(0, 1, 2), axis=1, squeeze_axis=True)
for axis in (0, 1, 2, -1, -2, 3):
    case(f"stack-{axis}", "stack", {f"arg{index}": uniform(2, 3) for index in range(3)}, axis=axis)
case("stack-one", "stack", {"arg0": uniform(2, 3)})
case("stack-mismatch", "stack", {"arg0": uniform(2, 3), "arg1": uniform(3, 2)})
case("stack-int64", "stack", {"arg0": whole(3, dtype="int64"), "arg1": whole(3, dtype="int64")}, axis=1)
for label, reps in {
    "one": (2,),
    "two": (2, 3),
    "shorter": (2,),
    "longer": (2, 1, 2),
    "ones": (1, 1),
    "int": 2,
    "empty": (),
}.items():
    case(f"tile-{label}", "tile", {"data": uniform(2, 3)}, reps=reps)
case("tile-3d", "tile", {"data": uniform(2, 1, 2)}, reps=(1, 3, 2))
case("tile-int32", "tile", {"data": whole(2, dtype="int32")}, reps=(2,))
for label, axis in {"none": None, "0": 0, "1": 1, "minus1": -1, "bad": 2}.items():
    case(f"repeat-{label}", "repeat", {"data": uniform(2, 3)}, repeats=2, axis=axis)
case("repeat-once", "repeat", {"data": uniform(2, 3)}, repeats=1, axis=1)
case("repeat-default", "repeat", {"data": uniform(2, 3)}, repeats=3)
case("repeat-zero", "repeat", {"data": uniform(2, 3)}, repeats=0)
for label, axis in {"0": 0, "1": 1, "both": (0, 1), "minus1": -1, "tuple": (1,)}.items():
    case(f"reverse-{label}", "reverse", {"data": uniform(2, 3)}, axis=axis)
case("reverse-3d", "reverse", {"data": uniform(2, 3, 4)}, axis=(0, 2))
case("reverse-alias", "flip", {"data": uniform(2, 3)}, axis=1)
case("reverse-bad", "reverse", {"data": uniform(2, 3)}, axis=2)
case("SwapAxis", "SwapAxis", {"data": uniform(2, 3, 4)}, dim1=0, dim2=2)
case("SwapAxis-default", "SwapAxis", {"data": uniform(2, 3)})
case("SwapAxis-negative", "SwapAxis", {"data": uniform(2, 3, 4)}, dim1=-1, dim2=0)
case("SwapAxis-alias", "swapaxes", {"data": uniform(2, 3, 4)}, dim1=1, dim2=2)
case("SwapAxis-bad", "SwapAxis", {"data": uniform(2, 3)}, dim1=0, dim2=2)
for mode in ("constant", "edge", "reflect"):
    case(f"Pad-{mode}", "Pad", {"data": uniform(1, 2, 3, 4)}, mode=mode, pad_width=(0, 0, 0, 0, 1, 2, 2, 1))
    case(f"Pad-{mode}-5d", "Pad", {"data": uniform(1, 2, 2, 3, 2)}, mode=mode, pad_width=(0, 0, 0, 0, 1, 0, 1, 1, 0, 1))
    case(f"Pad-{mode}-3d", "Pad", {"data": uniform(1, 2, 3)}, mode=mode, pad_width=(0, 0, 0, 0, 1, 1))
    case(f"Pad-{mode}-channels", "Pad", {"data": uniform(1, 2, 3, 4)}, mode=mode, pad_width=(0, 0, 1, 1, 1, 2, 2, 1))
    case(
        f"Pad-{mode}-float64",
        "Pad",
        {"data": uniform(1, 1, 2, 3, dtype="float64")},
        mode=mode,
        pad_width=(0, 0, 0, 0, 1, 1, 1, 1),
    )
case(
    "Pad-constant-value",
    "Pad",
    {"data": uniform(1, 2, 2, 3)},
    mode="constant",
    pad_width=(0, 0, 0, 0, 1, 2, 2, 1),
    constant_value=-1.5,
)
case(
    "Pad-reflect-too-wide",
    "Pad",
    {"data": uniform(1, 1, 2, 2)},
    mode="reflect",
    pad_width=(0, 0, 0, 0, 2, 2, 2, 2),
    grad=False,
)
case(
    "Pad-int32", "Pad", {"data": whole(1, 1, 2, 2, dtype="int32")}, mode="constant", pad_width=(0, 0, 0, 0, 1, 1, 1, 1)
)
case("reshape_like", "reshape_like", {"lhs": uniform(2, 6), "rhs": uniform(3, 4)})
case(
    "reshape_like-part",
    "reshape_like",
    {"lhs": uniform(30, 7), "rhs": uniform(15, 2, 4)},
    lhs_begin=0,
    lhs_end=1,
    rhs_begin=0,
    rhs_end=2,
)
case("reshape_like-mismatch", "reshape_like", {"lhs": uniform(2, 6), "rhs": uniform(3, 5)})
case("diag-1d", "diag", {"data": uniform(3)}, k=1)
case("diag-2d", "diag", {"data": uniform(3, 4)})
case("diag-2d-k", "diag", {"data": uniform(3, 4)}, k=-1)
case("diag-3d", "diag", {"data": uniform(2, 3, 4)}, axis1=1, axis2=2)
case("depth_to_space", "depth_to_space", {"data": uniform(1, 8, 2, 3)}, block_size=2)
case("space_to_depth", "space_to_depth", {"data": uniform(1, 2, 4, 6)}, block_size=2)

# ---- indexing ------------------------------------------------------------------------------------------------------

INDEX = given(0, 2, 1, 2, shape=(2, 2))
OUTSIDE = given(-1, 3, 7, -5, 2, 0)
for mode in ("clip", "wrap", "raise"):
    case(f"take-{mode}", "take", {"a": uniform(3, 4), "indices": INDEX}, mode=mode)
    case(f"take-{mode}-axis1", "take", {"a": uniform(3, 4), "indices": given(3, 0, 0)}, mode=mode, axis=1)
    case(f"take-{mode}-outside", "take", {"a": uniform(3, 2), "indices": OUTSIDE}, mode=mode)
    case(f"take-{mode}-outside-axis1", "take", {"a": uniform(2, 3), "indices": OUTSIDE}, mode=mode, axis=1)
case("take", "take", {"a": uniform(3, 4), "indices": INDEX})
for axis in (0, 1, 2, -1, -2):
    case(f"take-3d-axis-{axis}", "take", {"a": uniform(2, 3, 4), "indices": given(1, 0, 1)}, axis=axis)
case("take-1d", "take", {"a": uniform(5), "indices": given(4, 0, 4, 2)})
case("take-fraction", "take", {"a": uniform(5), "indices": given(1.7, 0.2, -0.5, 2.5)})
case("take-bad-axis", "take", {"a": uniform(3, 4), "indices": INDEX}, axis=2)
for dtype in ("int32", "int64", "uint8", "int8", "float64", "float16"):
    case(f"take-index-{dtype}", "take", {"a": uniform(3, 2), "indices": given(0, 2, 2, dtype=dtype)})
for dtype in ("float64", "float16", "int32"):
    case(f"take-data-{dtype}", "take", {"a": whole(3, 2, dtype=dtype), "indices": given(0, 2, 2, dtype="int32")})
case("batch_take", "batch_take", {"a": uniform(3, 4), "indices": given(0, 3, 1, dtype="int32")})
case("pick", "pick", {"data": uniform(3, 4), "index": given(0, 3, 1)})
case("pick-axis0", "pick", {"data": uniform(3, 4), "index": given(0, 2, 1, 1)}, axis=0)
case("pick-axis1", "pick", {"data": uniform(2, 3, 4), "index": whole(2, 4, high=3)}, axis=1)
case("pick-keepdims", "pick", {"data": uniform(3, 4), "index": given(0, 3, 1)}, axis=-1, keepdims=True)
case(
    "pick-index-keepdims", "pick", {"data": uniform(3, 4), "index": given(0, 3, 1, shape=(3, 1))}, axis=1, keepdims=True
)
case("pick-none", "pick", {"data": uniform(6), "index": given(4)}, axis=None)
case("pick-clip", "pick", {"data": uniform(3, 4), "index": given(-1, 9, 3)}, mode="clip")
case("pick-wrap", "pick", {"data": uniform(3, 4), "index": given(-1, 9, -6)}, mode="wrap")
case("pick-int32", "pick", {"data": uniform(3, 4), "index": given(0, 3, 1, dtype="int32")})
case("pick-mismatch", "pick", {"data": uniform(3, 4), "index": given(0, 3)})
case("pick-alias", "choose_element_0index", {"data": uniform(3, 4), "index": given(0, 3, 1)})
case("one_hot", "one_hot", {"indices": given(0, 2, 1, 3)}, depth=4)
case("one_hot-2d", "one_hot", {"indices": whole(2, 3)}, depth=3)
case("one_hot-values", "one_hot", {"indices": given(0, 2)}, depth=3, on_value=0.9, off_value=-0.1)
case("one_hot-outside", "one_hot", {"indices": given(-1, 3, 7, 1)}, depth=3)
case("one_hot-fraction", "one_hot", {"indices": given(0.9, 1.5, -0.5)}, depth=3)
for dtype in ("float16", "float64", "int32", "int64", "int8", "uint8"):
    case(f"one_hot-to-{dtype}", "one_hot", {"indices": given(0, 2)}, depth=3, dtype=dtype)
    case(f"one_hot-from-{dtype}", "one_hot", {"indices": given(0, 2, dtype=dtype)}, depth=3)
case("gather_nd", "gather_nd", {"data": uniform(3, 4), "indices": given(0, 2, 1, 3, 0, 2, shape=(2, 3))})
case("gather_nd-rows", "gather_nd", {"data": uniform(3, 4), "indices": given(2, 0, 2, shape=(1, 3))})
case("gather_nd-3d", "gather_nd", {"data": uniform(2, 3, 4), "indices": given(0, 1, 1, 0, 0, 2, 1, 1, shape=(2, 2, 2))})
case("gather_nd-repeated", "gather_nd", {"data": uniform(2, 2), "indices": given(1, 1, 1, 0, 0, 0, shape=(2, 3))})
case("gather_nd-negative", "gather_nd", {"data": uniform(3, 4), "indices": given(-1, 0, -2, 3, shape=(2, 2))})
case("gather_nd-int32", "gather_nd", {"data": uniform(3, 4), "indices": given(0, 2, 1, 3, shape=(2, 2), dtype="int32")})
case("gather_nd-int64", "gather_nd", {"data": uniform(3, 4), "indices": given(0, 2, 1, 3, shape=(2, 2), dtype="int64")})
case("scatter_nd", "scatter_nd", {"data": uniform(3), "indices": given(0, 2, 1, 3, 0, 2, shape=(2, 3))}, shape=(3, 4))
case(
    "where", "where", {"condition": given(1, 0, -1, 0.5, 0, NAN, shape=(2, 3)), "x": uniform(2, 3), "y": uniform(2, 3)}
)
case("where-rows", "where", {"condition": given(1, 0), "x": uniform(2, 3), "y": uniform(2, 3)})
case("where-rows-3d", "where", {"condition": given(0, 1), "x": uniform(2, 3, 2), "y": uniform(2, 3, 2)})
case("where-nan-branch", "where", {"condition": given(1, 0), "x": given(1, NAN), "y": given(NAN, 2)})
case("where-mismatch", "where", {"condition": given(1, 0, 1), "x": uniform(2, 3), "y": uniform(2, 3)})
case("where-broadcast", "where", {"condition": given(1, 0, 1, shape=(1, 3)), "x": uniform(2, 3), "y": uniform(2, 3)})
for dtype in ("int32", "float64", "uint8", "bool"):
    case(
        f"where-condition-{dtype}",
        "where",
        {"condition": given(1, 0, 1, 0, 0, 1, shape=(2, 3), dtype=dtype), "x": uniform(2, 3), "y": uniform(2, 3)},
    )
for dtype in ("float64", "float16", "int32"):
    case(
        f"where-{dtype}",
        "where",
        {"condition": given(1, 0, 1), "x": whole(3, dtype=dtype), "y": whole(3, low=4, high=8, dtype=dtype)},
    )
case("where-mixed", "where", {"condition": given(1, 0), "x": uniform(2), "y": uniform(2, dtype="float64")})
case("Embedding", "Embedding", {"data": given(0, 3, 1, 3), "weight": uniform(4, 3)}, input_dim=4, output_dim=3)
case("Embedding-2d", "Embedding", {"data": whole(2, 3), "weight": uniform(4, 2)}, input_dim=4, output_dim=2)
case("Embedding-outside", "Embedding", {"data": given(-1, 4, 9, 2), "weight": uniform(4, 2)}, input_dim=4, output_dim=2)
case("Embedding-fraction", "Embedding", {"data": given(1.7, 0.5), "weight": uniform(4, 2)}, input_dim=4, output_dim=2)
for dtype in ("int32", "int64", "int8", "uint8"):
    case(
        f"Embedding-of-{dtype}",
        "Embedding",
        {"data": given(1, 0), "weight": whole(3, 2, dtype=dtype)},
        input_dim=3,
        output_dim=2,
        dtype=dtype,
    )
case("Embedding-bad-weight", "Embedding", {"data": given(0, 1), "weight": uniform(5, 2)}, input_dim=4, output_dim=2)
case(
    "Embedding-sparse_grad",
    "Embedding",
    {"data": given(0, 3, 1, 3), "weight": uniform(4, 3)},
    input_dim=4,
    output_dim=3,
    sparse_grad=False,
)
for dtype in ("int32", "int64", "uint8", "float64"):
    case(
        f"Embedding-index-{dtype}",
        "Embedding",
        {"data": given(0, 2, 2, dtype=dtype), "weight": uniform(3, 2)},
        input_dim=3,
        output_dim=2,
    )
for dtype in ("float64", "float16"):
    case(
        f"Embedding-{dtype}",
        "Embedding",
        {"data": given(0, 2, 2, dtype=dtype), "weight": uniform(3, 2, dtype=dtype)},
        input_dim=3,
        output_dim=2,
        dtype=dtype,
    )
    case(
        f"Embedding-weight-{dtype}",
        "Embedding",
        {"data": given(0, 2, 2), "weight": uniform(3, 2, dtype=dtype)},
        input_dim=3,
        output_dim=2,
    )
    case(
        f"Embedding-weight-{dtype}-said",
        "Embedding",
        {"data": given(0, 2, 2), "weight": uniform(3, 2, dtype=dtype)},
        input_dim=3,
        output_dim=2,
        dtype=dtype,
    )
case("clip", "clip", {"data": given(-3, -1, -0.5, 0, 0.5, 1, 3, NAN, INF, -INF)}, a_min=-1, a_max=1)
case("clip-random", "clip", {"data": uniform(3, 4, low=-2, high=2)}, a_min=-0.7, a_max=0.3)
case("clip-swapped", "clip", {"data": uniform(3, 4, low=-2, high=2)}, a_min=1, a_max=-1)
case("clip-equal", "clip", {"data": given(-1, 0, 1)}, a_min=0, a_max=0)
case("clip-inf", "clip", {"data": given(-1, 0, 1)}, a_min=-INF, a_max=0.5)
for dtype in ("float64", "float16", *INTEGERS):
    case(f"clip-{dtype}", "clip", {"data": whole(6, low=0, high=9, dtype=dtype)}, a_min=2, a_max=5)
case("clip-int32-fraction", "clip", {"data": given(0, 1, 2, 3, 4, dtype="int32")}, a_min=0.5, a_max=2.7)
TYPES = ("float32", "float64", "float16", "uint8", "int8", "int32", "int64", "bool")
for source in TYPES:
    for target in TYPES:
        values = (
            given(0, 1, 2, 3, 100, dtype=source)
            if source[0] in "uib"
            else given(0.0, 1.0, 2.7, 0.5, 99.9, dtype=source)
        )
        case(f"Cast-{source}-{target}", "Cast", {"data": values}, dtype=target)
case("Cast-negative-int32", "Cast", {"data": given(-0.5, -1.5, -2.7, -100.2)}, dtype="int32")
case("Cast-negative-int8", "Cast", {"data": given(-0.5, -1.5, -2.7, -100.2)}, dtype="int8")
case(
    "Cast-half-rounding",
    "Cast",
    {"data": given(2049.0, 2051.0, 1e-8, 65519.0, 65520.0, -1e30, NAN, INF)},
    dtype="float16",
)
case("Cast-double-rounding", "Cast", {"data": given(0.1, 1e-300, 1e300, 16777217.0, dtype="float64")}, dtype="float32")
case("Cast-int64-float", "Cast", {"data": given(16777217, 2**53 + 1, -5, dtype="int64")}, dtype="float32")
case("Cast-bool-special", "Cast", {"data": given(NAN, INF, -0.0, 1e-30)}, dtype="bool")
case("Cast-wrap", "Cast", {"data": given(300, -1, 128, dtype="int32")}, dtype="uint8")
case("Cast-alias", "cast", {"data": given(0.5, 1.5)}, dtype="int32")
case("Cast-unknown", "Cast", {"data": given(0.5, 1.5)}, dtype="complex64")
case(
    "SequenceMask",
    "SequenceMask",
    {"data": uniform(4, 2, 3), "sequence_length": given(2, 4)},
    use_sequence_length=True,
    value=-1.0,
)
case(
    "SequenceMask-axis1",
    "SequenceMask",
    {"data": uniform(2, 4), "sequence_length": given(2, 3)},
    use_sequence_length=True,
    axis=1,
)
case("SequenceMask-off", "SequenceMask", {"data": uniform(4, 2)})
case(
    "SequenceLast", "SequenceLast", {"data": uniform(4, 2, 3), "sequence_length": given(2, 4)}, use_sequence_length=True
)
case("SequenceLast-off", "SequenceLast", {"data": uniform(4, 2)})
case(
    "SequenceLast-axis1",
    "SequenceLast",
    {"data": uniform(2, 4, 3), "sequence_length": given(2, 4)},
    use_sequence_length=True,
    axis=1,
)
case(
    "SequenceReverse",
    "SequenceReverse",
    {"data": uniform(4, 2, 3), "sequence_length": given(2, 4)},
    use_sequence_length=True,
)
case("SequenceReverse-off", "SequenceReverse", {"data": uniform(4, 2)})
for is_ascend in (False, True):
    case(f"sort-{is_ascend}", "sort", {"data": distinct(3, 4)}, is_ascend=is_ascend)
    case(f"sort-{is_ascend}-axis0", "sort", {"data": distinct(3, 4)}, axis=0, is_ascend=is_ascend)
    case(f"sort-{is_ascend}-none", "sort", {"data": distinct(3, 4)}, axis=None, is_ascend=is_ascend)
    case(f"argsort-{is_ascend}", "argsort", {"data": distinct(3, 4)}, is_ascend=is_ascend)
    case(f"argsort-{is_ascend}-axis0", "argsort", {"data": distinct(3, 4)}, axis=0, is_ascend=is_ascend)
    case(f"argsort-{is_ascend}-none", "argsort", {"data": distinct(3, 4)}, axis=None, is_ascend=is_ascend)
    for ret_typ in ("value", "indices", "mask", "both"):
        case(f"topk-{ret_typ}-{is_ascend}", "topk", {"data": distinct(3, 5)}, k=2, ret_typ=ret_typ, is_ascend=is_ascend)
        case(
            f"topk-{ret_typ}-{is_ascend}-axis0",
            "topk",
            {"data": distinct(4, 2)},
            k=3,
            axis=0,
            ret_typ=ret_typ,
            is_ascend=is_ascend,
        )
case("topk-default", "topk", {"data": distinct(3, 5)})
case("topk-none", "topk", {"data": distinct(3, 4)}, axis=None, k=3)
case("topk-k0", "topk", {"data": distinct(3, 4)}, k=0, ret_typ="value")
case("topk-too-many", "topk", {"data": distinct(3, 4)}, k=5)
for dtype in ("float64", "int32", "int64", "uint8", "float16"):
    case(f"topk-dtype-{dtype}", "topk", {"data": distinct(3, 4)}, k=2, dtype=dtype)
    case(f"argsort-dtype-{dtype}", "argsort", {"data": distinct(3, 4)}, dtype=dtype)
for dtype in ("float64", "int32"):
    case(f"sort-{dtype}", "sort", {"data": whole(5, high=9, dtype=dtype)})
    case(f"topk-of-{dtype}", "topk", {"data": whole(5, high=9, dtype=dtype)}, k=2, ret_typ="value")

# ---- layers --------------------------------------------------------------------------------------------------------


def layer(data: Spec, weight: tuple[int, ...], bias: int | None = None) -> dict[str, Spec]:
    """Data, weight and, unless None, bias of one dtype."""
    inputs = {"data": data, "weight": uniform(*weight, dtype=data.dtype)}
    return inputs if bias is None else {**inputs, "bias": uniform(bias, dtype=data.dtype)}


case("FullyConnected", "FullyConnected", layer(uniform(2, 4), (3, 4), 3), num_hidden=3)
case("FullyConnected-no_bias", "FullyConnected", layer(uniform(2, 4), (3, 4)), num_hidden=3, no_bias=True)
case("FullyConnected-4d", "FullyConnected", layer(uniform(2, 2, 2, 3), (3, 12), 3), num_hidden=3)
case("FullyConnected-no-flatten", "FullyConnected", layer(uniform(2, 3, 4), (5, 4), 5), num_hidden=5, flatten=False)
case(
    "FullyConnected-no-flatten-no_bias",
    "FullyConnected",
    layer(uniform(2, 3, 4), (5, 4)),
    num_hidden=5,
    flatten=False,
    no_bias=True,
)
case("FullyConnected-no-flatten-1d", "FullyConnected", layer(uniform(4), (5, 4), 5), num_hidden=5, flatten=False)
case("FullyConnected-1d", "FullyConnected", layer(uniform(4), (5, 4), 5), num_hidden=5)
case("FullyConnected-1d-column", "FullyConnected", layer(uniform(4), (5, 1), 5), num_hidden=5)
case("FullyConnected-one", "FullyConnected", layer(uniform(3, 1), (1, 1), 1), num_hidden=1)
case("FullyConnected-wrong-weight", "FullyConnected", layer(uniform(2, 4), (3, 5), 3), num_hidden=3)
case("FullyConnected-wrong-bias", "FullyConnected", layer(uniform(2, 4), (3, 4), 2), num_hidden=3)
case("FullyConnected-float64", "FullyConnected", layer(uniform(2, 4, dtype="float64"), (3, 4), 3), num_hidden=3)
case("FullyConnected-float16", "FullyConnected", layer(uniform(2, 4, dtype="float16"), (3, 4), 3), num_hidden=3)
case(
    "FullyConnected-int32",
    "FullyConnected",
    {"data": whole(2, 4, dtype="int32"), "weight": whole(3, 4, dtype="int32"), "bias": whole(3, dtype="int32")},
    num_hidden=3,
)
case(
    "FullyConnected-mixed",
    "FullyConnected",
    {"data": uniform(2, 4, dtype="float64"), "weight": uniform(3, 4), "bias": uniform(3)},
    num_hidden=3,
)

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], int, dict[str, Any]]] = {
    # label: (data shape, filters, parameters)
    "2d": ((2, 3, 5, 6), 4, {"kernel": (3, 3)}),
    "2d-even": ((1, 2, 5, 4), 2, {"kernel": (2, 3)}),
    "2d-stride": ((1, 2, 7, 6), 2, {"kernel": (3, 2), "stride": (2, 3)}),
    "2d-pad": ((1, 2, 4, 5), 2, {"kernel": (3, 3), "pad": (1, 2)}),
    "2d-dilate": ((1, 2, 7, 6), 2, {"kernel": (3, 2), "dilate": (2, 3)}),
    "2d-all": ((2, 2, 7, 8), 3, {"kernel": (3, 3), "stride": (2, 2), "pad": (2, 1), "dilate": (2, 1)}),
    "2d-pointwise": ((2, 3, 3, 4), 4, {"kernel": (1, 1)}),
    "2d-pointwise-stride": ((1, 3, 5, 4), 2, {"kernel": (1, 1), "stride": (2, 2)}),
    "2d-pointwise-pad": ((1, 2, 2, 2), 2, {"kernel": (1, 1), "pad": (1, 1)}),
    "2d-groups": ((2, 4, 4, 4), 6, {"kernel": (3, 3), "num_group": 2}),
    "2d-depthwise": ((1, 3, 4, 5), 3, {"kernel": (3, 3), "num_group": 3, "pad": (1, 1)}),
    "2d-depthwise-multiplier": ((1, 2, 4, 4), 4, {"kernel": (3, 3), "num_group": 2}),
    "2d-groups-pointwise": ((1, 4, 3, 3), 4, {"kernel": (1, 1), "num_group": 2}),
    "2d-whole": ((2, 2, 3, 4), 3, {"kernel": (3, 4)}),
    "2d-one-channel": ((1, 1, 4, 4), 1, {"kernel": (2, 2)}),
    "2d-hints": ((1, 1, 4, 4), 1, {"kernel": (2, 2), "workspace": 128, "cudnn_tune": "off", "cudnn_off": True}),
    "2d-layout": ((1, 2, 4, 4), 1, {"kernel": (2, 2), "layout": "NCHW"}),
    "2d-int-stride": ((1, 2, 5, 5), 1, {"kernel": (3, 3), "stride": 2}),
    "1d": ((2, 3, 7), 2, {"kernel": (3,)}),
    "1d-int": ((2, 3, 7), 2, {"kernel": 3}),
    "1d-all": ((2, 2, 9), 3, {"kernel": (3,), "stride": (2,), "pad": (1,), "dilate": (2,)}),
    "1d-groups": ((1, 4, 6), 2, {"kernel": (2,), "num_group": 2}),
    "1d-pointwise": ((1, 3, 4), 2, {"kernel": (1,)}),
    "1d-layout": ((1, 3, 4), 2, {"kernel": (2,), "layout": "NCW"}),
    "3d": ((1, 2, 3, 4, 3), 2, {"kernel": (2, 2, 2)}),
    "3d-all": ((1, 2, 4, 5, 4), 2, {"kernel": (2, 3, 2), "stride": (2, 1, 2), "pad": (1, 0, 1), "dilate": (1, 2, 1)}),
    "too-small": ((1, 2, 2, 2), 1, {"kernel": (3, 3)}),
    "groups-wrong": ((1, 3, 4, 4), 2, {"kernel": (2, 2), "num_group": 2}),
    "filters-wrong": ((1, 2, 4, 4), 3, {"kernel": (2, 2), "num_group": 2}),
    "kernel-rank": ((1, 2, 4, 4), 1, {"kernel": (2,)}),
    "zero-stride": ((1, 2, 4, 4), 1, {"kernel": (2, 2), "stride": (0, 0)}),
    "pad-rank": ((1, 2, 4, 4), 1, {"kernel": (2, 2), "pad": (1,)}),
}
for label, (shape, filters, more) in CONVOLUTIONS.items():
    kernel = more["kernel"] if isinstance(more["kernel"], tuple) else (more["kernel"],)
    weight = (filters, shape[1] // more.get("num_group", 1), *kernel)
    case(f"Convolution-{label}", "Convolution", layer(uniform(*shape), weight, filters), num_filter=filters, **more)
    if label in ("2d", "2d-groups", "1d", "3d", "2d-pointwise"):
        case(
            f"Convolution-{label}-no_bias",
            "Convolution",
            layer(uniform(*shape), weight),
            num_filter=filters,
            no_bias=True,
            **more,
        )
for dtype in ("float64", "float16"):
    case(
        f"Convolution-2d-{dtype}",
        "Convolution",
        layer(uniform(1, 2, 4, 4, dtype=dtype), (2, 2, 3, 3), 2),
        num_filter=2,
        kernel=(3, 3),
    )
case(
    "Convolution-2d-NHWC",
    "Convolution",
    layer(uniform(1, 4, 4, 2), (2, 3, 3, 2), 2),
    num_filter=2,
    kernel=(3, 3),
    layout="NHWC",
)
for tune in ("fastest", "limited_workspace", "None"):
    case(
        f"Convolution-cudnn_tune-{tune}",
        "Convolution",
        layer(uniform(1, 1, 3, 3), (1, 1, 2, 2), 1),
        num_filter=1,
        kernel=(2, 2),
        cudnn_tune=tune,
    )
case(
    "Convolution-3d-NCDHW",
    "Convolution",
    layer(uniform(1, 2, 3, 3, 3), (2, 2, 2, 2, 2), 2),
    num_filter=2,
    kernel=(2, 2, 2),
    layout="NCDHW",
)
case(
    "Convolution-3d-NDHWC",
    "Convolution",
    layer(uniform(1, 3, 3, 3, 2), (2, 2, 2, 2, 2), 2),
    num_filter=2,
    kernel=(2, 2, 2),
    layout="NDHWC",
)
case(
    "Convolution-wrong-weight", "Convolution", layer(uniform(1, 2, 4, 4), (2, 3, 3, 3), 2), num_filter=2, kernel=(3, 3)
)
case("Convolution-wrong-bias", "Convolution", layer(uniform(1, 2, 4, 4), (2, 2, 3, 3), 3), num_filter=2, kernel=(3, 3))
DECONVOLUTIONS: dict[str, tuple[tuple[int, ...], int, dict[str, Any]]] = {
    "2d": ((1, 3, 3, 4), 2, {"kernel": (3, 3)}),
    "2d-stride": ((1, 2, 3, 3), 2, {"kernel": (3, 2), "stride": (2, 3)}),
    "2d-pad": ((1, 2, 4, 4), 2, {"kernel": (3, 3), "pad": (1, 1), "stride": (2, 2)}),
    "2d-adj": ((1, 2, 3, 3), 2, {"kernel": (3, 3), "pad": (1, 1), "stride": (2, 2), "adj": (1, 1)}),
    "2d-target": ((1, 2, 3, 3), 2, {"kernel": (4, 4), "stride": (2, 2), "target_shape": (6, 6)}),
    "2d-groups": ((1, 4, 3, 3), 4, {"kernel": (2, 2), "num_group": 2}),
    "2d-dilate": ((1, 2, 3, 3), 2, {"kernel": (2, 2), "dilate": (2, 2)}),
    "1d": ((1, 2, 4), 3, {"kernel": (3,), "stride": (2,)}),
    "1d-pad-adj": ((1, 2, 4), 3, {"kernel": (3,), "stride": (2,), "pad": (1,), "adj": (1,)}),
}
for label, (shape, filters, more) in DECONVOLUTIONS.items():
    weight = (shape[1], filters // more.get("num_group", 1), *more["kernel"])
    case(f"Deconvolution-{label}", "Deconvolution", layer(uniform(*shape), weight), num_filter=filters, **more)
    case(
        f"Deconvolution-{label}-bias",
        "Deconvolution",
        layer(uniform(*shape), weight, filters),
        num_filter=filters,
        no_bias=False,
        **more,
    )

case(
    "Deconvolution-hints",
    "Deconvolution",
    layer(uniform(1, 2, 3, 3), (2, 1, 2, 2)),
    num_filter=1,
    kernel=(2, 2),
    workspace=128,
    cudnn_tune="off",
    cudnn_off=True,
    layout="NCHW",
)

for pool_type in ("max", "avg", "sum", "lp"):
    extra: dict[str, Any] = {"p_value": 2} if pool_type == "lp" else {}
    low = 0.1 if pool_type == "lp" else -1.0
    data = uniform(1, 2, 5, 6, low=low)
    for convention in ("valid", "full", "same"):
        for label, more in {
            "22": {"kernel": (2, 2), "stride": (2, 2)},
            "32": {"kernel": (3, 3), "stride": (2, 2)},
            "32-pad": {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)},
            "23-stride1": {"kernel": (2, 3)},
            "23-stride": {"kernel": (2, 3), "stride": (3, 2), "pad": (1, 1)},
        }.items():
            case(
                f"Pooling-{pool_type}-{convention}-{label}",
                "Pooling",
                {"data": data},
                pool_type=pool_type,
                pooling_convention=convention,
                **more,
                **extra,
            )
        case(
            f"Pooling-{pool_type}-{convention}-1d",
            "Pooling",
            {"data": uniform(2, 2, 7, low=low)},
            pool_type=pool_type,
            pooling_convention=convention,
            kernel=(3,),
            stride=(2,),
            pad=(1,),
            **extra,
        )
    case(
        f"Pooling-{pool_type}-global",
        "Pooling",
        {"data": data},
        pool_type=pool_type,
        global_pool=True,
        kernel=(1, 1),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-global-no-kernel",
        "Pooling",
        {"data": data},
        pool_type=pool_type,
        global_pool=True,
        **extra,
    )
    case(
        f"Pooling-{pool_type}-global-ignores",
        "Pooling",
        {"data": data},
        pool_type=pool_type,
        global_pool=True,
        kernel=(2, 2),
        stride=(2, 2),
        pad=(1, 1),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-global-1d",
        "Pooling",
        {"data": uniform(2, 2, 5, low=low)},
        pool_type=pool_type,
        global_pool=True,
        kernel=(1,),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-1d",
        "Pooling",
        {"data": uniform(2, 2, 6, low=low)},
        pool_type=pool_type,
        kernel=(2,),
        stride=(2,),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-3d",
        "Pooling",
        {"data": uniform(1, 2, 3, 4, 3, low=low)},
        pool_type=pool_type,
        kernel=(2, 2, 2),
        stride=(1, 2, 1),
        pad=(1, 0, 1),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-3d-full",
        "Pooling",
        {"data": uniform(1, 1, 3, 4, 3, low=low)},
        pool_type=pool_type,
        kernel=(2, 2, 2),
        stride=(2, 2, 2),
        pooling_convention="full",
        **extra,
    )
    case(
        f"Pooling-{pool_type}-ties",
        "Pooling",
        {"data": whole(1, 1, 4, 4, low=0 if pool_type == "lp" else -1, high=2)},
        pool_type=pool_type,
        kernel=(2, 2),
        stride=(1, 1),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-nan",
        "Pooling",
        {"data": given(NAN, 1, 2, 3, 4, NAN, INF, 5, 6, shape=(1, 1, 3, 3))},
        pool_type=pool_type,
        kernel=(2, 2),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-float64",
        "Pooling",
        {"data": uniform(1, 1, 4, 4, low=low, dtype="float64")},
        pool_type=pool_type,
        kernel=(2, 2),
        stride=(2, 2),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-float16",
        "Pooling",
        {"data": uniform(1, 1, 4, 4, low=low, dtype="float16")},
        pool_type=pool_type,
        kernel=(2, 2),
        stride=(2, 2),
        **extra,
    )
    case(
        f"Pooling-{pool_type}-NHWC",
        "Pooling",
        {"data": uniform(1, 4, 4, 2, low=low)},
        pool_type=pool_type,
        kernel=(2, 2),
        stride=(2, 2),
        layout="NHWC",
        **extra,
    )
    case(
        f"Pooling-{pool_type}-NWC",
        "Pooling",
        {"data": uniform(1, 4, 2, low=low)},
        pool_type=pool_type,
        kernel=(2,),
        stride=(2,),
        layout="NWC",
        **extra,
    )
    case(
        f"Pooling-{pool_type}-NCHW",
        "Pooling",
        {"data": uniform(1, 2, 4, 4, low=low)},
        pool_type=pool_type,
        kernel=(2, 2),
        stride=(2, 2),
        layout="NCHW",
        **extra,
    )
    case(
        f"Pooling-{pool_type}-inference",
        "Pooling",
        {"data": data},
        train=False,
        pool_type=pool_type,
        kernel=(2, 2),
        stride=(2, 2),
        **extra,
    )
for include in (True, False, None):
    for convention in ("valid", "full"):
        for label, more in {
            "32-pad": {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)},
            "22-pad": {"kernel": (2, 2), "stride": (2, 2), "pad": (1, 1)},
        }.items():
            case(
                f"Pooling-avg-include-{include}-{convention}-{label}",
                "Pooling",
                {"data": uniform(1, 2, 5, 6)},
                pool_type="avg",
                count_include_pad=include,
                pooling_convention=convention,
                **more,
            )
    case(
        f"Pooling-avg-include-{include}-1d",
        "Pooling",
        {"data": uniform(1, 2, 6)},
        pool_type="avg",
        count_include_pad=include,
        kernel=(3,),
        stride=(2,),
        pad=(1,),
    )
    case(
        f"Pooling-avg-include-{include}-3d",
        "Pooling",
        {"data": uniform(1, 1, 3, 4, 3)},
        pool_type="avg",
        count_include_pad=include,
        kernel=(2, 2, 2),
        pad=(1, 1, 1),
    )
for p_value in (1, 2, 3):
    case(
        f"Pooling-lp-{p_value}",
        "Pooling",
        {"data": uniform(1, 1, 4, 4, low=0.1)},
        pool_type="lp",
        p_value=p_value,
        kernel=(2, 2),
        stride=(2, 2),
    )
case(
    "Pooling-lp-negative",
    "Pooling",
    {"data": uniform(1, 1, 4, 4)},
    pool_type="lp",
    p_value=3,
    kernel=(2, 2),
    stride=(2, 2),
)
case("Pooling-lp-4", "Pooling", {"data": uniform(1, 1, 4, 4)}, pool_type="lp", p_value=4, kernel=(2, 2), stride=(2, 2))
case("Pooling-lp-no-p", "Pooling", {"data": uniform(1, 1, 4, 4)}, pool_type="lp", kernel=(2, 2), stride=(2, 2))
case("Pooling-cudnn_off", "Pooling", {"data": uniform(1, 1, 4, 4)}, kernel=(2, 2), cudnn_off=True)
for pool_type in ("max", "avg"):
    case(
        f"Pooling-{pool_type}-NCW",
        "Pooling",
        {"data": uniform(1, 2, 4)},
        pool_type=pool_type,
        kernel=(2,),
        layout="NCW",
    )
    case(
        f"Pooling-{pool_type}-NCDHW",
        "Pooling",
        {"data": uniform(1, 2, 2, 3, 2)},
        pool_type=pool_type,
        kernel=(2, 2, 2),
        layout="NCDHW",
    )
    case(
        f"Pooling-{pool_type}-NDHWC",
        "Pooling",
        {"data": uniform(1, 2, 3, 2, 2)},
        pool_type=pool_type,
        kernel=(2, 2, 2),
        layout="NDHWC",
    )
    case(
        f"Pooling-{pool_type}-same-1d-no-pad",
        "Pooling",
        {"data": uniform(1, 2, 7)},
        pool_type=pool_type,
        kernel=(3,),
        stride=(2,),
        pooling_convention="same",
    )
case(
    "Pooling-max-all-negative-pad", "Pooling", {"data": uniform(1, 1, 3, 3, low=-3, high=-1)}, kernel=(3, 3), pad=(1, 1)
)
case("Pooling-default-type", "Pooling", {"data": uniform(1, 1, 4, 4)}, kernel=(2, 2))
case("Pooling-too-large", "Pooling", {"data": uniform(1, 1, 2, 2)}, kernel=(3, 3))
case("Pooling-too-large-full", "Pooling", {"data": uniform(1, 1, 2, 2)}, kernel=(3, 3), pooling_convention="full")
case("Pooling-pad-too-large", "Pooling", {"data": uniform(1, 1, 4, 4)}, kernel=(2, 2), pad=(2, 2))
case("Pooling-no-kernel", "Pooling", {"data": uniform(1, 1, 4, 4)})
case("Pooling-rank", "Pooling", {"data": uniform(4, 4)}, kernel=(2, 2))
case("Pooling-kernel-rank", "Pooling", {"data": uniform(1, 1, 4, 4)}, kernel=(2,))
case("Pooling-zero-stride", "Pooling", {"data": uniform(1, 1, 4, 4)}, kernel=(2, 2), stride=(0, 1))
case("Pooling-int32", "Pooling", {"data": whole(1, 1, 4, 4, dtype="int32")}, kernel=(2, 2))


def norm_inputs(data: Spec, channels: int, dtype: str = "float32") -> dict[str, Spec]:
    """Inputs of BatchNorm."""
    return {
        "data": data,
        "gamma": uniform(channels, low=0.5, high=2, dtype=dtype),
        "beta": uniform(channels, dtype=dtype),
        "moving_mean": uniform(channels, dtype=dtype),
        "moving_var": uniform(channels, low=0.5, high=2, dtype=dtype),
    }


BATCH_NORMS: dict[str, tuple[tuple[int, ...], int, dict[str, Any]]] = {
    "default": ((3, 2, 2, 2), 2, {}),
    "gamma": ((3, 2, 2, 2), 2, {"fix_gamma": False}),
    "fixed": ((3, 2, 2, 2), 2, {"fix_gamma": True}),
    "global": ((3, 2, 2, 2), 2, {"use_global_stats": True, "fix_gamma": False}),
    "global-fixed": ((3, 2, 2, 2), 2, {"use_global_stats": True}),
    "eps": ((3, 2, 2, 2), 2, {"fix_gamma": False, "eps": 0.1}),
    "small-eps": ((3, 2, 2, 2), 2, {"fix_gamma": False, "eps": 1e-5}),
    "momentum": ((3, 2, 2, 2), 2, {"fix_gamma": False, "momentum": 0.5}),
    "mean-var": ((3, 2, 2, 2), 2, {"fix_gamma": False, "output_mean_var": True}),
    "mean-var-global": ((3, 2, 2, 2), 2, {"fix_gamma": False, "output_mean_var": True, "use_global_stats": True}),
    "2d": ((4, 3), 3, {"fix_gamma": False}),
    "3d": ((2, 3, 4), 3, {"fix_gamma": False}),
    "5d": ((2, 2, 2, 1, 2), 2, {"fix_gamma": False}),
    "axis-last": ((2, 2, 2, 3), 3, {"fix_gamma": False, "axis": -1}),
    "axis3": ((2, 2, 2, 3), 3, {"fix_gamma": False, "axis": 3}),
    "axis0": ((3, 2, 2), 3, {"fix_gamma": False, "axis": 0}),
    "axis2": ((2, 2, 3, 2), 3, {"fix_gamma": False, "axis": 2}),
    "cudnn_off": ((3, 2, 2), 2, {"fix_gamma": False, "cudnn_off": True}),
    "one-value": ((1, 2), 2, {"fix_gamma": False}),
    "bad-axis": ((3, 2), 2, {"axis": 2}),
}
for label, (shape, channels, more) in BATCH_NORMS.items():
    case(f"BatchNorm-{label}", "BatchNorm", norm_inputs(uniform(*shape, low=-2, high=3), channels), **more)
    case(
        f"BatchNorm-{label}-inference",
        "BatchNorm",
        norm_inputs(uniform(*shape, low=-2, high=3), channels),
        train=False,
        **more,
    )
case("BatchNorm-float64", "BatchNorm", norm_inputs(uniform(3, 2, 2, dtype="float64"), 2, "float64"), fix_gamma=False)
case("BatchNorm-float16", "BatchNorm", norm_inputs(uniform(3, 2, 2, dtype="float16"), 2), fix_gamma=False)
case(
    "BatchNorm-float16-all", "BatchNorm", norm_inputs(uniform(3, 2, 2, dtype="float16"), 2, "float16"), fix_gamma=False
)
case("BatchNorm-calibration", "BatchNorm", norm_inputs(uniform(3, 2), 2), min_calib_range=-1.0, max_calib_range=1.0)
case("LayerNorm", "LayerNorm", {"data": uniform(2, 3, 4), "gamma": uniform(4), "beta": uniform(4)})
for axis in (0, 1, 2, -1, -2):
    case(
        f"LayerNorm-axis-{axis}",
        "LayerNorm",
        {"data": uniform(3, 3, 3), "gamma": uniform(3), "beta": uniform(3)},
        axis=axis,
    )
case("LayerNorm-eps", "LayerNorm", {"data": uniform(2, 4), "gamma": uniform(4), "beta": uniform(4)}, eps=0.1)
case(
    "LayerNorm-mean-var",
    "LayerNorm",
    {"data": uniform(2, 4), "gamma": uniform(4), "beta": uniform(4)},
    output_mean_var=True,
)
case(
    "LayerNorm-float64",
    "LayerNorm",
    {name: uniform(*shape, dtype="float64") for name, shape in (("data", (2, 4)), ("gamma", (4,)), ("beta", (4,)))},
)
case(
    "LayerNorm-float16",
    "LayerNorm",
    {name: uniform(*shape, dtype="float16") for name, shape in (("data", (2, 4)), ("gamma", (4,)), ("beta", (4,)))},
)
case(
    "LayerNorm-inference", "LayerNorm", {"data": uniform(2, 3, 4), "gamma": uniform(4), "beta": uniform(4)}, train=False
)
case("GroupNorm", "GroupNorm", {"data": uniform(2, 4, 3), "gamma": uniform(2), "beta": uniform(2)}, num_groups=2)
case(
    "GroupNorm-mean-var",
    "GroupNorm",
    {"data": uniform(2, 4, 3), "gamma": uniform(2), "beta": uniform(2)},
    num_groups=2,
    eps=0.1,
    output_mean_var=True,
)
case("InstanceNorm", "InstanceNorm", {"data": uniform(2, 3, 4), "gamma": uniform(3), "beta": uniform(3)})
case("InstanceNorm-4d", "InstanceNorm", {"data": uniform(2, 2, 2, 3), "gamma": uniform(2), "beta": uniform(2)}, eps=0.1)
case(
    "InstanceNorm-float64",
    "InstanceNorm",
    {
        "data": uniform(2, 3, 4, dtype="float64"),
        "gamma": uniform(3, dtype="float64"),
        "beta": uniform(3, dtype="float64"),
    },
)
for mode in ("instance", "channel", "spatial"):
    case(f"L2Normalization-{mode}", "L2Normalization", {"data": uniform(2, 3, 2, 2)}, mode=mode)
    case(f"L2Normalization-{mode}-eps", "L2Normalization", {"data": uniform(2, 3, 2)}, mode=mode, eps=0.5)
    case(f"L2Normalization-{mode}-2d", "L2Normalization", {"data": uniform(2, 3)}, mode=mode)
    case(
        f"L2Normalization-{mode}-zeros",
        "L2Normalization",
        {"data": given(0, 0, 0, 0, 3, 4, 0, 0, shape=(2, 2, 2))},
        mode=mode,
    )
case("L2Normalization-default", "L2Normalization", {"data": uniform(2, 3)})
case("LRN", "LRN", {"data": uniform(2, 5, 2, 2)}, nsize=3)
case("LRN-wide", "LRN", {"data": uniform(1, 6, 2, 2)}, nsize=5, alpha=0.1, beta=0.5, knorm=1)
case("LRN-one", "LRN", {"data": uniform(1, 4, 2, 2)}, nsize=1, alpha=0.2)
case("LRN-even", "LRN", {"data": uniform(1, 4, 2, 2)}, nsize=2, alpha=0.2)
case("LRN-inference", "LRN", {"data": uniform(2, 5, 2, 2)}, train=False, nsize=3)
case("UpSampling", "UpSampling", {"arg0": uniform(1, 2, 2, 3)}, scale=2, sample_type="nearest")
case("UpSampling-3", "UpSampling", {"arg0": uniform(2, 1, 2, 2)}, scale=3, sample_type="nearest")
case("UpSampling-workspace", "UpSampling", {"arg0": uniform(1, 1, 2, 2)}, scale=2, sample_type="nearest", workspace=64)
case(
    "UpSampling-concat",
    "UpSampling",
    {"arg0": uniform(1, 2, 4, 4), "arg1": uniform(1, 1, 2, 2)},
    scale=2,
    sample_type="nearest",
    multi_input_mode="concat",
)
case(
    "UpSampling-sum",
    "UpSampling",
    {"arg0": uniform(1, 2, 4, 4), "arg1": uniform(1, 2, 2, 2)},
    scale=2,
    sample_type="nearest",
    multi_input_mode="sum",
)
case("UpSampling-float64", "UpSampling", {"arg0": uniform(1, 2, 2, 3, dtype="float64")}, scale=2, sample_type="nearest")
case(
    "UpSampling-bilinear",
    "UpSampling",
    {"arg0": uniform(1, 2, 3, 3), "arg1": uniform(2, 1, 4, 4)},
    scale=2,
    sample_type="bilinear",
    num_filter=2,
)
case("Crop-offset", "Crop", {"arg0": uniform(1, 2, 5, 6)}, num_args=1, offset=(1, 2), h_w=(3, 3))
case("Crop-center", "Crop", {"arg0": uniform(1, 2, 5, 6)}, num_args=1, h_w=(3, 3), center_crop=True)
case("Crop-like", "Crop", {"arg0": uniform(1, 2, 5, 6), "arg1": uniform(1, 3, 3, 4)}, num_args=2)
case("Crop-like-offset", "Crop", {"arg0": uniform(1, 2, 5, 6), "arg1": uniform(1, 3, 3, 4)}, num_args=2, offset=(1, 1))
case(
    "Crop-like-center", "Crop", {"arg0": uniform(1, 2, 5, 6), "arg1": uniform(1, 3, 3, 4)}, num_args=2, center_crop=True
)
case("Crop-too-large", "Crop", {"arg0": uniform(1, 2, 5, 6)}, num_args=1, h_w=(6, 3))
case("Dropout-inference", "Dropout", {"data": uniform(3, 4)}, train=False)
case("Dropout-inference-p", "Dropout", {"data": uniform(3, 4)}, train=False, p=0.9, mode="training")
case("Dropout-p0", "Dropout", {"data": uniform(3, 4)}, p=0)
case("Dropout-p0-always", "Dropout", {"data": uniform(3, 4)}, train=False, p=0, mode="always")
case("Dropout-p0-axes", "Dropout", {"data": uniform(3, 4)}, p=0, axes=(1,))
case("Dropout-float64", "Dropout", {"data": uniform(3, 4, dtype="float64")}, train=False)
case("Dropout-float16", "Dropout", {"data": uniform(3, 4, dtype="float16")}, train=False)
case("Dropout-int32", "Dropout", {"data": whole(3, 4, dtype="int32")}, train=False)
case("Dropout-cudnn_off", "Dropout", {"data": uniform(3, 4)}, train=False, cudnn_off=True)
case("Dropout-p2", "Dropout", {"data": uniform(3, 4)}, train=False, p=2)
case("Dropout-p1-inference", "Dropout", {"data": uniform(3, 4)}, train=False, p=1)
case("Dropout-negative", "Dropout", {"data": uniform(3, 4)}, train=False, p=-0.1)
for name in ("softmax", "log_softmax", "softmin"):
    case(f"{name}", name, {"data": uniform(3, 4, low=-3, high=3)})
    for axis in (0, 1, 2, -1, -2):
        case(f"{name}-axis-{axis}", name, {"data": uniform(2, 3, 4, low=-3, high=3)}, axis=axis)
    case(f"{name}-1d", name, {"data": uniform(5)})
    case(f"{name}-one", name, {"data": uniform(3, 1)})
    case(f"{name}-temperature", name, {"data": uniform(3, 4, low=-3, high=3)}, temperature=2.5)
    case(f"{name}-temperature-none", name, {"data": uniform(3, 4)}, temperature=None)
    case(f"{name}-temperature-small", name, {"data": uniform(3, 4)}, temperature=0.1, axis=0)
    case(f"{name}-large", name, {"data": given(1000, 0, -1000, 500, 500, 88, shape=(2, 3))})
    case(f"{name}-inf", name, {"data": given(INF, 0, 1, -INF, 0, 1, -INF, -INF, -INF, NAN, 0, 1, shape=(4, 3))})
    case(f"{name}-bad-axis", name, {"data": uniform(3, 4)}, axis=2)
    for dtype in ("float64", "float16", "int32"):
        case(f"{name}-of-{dtype}", name, {"data": whole(2, 3, dtype=dtype)})
    for dtype in FLOATS:
        case(f"{name}-dtype-{dtype}", name, {"data": uniform(2, 3)}, dtype=dtype)
        case(f"{name}-half-to-{dtype}", name, {"data": uniform(2, 3, dtype="float16")}, dtype=dtype)
for dtype in ("int32", "int64", "float32", "float64", "uint8"):
    case(
        f"softmax-length-{dtype}",
        "softmax",
        {"data": uniform(3, 4), "length": given(2, 4, 1, dtype=dtype)},
        use_length=True,
    )
for name in ("log_softmax", "softmin"):
    case(f"{name}-use_length-false", name, {"data": uniform(2, 3)}, use_length=False)
    case(f"{name}-use_length", name, {"data": uniform(2, 3), "length": given(2, 1, dtype="int32")}, use_length=True)
case(
    "softmax-length-axis1",
    "softmax",
    {"data": uniform(2, 3, 4), "length": whole(2, 4, low=1, high=4, dtype="int32")},
    use_length=True,
    axis=1,
)
case(
    "softmax-length-axis0",
    "softmax",
    {"data": uniform(3, 4), "length": given(1, 2, 3, 3, dtype="int32")},
    use_length=True,
    axis=0,
)
case("softmax-length-zero", "softmax", {"data": uniform(2, 3), "length": given(0, 3, dtype="int32")}, use_length=True)
case(
    "softmax-length-too-long", "softmax", {"data": uniform(2, 3), "length": given(3, 3, dtype="int32")}, use_length=True
)
case(
    "softmax-length-temperature",
    "softmax",
    {"data": uniform(2, 3), "length": given(2, 1, dtype="int32")},
    use_length=True,
    temperature=2.0,
)
case(
    "softmax-length-mismatch",
    "softmax",
    {"data": uniform(2, 3), "length": given(2, 1, 1, dtype="int32")},
    use_length=True,
)
case("SoftmaxActivation", "SoftmaxActivation", {"data": uniform(3, 4)})
case("SoftmaxActivation-4d", "SoftmaxActivation", {"data": uniform(2, 3, 2, 2)})
case("SoftmaxActivation-channel", "SoftmaxActivation", {"data": uniform(2, 3, 2, 2)}, mode="channel")
case("SoftmaxActivation-channel-3d", "SoftmaxActivation", {"data": uniform(2, 3, 2)}, mode="channel")
case("SoftmaxActivation-channel-2d", "SoftmaxActivation", {"data": uniform(2, 3)}, mode="channel")
case("SoftmaxActivation-instance", "SoftmaxActivation", {"data": uniform(2, 3, 2)}, mode="instance")

# ---- losses (without the defects listed in README.md) --------------------------------------------------------------

FLAT = {"data": uniform(4, 5, low=-2, high=2), "label": given(0, 4, 1, 2)}
case("SoftmaxOutput", "SoftmaxOutput", FLAT)
case("SoftmaxOutput-inference", "SoftmaxOutput", FLAT, train=False)
case("SoftmaxOutput-alias", "Softmax", FLAT)
case("SoftmaxOutput-scale", "SoftmaxOutput", FLAT, grad_scale=2.5)
case("SoftmaxOutput-smooth", "SoftmaxOutput", FLAT, smooth_alpha=0.1)
case("SoftmaxOutput-3d", "SoftmaxOutput", {"data": uniform(2, 3, 4), "label": whole(2, 3, high=4)})
case("SoftmaxOutput-4d", "SoftmaxOutput", {"data": uniform(2, 3, 2, 2), "label": whole(2, 3, 2, high=2)})
case("SoftmaxOutput-3d-batch-label", "SoftmaxOutput", {"data": uniform(2, 3, 4), "label": given(0, 11)})
case("SoftmaxOutput-outside", "SoftmaxOutput", {"data": uniform(4, 3), "label": given(-1, 3, 1.9, -0.5)})
case(
    "SoftmaxOutput-large",
    "SoftmaxOutput",
    {"data": given(1000, 0, -1000, 500, 500, 88, shape=(2, 3)), "label": given(0, 1)},
)
case(
    "SoftmaxOutput-same-shape",
    "SoftmaxOutput",
    {"data": uniform(4, 5), "label": uniform(4, 5, low=0)},
    normalization="batch",
    use_ignore=True,
    smooth_alpha=0.1,
)
case(
    "SoftmaxOutput-same-shape-scale",
    "SoftmaxOutput",
    {"data": uniform(4, 5), "label": uniform(4, 5, low=0)},
    grad_scale=0.5,
)
case("SoftmaxOutput-wrong-label", "SoftmaxOutput", {"data": uniform(4, 5), "label": uniform(3, low=0)})
for dtype in ("float64", "float16"):
    case(
        f"SoftmaxOutput-{dtype}",
        "SoftmaxOutput",
        {"data": uniform(4, 5, dtype=dtype), "label": given(0, 4, 1, 2, dtype=dtype)},
    )
    case(
        f"SoftmaxOutput-{dtype}-data", "SoftmaxOutput", {"data": uniform(4, 5, dtype=dtype), "label": given(0, 4, 1, 2)}
    )
case("SoftmaxOutput-int-label", "SoftmaxOutput", {"data": uniform(4, 5), "label": given(0, 4, 1, 2, dtype="int32")})
for normalization in ("null", "batch", "valid"):
    for use_ignore in (False, True):
        tag = f"{normalization}-{use_ignore:d}"
        more = {"normalization": normalization, "use_ignore": use_ignore, "ignore_label": 1.0, "grad_scale": 1.5}
        case(f"SoftmaxOutput-flat-{tag}", "SoftmaxOutput", FLAT, **more)
        case(f"SoftmaxOutput-flat-smooth-{tag}", "SoftmaxOutput", FLAT, smooth_alpha=0.1, **more)
        case(f"SoftmaxOutput-all-ignored-{tag}", "SoftmaxOutput", {"data": uniform(2, 3), "label": given(1, 1)}, **more)
        case(
            f"SoftmaxOutput-multi-{tag}",
            "SoftmaxOutput",
            {"data": uniform(2, 3, 4), "label": whole(2, 4, high=3)},
            multi_output=True,
            **more,
        )
        case(
            f"SoftmaxOutput-multi-4d-{tag}",
            "SoftmaxOutput",
            {"data": uniform(2, 3, 2, 2), "label": whole(2, 4, high=3)},
            multi_output=True,
            **more,
        )
        case(
            f"SoftmaxOutput-multi-4d-label-{tag}",
            "SoftmaxOutput",
            {"data": uniform(2, 3, 2, 2), "label": whole(2, 2, 2, high=3)},
            multi_output=True,
            **more,
        )
        case(
            f"SoftmaxOutput-multi-one-{tag}",
            "SoftmaxOutput",
            {"data": uniform(2, 3, 4), "label": whole(2, 1, 4, high=3)},
            multi_output=True,
            **more,
        )
        case(
            f"SoftmaxOutput-preserve-{tag}",
            "SoftmaxOutput",
            {"data": uniform(2, 3, 4), "label": whole(2, 3, high=4)},
            preserve_shape=True,
            **more,
        )
        case(
            f"SoftmaxOutput-preserve-smooth-{tag}",
            "SoftmaxOutput",
            {"data": uniform(2, 3, 4), "label": whole(2, 3, high=4)},
            preserve_shape=True,
            smooth_alpha=0.2,
            **more,
        )
case(
    "SoftmaxOutput-default-ignore",
    "SoftmaxOutput",
    {"data": uniform(3, 4), "label": given(-1, 2, -1)},
    use_ignore=True,
    normalization="valid",
)
case(
    "SoftmaxOutput-multi-smooth",
    "SoftmaxOutput",
    {"data": uniform(2, 3, 4), "label": whole(2, 4, high=3)},
    multi_output=True,
    smooth_alpha=0.2,
)
for name in ("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput"):
    case(f"{name}", name, {"data": uniform(4, 3), "label": uniform(4, 3)})
    case(f"{name}-inference", name, {"data": uniform(4, 3), "label": uniform(4, 3)}, train=False)
    case(f"{name}-column", name, {"data": uniform(4, 1), "label": uniform(4)})
    case(f"{name}-column-2d", name, {"data": uniform(4, 1), "label": uniform(4, 1)})
    case(f"{name}-1d", name, {"data": uniform(4), "label": uniform(4)})
    case(f"{name}-3d", name, {"data": uniform(2, 3, 2), "label": uniform(2, 3, 2)})
    case(f"{name}-other-shape", name, {"data": uniform(2, 3, 2), "label": uniform(2, 6)})
    case(f"{name}-scale", name, {"data": uniform(4, 3), "label": uniform(4, 3)}, grad_scale=0.25)
    case(f"{name}-ties", name, {"data": whole(3, 3, low=-1, high=2), "label": whole(3, 3, low=-1, high=2)})
    case(f"{name}-special", name, {"data": given(NAN, INF, -INF, 0, 100, -100), "label": given(0, 0, 0, NAN, 1, 1)})
    case(f"{name}-mismatch", name, {"data": uniform(4, 3), "label": uniform(3, 4)})
    case(f"{name}-float64", name, {"data": uniform(4, 3, dtype="float64"), "label": uniform(4, 3, dtype="float64")})
    case(f"{name}-float16", name, {"data": uniform(4, 3, dtype="float16"), "label": uniform(4, 3, dtype="float16")})
    case(f"{name}-mixed", name, {"data": uniform(4, 3, dtype="float64"), "label": uniform(4, 3)})
for normalization in ("null", "batch", "valid"):
    case(f"MakeLoss-{normalization}", "MakeLoss", {"data": uniform(4, 3)}, normalization=normalization)
    case(
        f"MakeLoss-{normalization}-scale",
        "MakeLoss",
        {"data": uniform(4, 3)},
        normalization=normalization,
        grad_scale=0.3,
    )
    case(
        f"MakeLoss-{normalization}-thresh",
        "MakeLoss",
        {"data": uniform(4, 3)},
        normalization=normalization,
        valid_thresh=0.5,
    )
    case(
        f"MakeLoss-{normalization}-none-valid",
        "MakeLoss",
        {"data": uniform(4, 3)},
        normalization=normalization,
        valid_thresh=9,
    )
case("MakeLoss", "MakeLoss", {"data": uniform(4, 3)})
case("MakeLoss-float64", "MakeLoss", {"data": uniform(4, 3, dtype="float64")})
case("softmax_cross_entropy", "softmax_cross_entropy", {"data": uniform(3, 4), "label": given(0, 3, 1)})
for use_linear in (False, True):
    case(
        f"SVMOutput-{use_linear}",
        "SVMOutput",
        {"data": uniform(4, 3, low=-2, high=2), "label": given(0, 2, 1, 2)},
        use_linear=use_linear,
    )
    case(
        f"SVMOutput-{use_linear}-margin",
        "SVMOutput",
        {"data": uniform(4, 3, low=-2, high=2), "label": given(0, 2, 1, 2)},
        use_linear=use_linear,
        margin=0.3,
        regularization_coefficient=0.7,
    )

# ---- creation ------------------------------------------------------------------------------------------------------

for name in ("_zeros", "_ones"):
    case(f"{name}", name, shape=(2, 3))
    case(f"{name}-int-shape", name, shape=3)
    for dtype in TYPES:
        case(f"{name}-{dtype}", name, shape=(2,), dtype=dtype)
    case(f"{name}-empty-shape", name)
case("_full", "_full", shape=(2, 3), value=1.5)
for dtype in TYPES:
    case(f"_full-{dtype}", "_full", shape=(2,), value=2.7, dtype=dtype)
case("_full-tenth-float64", "_full", shape=(1,), value=0.1, dtype="float64")
case("_full-nan", "_full", shape=(1,), value=NAN)
for label, args in {
    "stop": {"start": 0, "stop": 5},
    "start": {"start": 2, "stop": 6},
    "only-start": {"start": 4},
    "none": {"start": 4, "stop": None},
    "step": {"start": 1, "stop": 8, "step": 2.5},
    "negative": {"start": 5, "stop": 0, "step": -2},
    "fraction": {"start": 0, "stop": 1, "step": 0.1},
    "repeat": {"start": 0, "stop": 3, "repeat": 2},
    "repeat-step": {"start": 1, "stop": 4, "step": 1.5, "repeat": 3},
    "empty": {"start": 3, "stop": 3},
    "backwards": {"start": 3, "stop": 1},
    "infer_range": {"start": 0, "infer_range": True},
}.items():
    case(f"_arange-{label}", "_arange", **args)
for dtype in ("float64", "float16", "int32", "int64", "int8", "uint8"):
    case(f"_arange-{dtype}", "_arange", start=0, stop=5, step=2, dtype=dtype)
case("_arange-float64-fraction", "_arange", start=0, stop=1, step=0.1, dtype="float64")
case("_arange-int32-fraction", "_arange", start=0, stop=3, step=0.5, dtype="int32")
case("_linspace", "_linspace", start=0, stop=1, num=5)
case("_linspace-down", "_linspace", start=2, stop=-1, num=4)
case("_linspace-open", "_linspace", start=0, stop=1, num=5, endpoint=False)
case("_linspace-one", "_linspace", start=2, stop=3, num=1)
case("_linspace-float64", "_linspace", start=0, stop=1, num=4, dtype="float64")
case("_linspace-int32", "_linspace", start=0, stop=5, num=4, dtype="int32")
case("_eye", "_eye", N=3)
case("_eye-M", "_eye", N=2, M=4)
for dtype in ("float16", "int64", "int8", "uint8"):
    case(f"_eye-{dtype}", "_eye", N=2, M=3, dtype=dtype)
for name, more in {
    "_zeros": {"shape": (2,)},
    "_ones": {"shape": (2,)},
    "_full": {"shape": (2,), "value": 3},
    "_arange": {"start": 0, "stop": 3},
    "_eye": {"N": 2},
    "_linspace": {"start": 0, "stop": 1, "num": 3},
}.items():
    case(f"{name}-ctx", name, ctx="cpu(0)", **more)
for dtype in ("float16", "int64"):
    case(f"_linspace-{dtype}", "_linspace", start=0, stop=4, num=3, dtype=dtype)
case("_arange-infer_range-false", "_arange", start=0, stop=3, infer_range=False)
case("_eye-k", "_eye", N=3, M=3, k=1)
case("_eye-k-negative", "_eye", N=3, M=4, k=-1)
for dtype in ("float64", "int32"):
    case(f"_eye-{dtype}", "_eye", N=2, dtype=dtype)
for name, more in {"_random_uniform": {"low": -1, "high": 2}, "_random_normal": {"loc": 1, "scale": 0.5}}.items():
    case(f"{name}", name, values=False, shape=(2, 3), **more)
    case(f"{name}-default", name, values=False, shape=(2, 3))
    case(f"{name}-int-shape", name, values=False, shape=4)
    case(f"{name}-no-shape", name, values=False)
    for dtype in (*FLOATS, "int32", "None"):
        case(f"{name}-{dtype}", name, values=False, shape=(2,), dtype=dtype)
case("_random_normal-negative-scale", "_random_normal", values=False, shape=(2,), scale=-1)
case("_random_uniform-swapped", "_random_uniform", values=False, shape=(2,), low=2, high=1)
case("_random_exponential", "_random_exponential", values=False, shape=(2, 3), lam=2)
case("_random_exponential-bad", "_random_exponential", values=False, shape=(2, 3), lam=-1)
case("_random_randint", "_random_randint", values=False, low=-2, high=5, shape=(2, 3))
case("_random_randint-int64", "_random_randint", values=False, low=0, high=5, shape=(2, 3), dtype="int64")
for name, more in {"uniform": {"low": -1}, "normal": {"loc": 1}, "exponential": {"lam": 2}}.items():
    case(f"_random_{name}_like", f"_random_{name}_like", {"data": uniform(2, 3)}, values=False, **more)
for shape in ((), (3,), (2, 2)):
    for name, inputs in {"uniform": ("low", "high"), "normal": ("mu", "sigma"), "exponential": ("lam",)}.items():
        arrays = {key: uniform(2, low=at + 0.2, high=at + 1) for at, key in enumerate(inputs)}
        case(f"_sample_{name}-{len(shape)}", f"_sample_{name}", arrays, values=False, shape=shape)
case(
    "_sample_normal-float64",
    "_sample_normal",
    {"mu": uniform(2), "sigma": uniform(2, low=0.1)},
    values=False,
    dtype="float64",
)
case("_sample_normal-mismatch", "_sample_normal", {"mu": uniform(2), "sigma": uniform(3, low=0.1)}, values=False)

# ---- a few of the others that real models use ------------------------------------------------------------------------

case("_contrib_div_sqrt_dim", "_contrib_div_sqrt_dim", {"data": uniform(2, 3, 5)})
case("_contrib_div_sqrt_dim-float64", "_contrib_div_sqrt_dim", {"data": uniform(3, dtype="float64")})
case("_contrib_round_ste", "_contrib_round_ste", {"data": given(0.5, 1.5, -0.5, -2.5, 2.2, -0.7)})
case("_contrib_sign_ste", "_contrib_sign_ste", {"data": given(0.5, -0.5, 0.0, -2.5)})
for scalar in (-0.5, 2):
    case(f"_contrib_gradientmultiplier-{scalar}", "_contrib_gradientmultiplier", {"data": uniform(2, 3)}, scalar=scalar)
for source, target in (("float32", "float16"), ("float16", "float32"), ("int32", "float16"), ("float64", "float32")):
    case(f"amp_cast-{source}-{target}", "amp_cast", {"data": whole(2, 3, dtype=source)}, dtype=target)
case("_square_sum", "_square_sum", {"data": uniform(2, 3)}, axis=1)
for start, axis, repeat in ((0, None, 1), (1, 1, 1), (2, -1, 1), (0, None, 2)):
    more = {} if axis is None else {"axis": axis}
    case(
        f"_contrib_arange_like-{start}-{axis}-{repeat}",
        "_contrib_arange_like",
        {"data": uniform(2, 4)},
        start=start,
        step=0.5,
        repeat=repeat,
        **more,
    )
for a in (False, True):
    for b in (False, True):
        left, right = uniform(2, *((4, 3) if a else (3, 4))), uniform(2, *((5, 4) if b else (4, 5)))
        case(f"_linalg_gemm2-{a:d}{b:d}", "_linalg_gemm2", {"A": left, "B": right}, transpose_a=a, transpose_b=b)
        more = {"A": left, "B": right, "C": uniform(2, 3, 5)}
        case(f"_linalg_gemm-{a:d}{b:d}", "_linalg_gemm", more, transpose_a=a, transpose_b=b, alpha=2.0, beta=-0.5)
case("_linalg_gemm2-alpha", "_linalg_gemm2", {"A": uniform(3, 4), "B": uniform(4, 2)}, alpha=0.5)
case("_linalg_gemm2-axis", "_linalg_gemm2", {"A": uniform(2, 3, 4, 5), "B": uniform(2, 5, 4, 2)}, axis=1)
case("_linalg_gemm2-mismatch", "_linalg_gemm2", {"A": uniform(2, 3, 4), "B": uniform(3, 4, 2)})
case("_linalg_gemm-mismatch", "_linalg_gemm", {"A": uniform(3, 4), "B": uniform(4, 2), "C": uniform(3, 3)})
for size in ((), (2,), (2, 3), (3, 4), (6, 8)):
    label = "x".join(map(str, size)) or "default"
    case(
        f"_contrib_AdaptiveAvgPooling2D-{label}",
        "_contrib_AdaptiveAvgPooling2D",
        {"data": uniform(1, 2, 5, 7)},
        output_size=size,
    )
