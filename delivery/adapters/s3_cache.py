"""The shared cache in an S3 bucket: blobs by digest and sealed step records, both checked when they are read.

boto3 is imported by the first question: who has no shared cache pays nothing for it. What is corrupt counts as absent.
"""

import contextlib
import hashlib
import threading
import uuid
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from delivery.adapters.atomic_file import CHUNK_BYTES, file_digest, new_file, writing
from delivery.artifact import Digest, digest_of, parse_digest
from delivery.caching.sealing import seal, unseal
from delivery.errors import DeliveryError, PermanentError, TransientError
from delivery.ports import Recorded, Row, Store
from delivery.shared_cache import SharedCacheSettings

_CONNECT_SECONDS = 2
_READ_SECONDS = 10
_ATTEMPTS = 2
_PARTS_AT_ONCE = 2
"""Of a large file: each takes 8 MB of memory."""
_REGION = "us-east-1"
"""Where neither the environment nor AWS's own files name one; other servers take any."""
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_REFUSED = frozenset({"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})
_NO_BUCKET = "NoSuchBucket"


class S3Bucket:
    """Objects below one prefix of a bucket; errors are ours."""

    def __init__(self, settings: SharedCacheSettings, read_seconds: float = _READ_SECONDS) -> None:
        self._settings, self._read_seconds = settings, read_seconds
        self._making = threading.Lock()

    def get(self, name: str) -> bytes | None:
        """The object's content; None when there is none."""
        with self._asking(f"reading {name}"):
            try:
                content: bytes = self._client.get_object(**self._place(name))["Body"].read()
            except self._error as error:
                if _is_absent(error):
                    return None
                raise
        return content

    def download(self, name: str, stream: Any) -> bool:  # noqa: ANN401  # a binary stream
        """Write the object's content to a stream; whether there is one."""
        with self._asking(f"reading {name}"):
            try:
                body = self._client.get_object(**self._place(name))["Body"]
            except self._error as error:
                if _is_absent(error):
                    return False
                raise
            for piece in body.iter_chunks(CHUNK_BYTES):
                stream.write(piece)
        return True

    def put(self, name: str, content: bytes) -> None:
        """Write an object at once: it is whole or not there."""
        with self._asking(f"writing {name}"):
            self._client.put_object(**self._place(name), Body=content)

    def upload(self, name: str, path: Path) -> None:
        """Write a file as an object, in parts when it is large."""
        with self._asking(f"writing {name}"):
            from boto3.s3.transfer import TransferConfig

            place, few = self._place(name), TransferConfig(max_concurrency=_PARTS_AT_ONCE)
            self._client.upload_file(str(path), place["Bucket"], place["Key"], Config=few)

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        with self._asking(f"looking for {name}"):
            try:
                self._client.head_object(**self._place(name))
            except self._error as error:
                if _is_absent(error):
                    return False
                raise
        return True

    def _place(self, name: str) -> dict[str, str]:
        key = f"{self._settings.prefix}/{name}" if self._settings.prefix else name
        return {"Bucket": self._settings.bucket, "Key": key}

    @cached_property
    def _error(self) -> type[Exception]:
        from botocore.exceptions import ClientError

        error: type[Exception] = ClientError
        return error

    @property
    def _client(self) -> Any:  # noqa: ANN401  # boto3 makes its classes at run time
        with self._making:
            return self._made

    @cached_property
    def _made(self) -> Any:  # noqa: ANN401  # boto3 makes its classes at run time
        import boto3
        from botocore.config import Config

        session = boto3.session.Session()
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=self._read_seconds,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            request_checksum_calculation="when_required",  # servers that are not AWS know no others
            response_checksum_validation="when_required",  # the digest is checked anyway
        )
        region = session.region_name or _REGION
        made = session.client("s3", region_name=region, endpoint_url=self._settings.endpoint_url, config=config)
        weakref.finalize(self, made.close)  # otherwise its connections stay until something collects them
        return made

    @contextlib.contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        """Say in our words what went wrong; never an address with credentials in it."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError

        about = f"{doing} in the shared cache {self._settings.address}"
        try:
            yield
        except self._error as error:
            raise _answered(about, error) from error
        except (BotoCoreError, Boto3Error) as error:
            if isinstance(error.__context__, self._error):  # an upload in parts tells of it so
                raise _answered(about, error.__context__) from error
            raise TransientError(f"{about}: {error}") from error


def _code(error: Any) -> str:  # noqa: ANN401  # boto3 makes its classes at run time
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_absent(error: Any) -> bool:  # noqa: ANN401  # boto3 makes its classes at run time
    return _code(error) in _ABSENT


def _answered(about: str, error: Any) -> DeliveryError:  # noqa: ANN401  # boto3 makes its classes at run time
    code = _code(error)
    if code in _REFUSED:
        hint = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do there"
        return PermanentError(f"{about}: it is refused ({code})", hint=hint)
    if code == _NO_BUCKET:
        return PermanentError(f"{about}: there is no such bucket", hint="make it, or correct SHIPLINE_CACHE_URL")
    return TransientError(f"{about}: the server answered {code}")


class S3Store:
    """A Store: each blob is an object named by its digest, `store/sha256/ab/abcdef...`."""

    def __init__(self, bucket: S3Bucket, scratch: Path) -> None:
        """What is opened is downloaded below `scratch`, as a copy that whoever opens it may remove."""
        self._bucket, self._scratch = bucket, scratch

    def put(self, content: bytes) -> Digest:
        digest = digest_of(content)
        self._bucket.put(_blob(digest), content)
        return digest

    def put_file(self, path: Path) -> Digest:
        digest = file_digest(path)
        self._bucket.upload(_blob(digest), path)
        return digest

    def get(self, digest: Digest) -> bytes | None:
        content = self._bucket.get(_blob(digest))
        return content if content is not None and digest_of(content) == digest else None

    def open(self, digest: Digest) -> Path | None:
        place = self._scratch / f"{digest.removeprefix('sha256:')}-{uuid.uuid4().hex}"
        with writing(f"fetching {digest}", self._scratch), new_file(self._scratch) as (stream, move):
            hashing = _Hashing(stream)
            if not self._bucket.download(_blob(digest), hashing) or hashing.digest != digest:
                return None
            move(place)
        return place

    def has(self, digest: Digest) -> bool:
        return self._bucket.has(_blob(digest))


class S3StepCache:
    """A StepCache: an object per step key, `steps/ab/abcdef....json`, beside a store that has its blobs."""

    def __init__(self, bucket: S3Bucket, store: Store) -> None:
        self._bucket, self._store = bucket, store

    def lookup(self, key: Digest) -> Row | None:
        found = self.read(key)
        return found.record if found and all(self._store.open(blob) for blob in found.blobs) else None

    def read(self, key: Digest) -> Recorded | None:
        content = self._bucket.get(_record(key))
        return unseal(key, content) if content is not None else None

    def record(self, key: Digest, record: Row, blobs: Sequence[Digest]) -> None:
        self._bucket.put(_record(key), seal(key, record, blobs))


class _Hashing:
    """A stream that knows the digest of what is written to it."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401  # a binary stream
        self._stream, self._hash = stream, hashlib.sha256()

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._stream.write(piece)

    @property
    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hash.hexdigest()}")


def _blob(digest: Digest) -> str:
    name = parse_digest(digest).removeprefix("sha256:")
    return f"store/sha256/{name[:2]}/{name}"


def _record(key: Digest) -> str:
    name = parse_digest(key).removeprefix("sha256:")
    return f"steps/{name[:2]}/{name}.json"
