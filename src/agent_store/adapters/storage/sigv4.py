"""AWS Signature Version 4 for one request in its `Authorization` header. Pure.

Source: Amazon S3 API reference, "Signature calculations for the Authorization header: transferring a payload in a single
chunk"; its examples are the tests' vectors.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"


def authorization(
    *,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload_sha256: str,
    at: datetime,
    region: str,
    access_key: str,
    secret_key: str,
    service: str = "s3",
) -> str:
    """The header's value. `path` is not encoded yet; every one of `headers` is signed: `host`, `x-amz-date` and
    `x-amz-content-sha256` are to be among them."""
    named = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed = ";".join(sorted(named))
    request = "\n".join(
        (
            method,
            encoded(path),
            "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query)),
            "".join(f"{name}:{named[name]}\n" for name in sorted(named)),
            signed,
            payload_sha256,
        )
    )
    day = at.astimezone(UTC).strftime("%Y%m%d")
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp(at), scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={access_key}/{scope},SignedHeaders={signed},Signature={signature}"


def encoded(path: str) -> str:
    """A path as S3 signs it: encoded once, slashes as they are."""
    return quote(path, safe="/-_.~")


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
