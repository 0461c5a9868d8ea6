"""Symbolic computation graphs that differentiate, compile to NumPy, and speak MXNet's dialect.

    import symgraph as mx

What does not belong here: anything but the names that a user sees.
"""

from symgraph import attribute, autograd, context, errors, executor, name, ndarray, random, symbol
from symgraph.attribute import AttrScope
from symgraph.context import Context, cpu, cpu_pinned, current_context, gpu, num_gpus
from symgraph.errors import MXNetError

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
