"""Bytes that are kept in a folder of artifacts, where they lie, and two ways to damage them."""

import os
from pathlib import Path

PLAIN = os.urandom(10_000)
DULL = b"the same again, " * 10_000
VARIED = b", ".join(b"%d" % n**3 for n in range(10_000))


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


def truncated(path):
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1])


def altered(path):
    data = bytearray(path.read_bytes())
    path.unlink()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
