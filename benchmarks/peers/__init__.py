"""One module for each library: ``workload(workload, mode)`` prepares a workload in its best form, as a `Work`."""
