"""Run the executor programs on real MXNet and record what they find, see README.md."""

from __future__ import annotations

import os

os.environ["MXNET_MKLDNN_ENABLED"] = "0"  # the oneDNN kernels are wrong on some graphs
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"  # BatchNorm writes its averages behind the other engine's back
os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order

import mxnet

from tests.goldens.executor_programs import PROGRAMS
from tests.goldens.programs import record

if __name__ == "__main__":
    record("executor", PROGRAMS, mxnet)
