"""The `LambdaAgent` resource: one of them is one running agent. Its CRD and its documentation are generated from here
(`kube.crd`), and the operator reads resources with it.

Fields are camelCase on the wire, as Kubernetes has them, and snake_case here. `Rule`s are CEL validations that the API
server checks: what a type can't say, with a sentence that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP, VERSION, KIND, PLURAL = "agent-store.dev", "v1alpha1", "LambdaAgent", "lambdaagents"
API_VERSION = f"{GROUP}/{VERSION}"
MAX_TRIGGERS = 3
"""Each Trigger has a dispatcher pod of its own."""

NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
KEY = r"^[-._a-zA-Z0-9]{1,253}$"
DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
CONSUMER = r"^[a-z][a-z0-9-]{0,40}$"

Name = Annotated[str, Field(pattern=NAME)]
Key = Annotated[str, Field(pattern=KEY)]
Duration = Annotated[str, Field(pattern=DURATION, max_length=20)]
Text = Annotated[str, Field(max_length=200)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$", max_length=20)]
AttributeName = Annotated[str, Field(pattern=r"^[a-z0-9]{1,20}$")]
Percent = Annotated[int, Field(ge=0, le=100)]


class Rule(NamedTuple):
    """A CEL validation on the object it belongs to (`self`)."""

    rule: str
    message: str


class Part(BaseModel):
    """A part of the resource. Unknown fields are pruned by the API server, and refused when a file is read here."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=AliasGenerator(alias=to_camel), populate_by_name=True
    )
    rules: ClassVar[tuple[Rule, ...]] = ()


class Image(Part):
    """The container image. By digest where one is given, else by tag."""

    repository: str = Field(
        default="ghcr.io/agent-store/agent-store", max_length=300, description="without tag and digest"
    )
    tag: str = Field(default="", pattern=r"^[a-zA-Z0-9_.-]{0,128}$", description="default: the operator's own version")
    digest: str = Field(default="", pattern=r"^(sha256:[0-9a-f]{64})?$", description="wins over the tag")
    port: int = Field(default=8080, ge=1, le=65535, description="where the process listens")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[Name, ...] = Field(default=(), max_length=8, description="names of image pull secrets")


class ConfigMapKey(Part):
    """One key of a ConfigMap in the same namespace."""

    name: Name
    key: Key


class SecretKey(Part):
    """One key of a Secret in the same namespace."""

    name: Name
    key: Key


class Words(Part):
    """Words a language. Portuguese, English, Spanish."""

    pt: tuple[Text, ...] = Field(default=(), max_length=200)
    en: tuple[Text, ...] = Field(default=(), max_length=200)
    es: tuple[Text, ...] = Field(default=(), max_length=200)


class Sentences(Part):
    """A sentence a language."""

    pt: str = Field(default="", max_length=1000)
    en: str = Field(default="", max_length=1000)
    es: str = Field(default="", max_length=1000)


class Catalog(Part):
    """Where the brand's products come from. Larger catalogues are imported over the API."""

    config_map: ConfigMapKey = Field(description="a catalogue file (YAML) in a ConfigMap; imported when it changes")


class BrandSpec(Part):
    """The shop window that this agent sells for."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="stable: part of names of consumers and tables")
    name: str = Field(min_length=1, max_length=60)
    seller: str = Field(min_length=1, max_length=40, description="the persona's name")
    emoji: str = Field(default="🛍️", max_length=8)
    focus: str = Field(default="", max_length=200, description="what it sells, in some words")
    color: str = Field(default="#444444", pattern=r"^#[0-9a-fA-F]{6}$")
    phone_number_ids: tuple[Annotated[str, Field(pattern=r"^[0-9]{5,20}$")], ...] = Field(
        default=(), max_length=20, description="the Cloud API's ids of its WhatsApp numbers"
    )
    display_phone: str = Field(default="", max_length=30)
    whatsapp_catalog_id: str = Field(
        default="",
        pattern=r"^[0-9]{0,20}$",
        description="the Meta catalogue that its numbers show; without one, products go out as pictures",
    )
    keywords: Words = Field(default_factory=Words, description="words that route to it on the shared number")
    greeting: Sentences = Field(default_factory=Sentences, description="how the seller introduces itself")
    catalog: Catalog | None = None
    tools: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.([a-z][a-z0-9_-]*|\*)$")], ...] = Field(
        default=(),
        max_length=50,
        description="tools of added agents that this seller may use: gift-wrapping.options, gift-wrapping.*",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.id == oldSelf.id", "brand.id can't change: make a new LambdaAgent for another brand"),
    )


class SharedNumberSpec(Part):
    """The number on which the brand is found out by asking. Given where the conversations run."""

    name: str = Field(default="Agent Store", min_length=1, max_length=60)
    phone_number_ids: tuple[Annotated[str, Field(pattern=r"^[0-9]{5,20}$")], ...] = Field(default=(), max_length=20)
    display_phone: str = Field(default="", max_length=30)


class Ai(Part):
    """What the agent thinks with."""

    provider: Literal["rules", "ollama", "openai"] = "rules"
    endpoint: str = Field(
        default="", max_length=300, pattern=r"^(https?://.+)?$", description="base URL of the model server"
    )
    model: str = Field(default="", max_length=100)
    max_tokens: int = Field(default=800, ge=1, le=100_000, description="most tokens of one answer")
    temperature: float = Field(default=0.4, ge=0, le=2)
    timeout: Duration = Field(default="20s", description="longest wait for one answer of the model")
    turn_timeout: Duration = Field(default="60s", description="longest turn; then the fallback answers")
    api_key: SecretKey | None = Field(default=None, description="the key of an OpenAI-compatible server")
    fallback: Literal["rules"] = Field(default="rules", description="what answers when the model does not")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.provider == 'rules' || self.model != ''",
            "ai.model: name the model that the provider is to use (llama3.1, gpt-4o-mini …)",
        ),
        Rule(
            "self.provider != 'ollama' || self.endpoint != ''",
            "ai.endpoint: give the address of the Ollama server, like http://ollama.ollama.svc:11434",
        ),
        Rule(
            "self.provider != 'openai' || has(self.apiKey) || self.endpoint != ''",
            "ai.apiKey: name the Secret and key that hold the API key (or ai.endpoint of a server that needs none)",
        ),
    )


class PromptSource(Part):
    """Where a prompt is kept."""

    config_map: ConfigMapKey


class Behavior(Part):
    """How the agent behaves in a conversation."""

    system_prompt: str = Field(default="", max_length=20_000, description="the brand's prompt, inline")
    system_prompt_from: PromptSource | None = Field(default=None, description="the brand's prompt, in a ConfigMap")
    max_context_messages: int = Field(default=20, ge=0, le=100, description="earlier messages that the model is shown")
    emit_events: bool = Field(default=True, description="tell what the customer wants (intents), beside the answers")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.systemPromptFrom) && self.systemPrompt != '')",
            "behavior: give the prompt inline (systemPrompt) or from a ConfigMap (systemPromptFrom), not both",
        ),
    )


class Scaling(Part):
    """How many pods there are."""

    mode: Literal["auto", "knative", "deployment"] = Field(
        default="auto",
        description="knative: a Service that scales to zero; deployment: always on; auto: what the cluster has",
    )
    min_replicas: int = Field(default=0, ge=0, le=100)
    max_replicas: int = Field(default=5, ge=1, le=1000)
    target: int = Field(
        default=10, ge=1, le=1000, description="events and requests at the same time that one pod is to take"
    )
    scale_to_zero_grace: Duration = Field(
        default="30s", description="how long the last pod stays after the last request"
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.minReplicas <= self.maxReplicas", "scaling: minReplicas must not be above maxReplicas"),
        Rule(
            "self.mode != 'deployment' || self.minReplicas >= 1",
            "scaling.minReplicas: a Deployment does not scale to zero; say 1 or more, or mode: knative",
        ),
    )


class Requests(Part):
    cpu: Quantity = "50m"
    memory: Quantity = "128Mi"


class Limits(Part):
    cpu: Quantity | None = Field(default=None, description="none: a pod may use what is free")
    memory: Quantity = "512Mi"


class Resources(Part):
    """What a pod asks for, and may use."""

    requests: Requests = Field(default_factory=Requests)
    limits: Limits = Field(default_factory=Limits)


class FieldRef(Part):
    field_path: str = Field(max_length=100)


class ValueFrom(Part):
    secret_key_ref: SecretKey | None = None
    config_map_key_ref: ConfigMapKey | None = None
    field_ref: FieldRef | None = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(x, x).size() == 1",
            "valueFrom: exactly one of secretKeyRef, configMapKeyRef and fieldRef",
        ),
    )


class Variable(Part):
    """An environment variable of the container."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")
    value: str | None = Field(default=None, max_length=4000)
    value_from: ValueFrom | None = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("!(has(self.value) && has(self.valueFrom))", "env: value or valueFrom, not both"),
    )


class Reference(Part):
    name: Name
    optional: bool = False


class VariablesFrom(Part):
    """All keys of a ConfigMap or a Secret as environment variables."""

    config_map_ref: Reference | None = None
    secret_ref: Reference | None = None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.configMapRef) != has(self.secretRef)", "envFrom: one of configMapRef and secretRef"),
    )


class Subscription(Part):
    """What the Broker is to bring: events whose attributes are all equal to these. Immutable on a Trigger, so a change
    makes a new Trigger and drains the old one."""

    type: str = Field(default="", max_length=200, description="the CloudEvents type; empty: any")
    topic: str = Field(default="", max_length=60, description="the family of events; empty: any")
    attributes: dict[AttributeName, Text] = Field(
        default_factory=dict[str, str], max_length=10, description="other attributes, like brand"
    )


class DeadLetterSink(Part):
    uri: str = Field(pattern=r"^https?://.+", max_length=300)


class Eventing(Part):
    """How events come in. Delivery (retries, time-out, dead letters) is the Broker's, for all its Triggers: a Trigger
    with a delivery of its own but without a sink would bypass the Broker's dead-letter sink."""

    broker: Name = Field(default="default", description="a Broker in the same namespace")
    subscriptions: tuple[Subscription, ...] = Field(
        default=(),
        max_length=MAX_TRIGGERS,
        description="default: what the agents in `run` listen to; needed for agents that this operator does not know",
    )
    parallelism: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="deliveries at a time of a Trigger; default min(100, max replicas × target)",
    )
    retry: int | None = Field(
        default=None, ge=1, le=50, description="tries of a delivery; only with a dead-letter sink"
    )
    backoff_policy: Literal["linear", "exponential"] | None = None
    backoff_delay: str | None = Field(
        default=None, pattern=r"^PT[0-9]+(\.[0-9]+)?S$", description="ISO 8601, like PT0.2S"
    )
    dead_letter_sink: DeadLetterSink | None = Field(default=None, description="instead of the Broker's")
    dispatcher: Resources | None = Field(
        default=None, description="what each Trigger's dispatcher pod asks for, and may use; default: the Broker's own"
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.deadLetterSink) || !(has(self.retry) || has(self.backoffPolicy) || has(self.backoffDelay))",
            "eventing: retry and back-off belong to the Broker's delivery; here they need a deadLetterSink of their own, or failed events would be lost",
        ),
    )


class Tracing(Part):
    endpoint: str = Field(
        default="", max_length=300, pattern=r"^(https?://.+)?$", description="OTLP over HTTP; empty: none"
    )
    ratio: float = Field(default=1.0, ge=0, le=1, description="share of traces that are kept")


class Observability(Part):
    metrics: bool = Field(default=True, description="a PodMonitor, when the cluster has that kind")
    tracing: Tracing = Field(default_factory=Tracing)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class PolicyRule(Part):
    """A rule of a Role. No wildcards."""

    api_groups: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]*$")], ...] = ("",)
    resources: tuple[Annotated[str, Field(pattern=r"^[a-z0-9./-]+$")], ...] = Field(min_length=1, max_length=20)
    resource_names: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")], ...] = Field(
        min_length=1, max_length=50, description="which ones: a whole kind is never granted"
    )
    verbs: tuple[Literal["get", "watch", "list"], ...] = Field(min_length=1, max_length=3)


class Permissions(Part):
    """What the pods may read in the cluster, beyond the directory."""

    rules_: tuple[PolicyRule, ...] = Field(default=(), max_length=20, alias="rules")


class Rollout(Part):
    """How a new prompt comes into use."""

    canary_percent: Percent = Field(
        default=0,
        description="share of conversations that get a new prompt, by the conversation's hash; 0 or 100: all at once",
    )


class LambdaAgentSpec(Part):
    """What is wanted."""

    image: Image = Field(default_factory=Image)
    run: tuple[Annotated[str, Field(pattern=CONSUMER)], ...] = Field(
        default=("seller",), min_length=1, max_length=20, description="the agents in this process"
    )
    brand: BrandSpec | None = Field(default=None, description="for an agent of which there is one a brand: the seller")
    shared_number: SharedNumberSpec | None = None
    ai: Ai = Field(default_factory=Ai)
    behavior: Behavior = Field(default_factory=Behavior)
    scaling: Scaling = Field(default_factory=Scaling)
    visibility: Literal["Cluster", "Public"] = Field(
        default="Cluster", description="Public: reachable from outside (webhooks)"
    )
    resources: Resources = Field(default_factory=Resources)
    env: tuple[Variable, ...] = Field(default=(), max_length=100)
    env_from: tuple[VariablesFrom, ...] = Field(default=(), max_length=20)
    eventing: Eventing = Field(default_factory=Eventing)
    observability: Observability = Field(default_factory=Observability)
    permissions: Permissions = Field(default_factory=Permissions)
    rollout: Rollout = Field(default_factory=Rollout)

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!self.run.exists(name, name == 'seller') || has(self.brand)",
            "brand: a seller sells for one: give its id, name and seller",
        ),
        Rule("has(self.brand) == has(oldSelf.brand)", "brand can't be added or removed: make another LambdaAgent"),
    )


ConditionType = Literal["Ready", "PromptResolved", "WorkloadReady", "SubscriptionsReady", "DeadLetterReady"]


class Condition(Part):
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = Field(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    message: str = ""
    last_transition_time: str
    observed_generation: int = 0


class PromptStatus(Part):
    """Hashes of the prompt revisions in use."""

    stable: str = ""
    canary: str = ""


class LambdaAgentStatus(Part):
    """What is."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    ready: str = Field(default="", description="True, False or Unknown, of the condition Ready")
    url: str = ""
    replicas: int = 0
    selector: str = ""
    prompt: PromptStatus = Field(default_factory=PromptStatus)
    triggers: tuple[str, ...] = ()
    workload: str = Field(default="", description="knative or deployment")


class Meta(NamedTuple):
    """What the operator needs of a resource's metadata."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0


class LambdaAgent(NamedTuple):
    meta: Meta
    spec: LambdaAgentSpec
    status: LambdaAgentStatus

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> LambdaAgent:
        """From a resource as the API server has it. Raises pydantic's ValidationError.

        Status is read leniently: it may be another version's.
        """
        metadata = body["metadata"]
        meta = Meta(
            metadata["name"], metadata["namespace"], metadata.get("uid", ""), int(metadata.get("generation", 0))
        )
        status = dict(body.get("status") or {})
        known = {name for field in LambdaAgentStatus.model_fields.values() if (name := field.alias)}
        status = {name: value for name, value in status.items() if name in known}
        return cls(meta, LambdaAgentSpec.model_validate(body["spec"]), LambdaAgentStatus.model_validate(status))


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """`1m30s`, `200ms` in seconds. Raises ValueError."""
    if not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r}: a duration like 30s, 1m30s or 200ms is expected")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def duration(text: str) -> timedelta:
    return timedelta(seconds=seconds(text))
