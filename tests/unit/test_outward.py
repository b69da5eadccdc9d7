"""Nobody is sent where they may not go: hosts, addresses, rebinding, redirects."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.adapters.http.outward import Encoded, Outward, TooLarge, UnsafeAddress, host_allowed, is_public
from agent_store.kernel.errors import TemporaryError

HOSTS = ("lookaside.fbsbx.com", "*.whatsapp.net")
URL = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1"
PUBLIC = "157.240.12.7"


class Names:
    """A resolver that answers with the next of its answers each time it is asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Wire(httpx.AsyncBaseTransport):
    """Where the connections went."""

    def __init__(self, status: int = 200, body: bytes = b"content", headers: dict[str, str] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = (status, body, headers or {})
        self.down: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self.down:
            raise httpx.ConnectError("refused")
        status, body, headers = self._answer
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


def outward(names: Names, wire: Wire, trusted: str = "http://127.0.0.1:8080/simulator/graph") -> Outward:
    return Outward(hosts=HOSTS, trusted=trusted, timeout=timedelta(seconds=5), resolve=names, transport=wire)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.254",
        "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "255.255.255.255",
        "240.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1",
        "2001:db8::1", "fec0::1", "::127.0.0.1", "100::1", "3fff::1", "no address", "",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_public_internet_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "100.63.255.255", "2a03:2880:f10c:83::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_known(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_what_is_public_here_is_public_for_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)) and not (isinstance(address, ipaddress.IPv6Address) and int(address) >> 96 == 0x64FF9B):
        held = getattr(address, "ipv4_mapped", None) or address
        assert held.is_global
        assert not any((held.is_multicast, held.is_reserved, held.is_loopback, held.is_link_local))


def test_a_star_stands_for_every_name_under_one_and_not_for_itself() -> None:
    assert host_allowed("mmg.whatsapp.net", HOSTS)
    assert host_allowed("a.b.whatsapp.net", HOSTS)
    assert not host_allowed("whatsapp.net", HOSTS)
    assert not host_allowed("evilwhatsapp.net", HOSTS)
    assert not host_allowed("lookaside.fbsbx.com.evil.example", HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "http://lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com:8443/x",
        "https://lookaside.fbsbx.com@evil.example/x",
        "https://user:pass@lookaside.fbsbx.com/x",
        "https://evil.example/x",
        "https://lookaside.fbsbx.com.evil.example/x",
        f"https://{PUBLIC}/x",
        "https://[::1]/x",
        "https://127.0.0.1/x",
        "http://127.0.0.1:8081/simulator/graph",
        "https://127.0.0.1:8080/x",
        "http://localhost:8080/x",
        "file:///etc/passwd",
        "gopher://lookaside.fbsbx.com/",
        "//lookaside.fbsbx.com/x",
        "lookaside.fbsbx.com",
        "https://",
        "https://lookaside.fbsbx.com\\@evil.example/",
        "",
    ],
)
async def test_an_address_that_may_not_be_called_is_not_even_looked_up(url: str) -> None:
    names, wire = Names([PUBLIC]), Wire()
    async with outward(names, wire) as out:
        with pytest.raises(UnsafeAddress):
            await out.get(url, limit=100)
    assert not names.asked
    assert not wire.requests


async def test_the_connection_goes_to_the_address_that_was_checked_and_the_name_stays_that_of_the_certificate() -> None:
    names, wire = Names([PUBLIC], ["127.0.0.1"]), Wire()
    async with outward(names, wire) as out:
        answer = await out.get(URL, limit=100, headers={"Authorization": "Bearer t"})
    assert answer.body == b"content"
    assert names.asked == ["lookaside.fbsbx.com"]  # once: who answers otherwise the next time is not asked
    (request,) = wire.requests
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "lookaside.fbsbx.com"
    assert request.extensions["sni_hostname"] == "lookaside.fbsbx.com"
    assert request.url.raw_path == b"/whatsapp_business/attachments/?mid=1"
    assert request.headers["authorization"] == "Bearer t"


async def test_a_name_that_answers_otherwise_the_next_time_is_refused_the_next_time() -> None:
    names, wire = Names([PUBLIC], ["10.0.0.1"]), Wire()
    async with outward(names, wire) as out:
        await out.get(URL, limit=100)
        with pytest.raises(UnsafeAddress):
            await out.get(URL, limit=100)
    assert [request.url.host for request in wire.requests] == [PUBLIC]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1"])
async def test_one_private_address_among_public_ones_is_enough_to_refuse(address: str) -> None:
    names, wire = Names([PUBLIC, address]), Wire()
    async with outward(names, wire) as out:
        with pytest.raises(UnsafeAddress, match="not of the public internet"):
            await out.get(URL, limit=100)
    assert not wire.requests


async def test_another_address_of_the_name_is_tried_when_one_takes_no_connection() -> None:
    names, wire = Names([PUBLIC, "2a03:2880:f10c:83::1"]), Wire()
    wire.down.add(PUBLIC)
    async with outward(names, wire) as out:
        assert (await out.get(URL, limit=100)).status == 200
        wire.down.add("2a03:2880:f10c:83::1")
        with pytest.raises(TemporaryError) as failure:
            await out.get(URL, limit=100)
    assert failure.value.away


async def test_a_redirect_is_not_followed() -> None:
    names, wire = Names([PUBLIC]), Wire(302, headers={"location": "http://169.254.169.254/latest/meta-data"})
    async with outward(names, wire) as out:
        with pytest.raises(UnsafeAddress, match="redirect"):
            await out.get(URL, limit=100)
    assert len(wire.requests) == 1


async def test_what_is_too_large_is_not_taken_whatever_length_was_told() -> None:
    for headers in ({"content-length": "101"}, {"content-length": "9" * 30}, {}):
        async with outward(Names([PUBLIC]), Wire(body=b"x" * 101, headers=headers)) as out:
            with pytest.raises(TooLarge):
                await out.get(URL, limit=100)
    async with outward(Names([PUBLIC]), Wire(body=b"x" * 100)) as out:
        assert len((await out.get(URL, limit=100)).body) == 100


async def test_what_comes_compressed_is_not_taken() -> None:
    async with outward(Names([PUBLIC]), Wire(headers={"content-encoding": "gzip"})) as out:
        with pytest.raises(Encoded):
            await out.get(URL, limit=100)


async def test_the_body_of_a_failure_is_not_read() -> None:
    async with outward(Names([PUBLIC]), Wire(404, body=b"x" * 500)) as out:
        assert (await out.get(URL, limit=100)).body == b""


async def test_without_a_list_of_hosts_everybody_public_may_be_called() -> None:
    names, wire = Names([PUBLIC]), Wire()
    async with Outward(
        hosts=None, trusted="http://shop", timeout=timedelta(seconds=5), resolve=names, transport=wire
    ) as out:
        await out.get("https://pictures.example/a.png", limit=100)
        with pytest.raises(UnsafeAddress):
            await out.get("http://pictures.example/a.png", limit=100)
        with pytest.raises(UnsafeAddress):
            await out.get("https://10.0.0.1/a.png", limit=100)
