"""The verbs of a registry, one module for each kind; each works on a `Context`."""
