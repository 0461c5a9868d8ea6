"""Run the autograd programs on real MXNet and record what they find, see README.md."""

from __future__ import annotations

import os

os.environ["MXNET_MKLDNN_ENABLED"] = "0"  # the oneDNN kernels are wrong on some graphs
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"  # errors are raised where they happen

import mxnet

from tests.goldens.autograd_programs import PROGRAMS
from tests.goldens.programs import record

if __name__ == "__main__":
    record("autograd", PROGRAMS, mxnet)
