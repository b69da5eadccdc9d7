"""What is around a LambdaAgent: the Broker's address, the prompt's text, Secrets and ConfigMaps it names. What is missing
becomes a finding that says what to do, and holds the workload back until it is there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent_store.kube.api import Api, version_of
from agent_store.kube.cluster import Cluster, Ref
from agent_store.kube.derived import (
    PROMPT_KEY,
    Around,
    Facts,
    Prompt,
    digest,
    needed_config_maps,
    needed_secrets,
    sources_of,
    subscriptions_of,
    unknown_of,
)
from agent_store.kube.kinds import BROKER, CONFIG_MAP, KNATIVE_SERVICE, POD_MONITOR, SECRET, TRIGGER, part
from agent_store.kube.model import ConditionType, ConfigMapKey, LambdaAgent
from agent_store.kube.status import Finding, dead_letters, fine, knative_ready, pending, wrong

_TEXT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Options:
    """How this operator works. Durations in seconds."""

    version: str
    """Its own; the tag of images that name none."""
    known: Mapping[str, Facts]
    """The agents that it knows, by name."""
    namespaces: tuple[str, ...] = ()
    """Only these; empty: all."""
    leave: float = 5.0
    """Between a brand's leaving of the directory and the end of its Triggers: routers learn of it, what is on its way
    arrives."""
    drain: float = 30.0
    """Between the readiness of a changed Trigger and the end of the old one: what waits in its queue is delivered."""
    resync: float = 600.0
    """All is read and compared anew, whatever the watches have said."""
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    """More environment variables for all agents."""


@dataclass
class Surroundings:
    around: Around
    findings: dict[ConditionType, Finding]
    held: Finding | None = None
    """Why the workload is left as it is."""


class Texts:
    """Reads texts out of ConfigMaps; one that has not changed is read once."""

    def __init__(self, api: Api, cluster: Cluster) -> None:
        self._api, self._cluster = api, cluster
        self._kept: OrderedDict[Ref, tuple[int, dict[str, str]]] = OrderedDict()
        self._size = 0

    async def read(self, ref: Ref, key: str) -> str | None:
        """None when the ConfigMap or the key is not there. Raises ApiError and Unreachable."""
        keys = self._cluster.keys(ref)
        if keys is None or key not in keys:
            return None
        kept = self._kept.get(ref)
        if kept is None or kept[0] < self._cluster.version(ref):
            live = await self._api.get(CONFIG_MAP, ref.namespace, ref.name)
            if live is None:
                return None
            kept = (version_of(live), {str(name): str(text) for name, text in part(live, "data").items()})
            self._keep(ref, kept)
        else:
            self._kept.move_to_end(ref)
        return kept[1].get(key)

    def _keep(self, ref: Ref, kept: tuple[int, dict[str, str]]) -> None:
        if (old := self._kept.pop(ref, None)) is not None:
            self._size -= _size(old[1])
        self._kept[ref] = kept
        self._size += _size(kept[1])
        while self._size > _TEXT_BYTES and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self._size -= _size(gone)


def _size(texts: Mapping[str, str]) -> int:
    return sum(len(text) for text in texts.values())


def refs_of(agent: LambdaAgent) -> set[Ref]:
    """What this agent names: when one of these changes, it is to be looked at."""
    namespace, spec = agent.meta.namespace, agent.spec
    found = _sources(agent)
    found.add(Ref(BROKER, namespace, spec.eventing.broker))
    if spec.behavior.system_prompt_from is not None:
        found.add(Ref(CONFIG_MAP, namespace, spec.behavior.system_prompt_from.config_map.name))
    if spec.brand is not None and spec.brand.catalog is not None:
        found.add(Ref(CONFIG_MAP, namespace, spec.brand.catalog.config_map.name))
    return found


def _sources(agent: LambdaAgent) -> set[Ref]:
    kinds = {"ConfigMap": CONFIG_MAP, "Secret": SECRET}
    return {Ref(kinds[kind], agent.meta.namespace, name) for kind, name in sources_of(agent)}


def _hash_of(sources: set[Ref], cluster: Cluster) -> str:
    held = sorted((ref.kind.name, ref.name, cluster.content(ref)) for ref in sources)
    return digest(held) if held else ""


async def look_around(agent: LambdaAgent, cluster: Cluster, texts: Texts, options: Options) -> Surroundings:
    """Raises ApiError and Unreachable."""
    findings: dict[ConditionType, Finding] = {}
    holds: list[Finding] = []
    wants_events = bool(subscriptions_of(agent, options.known))

    broker_url = _broker(agent, cluster, findings, holds, wants_events)
    stable, canary = await _prompts(agent, cluster, texts, findings, holds)
    holds += _missing(agent, cluster)
    if agent.spec.scaling.mode == "knative" and not cluster.serves(KNATIVE_SERVICE):
        holds.append(wrong(
            "KnativeServingMissing",
            "the cluster has no Knative Serving: install it, or say scaling.mode: deployment (or auto)",
        ))  # fmt: skip
    if unknown := unknown_of(agent, options.known):
        found = wrong(
            "UnknownAgent",
            f"run: nobody has said what {', '.join(unknown)} listens to: say so in eventing.subscriptions",
        )
        findings["SubscriptionsReady"] = found
        holds.append(found)
    catalog = ""
    if agent.spec.brand is not None and agent.spec.brand.catalog is not None:
        catalog = await _text(agent, agent.spec.brand.catalog.config_map, texts) or ""
    around = Around(
        version=options.version,
        known=options.known,
        serving=cluster.serves(KNATIVE_SERVICE),
        pod_monitor=cluster.serves(POD_MONITOR),
        broker_url=broker_url,
        stable=stable,
        canary=canary,
        catalog=catalog,
        sources=_hash_of(_sources(agent), cluster),
        extra=options.extra,
    )
    return Surroundings(around, findings, holds[0] if holds else None)


def _broker(
    agent: LambdaAgent,
    cluster: Cluster,
    findings: dict[ConditionType, Finding],
    holds: list[Finding],
    wants_events: bool,
) -> str:
    name, namespace = agent.spec.eventing.broker, agent.meta.namespace
    if not cluster.serves(BROKER) or not cluster.serves(TRIGGER):
        missing = wrong(
            "KnativeEventingMissing", "the cluster has no Knative Eventing: install it, with a Broker class of RabbitMQ"
        )
        findings["SubscriptionsReady"] = missing
        findings["DeadLetterReady"] = pending("KnativeEventingMissing", missing.message)
        holds.append(missing)
        return ""
    broker = cluster.get(BROKER, namespace, name)
    if broker is None:
        missing = wrong(
            "BrokerMissing", f"there is no Broker {name!r} in namespace {namespace}: create it, or name another one"
        )
        findings["SubscriptionsReady"] = missing
        findings["DeadLetterReady"] = pending("BrokerMissing", missing.message)
        holds.append(missing)
        return ""
    ready = knative_ready(broker)
    if ready.truth != "True":
        findings["SubscriptionsReady"] = ready._replace(reason="BrokerNotReady")
    if agent.spec.eventing.dead_letter_sink is not None:
        findings["DeadLetterReady"] = fine("OwnSink", "its Triggers have a dead-letter sink of their own")
    elif wants_events:
        findings["DeadLetterReady"] = dead_letters(broker)
    else:
        findings["DeadLetterReady"] = fine("NotNeeded", "it listens to nothing")
    url = str(part(broker, "status", "address").get("url") or "")
    if not url:
        holds.append(pending("BrokerNotReady", f"Broker {name} has no address yet: {ready.message or ready.reason}"))
    return url


async def _prompts(
    agent: LambdaAgent,
    cluster: Cluster,
    texts: Texts,
    findings: dict[ConditionType, Finding],
    holds: list[Finding],
) -> tuple[Prompt | None, Prompt | None]:
    """The stable one and the canary."""
    behavior, used = agent.spec.behavior, agent.status.prompt
    source = behavior.system_prompt_from
    if source is None:
        if not behavior.system_prompt:
            findings["PromptResolved"] = fine("NoPrompt", "it has no prompt of its own")
            return None, None
        wanted = Prompt(behavior.system_prompt)
        findings["PromptResolved"] = fine("Inline")
    else:
        text = await _text(agent, source.config_map, texts)
        if not text:
            missing = _no_prompt(agent, source.config_map, cluster)
            before = _revision(agent, cluster, used.stable)
            if before is None:
                holds.append(missing)
                findings["PromptResolved"] = missing
                return None, None
            findings["PromptResolved"] = missing._replace(message=f"{missing.message}; the last prompt stays in use")
            return before, _revision(agent, cluster, used.canary)
        wanted = Prompt(text)
        findings["PromptResolved"] = fine(
            "Resolved", f"ConfigMap {source.config_map.name}, key {source.config_map.key}"
        )
    share = agent.spec.rollout.canary_percent
    before = _revision(agent, cluster, used.stable) if used.stable != wanted.hash and 0 < share < 100 else None
    if before is None:
        return wanted, None
    findings["PromptResolved"] = fine(
        "Canary", f"{share} % of conversations have the new prompt; promote it by rollout.canaryPercent 0 or 100"
    )
    return before, wanted


def _no_prompt(agent: LambdaAgent, source: ConfigMapKey, cluster: Cluster) -> Finding:
    keys = cluster.keys(Ref(CONFIG_MAP, agent.meta.namespace, source.name))
    found = _absent(keys, "ConfigMap", source.name, source.key, "the prompt needs")
    return found or wrong("PromptEmpty", f"ConfigMap {source.name}: the key {source.key} is empty: write the prompt")


def _revision(agent: LambdaAgent, cluster: Cluster, hashed: str) -> Prompt | None:
    """A prompt of before, out of its immutable ConfigMap."""
    if not hashed:
        return None
    live = cluster.get(CONFIG_MAP, agent.meta.namespace, f"{agent.meta.name}-prompt-{hashed}")
    text = str(part(live, "data").get(PROMPT_KEY) or "")
    prompt = Prompt(text)
    return prompt if text and prompt.hash == hashed else None


async def _text(agent: LambdaAgent, source: ConfigMapKey, texts: Texts) -> str | None:
    return await texts.read(Ref(CONFIG_MAP, agent.meta.namespace, source.name), source.key)


def _missing(agent: LambdaAgent, cluster: Cluster) -> list[Finding]:
    found: list[Finding] = []
    for kind, needed in ((SECRET, needed_secrets(agent)), (CONFIG_MAP, needed_config_maps(agent))):
        for name, key in sorted(needed):
            keys = cluster.keys(Ref(kind, agent.meta.namespace, name))
            if (missing := _absent(keys, kind.name, name, key, "the pods need")) is not None:
                found.append(missing)
    return found


def catalog_missing(agent: LambdaAgent, cluster: Cluster) -> Finding | None:
    brand = agent.spec.brand
    if brand is None or brand.catalog is None:
        return None
    source = brand.catalog.config_map
    keys = cluster.keys(Ref(CONFIG_MAP, agent.meta.namespace, source.name))
    return _absent(keys, "ConfigMap", source.name, source.key, "the catalogue needs")


def _absent(keys: frozenset[str] | None, kind: str, name: str, key: str, who: str) -> Finding | None:
    if keys is None:
        needs = f" with the key {key}" if key else ""
        return wrong(f"{kind}Missing", f"{kind} {name} is not there, and {who} it: create it{needs}")
    if key and key not in keys:
        return wrong("KeyMissing", f"{kind} {name} has no key {key}, and {who} it: add it")
    return None
