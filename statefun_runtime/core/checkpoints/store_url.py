"""The URL of a place in an object store: `s3://BUCKET/PREFIX`, `gs://…`, `az://…`."""

import re
from dataclasses import dataclass

# Flink's file systems for S3 have names of their own for the same.
_SCHEMES = {"s3": "s3", "s3a": "s3", "s3p": "s3", "gs": "gs", "az": "az"}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}[A-Za-z0-9]")
_PREFIX_PART = re.compile(r"[A-Za-z0-9._=+-]+")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A bucket (in Azure a container), and what the keys of all objects begin with; it may be empty."""

    scheme: str
    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """Return the key of an object with this name."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def under(self, name: str) -> "StoreUrl":
        """Return the place of this name below this one."""
        return StoreUrl(self.scheme, self.bucket, self.key(name))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def is_store_url(text: str) -> bool:
    """Return whether a text begins like a URL of an object store."""
    scheme, colon, _ = text.partition("://")
    return bool(colon) and scheme.lower() in _SCHEMES


def parse_store_url(text: str) -> StoreUrl:
    """Return what a URL says; raise ValueError with what is wrong, in which no part is that may be a secret."""
    scheme, colon, rest = text.strip().partition("://")
    if not colon:
        raise ValueError("is no URL: write it like s3://bucket/shop, or file:///mnt/shop")
    if scheme.lower() not in _SCHEMES:
        raise ValueError(f"has the scheme {scheme!r}, which is none of s3, gs, az and file")
    for sign, what in (("@", "credentials"), ("?", "a query"), ("#", "a fragment")):
        if sign in rest:
            raise ValueError(
                f"has {what}, marked by {sign!r}: credentials and the endpoint come from the environment"
            )
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise ValueError(f"names no bucket: write it like {scheme}://bucket/shop")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"names {bucket!r}, which cannot be the name of a bucket")
    prefix = prefix.rstrip("/")
    for part in prefix.split("/") if prefix else ():
        if not _PREFIX_PART.fullmatch(part) or part in (".", ".."):
            raise ValueError(
                f"has {part!r} between its slashes: letters, digits and . _ = + - can be there"
            )
    return StoreUrl(_SCHEMES[scheme.lower()], bucket, prefix)
