"""GET from addresses that somebody else names, without being sent where nobody may go (server-side request forgery).

Only https, only hosts that are allowed, only addresses of the public internet, and the connection goes to the very address
that was looked at: a name that answers differently the second time gains nothing. Redirects are never followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from agent_store.kernel.errors import PermanentError, TemporaryError

Resolve = Callable[[str], Awaitable[Sequence[str]]]
_TRIED_ADDRESSES = 3
_LOOKING_UP_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_GLOBAL = tuple(
    ipaddress.ip_network(net)
    for net in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
"""IPv4 that is no host of the public internet. Source: IANA IPv4 Special-Purpose Address Registry."""
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_V6 = tuple(ipaddress.IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
"""Within the global unicast range. Source: IANA IPv6 Special-Purpose Address Registry."""


class UnsafeAddress(PermanentError):
    """Nothing is fetched from there; the message says why."""

    code = "unsafe-address"


class TooLarge(PermanentError):
    code = "too-large"


class Encoded(PermanentError):
    """It came compressed, which was not asked for: its size says nothing."""

    code = "encoded"


@dataclass(frozen=True)
class Fetched:
    """The body is empty unless the status is 2xx."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def is_public(address: str) -> bool:
    """Is it a host's address in the public internet? One that holds an IPv4 address is as public as that."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _LOOKING_UP_NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        else:
            return found in _GLOBAL_V6 and not any(found in net for net in _NOT_GLOBAL_V6)
    return not any(found in net for net in _NOT_GLOBAL)


def host_allowed(host: str, hosts: Sequence[str]) -> bool:
    """`hosts`: names, or `*.example.com` for every name under one."""
    return any(
        host.endswith(allowed[1:]) and len(host) >= len(allowed) if allowed.startswith("*.") else host == allowed
        for allowed in hosts
    )


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None when it has none of them, or names a user."""
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError):
        return None
    if found.scheme not in ("http", "https") or not found.host or found.userinfo:
        return None
    host = found.raw_host.decode("ascii").lower().strip("[]").rstrip(".")
    return found.scheme, host, found.port or (443 if found.scheme == "https" else 80)


async def resolve(host: str) -> Sequence[str]:
    """Every address of a name. Raises TemporaryError when it has none now."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TemporaryError(f"{host} has no address now", code="unreachable") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Outward:
    """`hosts`: who may be called; None: whoever is public. `trusted`: the URL of a server of the operator's own choice,
    which may be anywhere and speak plain http. `timeout` bounds one answer from first to last byte."""

    def __init__(
        self,
        *,
        hosts: Sequence[str] | None,
        trusted: str,
        timeout: timedelta,
        connect_timeout: timedelta = timedelta(seconds=5),
        resolve: Resolve = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = None if hosts is None else [host.lower() for host in hosts]
        self._trusted = origin_of(trusted)
        self._total = timeout.total_seconds()
        self._connect = connect_timeout.total_seconds()
        self._resolve = resolve
        self._transport = transport
        self._made: httpx.AsyncClient | None = None

    @property
    def _client(self) -> httpx.AsyncClient:
        """Made when it is first needed: the certificates take their time to load."""
        if self._made is None:
            self._made = httpx.AsyncClient(
                timeout=httpx.Timeout(self._total, connect=self._connect),
                # A connection is to an address: kept open, it could be taken for another name that has the same.
                limits=httpx.Limits(max_keepalive_connections=0),
                verify=httpx.create_ssl_context(),
                transport=self._transport,
                follow_redirects=False,
                trust_env=False,  # a proxy would look the name up once more
            )
        return self._made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._made is not None:
            await self._made.aclose()
            self._made = None

    async def get(self, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Fetched:
        """Raises UnsafeAddress, TooLarge (over `limit` bytes), Encoded, and TemporaryError: with the code "unreachable"
        when there is no connection, "slow" or "broken" when the answer did not end."""
        origin = self._vetted(url)
        try:
            async with asyncio.timeout(self._total):
                if origin == self._trusted:
                    return await self._ask(httpx.URL(url), limit, dict(headers or {}), {})
                return await self._ask_public(url, origin[1], limit, headers or {})
        except TimeoutError as error:
            raise TemporaryError(
                f"{origin[1]} did not send all of it in {self._total:g} seconds", code="slow"
            ) from error

    def _vetted(self, url: str) -> tuple[str, str, int]:
        origin = origin_of(url)
        if origin is None:
            raise UnsafeAddress("this is no http(s) address")
        if origin == self._trusted:
            return origin
        scheme, host, port = origin
        if scheme != "https" or port != 443:
            raise UnsafeAddress(f"{host}: only https on its own port is called")
        if self._hosts is not None and not host_allowed(host, self._hosts):
            raise UnsafeAddress(f"{host} is not among the hosts that may be called")
        return origin

    async def _ask_public(self, url: str, host: str, limit: int, headers: Mapping[str, str]) -> Fetched:
        addresses = await self._addresses(host)
        extensions = {"sni_hostname": host}  # the certificate is checked for the name, not for the address
        failure: TemporaryError | None = None
        for address in addresses[:_TRIED_ADDRESSES]:
            target = httpx.URL(url).copy_with(host=address)
            try:
                return await self._ask(target, limit, {**headers, "Host": host}, extensions)
            except TemporaryError as error:
                if error.code != "unreachable":
                    raise
                failure = error
        raise failure or TemporaryError(f"{host} has no address now", code="unreachable")

    async def _addresses(self, host: str) -> Sequence[str]:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            addresses = await self._resolve(host)
        else:
            addresses = [host]
        for address in addresses:
            if not is_public(address):
                raise UnsafeAddress(f"{host} has an address that is not of the public internet")
        return addresses

    async def _ask(self, url: httpx.URL, limit: int, headers: dict[str, str], extensions: dict[str, Any]) -> Fetched:
        headers |= {"Accept-Encoding": "identity", "User-Agent": "agent-store"}
        try:
            async with self._client.stream("GET", url, headers=headers, extensions=extensions) as answer:
                if answer.is_redirect:
                    raise UnsafeAddress("it answers with a redirect, and none is followed")
                body = await _body(answer, limit) if answer.is_success else b""
                return Fetched(answer.status_code, body, answer.headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TemporaryError(f"no connection ({type(error).__name__})", code="unreachable") from error
        except httpx.TransportError as error:
            raise TemporaryError(f"the answer broke off ({type(error).__name__})", code="broken") from error


async def _body(answer: httpx.Response, limit: int) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise Encoded("the answer is compressed, and that was not asked for")
    told = answer.headers.get("content-length", "")
    if told.isdecimal() and (len(told) > 18 or int(told) > limit):
        raise TooLarge(f"it has {told} bytes, and at most {limit} are taken")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > limit:
            raise TooLarge(f"it has more than {limit} bytes")
    return bytes(body)
