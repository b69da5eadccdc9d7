"""Signature Version 4 against the examples that Amazon publishes for S3."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from agent_store.adapters.storage.sigv4 import authorization

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AT = datetime(2013, 5, 24, tzinfo=UTC)
NOTHING = hashlib.sha256(b"").hexdigest()
PUT = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()
HOST = {"Host": "examplebucket.s3.amazonaws.com", "x-amz-date": "20130524T000000Z"}


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "payload", "signed", "signature"),
    [
        (
            "GET", "/test.txt", {}, {"Range": "bytes=0-9"}, NOTHING, "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT", "/test$file.text", {},
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}, PUT,
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET", "/", {"lifecycle": ""}, {}, NOTHING, "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET", "/", {"max-keys": "2", "prefix": "J"}, {}, NOTHING, "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["get object", "put object", "get lifecycle", "list objects"],
)  # fmt: skip
def test_the_published_examples_have_their_signatures(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], payload: str, signed: str, signature: str
) -> None:
    assert authorization(
        method=method, path=path, query=query, headers={**HOST, **headers, "x-amz-content-sha256": payload},
        payload_sha256=payload, at=AT, region="us-east-1", access_key=KEY, secret_key=SECRET,
    ) == (
        f"AWS4-HMAC-SHA256 Credential={KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders={signed},Signature={signature}"
    )  # fmt: skip
