"""Which kernels OpenBLAS, the BLAS in NumPy's wheels, uses.

OpenBLAS picks its kernels when NumPy is loaded, by a table of processors. A processor newer than the table gets the
kernels of an old one: an AMD Zen 5, for example, those for AVX2, at half the speed of the AVX-512 ones that it could
run. The environment variable ``OPENBLAS_CORETYPE`` overrides the choice, so it is set here, before NumPy is loaded,
where that is sure to help. A value that the user has set stays. ``SYMGRAPH_BLAS=default`` leaves everything alone.

Must not import NumPy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["choose_kernels", "wide_but_unknown"]

#: What the AVX-512 kernels (``SkylakeX``) need.
_NEEDED = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "fma"})


def wide_but_unknown(cpuinfo: str) -> bool:
    """Return whether a processor has AVX-512 but may be missing in OpenBLAS's table: AMD's, from Zen 5 (family 26) on.

    Parameters
    ----------
    cpuinfo
        Text of ``/proc/cpuinfo``.
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.split("\n\n", 1)[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    family = fields.get("cpu family", "")
    new = fields.get("vendor_id") == "AuthenticAMD" and family.isdecimal() and int(family) >= 26
    return new and set(fields.get("flags", "").split()) >= _NEEDED


def choose_kernels() -> str | None:
    """Set ``OPENBLAS_CORETYPE`` where that helps; returns what was set, or None.

    Does nothing once NumPy is loaded: then it would come too late.
    """
    if "numpy" in sys.modules or "OPENBLAS_CORETYPE" in os.environ or os.environ.get("SYMGRAPH_BLAS") == "default":
        return None
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if not wide_but_unknown(text):
        return None
    os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"
    return "SkylakeX"
