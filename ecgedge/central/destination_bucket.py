"""A repository wherever fsspec reaches: S3 and its like, or memory in tests.

A store of objects shows an object when its upload is complete, never half. `mode="create"` is its
"only if there is none" (S3: If-None-Match), and on S3 the pointer is replaced only if it is still
the one that was read (If-Match), so two publishers cannot overwrite each other.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from ecgedge.central.destination import Upload, lost, overtaken, without_password
from ecgedge.errors import EcgedgeError, UsageError

_PIECE_BYTES = 1 << 20
#: What an object store tells caches: the pointer is asked for anew, all else never changes.
_POINTER_CACHE = "no-cache"
_CACHE = "public, max-age=31536000, immutable"


class BucketDestination:
    """fs: an fsspec file system. root: the path in it, without a slash at its end."""

    def __init__(self, fs: Any, root: str, name: str) -> None:
        self._fs, self._root, self._name = fs, root.rstrip("/"), name
        protocols = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
        self._is_s3 = "s3" in protocols

    @property
    def name(self) -> str:
        return self._name

    def alone(self) -> AbstractContextManager[None]:
        """Nothing can be locked here; `create` and `switch` notice another publisher."""
        return nullcontext()

    def sizes(self, folder: str) -> dict[str, int]:
        with self._told():
            self._fs.invalidate_cache()
            found = self._fs.find(f"{self._root}/{folder}", detail=True)
            if self._is_s3 and not found:  # a bucket that is missing looks like an empty one
                self._fs.ls(self._root.partition("/")[0], refresh=True)
        start = len(self._fs._strip_protocol(self._root)) + 1
        return {path[start:]: int(info["size"]) for path, info in sorted(found.items())}

    def read(self, path: str) -> bytes | None:
        with self._told():
            self._fs.invalidate_cache()
            try:
                data: bytes = self._fs.cat_file(self._full(path))
            except FileNotFoundError:
                return None
            return data

    def pieces(self, path: str) -> Iterator[bytes]:
        with self._told(), self._fs.open(self._full(path), "rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def create(self, path: str, data: bytes) -> None:
        self._create(path, data, _CACHE)

    def _create(self, path: str, data: bytes, cache: str) -> None:
        with self._told():
            try:
                self._fs.pipe_file(self._full(path), data, mode="create", **self._extra(cache))
            except FileExistsError:
                raise overtaken(self._name, path) from None

    def put(self, upload: Upload) -> None:
        path, extra = self._full(upload.path), self._extra(_CACHE)
        with self._told():
            if isinstance(upload.content, bytes):
                self._fs.pipe_file(path, upload.content, **extra)
            else:
                self._fs.put_file(str(upload.content), path, **extra)
            self._fs.invalidate_cache()
            size = int(self._fs.info(path)["size"])
        if size != upload.length:
            raise lost(
                self._name, OSError(f"{upload.path} has {size} of {upload.length} bytes there")
            )

    def switch(self, path: str, data: bytes, before: bytes | None) -> None:
        full, extra = self._full(path), self._extra(_POINTER_CACHE)
        with self._told():
            self._fs.invalidate_cache()
            if before is None:
                self._create(path, data, _POINTER_CACHE)
                return
            if self._is_s3:
                extra["IfMatch"] = self._fs.info(full)["ETag"]
            if self.read(path) != before:
                raise overtaken(self._name, path)
            try:
                self._fs.pipe_file(full, data, **extra)
            except OSError as error:
                if error.errno == errno.EBUSY or "PreconditionFailed" in _chain(error):
                    raise overtaken(self._name, path) from None
                raise

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            with self._told():
                try:
                    self._fs.rm_file(self._full(path))
                except FileNotFoundError:
                    continue

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _extra(self, cache: str) -> dict[str, Any]:
        return {"CacheControl": cache} if self._is_s3 else {}

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What fsspec and its packages raise, as one sentence that says what to do."""
        try:
            yield
        except EcgedgeError:
            raise
        except Exception as error:
            raise told(self._name, error) from None


def open_bucket(text: str) -> BucketDestination:
    """The place of an address that fsspec knows. Raises UsageError for any other."""
    import fsspec

    name = without_password(text)
    try:
        fs, path = fsspec.core.url_to_fs(text, skip_instance_cache=True)
    except ImportError as error:
        scheme = text.partition("://")[0]
        extra = "pip install 'ecgedge[s3]'" if scheme in ("s3", "s3a") else str(error)
        raise UsageError(f"{scheme}:// needs a package that is not installed: {extra}") from None
    except ValueError as error:
        raise UsageError(f"{name} is no place to publish to: {error}") from None
    if not path.strip("/"):
        raise UsageError(f"{name} names no bucket or folder: write s3://bucket/folder")
    return BucketDestination(fs, path, name)


def told(name: str, error: Exception) -> EcgedgeError:
    """The error of ours for whatever a file system raised."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
        return UsageError(
            f"{name}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a "
            "profile with AWS_PROFILE"
        )
    if isinstance(error, PermissionError):
        return UsageError(
            f"{name} refuses it ({error}): the account needs to list, read, write and delete there"
        )
    if isinstance(error, FileNotFoundError):
        return UsageError(f"{name} is not there ({error}): make the bucket, or mend the address")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UsageError(f"{name} is full: make room and run it again, it goes on")
    return lost(name, error)


def _chain(error: BaseException) -> str:
    """What an error and its causes say."""
    words: list[str] = []
    one: BaseException | None = error
    while one is not None:
        words += [str(one), type(one).__name__]
        one = one.__cause__ or one.__context__
    return " ".join(words)
