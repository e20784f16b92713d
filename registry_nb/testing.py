"""Contract suites that every adapter passes."""
