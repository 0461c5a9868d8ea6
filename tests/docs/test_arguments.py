"""The examples that take arguments, called with some. Without any, `test_examples` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.snapshots import ROOT


def run(name: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / name, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def test_training_goes_on_from_a_folder(tmp_path: Path) -> None:
    lines = [run("resume_training.py", tmp_path) for _ in range(2)]
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in lines]
    assert losses[1] < 0.01 < losses[0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model-symbol.json", "model.params"]


def test_a_published_file_is_opened(shared: Path) -> None:
    file = shared / "corpus" / "open" / "files" / "01fe07a9aeecda94.json"  # 653 nodes, 69 of them convolutions
    shown = run("inspect_symbol.py", file, "data=1,3,224,224")
    assert "653 nodes: 2 inputs, 278 parameters, 235 operators, 138 states" in shown
    assert "69 Convolution" in shown
