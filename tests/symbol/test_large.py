"""A chain of 100,000 nodes is built, inferred, differentiated, saved and loaded without recursion."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

import symgraph as mx

LENGTH = 100_000


@pytest.fixture(scope="module")
def chain() -> mx.sym.Symbol:
    symbol = mx.sym.Variable("x")
    for _ in range(LENGTH):
        symbol = symbol + 1
    return symbol


def test_names(chain: mx.sym.Symbol) -> None:
    assert chain.list_arguments() == ["x"]
    assert len(chain.get_internals()) == LENGTH + 1


def test_inference(chain: mx.sym.Symbol) -> None:
    assert chain.infer_shape(x=(2, 3)) == ([(2, 3)], [(2, 3)], [])
    assert (chain + mx.sym.Variable("y")).infer_shape(y=(2, 3))[0] == [(2, 3), (2, 3)]
    assert [t.__name__ for t in chain.infer_type()[1]] == ["float32"]


def test_files(chain: mx.sym.Symbol, tmp_path: Path) -> None:
    chain.save(tmp_path / "chain-symbol.json")
    again = mx.sym.load(tmp_path / "chain-symbol.json")
    assert again.tojson() == chain.tojson()


def test_copies(chain: mx.sym.Symbol) -> None:
    part = chain.get_internals()[20_000]
    assert len(copy.deepcopy(part).get_internals()) == 20_001
    assert len(pickle.loads(pickle.dumps(part)).get_internals()) == 20_001  # noqa: S301 - our own
    assert part(x=mx.sym.Variable("z")).list_arguments() == ["z"]


def test_gradient(chain: mx.sym.Symbol) -> None:
    dx = chain.gradient("x")
    assert dx.infer_shape(x=(2, 3))[1] == [(2, 3)]


def test_many_paths_are_not_expanded() -> None:
    symbol = mx.sym.Variable("x")
    for _ in range(60):
        symbol = symbol + symbol  # 2 ** 60 paths
    assert len(symbol.debug_str()) < 100_000
    assert symbol.infer_shape(x=(2,))[1] == [(2,)]
    assert len(symbol.gradient("x").get_internals()) < 500
