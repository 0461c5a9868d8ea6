"""The operator reference is what the registry says, and the links of the documents lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from symgraph.op import all_operators
from tests.snapshots import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(file: Path) -> list[str]:
    """Return what the headings of a Markdown file are linked by, as GitHub makes them."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.M | re.S))
    return [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]


def test_the_reference_is_up_to_date() -> None:
    wanted = reference().pages()
    there = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "docs" / "reference").glob("*.md")}
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    assert stale == [], "run: PYTHONPATH=. python docs/make_reference.py --write"


def test_each_operator_has_a_section_of_its_own() -> None:
    pages = reference().pages()
    sections = Counter(
        heading
        for name, text in pages.items()
        if name != "README.md"
        for heading in re.findall(r"^## (.*)$", text, re.M)
    )
    own = Counter(cls.op_name for cls in all_operators() if cls.__module__.startswith("symgraph.ops."))
    assert sections == own


def test_the_reference_says_what_a_call_needs() -> None:
    text = reference().pages()["optimizer_update.md"].split("## rmsprop_update")[1].split("\n## ")[0]
    assert "mx.sym.rmsprop_update(weight=None, grad=None, n=None, lr=REQUIRED, gamma1=0.95, epsilon=1e-08" in text
    assert "| `n` | auxiliary state, renewed |" in text
    assert "| `lr` | float, live | required | Learning rate. |" in text
    assert "It has no gradient." in text


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(file: Path) -> None:
    broken = []
    for target in LINK.findall(file.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = file if not path else file.parent / path
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []
