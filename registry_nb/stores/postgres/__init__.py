"""The records of a team in PostgreSQL: the same calls as a folder, from many machines.

Nothing here is imported unless a ``postgresql:`` URI is opened: the driver is an extra (``registry-nb[postgres]``).
"""
