"""The API server, as JSON objects: reads, server-side apply, and writes that a lost lease stops.

The connection (address, certificates, a token that is read again when it has changed) is lightkube's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx2
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

from agent_store.kernel.errors import InvalidInput
from agent_store.kube.derived import MANAGER, Object
from agent_store.kube.kinds import Kind
from agent_store.kube.metrics import OperatorMetrics

_PAGE = 500
_SENDS = ("send_request_headers.started", "send_request_body.started")
_LONGEST_PAUSE = 30.0


def version_of(body: Mapping[str, Any]) -> int:
    """`metadata.resourceVersion` as the number that it is, for telling older from newer."""
    return int(body["metadata"].get("resourceVersion") or 0)


class ApiError(Exception):
    """The API server's answer that is an error. `reason` is Kubernetes' (`Conflict`, `Invalid`, `Forbidden` …)."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        """Seconds; 0: it did not say."""

    @property
    def passing(self) -> bool:
        """Says nothing about what was asked: later it may work."""
        return self.status == 429 or self.status >= 500


class Unreachable(Exception):
    """No answer: the API server is away, or the connection broke. A write may have happened."""


class NotLeading(Exception):
    """A write was stopped: the lease is not held any more."""


def connection(timeout: float = 10.0) -> httpx2.AsyncClient:
    """From the pod's service account, KUBECONFIG or ~/.kube/config. Raises InvalidInput.

    `timeout` is in seconds, for each of connecting, sending and reading.
    """
    try:
        config = KubeConfig.from_env().get()
        if config is None:
            raise ConfigError("the file names no current context")
        return AsyncClient(config, ConnectionParams(timeout=httpx2.Timeout(timeout, pool=60.0)))
    except (ConfigError, OSError) as error:
        raise InvalidInput(
            f"no cluster to talk to ({error}): run inside of a cluster, or set KUBECONFIG to a file"
        ) from error


class Api:
    """`may_write` is asked at the last moment before a write leaves this process."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        metrics: OperatorMetrics,
        *,
        may_write: Callable[[], bool] = lambda: True,
        agent: str = MANAGER,
        at_once: int = 24,
    ) -> None:
        """`agent` is the User-Agent header; `at_once` the most requests at a time."""
        self._http = http
        self._metrics = metrics
        self._may_write = may_write
        self._agent = agent
        self._room = asyncio.Semaphore(at_once)
        self._calm = 0.0
        """Loop time before which nothing is sent: the API server asked for it."""

    async def close(self) -> None:
        await self._http.aclose()

    # --- reading -------------------------------------------------------------------------------------------------

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            return await self._ask("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, kind: Kind, namespace: str = "") -> tuple[list[Object], int] | None:
        """All of a kind that its selectors let through, read in pages, and the version at which they were so. None when
        the cluster does not have the kind."""
        found: list[Object] = []
        query = {"limit": str(_PAGE)}
        if kind.label_selector:
            query["labelSelector"] = kind.label_selector
        if kind.field_selector:
            query["fieldSelector"] = kind.field_selector
        while True:
            try:
                page = await self._ask("GET", kind.path(namespace), query)
            except ApiError as error:
                if error.status == 404:
                    return None
                if error.status == 410 and "continue" in query:  # the list's snapshot has expired: from the start
                    del query["continue"]
                    found.clear()
                    continue
                raise
            for item in page["items"]:
                item["apiVersion"], item["kind"] = kind.api_version, kind.name
                found.append(item)
            if not (more := page["metadata"].get("continue")):
                return found, version_of(page)
            query["continue"] = more

    async def serves(self, kind: Kind) -> bool:
        """Does the cluster have this kind?"""
        try:
            found = await self._ask("GET", kind.root)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return any(one["name"] == kind.plural for one in found["resources"])

    # --- writing -------------------------------------------------------------------------------------------------

    async def apply(self, kind: Kind, wanted: Mapping[str, Any], *, version: str = "") -> Object:
        """Server-side apply under our name; what others have set of these fields is taken over. With `version` (of what
        is live) it is refused with a conflict when somebody has written in between."""
        metadata = wanted["metadata"]
        body = {**wanted, "metadata": {**metadata, "resourceVersion": version}} if version else wanted
        return await self._write(
            "apply", kind, kind.path(metadata["namespace"], metadata["name"]), body,
            {"fieldManager": MANAGER, "force": "true"}, "application/apply-patch+yaml",
        )  # fmt: skip

    async def patch(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any], *, part: str = "") -> Object:
        """A JSON merge patch; with metadata.resourceVersion in it, refused when somebody has written in between."""
        return await self._write(
            "patch", kind, kind.path(namespace, name, part), body, {"fieldManager": MANAGER},
            "application/merge-patch+json",
        )  # fmt: skip

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> Object:
        return await self._write("create", kind, kind.path(namespace), body, {"fieldManager": MANAGER})

    async def replace(self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any]) -> Object:
        """Refused when it is not the version in `body` that is live."""
        return await self._write("replace", kind, kind.path(namespace, name), body, {"fieldManager": MANAGER})

    async def delete(self, kind: Kind, live: Mapping[str, Any]) -> Object | None:
        """This very object, as it was seen, and with it what it owns. What is left of it (finalizers), or None."""
        metadata = live["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        }
        try:
            left = await self._write("delete", kind, kind.path(metadata["namespace"], metadata["name"]), body, {})
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return None if left.get("kind") == "Status" else left

    # --- how -----------------------------------------------------------------------------------------------------

    async def _write(
        self,
        verb: str,
        kind: Kind,
        path: str,
        body: Mapping[str, Any],
        query: Mapping[str, str],
        content_type: str = "application/json",
    ) -> Object:
        method = {"apply": "PATCH", "patch": "PATCH", "create": "POST", "replace": "PUT", "delete": "DELETE"}[verb]

        async def last_look(event: str, _: Mapping[str, Any]) -> None:
            """Called by the connection right before the head and before the body: the process may have slept until now.
            A request whose body never comes does nothing."""
            if event.endswith(_SENDS) and not self._may_write():
                raise NotLeading

        if not self._may_write():
            raise NotLeading
        answer = await self._ask(method, path, query, body, content_type, last_look)
        self._metrics.writes.labels(verb, kind.name).inc()
        return answer

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
        trace: Callable[[str, Mapping[str, Any]], Awaitable[None]] | None = None,
    ) -> Object:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if content_type:
            headers["Content-Type"] = content_type
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() if body is not None else None
        async with self._calmly():
            try:
                answer = await self._http.request(
                    method, path, params=query, content=content, headers=headers,
                    extensions={"trace": trace} if trace is not None else None,
                )  # fmt: skip
            except httpx2.HTTPError as error:
                raise Unreachable(f"{method} {path}: {type(error).__name__} {error}".rstrip()) from error
        if answer.is_success:
            return cast("Object", json.loads(answer.content))
        raise self._error(answer)

    @asynccontextmanager
    async def _calmly(self) -> AsyncGenerator[None]:
        """When there is room, and not before the API server has time again."""
        async with self._room:
            if (pause := self._calm - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(pause)
            yield

    def _error(self, answer: httpx2.Response) -> ApiError:
        if answer.status_code != 404:  # that is how one learns that something is not there
            self._metrics.refused.labels(str(answer.status_code)).inc()
        try:
            status = json.loads(answer.content)
        except ValueError:
            status = {}
        if not isinstance(status, dict):
            status = {}
        told = cast("Object", status)
        try:
            after = min(float(answer.headers.get("retry-after", "0")), _LONGEST_PAUSE)
        except ValueError:
            after = 0.0
        if answer.status_code == 429:
            self._calm = max(self._calm, asyncio.get_running_loop().time() + (after or 1.0))
        message = str(told.get("message") or answer.text[:300] or answer.reason_phrase)
        return ApiError(answer.status_code, str(told.get("reason") or answer.reason_phrase), message, after)
