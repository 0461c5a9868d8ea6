"""Texts held by files: an error's wording is part of the interface, so a change of it shows in a diff.

    def test_misspelt_argument(snapshot):
        with snapshot.raises(ArgumentError, "misspelt_argument"):
            FullyConnected(num_hiden=3)

compares the error's text with ``tests/errors/misspelt_argument.txt``. With ``SYMGRAPH_UPDATE_SNAPSHOTS=1`` the file is
written instead; read the diff before committing it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "errors"
UPDATE = os.environ.get("SYMGRAPH_UPDATE_SNAPSHOTS") == "1"


class Snapshots:
    """Compares texts with files in `folder`, or writes the files if `update` is set."""

    def __init__(self, folder: Path = FOLDER, *, update: bool = UPDATE) -> None:
        self.folder, self.update = folder, update

    def check(self, name: str, text: str) -> None:
        """Hold `text` to the file ``<name>.txt``."""
        file = self.folder / f"{name}.txt"
        text = stable(text) + "\n"
        if self.update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        if not file.is_file():
            pytest.fail(f"no snapshot {name!r}; SYMGRAPH_UPDATE_SNAPSHOTS=1 would write:\n{text}")
        assert text == file.read_text(encoding="utf-8"), f"snapshot {name!r} differs"

    @contextmanager
    def raises(self, error: type[Exception], name: str) -> Iterator[None]:
        """Expect exactly `error`, not a subclass, with the text of ``<name>.txt``."""
        with pytest.raises(error) as caught:
            yield
        assert caught.type is error, f"expected {error.__name__}, got its subclass {caught.type.__name__}"
        self.check(name, str(caught.value))


def stable(text: str) -> str:
    """Leave out what differs between machines and edits: folders, and the lines of tests that created nodes."""
    text = re.sub(r"(?<=created at )\S*?([^\s/\\]+\.py):\d+", r"\1:<line>", text)
    return text.replace(str(ROOT), "<root>")
