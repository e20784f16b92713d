"""Bytes that are kept in a folder of artifacts, and where they lie."""

import os
from pathlib import Path

PLAIN = os.urandom(10_000)
DULL = b"the same again, " * 10_000


def store(folder, data, name="model.pkl"):
    with folder.drafting() as draft:
        source = Path(draft, name)
        source.write_bytes(data)
        return folder.put(str(source), name)


def stored(folder, file):
    return Path(folder.path, file.digest.removeprefix("sha256:"))


def read(folder, file):
    with folder.open(file) as opened:
        return opened.read()
