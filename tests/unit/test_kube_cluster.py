"""What the operator knows to be live, and whom news concern."""

from __future__ import annotations

from typing import Any

import httpx2

from agent_store.kube.api import Api
from agent_store.kube.cluster import Cluster, Ref
from agent_store.kube.derived import DIRECTORY, LABEL
from agent_store.kube.kinds import BROKER, CONFIG_MAP, LAMBDA_AGENT, ROLE, SECRET, TRIGGER, Kind
from agent_store.kube.metrics import OperatorMetrics
from agent_store.kube.work import Key, WorkQueue, agent_key, directory_key

PETS = agent_key("shop", "pets")


def claims(body: Any) -> frozenset[str]:
    return frozenset(body.get("claims", ()))


def known() -> tuple[Cluster, WorkQueue]:
    queue = WorkQueue()
    return Cluster(queue, claims), queue


def body(name: str, version: int, *, agent: str = "", uid: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**metadata, **({"labels": {LABEL: agent}} if agent else {})}, **more}


async def queued(queue: WorkQueue) -> list[Key]:
    found: list[Key] = []
    while len(queue) > len(found):
        key = await queue.take()
        assert key is not None
        found.append(key)
    for key in found:
        queue.done(key)
    return found


async def test_news_of_a_child_concern_its_agent_and_our_own_echo_nobody() -> None:
    cluster, queue = known()
    cluster.observe(LAMBDA_AGENT, body("pets", 1))
    assert await queued(queue) == [PETS]
    assert cluster.observe(ROLE, body("pets", 2, agent="pets"), own=True)
    assert await queued(queue) == []
    assert not cluster.observe(ROLE, body("pets", 2, agent="pets")), "the watch tells what we know"
    assert await queued(queue) == []
    assert cluster.observe(ROLE, body("pets", 3, agent="pets"))
    assert await queued(queue) == [PETS]
    assert not cluster.observe(ROLE, body("pets", 2, agent="pets"))
    assert [kind for kind, _ in cluster.children("shop", "pets")] == [ROLE]


async def test_a_child_that_is_gone_is_gone_also_when_the_answer_to_a_write_comes_late() -> None:
    cluster, queue = known()
    cluster.observe(LAMBDA_AGENT, body("pets", 1))
    cluster.observe(TRIGGER, body("t", 2, agent="pets"))
    cluster.observe(TRIGGER, body("t", 5, agent="pets"), deleted=True)
    assert cluster.get(TRIGGER, "shop", "t") is None
    assert not cluster.observe(TRIGGER, body("t", 4, agent="pets"), own=True)
    assert cluster.children("shop", "pets") == []
    assert cluster.observe(TRIGGER, body("t", 6, agent="pets"), own=True), "its label was off for a while"
    assert PETS in await queued(queue)


async def test_what_is_foreign_is_not_kept() -> None:
    cluster, queue = known()
    assert not cluster.observe(CONFIG_MAP, body("settings", 1, data={"a": "1"}))
    assert cluster.get(CONFIG_MAP, "shop", "settings") is None
    assert cluster.keys(Ref(CONFIG_MAP, "shop", "settings")) == {"a"}
    cluster.observe(SECRET, body("keys", 2, data={"token": "c2VjcmV0"}))
    assert cluster.keys(Ref(SECRET, "shop", "keys")) == {"token"}
    assert cluster.get(SECRET, "shop", "keys") is None, "no secret stays in memory"
    assert await queued(queue) == []


async def test_what_a_config_map_or_a_secret_holds_has_a_hash() -> None:
    cluster, _ = known()
    ref = Ref(SECRET, "shop", "keys")
    assert cluster.content(ref) == ""
    cluster.observe(SECRET, body("keys", 2, data={"a": "1", "b": "2"}))
    first = cluster.content(ref)
    assert len(first) == 10
    cluster.observe(SECRET, body("keys", 3, data={"b": "2", "a": "1"}))
    assert cluster.content(ref) == first, "the order of keys and what is noted on it do not count"
    seen = {first}
    for version, data in enumerate(({"a": "1", "b": "3"}, {"a": "1"}, {"a": "1b2"}, {"a1": "b", "2": ""}, {}), 4):
        cluster.observe(SECRET, body("keys", version, data=data))
        seen.add(cluster.content(ref))
    assert len(seen) == 6
    cluster.observe(SECRET, body("keys", 20), deleted=True)
    assert cluster.content(ref) == ""


async def test_who_names_a_config_map_a_secret_or_a_broker_hears_of_it() -> None:
    cluster, queue = known()
    refs = [Ref(CONFIG_MAP, "shop", "prompts"), Ref(SECRET, "shop", "keys"), Ref(BROKER, "shop", "default")]
    cluster.interest(PETS, refs)
    for version, (kind, name) in enumerate(((CONFIG_MAP, "prompts"), (SECRET, "keys"), (BROKER, "default")), 1):
        cluster.observe(kind, body(name, version))
        assert await queued(queue) == [PETS]
        cluster.observe(kind, body(name, version + 10), deleted=True)
        assert await queued(queue) == [PETS]
    cluster.interest(PETS, ())
    cluster.observe(CONFIG_MAP, body("prompts", 30))
    assert await queued(queue) == []


async def test_the_directory_is_its_own_concern() -> None:
    cluster, queue = known()
    cluster.observe(CONFIG_MAP, body(DIRECTORY, 1, data={"directory.yaml": "x"}))
    assert await queued(queue) == [directory_key("shop")]
    assert cluster.get(CONFIG_MAP, "shop", DIRECTORY) is not None
    assert cluster.namespaces() == {"shop"}


def agent(name: str, version: int, born: str, *claimed: str) -> dict[str, Any]:
    found = body(name, version, claims=claimed)
    found["metadata"]["creationTimestamp"] = born
    return found


async def test_the_older_one_has_a_claim_and_the_others_hear_when_it_is_free() -> None:
    cluster, queue = known()
    cluster.observe(LAMBDA_AGENT, agent("b", 1, "2026-01-01T00:00:00Z", "brand pets"))
    cluster.observe(LAMBDA_AGENT, agent("a", 2, "2026-01-02T00:00:00Z", "brand pets", "brand toys"))
    assert cluster.rivals("shop", "b") == {}
    assert cluster.rivals("shop", "a") == {"brand pets": "b"}
    await queued(queue)
    cluster.observe(LAMBDA_AGENT, agent("b", 3, "2026-01-01T00:00:00Z"))
    assert set(await queued(queue)) == {agent_key("shop", "a"), agent_key("shop", "b")}
    assert cluster.rivals("shop", "a") == {}
    cluster.observe(LAMBDA_AGENT, agent("c", 4, "2026-01-02T00:00:00Z", "brand toys"))
    assert cluster.rivals("shop", "c") == {"brand toys": "a"}, "of two of one second the first by name"


def api_of(answers: dict[str, Any]) -> Api:
    def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers.get(request.url.path)
        return httpx2.Response(200, json=found) if found is not None else httpx2.Response(404, json={})

    return Api(httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://kube"), OperatorMetrics())


def listed(version: int, *bodies: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(bodies)}


async def refreshed(cluster: Cluster, kind: Kind, version: int, *bodies: dict[str, Any]) -> None:
    await cluster.refresh(api_of({kind.path(): listed(version, *bodies)}), kind)


async def test_what_a_list_does_not_have_is_gone_unless_it_is_newer_than_the_list() -> None:
    cluster, queue = known()
    cluster.observe(LAMBDA_AGENT, body("pets", 1))
    for name, version in (("old", 2), ("new", 9)):
        cluster.observe(TRIGGER, body(name, version, agent="pets"))
    cluster.interest(PETS, [Ref(SECRET, "shop", "keys")])
    cluster.observe(SECRET, body("keys", 3))
    await queued(queue)
    await refreshed(cluster, TRIGGER, 5, body("other", 4, agent="pets"))
    assert sorted(one["metadata"]["name"] for _, one in cluster.children("shop", "pets")) == ["new", "other"]
    assert await queued(queue) == [PETS]
    await refreshed(cluster, SECRET, 5)
    assert cluster.keys(Ref(SECRET, "shop", "keys")) is None
    assert await queued(queue) == [PETS]


async def test_a_kind_that_the_cluster_loses_takes_its_objects_along() -> None:
    cluster, _ = known()
    there = {TRIGGER.root: {"resources": [{"name": "triggers"}, {"name": "brokers"}]}, TRIGGER.path(): listed(1)}
    assert TRIGGER in await cluster.discover(api_of(there))
    assert cluster.serves(TRIGGER)
    cluster.observe(LAMBDA_AGENT, body("pets", 1))
    cluster.observe(TRIGGER, body("t", 2, agent="pets"))
    assert TRIGGER in await cluster.discover(api_of({}))
    assert not cluster.serves(TRIGGER)
    assert cluster.children("shop", "pets") == []
    await cluster.refresh(api_of({}), TRIGGER)
    assert not cluster.serves(TRIGGER)
