"""The memory of whole training steps: what is planned against what is alive at once."""

from __future__ import annotations

import pytest

from symgraph.program import memory
from symgraph.program.memory import _SLACK_BYTES, Layout
from tests.networks import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
def test_the_peak_of_a_training_step_is_near_its_bound(name: str) -> None:
    layout: Layout = NETWORKS[name]().step().bound(True).plan.layout
    # For a few kilobytes the packing does not try on.
    assert layout.live_bytes <= layout.arena_bytes <= max(1.05 * layout.live_bytes, layout.live_bytes + _SLACK_BYTES)
    assert layout.arena_bytes < layout.unplanned_bytes / 4


@pytest.mark.parametrize("name", NETWORKS)
def test_joins_in_place_hardly_raise_the_peak(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS[name]()
    joined = network.step().bound(True).plan.layout
    monkeypatch.setattr(memory, "_join_in_place", lambda layout, program: None)
    apart = network.step().bound(True).plan.layout
    assert joined.live_bytes <= apart.live_bytes * (1 + memory._RISE) + memory._SLACK_BYTES
