"""Model bytes behind a URL that fsspec opens (``s3://``, ``gs://``, ``az://``), and a folder of this machine before it.

What was stored or read once lies, verified, in the folder; so a second load costs what a folder's costs, and whatever
`Folder` promises of the bytes that are read holds here. An object is named by the SHA-256 of its bytes. It appears
whole or not at all, also when it is uploaded in parts: there are no drafts.

Nobody can lock a bucket. So unused objects stay for a day whatever is asked for, and a writer that meets an object of
half that age uploads it again, which makes it young.
"""

from __future__ import annotations

import base64
import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from registry_nb.domain.records import File
from registry_nb.errors import Corrupted, LibraryMissing, StorageError, pass_signals
from registry_nb.stores import GRACE, Artifacts, Orphan, disk, hashing, services
from registry_nb.stores.folder import Folder, is_digest
from registry_nb.stores.streams import Source

#: The packages by which fsspec opens a scheme, and the extras that have them.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
#: Bytes that lie in the folder of this machine at most, unless $REGISTRY_NB_CACHE_SIZE says otherwise.
_MOST = 20 << 30
#: Large files go to S3 in parts of this size, so many at once: s3fs's own choice is ten of 50 MB, all in memory.
_PART, _AT_ONCE = 16 * hashing.CHUNK, 4
#: S3 takes so many parts of one object.
_PARTS = 10_000
#: The folder is looked through once in so many seconds.
_SWEEP = 60.0


def open_artifacts(url: str) -> Artifacts:
    """Open the bytes that a URL or a path names; options, keys and endpoints come from the environment.

    Raises
    ------
    LibraryMissing
        If the package that opens the scheme is not installed.
    """
    from registry_nb.stores.local import local_path

    if "://" not in url or url.startswith("file:"):
        return Folder(local_path(url))
    return Objects(url, cache_folder())


def cache_folder() -> str:
    """Return the folder of this machine for bytes that were downloaded: ``$REGISTRY_NB_CACHE``, or the user's cache."""
    if folder := os.environ.get("REGISTRY_NB_CACHE"):
        return os.path.abspath(os.path.expanduser(folder))
    import platformdirs

    return platformdirs.user_cache_dir("registry_nb", appauthor=False)


class Objects:
    """The bytes of a registry behind a URL.

    Parameters
    ----------
    url : str
        A bucket and a prefix, such as ``s3://bucket/prefix``.
    cache : str
        The folder of this machine.
    """

    def __init__(self, url: str, cache: str) -> None:
        self.url = url.rstrip("/")
        self.cache = Folder(cache)
        self._opened: tuple[int, Any, str] = (-1, None, "")
        self._takes_sums = True  # until the service refuses one
        self._swept = -_SWEEP

    # -- Artifacts ---------------------------------------------------------------------------------------------------

    def drafting(self) -> AbstractContextManager[str]:
        """Make a folder for a flavor to save into; it is removed afterwards, or later if the process is killed."""
        self._make_cache()
        return self.cache.drafting()

    def writing(self) -> AbstractContextManager[None]:
        """Keep what lies in the folder of this machine; in the bucket, age protects what is not used yet."""
        return self.cache.writing()

    def put(self, source: str, path: str) -> File:
        """Store a file durably, here and behind the URL; the source is not needed afterwards."""
        self._make_cache()
        file = self.cache.put(source, path)
        self._send(file)
        self._trim()
        return file

    def put_all(self, sources: Sequence[Source], confirm: Callable[[], None]) -> list[File]:
        """Store files of the user's as they are, here and behind the URL; each content is sent once."""
        self._make_cache()
        files = self.cache.put_all(sources, confirm)
        for file in {file.digest: file for file in files}.values():
            self._send(file)
        self._trim()
        return files

    def _send(self, file: File) -> None:
        """Upload what lies here, unless it is there and young."""
        with self._errors("saving a model to"):
            fs, key = self._located(file)
            try:
                age = self._age(self._info(key), file.size)
            except PermissionError:  # S3 says so of an object that is not there, to a role that may not list
                age = None
            if age is None or age > GRACE / 2:
                self._transfer(fs, key, file)
                if self._age(self._info(key), file.size) is None:
                    raise StorageError(f"{self._name(file)} was uploaded and is not there; nothing was registered")

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones for reading: from here, or else downloaded."""
        self._name(file)
        try:
            opened = self.cache.open(file)
        except Corrupted:
            return self._fetch(file)
        with suppress(OSError):  # the least recently used go first; a change of times each time would cost a hash
            if os.stat(self._kept(file)).st_mtime < time.time() - GRACE.total_seconds():
                os.utime(self._kept(file))
        return opened

    def verify(self, file: File, *, thorough: bool = True) -> None:
        """Read what lies behind the URL, not what lies here, and compare it with its digest.

        Unless `thorough`, the SHA-256 that the service took itself when the object arrived is enough.
        """
        with self._errors("reading"):
            fs, key = self._located(file)
            if (info := self._info(key)) is None:
                raise self._missing_object(fs, key, file)
            if info["size"] != file.size:
                raise self._corrupted(file, f"it has {info['size']} bytes, not {file.size}")
            if not thorough and self._is_attested(fs, key, file):
                return
            self._read(fs, key, file)

    def _read(self, fs: Any, key: str, file: File) -> None:
        """Read what lies behind the URL, and compare it."""
        with fs.open(key, "rb", block_size=8 * hashing.CHUNK, cache_type="readahead") as stored:
            self._compare(file, hashing.digest(stored, file.size, "verifying"))

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Return unused objects."""
        with self._errors("listing"):
            fs, root = self._file_system()
            try:
                found = fs.ls(root, detail=True, refresh=True)
            except FileNotFoundError:
                return []
        orphans = []
        for info in found:
            name = info["name"].rsplit("/", 1)[-1]
            if is_digest(name) and f"sha256:{name}" not in used:
                orphans.append(Orphan(f"sha256:{name}", info["size"], _changed_at(info) + GRACE))
        return sorted(orphans, key=lambda orphan: orphan.name)

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove objects that were unused for a day or longer: nobody can lock a bucket, so nothing shorter is safe."""
        least = max(older_than, GRACE)
        return [orphan for orphan in self.orphans(used) if self._reclaimed(orphan, least)]

    def _reclaimed(self, orphan: Orphan, least: timedelta) -> bool:
        with self._errors("removing unused objects from"):
            fs, root = self._file_system()
            key = f"{root}/{orphan.name.removeprefix('sha256:')}"
            age = self._age(self._info(key), orphan.size)  # once more: a writer may have uploaded it again
            if age is None or age < least:
                return False
            fs.rm_file(key)
        return True

    # -- behind the URL ----------------------------------------------------------------------------------------------

    def _file_system(self) -> tuple[Any, str]:
        """Return fsspec's file system and the root in it; a forked child makes its own."""
        pid, fs, root = self._opened
        if pid != os.getpid():
            try:
                import fsspec
                from fsspec import asyn
            except ImportError as error:
                raise self._missing() from error
            if pid != -1:  # the thread that ran the parent's event loop does not exist here
                asyn.reset_lock()
                asyn.iothread[0] = asyn.loop[0] = None
            try:
                fs, root = fsspec.core.url_to_fs(
                    self.url, use_listings_cache=False, skip_instance_cache=True, **self._streamed()
                )
            except (ImportError, ValueError) as error:
                raise self._missing() from error
            root = root.rstrip("/")
            self._opened = os.getpid(), fs, root
        return fs, root

    def _located(self, file: File) -> tuple[Any, str]:
        fs, root = self._file_system()
        return fs, f"{root}/{self._name(file).rsplit('/', 1)[-1]}"

    def _info(self, key: str) -> Any:
        """Return what the service says of an object; None if there is none."""
        fs, _ = self._file_system()
        try:
            return fs.info(key)
        except FileNotFoundError:
            return None

    def _age(self, info: Any, size: int) -> timedelta | None:
        return None if info is None or info["size"] != size else datetime.now(UTC) - _changed_at(info)

    def _streamed(self) -> dict[str, int]:
        """Return how to have S3's file system download in one stream: it holds all parts of a batch in memory."""
        return {"max_concurrency": 1} if self._is_s3() else {}

    def _upload(self, file: File) -> dict[str, Any]:
        """Return how to upload a file: in parts, or, if it is no larger than two, in one.

        S3 takes the SHA-256 of what arrives in one part itself; of parts it has only a sum of their sums.
        """
        if not self._is_s3():
            return {}
        part = max(_PART, -(-file.size // _PARTS))
        attested = {"ChecksumAlgorithm": "SHA256"} if file.size < 2 * part and self._takes_sums else {}
        return {"chunksize": part, "max_concurrency": _AT_ONCE, **attested}

    def _transfer(self, fs: Any, key: str, file: File) -> None:
        """Upload a file; one whose sum the service does not take is read back instead."""
        options = self._upload(file)
        try:
            self._put(fs, key, file, options)
        except (OSError, NotImplementedError) as error:
            if "ChecksumAlgorithm" not in options or not services.refuses_checksums(error):
                raise
            self._takes_sums = False
            self._put(fs, key, file, self._upload(file))
        if not self._takes_sums:
            self._read(fs, key, file)

    def _put(self, fs: Any, key: str, file: File, options: dict[str, Any]) -> None:
        with hashing.progress(file.size, "uploading") as advance:
            fs.put_file(self._kept(file), key, callback=_callback(advance), **options)

    def _is_attested(self, fs: Any, key: str, file: File) -> bool:
        if not self._is_s3() or not self._takes_sums:
            return False
        bucket, _, name = key.partition("/")
        head = fs.call_s3("head_object", Bucket=bucket, Key=name, ChecksumMode="ENABLED")
        return bool(head.get("ChecksumSHA256") == base64.b64encode(bytes.fromhex(file.digest[7:])).decode())

    def _is_s3(self) -> bool:
        return self.url.startswith(("s3:", "s3a:"))

    def _fetch(self, file: File) -> IO[bytes]:
        """Download an object, keep it here, verify it, and open it."""
        self._make_cache()
        with self.cache.drafting() as folder:
            draft = os.path.join(folder, "download")
            with self._errors("reading"):  # inside: to the block around it, a refusal is one of this machine's disk
                fs, key = self._located(file)
                try:
                    with hashing.progress(file.size, "downloading") as advance:
                        fs.get_file(key, draft, callback=_callback(advance))
                except FileNotFoundError:
                    raise self._missing_object(fs, key, file) from None
            if (size := os.path.getsize(draft)) != file.size:
                raise self._corrupted(file, f"it has {size} bytes, not {file.size}")
            try:
                opened = self.cache.take(draft, file)
            except Corrupted as error:
                raise self._corrupted(file, error.reason) from None
        self._trim()  # after it was opened: one that is larger than the limit goes at once, and is read on
        return opened

    def _compare(self, file: File, digest: str) -> None:
        if f"sha256:{digest}" != file.digest:
            raise self._corrupted(file, f"its SHA-256 is {digest[:12]}…, not {file.digest[7:19]}…")

    def _name(self, file: File) -> str:
        """Return the URL of an object; nothing but a digest becomes a part of it."""
        digest = file.digest.removeprefix("sha256:")
        if not is_digest(digest):
            raise self._corrupted(file, f"its record has the digest {file.digest!r}, which is not a SHA-256")
        return f"{self.url}/{digest}"

    def _missing_object(self, fs: Any, key: str, file: File) -> Exception:
        """Tell a bucket that is not there, by a wrong URL, from lost bytes: no backup helps against the former."""
        if self._is_s3():
            with suppress(PermissionError):  # a role may be allowed to read objects only
                try:
                    fs.call_s3("head_bucket", Bucket=key.partition("/")[0])
                except FileNotFoundError as error:
                    return error
        return self._corrupted(file, "the object is missing")

    def _corrupted(self, file: File, reason: str) -> Corrupted:
        remedy = "restore it from a backup, or register the model again; nothing was loaded"
        path = f"{self.url}/{os.path.basename(file.digest.removeprefix('sha256:'))}"
        return Corrupted(path=path, position=None, reason=reason, remedy=remedy, digest=file.digest)

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Say in one sentence what failed; fsspec and the services' libraries have an error for each."""
        try:
            yield
        except (Corrupted, StorageError, LibraryMissing):
            raise
        except Exception as error:
            pass_signals(error)
            if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}:
                with disk.storage_errors(self.cache.path, doing):
                    raise
            failed = services.failure(doing, self.url, error)
            raise failed from failed.__cause__

    def _missing(self) -> LibraryMissing:
        scheme = self.url.partition(":")[0]
        extra = _EXTRAS.get(scheme, "")
        remedy = f"pip install 'registry-nb[{extra}]'" if extra else f"pip install fsspec and what opens {scheme}: URLs"
        return LibraryMissing(library=f"fsspec's {scheme}", remedy=remedy, name="fsspec")

    # -- here --------------------------------------------------------------------------------------------------------

    def _make_cache(self) -> None:
        """Make the folder of this machine; nobody else looks into it."""
        folder = os.path.dirname(self.cache.path)
        if not os.path.isdir(folder):
            with disk.storage_errors(folder, "making"):
                disk.make_folder(folder)
                os.chmod(folder, 0o700)

    def _kept(self, file: File) -> str:
        return os.path.join(self.cache.path, file.digest.removeprefix("sha256:"))

    def _trim(self) -> None:
        """Remove what was used longest ago beyond the limit; what is open is read on."""
        if time.monotonic() < self._swept + _SWEEP:
            return
        self._swept = time.monotonic()
        with suppress(OSError), os.scandir(self.cache.path) as entries:
            kept = sorted(((e.stat(), e.path) for e in entries if is_digest(e.name)), key=lambda one: one[0].st_mtime)
            beyond = sum(status.st_size for status, _ in kept) - _limit()
            for status, path in kept:
                if beyond <= 0:
                    break
                with suppress(FileNotFoundError):  # another process was faster
                    os.unlink(path)
                beyond -= status.st_size


def _limit() -> int:
    text = os.environ.get("REGISTRY_NB_CACHE_SIZE", "")
    return int(text) if text.isdecimal() else _MOST


def _changed_at(info: Any) -> datetime:
    """Return when an object was written last; file systems name it differently."""
    at = next(info[name] for name in ("LastModified", "updated", "last_modified", "created", "mtime") if name in info)
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    if isinstance(at, datetime):
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return datetime.fromtimestamp(at, UTC)


def _callback(advance: Any) -> Any:
    from fsspec.callbacks import Callback

    class _Bar(Callback):  # type: ignore[misc]  # fsspec has no types
        def relative_update(self, inc: int = 1) -> None:
            advance(inc)

    return _Bar()
