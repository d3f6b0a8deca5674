"""One real S3 server (SeaweedFS) on loopback for a whole test session, and an empty place in it for each test."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from delivery.shared_cache import SharedCacheSettings

_READY_SECONDS = 90
_NUMBERS = count(1)
_BUCKET = "cache"
WRITER, READER = ("writer", "writers-secret"), ("reader", "readers-secret")
"""Access key and secret: of one who may do everything, and of one who may only read."""


_CLIENTS: list[Any] = []
"""Closed at the end: boto3 leaves connections to the collector."""


@dataclass(frozen=True, slots=True)
class ObjectStorage:
    """A running server."""

    endpoint: str

    def client(self, identity: tuple[str, str] = WRITER) -> Any:  # noqa: ANN401  # boto3 makes its classes at run time
        """A client of the test's own, to look at what is there and to spoil it."""
        config = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1}, proxies={})
        key, secret = identity
        made = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=config,
        )
        _CLIENTS.append(made)
        return made

    def settings(self) -> SharedCacheSettings:
        """Of an empty place: a prefix that nobody else has, since this server keeps files apart for every bucket."""
        return SharedCacheSettings(_BUCKET, f"team/{next(_NUMBERS)}", self.endpoint)

    def names(self, settings: SharedCacheSettings) -> list[str]:
        """Of all objects there."""
        listed = self.client().list_objects_v2(Bucket=settings.bucket, Prefix=f"{settings.prefix}/")
        return sorted(one["Key"] for one in listed.get("Contents", ()))


def as_identity(identity: tuple[str, str]) -> dict[str, str]:
    """The environment variables by which AWS's own libraries know somebody, and look no further."""
    key, secret = identity
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


@contextmanager
def running_object_storage(folder: Path) -> Iterator[ObjectStorage]:
    """Everything of it listens on 127.0.0.1, on ports that were free; it tells nobody of itself."""
    data, identities = folder / "data", folder / "identities.json"
    data.mkdir()
    identities.write_text(json.dumps({"identities": [_identity(WRITER, "Admin"), _identity(READER, "Read", "List")]}))
    ports = _free_ports(8)
    server = ObjectStorage(f"http://127.0.0.1:{ports[0]}")
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [_program(), *_arguments(data, identities, ports)], cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_ready(server, process, folder / "weed.log")
            yield server
        finally:
            for client in _CLIENTS:
                client.close()
            process.kill()
            process.wait()


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed") or "weed"


def _arguments(data: Path, identities: Path, ports: list[int]) -> list[str]:
    s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = ports
    return [
        "server",
        f"-dir={data}",
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.telemetry=false"),
        *(f"-s3.config={identities}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=50"),
        *(f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-master.port={master}", f"-master.port.grpc={master_grpc}"),
        *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}"),
        *(f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}"),
    ]


def _identity(identity: tuple[str, str], *actions: str) -> dict[str, object]:
    key, secret = identity
    return {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": list(actions)}


def _free_ports(number: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [int(probe.getsockname()[1]) for probe in probes]


def _wait_ready(server: ObjectStorage, process: subprocess.Popen[bytes], log: Path) -> None:
    """Once a bucket can be made and an object written: its parts find one another one by one."""
    client, deadline = server.client(), time.monotonic() + _READY_SECONDS
    while problem := _written(client):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{problem}\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def _written(client: Any) -> str:  # noqa: ANN401  # boto3 makes its classes at run time
    """Why not; empty when it was."""
    try:
        with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=_BUCKET)
        client.put_object(Bucket=_BUCKET, Key="first", Body=b"x")
    except (BotoCoreError, ClientError) as error:
        return str(error)
    return ""
