"""Scripts that print a table and a ratio against a peer measured in the same run."""
