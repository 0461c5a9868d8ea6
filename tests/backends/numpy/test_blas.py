"""The choice of BLAS kernels: made before NumPy is loaded, only where it is sure to help, never over the user's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from symgraph.backends.numpy.blas import choose_kernels, wide_but_unknown

WIDE = "fpu fma avx2 avx512f avx512dq avx512cd avx512bw avx512vl"


def cpuinfo(vendor: str, family: str, flags: str) -> str:
    one = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nflags\t\t: {flags}\n"
    return f"{one}\n{one}"


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "expected"),
    [
        ("AuthenticAMD", "26", WIDE, True),
        ("AuthenticAMD", "25", WIDE, False),
        ("AuthenticAMD", "26", "fpu fma avx2", False),
        ("GenuineIntel", "6", WIDE, False),
        ("AuthenticAMD", "", WIDE, False),
    ],
)
def test_only_wide_processors_that_openblas_may_not_know(vendor: str, family: str, flags: str, expected: bool) -> None:
    assert wide_but_unknown(cpuinfo(vendor, family, flags)) is expected


def test_an_empty_description_is_no_processor() -> None:
    assert not wide_but_unknown("")


def test_it_is_too_late_once_numpy_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert "numpy" in sys.modules
    assert choose_kernels() is None
    assert "OPENBLAS_CORETYPE" not in os.environ


@pytest.mark.parametrize("variable", ["OPENBLAS_CORETYPE", "SYMGRAPH_BLAS"])
def test_the_user_decides(variable: str) -> None:
    value = {"OPENBLAS_CORETYPE": "Haswell", "SYMGRAPH_BLAS": "default"}[variable]
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "SYMGRAPH_BLAS")}
    code = "import os, symgraph; print(os.environ.get('OPENBLAS_CORETYPE'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**environment, variable: value}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ("Haswell" if variable == "OPENBLAS_CORETYPE" else "None")
