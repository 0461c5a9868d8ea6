"""What the documents show is executed: blocks of Python in Markdown, and scripts.

A Markdown file is one program: its ``python`` blocks run in order, in one namespace. A block that begins with ``>>>``
is a doctest, so what it prints is checked too. Anything that cannot run is fenced as ``text``.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from symgraph import engine
from symgraph.backends.numpy import blas, threads
from tests.snapshots import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = sorted([*(ROOT / "docs").glob("*.py"), *(ROOT / "examples").glob("*.py")])
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield (lines before it, source) for each Python block."""
    for match in FENCE.finditer(text):
        yield text.count("\n", 0, match.start(1)), match[1]


def run_document(text: str, name: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for before, source in blocks(text):
        if source.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(source, namespace, name, name, before)
            test.globs = namespace  # not the parser's copy: later blocks see what this one defines
            report: list[str] = []
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            runner.run(test, out=report.append, clear_globs=False)
            assert not runner.failures, "".join(report)
        else:
            # Empty lines in front: a traceback then names the document's own line.
            exec(compile("\n" * before + source, name, "exec", dont_inherit=True), namespace)  # noqa: S102 - our own documents


@pytest.fixture(autouse=True)
def number_of_threads() -> Iterator[None]:
    """What a document does to the number of threads ends with it."""
    before = engine.num_threads()
    yield
    threads.set_worker_count(before.own)
    if before.blas is not None:
        blas.set_thread_count(before.blas)


@pytest.mark.parametrize("file", DOCUMENTS, ids=relative)
def test_document(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_document(file.read_text(encoding="utf-8"), relative(file))


@pytest.mark.parametrize("file", SCRIPTS, ids=relative)
def test_script(file: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.stdout.strip(), "an example shows something"


def test_the_readme_has_examples() -> None:
    assert list(blocks((ROOT / "README.md").read_text(encoding="utf-8")))


def test_fences_of_python_are_all_read() -> None:
    """An indented fence, or one with other words behind it, would silently not run."""
    for file in DOCUMENTS:
        text = file.read_text(encoding="utf-8")
        assert len(re.findall(r"```\s*py", text)) == len(list(blocks(text))), relative(file)


def test_blocks_share_a_namespace_and_are_checked() -> None:
    blocks_of_one_file = ["x = 1", ">>> y = x + 1\n>>> y\n2", "assert y == 2"]
    run_document("\n".join(f"```python\n{block}\n```\n" for block in blocks_of_one_file), "it")
    with pytest.raises(AssertionError, match="Expected"):
        run_document("```python\n>>> 1 + 1\n3\n```\n", "it")


def test_a_traceback_names_the_line_of_the_document() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_document("A title\n\n```python\nx = 1\n1 / 0\n```\n", "it.md")
    last = caught.traceback[-1]
    assert (str(last.frame.code.raw.co_filename), last.lineno + 1) == ("it.md", 5)
