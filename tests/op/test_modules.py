"""Submodules of operator functions: the same names in symbols and arrays."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

import symgraph as mx
from symgraph.errors import UnknownOperatorError
from symgraph.op import all_names
from symgraph.op.modules import OperatorModule, names


def test_names_go_on_with_an_underscore_or_not() -> None:
    assert "relu" in names()
    assert "_plus_scalar" in names(hidden=True)
    assert sorted(all_names()) == sorted([*names(), *names(hidden=True)])
    assert "arange_like" in names("_contrib_")
    with_prefix = [n for n in all_names() if n.startswith("_sparse_")]
    assert len(with_prefix) == len(names("_sparse_")) + len(names("_sparse_", hidden=True))


@pytest.mark.parametrize("package", [mx.sym, mx.nd], ids=["sym", "nd"])
@pytest.mark.parametrize("name", ["op", "_internal", "contrib", "linalg", "sparse", "image"])
def test_submodules_show_and_find_what_they_hold(package: ModuleType, name: str) -> None:
    module = getattr(package, name)
    assert isinstance(module, OperatorModule)
    assert importlib.import_module(f"{package.__name__}.{name}") is module
    assert module.__doc__
    assert all(callable(getattr(module, each)) for each in dir(module))
    assert not hasattr(module, "__wrapped__")
    with pytest.raises(UnknownOperatorError, match="nothing_like_it"):
        module.nothing_like_it  # noqa: B018


def test_both_packages_hold_the_same() -> None:
    for name in ("op", "_internal", "contrib", "linalg", "sparse"):
        assert dir(getattr(mx.sym, name)) == dir(getattr(mx.nd, name))
        assert dir(getattr(mx.sym, name))
