"""Two versions on the same rows: run, compare, report."""
