"""Symbolic computation graphs that differentiate, compile to NumPy, and speak MXNet's dialect.

    import symgraph as mx

What does not belong here: anything but the names that a user sees.
"""

from typing import TYPE_CHECKING, Any

from symgraph import (
    _patience,  # noqa: F401 (first: it imports NumPy)
    attribute,
    autograd,
    context,
    engine,
    errors,
    name,
    ndarray,
    random,
    symbol,
)
from symgraph.attribute import AttrScope
from symgraph.context import Context, cpu, cpu_pinned, current_context, gpu, num_gpus
from symgraph.errors import MXNetError

if TYPE_CHECKING:
    from symgraph import executor

__all__ = [
    "AttrScope",
    "Context",
    "MXNetError",
    "__version__",
    "attribute",
    "autograd",
    "base",
    "context",
    "cpu",
    "cpu_pinned",
    "current_context",
    "engine",
    "errors",
    "executor",
    "gpu",
    "name",
    "nd",
    "ndarray",
    "num_gpus",
    "random",
    "rnd",
    "sym",
    "symbol",
]

__version__ = "0.1.0.dev0"

#: MXNet's names for some of them.
nd, sym, rnd, base = ndarray, symbol, random, errors


def __getattr__(name: str) -> Any:
    # What plans and compiles is loaded when a graph is bound, or when it is asked for: not everyone runs graphs.
    if name == "executor":
        import symgraph.executor

        return symgraph.executor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
