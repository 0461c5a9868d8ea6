"""What importing symgraph before NumPy says to NumPy's BLAS."""

import os
import subprocess
import sys

import pytest

NAME = "OPENBLAS_THREAD_TIMEOUT"
#: Prints what the variable is when NumPy is looked for, and what it is in the end.
PROGRAM = f"""
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("found", os.environ.get("{NAME}"))

sys.meta_path.insert(0, Watch())
{{first}}
import symgraph
print("after", os.environ.get("{NAME}"))
"""


@pytest.mark.parametrize(
    ("first", "given", "found", "after"),
    [
        ("", None, "18", "None"),
        ("", "7", "7", "7"),
        ("import numpy", None, "None", "None"),
    ],
    ids=["symgraph first", "said by the user", "NumPy first"],
)
def test_blas_is_told_while_numpy_is_imported(first, given, found, after):
    env = {key: value for key, value in os.environ.items() if key != NAME} | ({NAME: given} if given else {})
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)], env=env, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split("\n")[:2] == [f"found {found}", f"after {after}"]
