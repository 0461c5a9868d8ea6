"""Rules of the house that a reader of the source would otherwise have to remember."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.snapshots import ROOT

PACKAGE = ROOT / "symgraph"
SOURCES = sorted(PACKAGE.rglob("*.py"))
WITHOUT_MEANING = {"common", "helper", "helpers", "misc", "util", "utils"}
#: Modules and built-ins that turn data into code.
RUNS_DATA = {"dill", "eval", "exec", "marshal", "pickle", "shelve", "compile", "joblib", "yaml"}
TEXT = {".cfg", ".json", ".md", ".py", ".pyi", ".sh", ".toml", ".txt"}
FOLDERS = (".ci", "benchmarks", "docs", "examples", "symgraph", "tests")
#: Folders that only one machine has. In pieces, so that this file does not accuse itself.
MACHINE_PATH = re.compile(r"(?<![\w.~<}:/-])/(?:" + "|".join(("home", "root", "Users", "opt", "work", "mnt")) + r")/\w")


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def names_used(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield (name, line) of each module imported and each plain name or method called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((part, node.lineno) for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from ((part, node.lineno) for part in (node.module or "").split("."))
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno


def allows_pickle(tree: ast.AST) -> list[int]:
    """Return the lines of calls with ``allow_pickle`` set to anything but False."""
    return [
        node.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg == "allow_pickle"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]


def decisions_by_operator_name(tree: ast.AST) -> list[int]:
    """Return the lines that compare an operator's name with a text or with texts."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(is_operator_name, sides)) and any(map(holds_text, sides)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Match) and is_operator_name(node.subject):
            lines.append(node.lineno)
        elif isinstance(node, ast.Attribute) and node.attr in {"startswith", "endswith"}:
            lines += [node.lineno] * is_operator_name(node.value)
    return lines


def is_operator_name(node: ast.expr) -> bool:
    """Whether the expression is ``op_name``, ``<x>.op_name`` or ``<...>op.name``."""
    if isinstance(node, ast.Name):
        return node.id in {"op_name", "opname"}
    if isinstance(node, ast.Attribute):
        owner = node.value
        owner_name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        return node.attr == "op_name" or (node.attr == "name" and owner_name == "op")
    return False


def holds_text(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(holds_text, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_there_is_a_source() -> None:
    assert len(SOURCES) > 10


def test_each_folder_of_modules_is_a_package() -> None:
    assert [relative(file.parent) for file in SOURCES if not (file.parent / "__init__.py").is_file()] == []


def test_names_say_what_is_inside() -> None:
    parts = {(part, relative(file)) for file in SOURCES for part in file.relative_to(PACKAGE).with_suffix("").parts}
    assert [place for part, place in parts if part.strip("_") in WITHOUT_MEANING] == []


@pytest.mark.parametrize("file", SOURCES, ids=relative)
def test_module_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


def test_loaders_never_run_data() -> None:
    found = []
    for file in SOURCES:
        if PACKAGE / "formats" in file.parents:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found += [f"{relative(file)}:{line}: {name}" for name, line in names_used(tree) if name in RUNS_DATA]
            found += [f"{relative(file)}:{line}: allow_pickle" for line in allows_pickle(tree)]
    assert found == []


def test_only_operators_know_operators_by_name() -> None:
    found = [
        f"{relative(file)}:{line}"
        for file in SOURCES
        if PACKAGE / "ops" not in file.parents
        for line in decisions_by_operator_name(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_no_path_of_a_machine() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file()]
    files += [file for file in ROOT.iterdir() if file.is_file()]
    found = [
        f"{relative(file)}:{number}: {line.strip()[:100]}"
        for file in files
        if file.suffix in TEXT or file.parent.name == ".ci"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('if op.op_name == "Dropout": pass', [1]),
        ('if node.op.name in ("Dropout", "BatchNorm"): pass', [1]),
        ('if "Dropout" != op_name: pass', [1]),
        ('\nmatch node.op.op_name:\n    case "Dropout": pass', [2]),
        ('if op.op_name.startswith("_backward_"): pass', [1]),
        ('if node.name == "fc1": pass', []),
        ("if op.op_name == other.op_name: pass", []),
        ('where = f"{op.op_name}()"', []),
    ],
)
def test_a_decision_by_name_is_seen(source: str, lines: list[int]) -> None:
    assert decisions_by_operator_name(ast.parse(source)) == lines


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import pickle", "pickle"),
        ("from pickle import loads", "pickle"),
        ("def f():\n    import marshal", "marshal"),
        ('eval("1")', "eval"),
    ],
)
def test_running_data_is_seen(source: str, name: str) -> None:
    assert name in {used for used, _ in names_used(ast.parse(source))} & RUNS_DATA


def test_allowing_pickle_is_seen() -> None:
    assert allows_pickle(ast.parse("np.load(f, allow_pickle=flag)")) == [1]
    assert allows_pickle(ast.parse("np.load(f, allow_pickle=False)")) == []


def test_a_machine_path_is_seen() -> None:
    home = "/".join(("", "home", "me"))
    assert MACHINE_PATH.search(f'open("{home}/data.txt")')
    assert MACHINE_PATH.search(f"see {home}")
    assert not MACHINE_PATH.search(f"https://example.org{home}")
    assert not MACHINE_PATH.search("the shape rule/work/loop")
