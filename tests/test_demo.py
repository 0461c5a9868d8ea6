"""The main job: `symgraph demo`, as a user runs it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from symgraph import cli, demo


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "symgraph", *arguments], capture_output=True, text=True, check=False)


def test_the_demonstration_learns_known_weights_and_resumes(tmp_path: Path) -> None:
    done = run("demo", "--out", str(tmp_path), "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert "equal to going on here, bit for bit" in done.stdout
    assert (tmp_path / "demo-symbol.json").exists()
    assert (tmp_path / "demo.params").exists()
    rows = {
        line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()[:4] in ("true", "lear")
    }
    # RMSProp steps are about lr = 0.01 long, so that is how far from the truth it ends.
    np.testing.assert_allclose(np.float32(rows["learned"]), np.float32(rows["true"]), atol=0.05)


def test_a_resumed_run_that_differs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "parameters_as_hex", lambda executor: "something else")
    with pytest.raises(demo.ArgumentError, match="differs"):
        demo.main_job(None, demo.Settings(epochs=1, rows=100), tmp_path, io.StringIO())


@pytest.mark.parametrize(("epsilon", "published"), [(1e-6, 0.245), (1e-8, 0.244)])
def test_airfoil_reaches_the_published_loss(shared: Path, tmp_path: Path, epsilon: float, published: float) -> None:
    """Dive into Deep Learning, section RMSProp; least squares gives 0.2417, twenty seeds gave 0.242 to 0.249."""
    path = shared / "data" / "airfoil_self_noise.dat"
    losses = []
    for seed in range(5):
        settings = demo.Settings(seed=seed, epsilon=epsilon)
        table = demo.Table.read(path, settings)
        executor = demo.bound(demo.training_symbol(settings), table, settings)
        demo.initialize(executor, settings)
        for epoch in (1, 2):
            demo.train_epoch(executor, table, settings, epoch, None)
        losses.append(demo.mean_loss(executor, table))
    assert all(0.2417 <= loss <= 0.249 for loss in losses), losses
    assert any(round(loss, 3) == published for loss in losses), losses


def test_airfoil_by_the_command(shared: Path, tmp_path: Path) -> None:
    done = run("demo", "--data", str(shared / "data" / "airfoil_self_noise.dat"), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "1500 rows of 5 features" in done.stdout
    assert "bit for bit" in done.stdout


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds 0 rows"),
        ("1 2\n" * 3, "holds 3 rows"),
        ("1 2\n" * 20 + "1 x\n", "line 21 is not numbers"),
        ("1 2\n" * 20 + "1 2 3\n", "line 21 has 3 columns"),
        ("1 2\n" * 20, "constant"),
        ("1 nan\n2 3\n" * 20, "not finite"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str) -> None:
    path = tmp_path / "table.txt"
    path.write_text(text)
    assert cli.main(["demo", "--data", str(path), "--out", str(tmp_path)]) == 1
    assert complaint in capsys.readouterr().err


def test_a_missing_table_and_a_wrong_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--data", str(tmp_path / "none.dat")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert cli.main(["demo", "--batch", "9", "--rows", "5"]) == 1
    assert "exceeds" in capsys.readouterr().err


def test_operators_are_documented_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ops", "rmsprop_update"]) == 0
    text = capsys.readouterr().out
    assert "gamma1" in text
    assert "0.95" in text
    assert cli.main(["ops", "rmsprop_updat"]) == 1
    assert "did you mean 'rmsprop_update'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--learning-rate", "nan", "learning_rate is nan, expected a finite number of at least 0"),
        ("--learning-rate", "inf", "learning_rate is inf, expected"),
        ("--learning-rate", "-0.1", "learning_rate is -0.1, expected"),
        ("--gamma", "1.5", "gamma is 1.5, expected between 0 and 1"),
        ("--epsilon", "-1", "epsilon is -1.0, expected"),
        ("--seed", "-1", "seed is -1, expected"),
    ],
)
def test_settings_that_make_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, complaint: str
) -> None:
    assert cli.main(["demo", "--out", str(tmp_path), f"{option}={value}"]) == 1
    said = capsys.readouterr()
    assert f"symgraph: demo: {complaint}" in said.err
    assert said.out == ""


@pytest.mark.parametrize("what", ["the folder is a file", "the graph is a folder", "the folder is write-protected"])
def test_files_that_cannot_be_written_are_told_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    folder = tmp_path / "out"
    if what == "the folder is a file":
        folder.write_text("")
    elif what == "the graph is a folder":
        (folder / "demo-symbol.json").mkdir(parents=True)
    else:
        folder.mkdir(mode=0o500)
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
    assert cli.main(["demo", "--out", str(folder)]) == 1
    said = capsys.readouterr()
    assert str(folder) in said.err
    assert said.out == ""
