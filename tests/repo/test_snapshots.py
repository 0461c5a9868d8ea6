"""The snapshots themselves: each belongs to a test, and a difference is noticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from symgraph.errors import DTypeError, FormatError, GraphFormatError, SymgraphError
from tests.snapshots import FOLDER, ROOT, Snapshots


def test_each_snapshot_belongs_to_a_test() -> None:
    sources = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    texts = set(re.findall(r'"([\w/-]+)"', sources))
    names = [file.relative_to(FOLDER).with_suffix("").as_posix() for file in FOLDER.rglob("*.txt")]
    assert [name for name in names if name not in texts] == []


def test_equal_text_passes_and_other_text_fails(tmp_path: Path) -> None:
    Snapshots(tmp_path, update=True).check("it", "one")
    Snapshots(tmp_path, update=False).check("it", "one")
    with pytest.raises(AssertionError, match="differs"):
        Snapshots(tmp_path, update=False).check("it", "two")


def test_missing_snapshot_fails(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="no snapshot 'it'"):
        Snapshots(tmp_path, update=False).check("it", "one")


def test_class_must_be_exact(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, update=True)
    with pytest.raises(AssertionError, match="got its subclass GraphFormatError"):  # noqa: SIM117 - two claims
        with snapshots.raises(FormatError, "it"):
            raise GraphFormatError("bad")
    with pytest.raises(DTypeError), snapshots.raises(FormatError, "it"):
        raise DTypeError("another")


def test_places_are_left_out(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, update=True)
    with snapshots.raises(SymgraphError, "it"):
        raise SymgraphError("bad", where="fc", facts={"known": 3}, created="/somewhere/else/train.py:17")
    assert (tmp_path / "it.txt").read_text() == "fc: bad\n  known: 3\n  created at train.py:<line>\n"
