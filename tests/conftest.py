"""What all tests share: where things lie, and the rules under which tests run."""

from __future__ import annotations

import os
from pathlib import Path

# Before NumPy is imported: parallel test processes share the cores, so each keeps to one.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests leave nothing behind: compiled loops are kept only where a test says so.
os.environ["SYMGRAPH_CACHE"] = ""
# Nor does what they measure depend on when a loop is ready. With ``SYMGRAPH_JIT=now`` all tests run compiled loops.
os.environ.setdefault("SYMGRAPH_JIT", "off")

import hypothesis
import pytest

from tests.snapshots import ROOT, Snapshots

# The same examples in every run, so that a failure is the change's; no deadline, because machines differ.
hypothesis.settings.register_profile("symgraph", derandomize=True, deadline=None)
hypothesis.settings.load_profile("symgraph")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Collect doctests from the package, but not from the helpers and scripts beside the tests."""
    beside_tests = collection_path.suffix == ".py" and ROOT / "tests" in collection_path.parents
    return True if beside_tests and not collection_path.name.startswith("test_") else None


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data (oracle, model files, tables) that is not part of the repository.

    It is named by the environment variable ``SYMGRAPH_SHARED``, or lies beside the checkout as ``shared``.
    """
    named = os.environ.get("SYMGRAPH_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    if named and not folder.is_dir():
        pytest.fail(f"SYMGRAPH_SHARED names {named}, which is not a folder")
    if not (folder / "oracle").is_dir():
        pytest.skip("the reference data is absent: set SYMGRAPH_SHARED, or put it beside the checkout as 'shared'")
    return folder


@pytest.fixture
def snapshot() -> Snapshots:
    """Compare texts with the files in ``tests/errors``; see `tests.snapshots`."""
    return Snapshots()
