"""Where a model came from: the cells, the commit, a fingerprint of the data."""
