"""What the tests of artifacts behind a URL do with them."""

import os
from pathlib import Path


def put(artifacts, data, path="model.bin"):
    with artifacts.drafting() as folder:
        Path(folder, "draft").write_bytes(data)
        return artifacts.put(os.path.join(folder, "draft"), path)


def read(artifacts, file):
    with artifacts.open(file) as opened:
        return opened.read()


def remote(artifacts):
    """The file system and the names of the objects."""
    fs, root = artifacts._file_system()
    return fs, root, sorted(name.rsplit("/", 1)[-1] for name in (fs.ls(root, detail=False) if fs.exists(root) else ()))


def change(artifacts, digest, data):
    """Change, or with None remove, an object; nothing of it stays here."""
    fs, root, _ = remote(artifacts)
    name = digest.removeprefix("sha256:")
    (Path(artifacts.cache.path) / name).unlink(missing_ok=True)
    if data is not None:
        fs.pipe_file(f"{root}/{name}", data)
    elif fs.exists(f"{root}/{name}"):
        fs.rm_file(f"{root}/{name}")
