"""Which of several operators acts: the holder of a `coordination.k8s.io` Lease.

As Kubernetes' own controllers do it: the holder renews; who sees a lease that has not changed for its whole duration, by
its own clock, takes it. Clocks of machines are never compared. A holder that was stopped (a paused container, a machine
asleep) finds by its own clock that its time is over before it writes anything.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from agent_store.kube.api import Api, ApiError, NotLeading, Unreachable
from agent_store.kube.derived import Object
from agent_store.kube.kinds import LEASE

_log = structlog.get_logger(__name__)


def steady() -> float:
    """Seconds that also pass while the machine is asleep, where the system can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True)
class Terms:
    """In seconds. `renew_within` is shorter than `duration`: the old holder stops before a new one may begin."""

    duration: float = 15.0
    renew_within: float = 10.0
    every: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.every < self.renew_within < self.duration:
            raise ValueError("a lease is renewed more often than it must be, and must be before it ends")


class Lease:
    """`api` must not ask this lease whether it may write."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        holder: str,
        terms: Terms | None = None,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._api = api
        self._namespace, self._name, self.holder = namespace, name, holder
        self._terms = terms or Terms()
        self._clock = clock
        self._until = float("-inf")
        self._seen: tuple[str, str, int] | None = None
        """Holder, time and version of the lease as it was last seen to change, and when that was."""
        self._seen_at = 0.0

    def held(self) -> bool:
        """May this process write now? Costs less than a microsecond."""
        return self._clock() < self._until

    async def acquire(self) -> None:
        """Returns when it is ours. Waits through failures: there is nothing else to do."""
        while not await self._try():  # noqa: ASYNC110  # what it waits for is in another process
            await asyncio.sleep(self._terms.every * random.uniform(1.0, 1.2))

    async def keep(self) -> None:
        """Renews it. Returns when it is lost; until then it is `held`, but for the last moment."""
        while self.held():
            await asyncio.sleep(min(self._terms.every, max(0.0, self._until - self._clock())))
            if not self.held():
                break
            await self._try()
        self._until = float("-inf")

    async def release(self) -> None:
        """The next one need not wait. Nothing is said when it is not ours any more."""
        if not self.held():
            return
        try:
            live = await self._api.get(LEASE, self._namespace, self._name)
            if live is not None and live["spec"].get("holderIdentity") == self.holder and self.held():
                body = {**live, "spec": {**live["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}
                self._until = float("-inf")
                await self._api.replace(LEASE, self._namespace, self._name, body)
        except (ApiError, Unreachable) as error:
            _log.warning("the lease was not given back; it runs out by itself", error=str(error))
        finally:
            self._until = float("-inf")

    async def _try(self) -> bool:
        """One attempt to take or to renew it. The time that is granted counts from before the request was sent."""
        began = self._clock()
        try:
            async with asyncio.timeout(self._terms.renew_within / 2):
                live = await self._api.get(LEASE, self._namespace, self._name)
                if live is None:
                    body = {
                        "apiVersion": LEASE.api_version,
                        "kind": LEASE.name,
                        "metadata": {"name": self._name, "namespace": self._namespace},
                        "spec": self._spec({}),
                    }
                    await self._api.create(LEASE, self._namespace, body)
                elif self._free(live):
                    body = {**live, "spec": self._spec(live["spec"])}
                    await self._api.replace(LEASE, self._namespace, self._name, body)
                else:
                    self._until = float("-inf")
                    return False
        except ApiError as error:
            if error.status == 409:  # somebody else was quicker: look again
                return False
            _log.warning("the lease was not taken or renewed", error=error.message, status=error.status)
            return False
        except (Unreachable, TimeoutError, NotLeading) as error:
            _log.warning("the lease was not taken or renewed", error=str(error) or "no answer in time")
            return False
        self._until = began + self._terms.renew_within
        return self.held()

    def _free(self, live: Object) -> bool:
        """Ours, nobody's, or not renewed for as long as it lasts (by our clock, since we saw it change)."""
        spec = live["spec"]
        holder = str(spec.get("holderIdentity") or "")
        seen = (holder, str(spec.get("renewTime") or ""), int(spec.get("leaseTransitions") or 0))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        if not holder or holder == self.holder:
            return True
        lasts = float(spec.get("leaseDurationSeconds") or self._terms.duration)
        return self._clock() - self._seen_at >= lasts

    def _spec(self, old: Object) -> Object:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        mine = old.get("holderIdentity") == self.holder
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": max(1, round(self._terms.duration)),
            "acquireTime": old.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if mine else 1),
        }
