"""A study: models x seeds on one frozen division of the pictures, one process a cell."""
