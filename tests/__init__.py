"""The tests mirror the package; `repo` tests the house itself, `docs` executes what the documents show."""
