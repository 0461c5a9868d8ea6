"""Arrays that are computed with at once: ``mx.nd``.

    x = mx.nd.array([[1, 2], [3, 4]])
    mx.nd.dot(x, x) + 1

A function for every operator, under every name that MXNet has for it; making, saving and loading arrays; submodules
``contrib``, ``linalg``, ``random``, ``sparse``, ``image``, ``op`` and ``_internal``.

What does not belong here: operators (`symgraph.ops`), and how programs run (`symgraph.backends`).
"""

from typing import Any

from symgraph.ndarray import ndarray, random
from symgraph.ndarray.arithmetic import (
    add,
    divide,
    equal,
    greater,
    greater_equal,
    lesser,
    lesser_equal,
    logical_and,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    modulo,
    multiply,
    not_equal,
    power,
    subtract,
    true_divide,
)
from symgraph.ndarray.creation import (
    arange,
    array,
    concatenate,
    empty,
    eye,
    from_dlpack,
    from_numpy,
    full,
    linspace,
    moveaxis,
    onehot_encode,
    ones,
    split_v2,
    to_dlpack_for_read,
    to_dlpack_for_write,
    waitall,
    zeros,
)
from symgraph.ndarray.files import load, load_frombuffer, save
from symgraph.ndarray.functions import function
from symgraph.ndarray.ndarray import NDArray
from symgraph.op.modules import names, submodules

__all__ = [
    "NDArray",
    "add",
    "arange",
    "array",
    "concatenate",
    "divide",
    "empty",
    "equal",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "greater",
    "greater_equal",
    "lesser",
    "lesser_equal",
    "linspace",
    "load",
    "load_frombuffer",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "modulo",
    "moveaxis",
    "multiply",
    "ndarray",
    "not_equal",
    "onehot_encode",
    "ones",
    "power",
    "random",
    "save",
    "split_v2",
    "subtract",
    "to_dlpack_for_read",
    "to_dlpack_for_write",
    "true_divide",
    "waitall",
    "zeros",
]

globals().update(submodules(__name__, function))


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # Python asks modules for such names
        raise AttributeError(name)
    found = function(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *names()})
