"""Speed and memory beside other libraries, measured in the same run: ``python -m benchmarks``.

The way of a measurement: `workloads` says what is computed, `networks` with which layers; a module of `peers` prepares
it for one library; `worker` runs that in a process of its own; `compare` asks the workers in turn; `report` writes the
page. `limits`, `graph` and `imports` measure what is no workload. ``python -m benchmarks.kernels`` stands apart: it
measures convolutions one by one.
"""
