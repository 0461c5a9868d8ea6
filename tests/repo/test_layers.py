"""Imports between the rooms of the package point downwards only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.snapshots import ROOT

#: The rooms from the ground up. A room imports only from rows below its own: not from its own row, not upwards,
#: not even inside a function or for type checkers.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "_patience"),
    ("dtype", "context"),
    ("op", "program"),  # what an operator is, what an engine runs: neither knows the other
    ("ops", "graph", "backends"),  # operators know no graph, engines know neither
    (
        "formats",
        "inspect",
        "engine",
    ),  # inspection reads graphs and plans; executors and symbols are seen through protocols
    ("attribute", "name"),
    ("ndarray",),
    ("autograd", "random"),
    ("executor",),
    ("symbol",),
    ("initializer", "lr_scheduler", "metric", "io", "testing", "visualization"),
    ("optimizer",),
    ("kvstore", "callback", "monitor", "rnn"),
    ("model",),
    ("module",),
    ("test_utils",),
    ("__init__",),  # the package itself: `import symgraph as mx`
    ("demo",),  # a user of the package, run by the command line
    ("cli",),
    ("__main__",),
)

#: Rooms that may see even less than what lies below them.
ONLY = {
    "ops": {"op", "dtype", "errors"},
    "backends": {"program", "dtype", "errors"},
}

ROW = {room: number for number, row in enumerate(LAYERS) for room in row}


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Yield (room, file) for each module of the package."""
    for file in sorted(package.rglob("*.py")):
        first = file.relative_to(package).parts[0]
        yield first.removesuffix(".py"), file


def imported_rooms(source: str, package: Path, inside: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """Yield (room, line) for each import of symgraph in `source`, a module in the package ``symgraph.<inside>``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ("symgraph", *inside)
                base = ".".join((*above[: len(above) + 1 - node.level], *filter(None, [node.module])))
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head, *rest = name.split(".")
            if head != "symgraph":
                continue
            is_room = bool(rest) and ((package / rest[0]).is_dir() or (package / f"{rest[0]}.py").is_file())
            yield (rest[0] if is_room else "__init__"), node.lineno


def offences(package: Path) -> list[str]:
    """Name each import that does not point downwards, and each room that has no place in `LAYERS`."""
    found = []
    for room, file in modules(package):
        place = file.relative_to(package.parent).as_posix()
        if room not in ROW:
            found.append(f"{place}: the room {room!r} has no place in LAYERS")
            continue
        inside = file.relative_to(package).parts[:-1]
        for other, line in imported_rooms(file.read_text(encoding="utf-8"), package, inside):
            if other == room:
                continue
            allowed = other in ROW and ROW[other] < ROW[room] and other in ONLY.get(room, {other})
            if not allowed:
                found.append(f"{place}:{line}: {room} may not import {other}")
    return found


def test_imports_point_downwards() -> None:
    assert (ROOT / "symgraph" / "errors.py").is_file()
    assert offences(ROOT / "symgraph") == []


def test_each_room_stands_in_one_row() -> None:
    rooms = [room for row in LAYERS for room in row]
    assert len(rooms) == len(set(rooms))


def test_restrictions_lie_below() -> None:
    for room, below in ONLY.items():
        assert all(ROW[other] < ROW[room] for other in below), room


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("graph/node.py", "import symgraph.symbol", "graph may not import symbol"),
        ("graph/node.py", "def f():\n    from symgraph.symbol import Symbol", "graph may not import symbol"),
        ("graph/node.py", "from symgraph import symbol", "graph may not import symbol"),
        ("graph/node.py", "from symgraph import __version__", "graph may not import __init__"),
        ("graph/node.py", "from ..symbol import Symbol", "graph may not import symbol"),
        ("graph/node.py", "from .. import symbol", "graph may not import symbol"),
        ("ops/nn.py", "from symgraph.program import Program", "ops may not import program"),
        ("ops/nn.py", "from symgraph.graph import Node", "ops may not import graph"),
        ("attic.py", "", "the room 'attic' has no place"),
        ("symbol/symbol.py", "from symgraph.graph import Node\nfrom . import api\nimport numpy", None),
        ("cli.py", "from symgraph import __version__", None),
    ],
)
def test_an_offence_is_seen(tmp_path: Path, file: str, line: str, words: str | None) -> None:
    package = tmp_path / "symgraph"
    for room in ("graph", "symbol", "program", "ops"):
        (package / room).mkdir(parents=True)
    (package / file).write_text(line)
    found = offences(package)
    if words is None:
        assert found == []
    else:
        assert len(found) == 1
        assert words in found[0]
