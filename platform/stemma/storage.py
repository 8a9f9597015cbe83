"""Object storage: a bucket on anything that speaks S3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stemma.config import Settings, settings
from stemma.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ObjectIdentifierTypeDef

ONCE = "once/"
"""Under which lies what each `Idempotency-Key` of serving stands for."""
ONCE_KEPT = timedelta(days=2)
"""For how long it is remembered."""


class Storage:
    """One bucket.  Every failure becomes a `NotFoundError` or an `UnavailableError`."""

    def __init__(self, config: Settings) -> None:
        self.bucket = config.s3_bucket
        self.endpoint = config.s3_endpoint
        self.client: S3Client = boto3.client(
            "s3",
            endpoint_url=config.s3_endpoint,
            aws_access_key_id=config.s3_access_key,
            aws_secret_access_key=config.s3_secret_key.get_secret_value(),
            region_name=config.s3_region,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=3,
                read_timeout=30,
                retries={"max_attempts": 3, "mode": "standard"},
                max_pool_connections=32,
            ),
        )

    def put(self, key: str, body: bytes | Path, content_type: str = "application/octet-stream") -> None:
        """Write an object whole; readers see the old or the new one, never a part."""
        with self._errors(key):
            if isinstance(body, Path):
                self.client.upload_file(str(body), self.bucket, key, ExtraArgs={"ContentType": content_type})
            else:
                self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)

    def put_new(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> bool:
        """Write an object only where there is none; whether it was written."""
        with self._errors(key):
            try:
                self.client.put_object(
                    Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"
                )
            except ClientError as error:
                # 409: somebody else is writing the same key just now, and will have written it.
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {409, 412}:
                    return False
                raise
        return True

    def put_json(self, key: str, value: Any) -> None:
        """Write a value as JSON."""
        self.put(key, json.dumps(value, ensure_ascii=False).encode(), "application/json")

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        with self._errors(key):
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def get_json(self, key: str) -> Any:
        """An object parsed as JSON."""
        return json.loads(self.get(key))

    def download(self, key: str, path: Path) -> None:
        """Fetch an object into a file, which appears only when it is whole."""
        part = path.with_name(path.name + ".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors(key):
            self.client.download_file(self.bucket, key, str(part))
        part.replace(path)

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        try:
            with self._errors(key):
                self.client.head_object(Bucket=self.bucket, Key=key)
        except NotFoundError:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Names of the objects under a prefix, in order."""
        with self._errors(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield entry["Key"]

    def entries(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Names and entity tags of the objects under a prefix: a tag changes when its object does."""
        with self._errors(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield entry["Key"], entry["ETag"]

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes in bytes of the objects under a prefix."""
        with self._errors(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield entry["Key"], entry["Size"]

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with self._errors(key):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def expire(self, prefix: str, age: timedelta) -> int:
        """Remove the objects under a prefix that were written longer ago than this; how many that were."""
        gone = 0
        with self._errors(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                oldest = datetime.now(UTC) - age
                old: list[ObjectIdentifierTypeDef] = [
                    {"Key": e["Key"]} for e in page.get("Contents", []) if e["LastModified"] <= oldest
                ]
                if old:
                    self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": old, "Quiet": True})
                gone += len(old)
        return gone

    def url(self, key: str, *, seconds: int = 3600, filename: str | None = None) -> str:
        """A signed address from which anyone may read the object for a while."""
        params: dict[str, str] = {"Bucket": self.bucket, "Key": key}
        if filename:
            params["ResponseContentDisposition"] = f'attachment; filename="{filename}"'
        return self.client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)

    def parts_begin(self, key: str) -> str:
        """Begin an object that comes in parts, from a browser perhaps; the name of this upload."""
        with self._errors(key):
            return self.client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType="application/octet-stream"
            )["UploadId"]

    def part_url(self, key: str, upload: str, number: int, *, seconds: int = 3600) -> str:
        """A signed address to which anyone may send one part (1…10,000) for a while."""
        params = {"Bucket": self.bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        return self.client.generate_presigned_url("upload_part", Params=params, ExpiresIn=seconds)

    def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]]:
        """The parts that have arrived: entity tag and size by number.  Raises `NotFoundError` for no such upload."""
        found: dict[int, tuple[str, int]] = {}
        latest: dict[int, datetime] = {}
        with self._errors(key):
            pages = self.client.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=key, UploadId=upload)
            for page in pages:
                for part in page.get("Parts", []):
                    number = part["PartNumber"]
                    # Of a part that was sent twice the later one counts; some storages list both.
                    if number not in latest or part["LastModified"] >= latest[number]:
                        latest[number], found[number] = part["LastModified"], (part["ETag"], part["Size"])
        return found

    def parts_join(self, key: str, upload: str, tags: Mapping[int, str]) -> None:
        """Make the object of its parts."""
        parts: list[CompletedPartTypeDef] = [{"PartNumber": n, "ETag": tag} for n, tag in sorted(tags.items())]
        with self._errors(key):
            self.client.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )

    def parts_abandon(self, key: str, upload: str) -> None:
        """Forget an upload and its parts; one that is not there is no error."""
        with suppress(NotFoundError), self._errors(key):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    def ensure_bucket(self) -> None:
        """Make the bucket where it is missing."""
        with self._errors(self.bucket):
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except ClientError:
                self.client.create_bucket(Bucket=self.bucket)

    def _errors(self, key: str) -> _Translate:
        return _Translate(self.endpoint, key)


_ABSENT = {"404", "NoSuchKey", "NotFound", "NoSuchBucket", "NoSuchUpload"}


class _Translate:
    """Turns botocore's errors into ours."""

    def __init__(self, endpoint: str, key: str) -> None:
        self.endpoint, self.key = endpoint, key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            if error.response.get("Error", {}).get("Code") in _ABSENT:
                raise NotFoundError(f"Object storage holds no {self.key}.") from error
            raise UnavailableError(
                f"Object storage refused {self.key}: {error}.",
                remedy="Check STEMMA_S3_ACCESS_KEY and STEMMA_S3_SECRET_KEY.",
            ) from error
        if isinstance(error, (BotoCoreError, OSError)) or type(error).__name__ == "S3UploadFailedError":
            raise UnavailableError(
                f"Object storage at {self.endpoint} does not answer ({type(error).__name__}).",
                remedy="See `stemma status`; start it with `stemma start`, or correct STEMMA_S3_ENDPOINT.",
            ) from error


@cache
def storage() -> Storage:
    """The installation's bucket."""
    return Storage(settings())
