"""Modules whose attributes are the functions of operators, such as ``mx.sym.contrib`` and ``mx.nd.op``.

    op           every name without an underscore in front
    _internal    every other name
    contrib, linalg, sparse, image    operators named _contrib_X and so on

What does not belong here: what such a function does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from symgraph.op.registry import all_names

__all__ = ["OperatorModule", "names", "submodules"]

#: Submodules of operators, by the beginning of the operators' names.
_PREFIXES = {"contrib": "_contrib_", "linalg": "_linalg_", "sparse": "_sparse_", "image": "_image_"}


def names(prefix: str = "", *, hidden: bool = False) -> list[str]:
    """Return what follows `prefix` in the names of the operators that begin with it.

    Parameters
    ----------
    prefix
        Beginning of the operators' names.
    hidden
        Return the names that go on with an underscore, instead of those that do not.
    """
    found = (n.removeprefix(prefix) for n in all_names() if n.startswith(prefix))
    return sorted(n for n in found if n.startswith("_") is hidden)


class OperatorModule(ModuleType):
    """A module whose attributes are the functions of the operators with a common beginning of their names.

    Parameters
    ----------
    name, doc
        Of the module.
    function
        ``function(name, prefix)`` returns the function of the operator ``prefix + name``, or raises `AttributeError`.
    prefix
        The common beginning.
    hidden
        Whether `dir` shows names that begin with an underscore, instead of those that do not.
    """

    def __init__(
        self, name: str, doc: str, function: Callable[[str, str], Any], prefix: str = "", *, hidden: bool = False
    ) -> None:
        super().__init__(name, doc)
        self._function, self._prefix, self._hidden = function, prefix, hidden
        sys.modules[name] = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python asks modules for such names
            raise AttributeError(name)
        return self._function(name, self._prefix)

    def __dir__(self) -> list[str]:
        return names(self._prefix, hidden=self._hidden)


def submodules(package: str, function: Callable[[str, str], Any]) -> dict[str, OperatorModule]:
    """Make the submodules of a package, by name; `function` is as for `OperatorModule`."""
    made = {
        "op": OperatorModule(f"{package}.op", "Functions of the operators whose name has no underscore.", function),
        "_internal": OperatorModule(
            f"{package}._internal", "Functions of the operators with an underscore.", function, hidden=True
        ),
    }
    for name, prefix in _PREFIXES.items():
        made[name] = OperatorModule(f"{package}.{name}", f"Functions of the operators ``{prefix}*``.", function, prefix)
    return made
