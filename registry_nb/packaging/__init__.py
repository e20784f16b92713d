"""A model as files, and back: save, load, probe rows, the environment."""
