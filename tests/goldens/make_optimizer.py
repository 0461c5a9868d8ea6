"""Copy a part of the recorded runs of MXNet's optimizer updates into the repository.

The reference data beside the checkout (``shared/oracle/optimizer_goldens``) holds 3,054 runs of three steps; this
script keeps a few of each operator and element type, so that tests mean something without the reference data.
Run it from the repository's root: ``python -m tests.goldens.make_optimizer ../shared/oracle``. Writes
``optimizer.json`` and ``optimizer.npz``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.goldens.store import Writer

#: Kept of each operator and element type: (shape, variant of the parameters, kind of gradient).
KEPT = {
    ((7,), "default", "special"),
    ((7,), "all", "special"),
}
#: Kept of float32 besides.
KEPT_SINGLE = {
    ((7,), "all", "large"),
    ((3, 4), "rescale_nan", "normal"),
    ((3, 4), "rescale_zero", "normal"),
    ((3, 4), "clip_zero", "normal"),
    ((3, 4), "clip_weights_zero", "normal"),
    ((3, 4), "both_bounds", "normal"),
    ((3, 4), "clip_wd_rescale_order", "normal"),
}


def is_kept(case: dict[str, Any]) -> bool:
    """Tell whether a case belongs to the part that is copied."""
    kind = (tuple(case["shape"]), case["variant"], case["grad"])
    if case.get("separate_out"):
        return case["dtype"] == "float32"
    return case["init"] == "random" and (kind in KEPT or (case["dtype"] == "float32" and kind in KEPT_SINGLE))


def main(folder: Path) -> None:
    """Read the recorded runs in `folder` and write the part that is kept."""
    index = json.loads((folder / "optimizer_goldens.json").read_text(encoding="utf-8"))
    writer, cases = Writer(), {}
    with np.load(folder / "optimizer_goldens.npz", allow_pickle=False) as archive:
        for case in filter(is_kept, index["cases"]):
            kept: dict[str, Any] = {"params": case["params"]}
            if case["status"] == "ok":
                kept["arrays"] = {n: writer.add(archive[a["key"]]) for n, a in case["arrays"].items()}
            else:
                kept["refused"] = case["shapes"] if "shapes" in case else case["shape"]
            cases[case["id"]] = kept
    writer.save("optimizer", {"oracle": index["oracle"], "steps": 3}, cases)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
