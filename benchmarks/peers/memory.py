"""No library: the traffic of a large update and nothing else, in the same rounds as those who compute it.

What memory can do changes from minute to minute on a machine with neighbours.
"""

from __future__ import annotations

from benchmarks.limits import update_traffic
from benchmarks.workloads import Work, Workload

#: Weights that are far more than caches hold.
MANY = 10_000_000


def workload(workload: Workload, mode: str) -> Work:
    """Prepare the traffic of a workload."""
    if workload.size < MANY:
        raise NotImplementedError("shown for updates that no cache holds")
    return Work(update_traffic(workload.size), None)
