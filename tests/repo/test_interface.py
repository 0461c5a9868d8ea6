"""What the package shows: names that exist, documented, and an import that stays light."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import symgraph
from tests.snapshots import ROOT

#: Known to few users of the package, or slow to import: loaded where they are used.
LAZY = ("networkx", "numba", "llvmlite", "jax", "matplotlib", "onnx", "torch", "hypothesis", "pytest")
#: What takes long to import and is needed now and then; NumPy may bring it along.
LATER = ("difflib", "importlib.metadata", "numpy.random", "pathlib", "tempfile", "symgraph.executor")
#: Engines that need an extra; without it their modules cannot be imported.
EXTRAS = ("symgraph.backends.numba", "symgraph.backends.xla")

#: What an operator's class fills in; `symgraph.op` says what each must do.
HOOKS = {"backward", "compute", "dtypes", "shapes"}

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(symgraph.__path__, "symgraph.")
    if not info.name.endswith("__main__") and not info.name.startswith(EXTRAS)
)


def public(module: ModuleType) -> dict[str, object]:
    return {name: getattr(module, name, None) for name in getattr(module, "__all__", [])}


def undocumented(module: ModuleType) -> list[str]:
    """Name the public functions, classes and their public methods that have no docstring of their own."""
    found = []
    for name, thing in public(module).items():
        if inspect.isclass(thing):
            doc = thing.__dict__.get("__doc__")
            if not doc or doc.startswith(f"{name}("):  # the text that `dataclass` makes up
                found.append(name)
            methods = [each for each, value in vars(thing).items() if inspect.isfunction(value)]
            found += [f"{name}.{each}" for each in methods if not is_told(thing, each)]
        elif inspect.isroutine(thing) and not inspect.getdoc(thing):
            found.append(name)
    return found


def is_told(cls: type, method: str) -> bool:
    return method.startswith("_") or method in HOOKS or bool(inspect.getdoc(getattr(cls, method)))


@pytest.mark.parametrize("name", MODULES)
def test_public_names_exist_and_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    missing = [each for each in getattr(module, "__all__", []) if not hasattr(module, each)]
    assert missing == []
    assert undocumented(module) == []


def test_an_undocumented_name_is_seen() -> None:
    module = ModuleType("example")
    source = """
from dataclasses import dataclass
__name__ = "builtins"
__all__ = ["bare", "Bare", "Row", "Told"]
def bare(): pass
class Bare: pass
@dataclass
class Row:
    x: int
class Told:
    "A class."
    def bare(self): pass
    def _private(self): pass
"""
    exec(source, vars(module))  # noqa: S102 - a module made on the spot
    assert undocumented(module) == ["bare", "Bare", "Row", "Told.bare"]


def test_import_is_light() -> None:
    code = f"import sys, symgraph; print([name for name in {LAZY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_import_leaves_for_later_what_only_some_need() -> None:
    code = "import sys, numpy; before = {*sys.modules}; import symgraph; "
    code += f"print([name for name in {LATER!r} if name in sys.modules and name not in before])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_what_is_left_for_later_is_there() -> None:
    code = "import symgraph as mx; print('executor' in dir(mx), mx.executor.Options.__name__, hasattr(mx, 'executer'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["True", "Options", "False"]


def test_version_is_a_release_number() -> None:
    assert [part.isdigit() for part in symgraph.__version__.split(".")[:2]] == [True, True]
