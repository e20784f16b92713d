"""Files of unknown origin: what loading them would do, and a trial in another process."""
