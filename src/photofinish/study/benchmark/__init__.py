"""A benchmark: how fast models train and predict on this machine, each in its own process, taking turns."""
