"""Engines that execute programs. `numpy` is always there; others are extras."""
