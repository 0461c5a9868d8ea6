"""Run the symbol programs on real MXNet and record what they find, see README.md."""

from __future__ import annotations

import os

os.environ["MXNET_MKLDNN_ENABLED"] = "0"  # the oneDNN kernels are wrong on some graphs

import mxnet

from tests.goldens.programs import record
from tests.goldens.symbol_programs import LOWER_BOUNDS, PROGRAMS

if __name__ == "__main__":
    record("symbols", PROGRAMS, mxnet, LOWER_BOUNDS)
