"""The contract of artifacts, as tests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

from registry_nb.domain.records import File
from registry_nb.errors import Corrupted, Invalid
from registry_nb.stores import GRACE, Artifacts
from registry_nb.stores.streams import Source, put_all


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


class ArtifactsContract:
    """What any `Artifacts` does.

    Give three fixtures: ``artifacts``; ``age``, a function that makes everything stored two days old; and
    ``damage(digest, data)``, a function that replaces stored bytes behind its back, or removes them for None.
    """

    def _put(self, artifacts: Artifacts, data: bytes, name: str = "model.pkl") -> File:
        with artifacts.drafting() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            return artifacts.put(str(path), name)

    def test_the_bytes_that_were_put_are_the_bytes_that_are_opened(self, artifacts: Artifacts) -> None:
        """Small, large, empty, compressible or not."""
        for data in (b"", b"x", b"abc" * 100_000, os.urandom(100_000)):
            file = self._put(artifacts, data)
            assert (file.path, file.digest[:7]) == ("model.pkl", "sha256:")
            artifacts.verify(file)
            with artifacts.open(file) as opened:
                assert opened.read() == data

    def test_the_digest_is_that_of_the_stored_bytes(self, artifacts: Artifacts) -> None:
        """Incompressible bytes are stored as they are."""
        data = os.urandom(5_000)
        file = self._put(artifacts, data)
        assert (file.codec, file.size) == ("", len(data))
        assert file.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"

    def test_files_of_the_users_are_stored_as_they_are_or_none_of_them(
        self, artifacts: Artifacts, tmp_path: Path
    ) -> None:
        """However well they compress; an adapter without ``put_all`` gets them one by one."""
        import pytest

        contents = {"a.pkl": b"abc" * 50_000, "b/c.bin": os.urandom(100_000), "d": b"", "e": b"abc" * 50_000}
        sources = []
        for number, (name, content) in enumerate(contents.items()):
            place = tmp_path / f"source-{number}"
            place.write_bytes(content)
            sources.append(Source(name, str(place), len(content), partial(_opened, place)))

        def refuse() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            put_all(artifacts, sources, refuse)
        assert artifacts.orphans(set()) == []
        for _ in range(2):
            files = put_all(artifacts, sources, lambda: None)
            assert [file.path for file in files] == list(contents)
            for file, content in zip(files, contents.values(), strict=True):
                assert (file.codec, file.size) == ("", len(content))
                assert file.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
                with artifacts.open(file) as opened:
                    assert opened.read() == content
        assert len(artifacts.orphans(set())) == len({*contents.values()})
        with pytest.raises(Invalid, match="changed while it was read"):
            put_all(artifacts, [sources[0]._replace(size=10)], lambda: None)

    def test_a_frameworks_file_is_stored_unchanged(self, artifacts: Artifacts) -> None:
        """However well it compresses: the framework opens the stored file."""
        data = b"tree" * 100_000
        file = self._put(artifacts, data, "model.txt")
        assert (file.codec, file.size) == ("", len(data))
        assert file.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"

    def test_equal_bytes_are_stored_once(self, artifacts: Artifacts) -> None:
        """Under any names."""
        for data, kind in ((b"same", "pkl"), (b"same" * 10_000, "pkl"), (b"same" * 10_000, "onnx")):
            first, second = (self._put(artifacts, data, f"{name}.{kind}") for name in "ab")
            assert (first.digest, first.size, first.codec) == (second.digest, second.size, second.codec)
            assert (first.path, second.path) == (f"a.{kind}", f"b.{kind}")

    def test_an_opened_file_fills_the_readers_memory(self, artifacts: Artifacts) -> None:
        """To the end, and from the start again: unpickling reads once, and an audit reads before it."""
        for data in (os.urandom(3_000_000), b"abc" * 1_000_000):
            with artifacts.open(self._put(artifacts, data)) as opened:
                buffer = bytearray(len(data))
                assert opened.readinto(buffer) == len(data)  # type: ignore[attr-defined]
                assert buffer == data
                assert (opened.tell(), opened.seek(0)) == (len(data), 0)
                assert opened.read(10) == data[:10]

    def test_the_name_within_the_model_never_becomes_a_path(self, artifacts: Artifacts) -> None:
        """It is a label with slashes; the code that writes files from it checks it."""
        data = os.urandom(100)
        for name in ("variables/variables.index", "../../outside", "/etc/passwd"):
            with artifacts.drafting() as folder:
                path = Path(folder) / "draft"
                path.write_bytes(data)
                file = artifacts.put(str(path), name)
            assert file.path == name
            with artifacts.open(file) as opened:
                assert opened.read() == data

    def test_a_drafting_folder_is_gone_afterwards(self, artifacts: Artifacts) -> None:
        """Also after an exception."""
        import pytest

        with artifacts.drafting() as folder:
            assert os.path.isdir(folder)
        assert not os.path.exists(folder)
        with pytest.raises(ZeroDivisionError), artifacts.drafting() as folder:
            _ = 1 / 0
        assert not os.path.exists(folder)

    def test_damage_is_found_before_a_byte_is_handed_out(
        self, artifacts: Artifacts, damage: Callable[[str, bytes | None], None]
    ) -> None:
        """Missing, cut, longer or altered."""
        import pytest

        data = os.urandom(5_000)
        for wrong in (None, b"", data[:-1], data + b"x", data[:-1] + bytes([data[-1] ^ 1])):
            file = self._put(artifacts, data)
            damage(file.digest, wrong)
            with pytest.raises(Corrupted) as caught:
                artifacts.open(file)
            with pytest.raises(Corrupted):
                artifacts.verify(file)
            assert caught.value.__dict__["digest"] == file.digest
            damage(file.digest, data)
            with artifacts.open(file) as opened:
                assert opened.read() == data

    def test_a_digest_never_becomes_a_path(self, artifacts: Artifacts) -> None:
        """Also that of a tampered record."""
        import pytest

        for digest in ("sha256:../../etc/passwd", "", "sha256:", "sha256:" + "A" * 64, "/etc/passwd"):
            with pytest.raises(Corrupted):
                artifacts.open(File("model.pkl", digest, 1))

    def test_unused_bytes_are_orphans_and_go_when_they_are_due(
        self, artifacts: Artifacts, age: Callable[[], None]
    ) -> None:
        """Young ones may belong to a record that is not written yet; putting them again makes them young."""
        assert artifacts.orphans(set()) == artifacts.reclaim(set()) == []
        used, unused = self._put(artifacts, b"used"), self._put(artifacts, b"unused")
        (orphan,) = artifacts.orphans({used.digest})
        assert (orphan.name, orphan.size) == (unused.digest, 6)
        assert timedelta(0) < orphan.due - datetime.now(UTC) <= GRACE
        assert artifacts.reclaim({used.digest}) == []
        age()
        self._put(artifacts, b"unused")
        assert artifacts.reclaim({used.digest}) == []
        age()
        (orphan,) = artifacts.orphans({used.digest})
        assert orphan.due < datetime.now(UTC)
        assert artifacts.reclaim({used.digest}) == [orphan]
        assert artifacts.orphans({used.digest}) == artifacts.reclaim({used.digest}) == []
        artifacts.verify(used)

    def test_unused_bytes_go_at_once_on_request_unless_a_writer_is_active(self, artifacts: Artifacts) -> None:
        """A writer may have put the bytes of a record that is not written yet."""
        with artifacts.writing():
            file = self._put(artifacts, b"its record is on the way")
            assert artifacts.reclaim(set(), timedelta(0)) == []
            artifacts.verify(file)
        assert [orphan.name for orphan in artifacts.reclaim(set(), timedelta(0))] == [file.digest]
        assert artifacts.orphans(set()) == []
