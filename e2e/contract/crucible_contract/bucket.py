"""The bucket as another program sees it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .settings import BUCKET, S3_ENDPOINT, TAG

# Prefixes below which there are more keys than an S3 server gives at a time.
LONG_FIXTURE = f"fixtures/contract-many-{TAG}"
LONG_RESULTS = f"results/history-large_20250101-0000_{TAG}00"


def client() -> Any:
    """A client that addresses buckets by path, as servers of one's own want it."""
    config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required", max_pool_connections=16)
    return boto3.client("s3", endpoint_url=S3_ENDPOINT, region_name="us-east-1", config=config)


class Bucket:
    """Objects by key."""

    def __init__(self) -> None:
        self._s3 = client()

    def put(self, key: str, body: bytes | str) -> None:
        """Stores an object."""
        self._s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode() if isinstance(body, str) else body)

    def put_many(self, keys: list[str], body: bytes) -> list[str]:
        """Stores the same bytes under many keys."""
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda key: self.put(key, body), keys))
        return keys

    def get(self, key: str) -> bytes:
        """The bytes of an object."""
        return self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def find(self, key: str) -> bytes | None:
        """The bytes of an object, where it is there."""
        try:
            return self.get(key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise

    def keys(self, prefix: str) -> dict[str, int]:
        """Keys below a prefix with their sizes."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}

    def remove_tagged(self, tag: str) -> None:
        """Removes everything that an invocation made."""
        keys = [key for prefix in ("plans/", "workloads/", "fixtures/", "results/") for key in self.keys(prefix) if tag in key]
        for begin in range(0, len(keys), 1000):
            named = [{"Key": key} for key in keys[begin : begin + 1000]]
            self._s3.delete_objects(Bucket=BUCKET, Delete={"Objects": named, "Quiet": True})
