"""What a LambdaAgent is made of: `render(agent, around)` gives its child objects. Pure: the same in, the same out.

The objects are complete (server-side apply, one field manager), in the order in which they are to be applied. Their names
come from the agent's; those of objects that can't change (prompt revisions, Triggers) end in a hash of what they hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from agent_store.kube.derived import (
    BRAND_LABEL,
    COMPONENT,
    DIRECTORY,
    LABEL,
    MANAGER,
    PROMPT_KEY,
    Around,
    Object,
    Prompt,
    Workload,
    consumers_of,
    digest,
    subscriptions_of,
    trigger_name,
    workload_of,
)
from agent_store.kube.listing import listed_brand
from agent_store.kube.model import API_VERSION, KIND, Ai, Catalog, Eventing, LambdaAgent, VariablesFrom, seconds

SOURCES = "agent-store.dev/sources"
"""Annotation of pods: the hash of the Secrets and ConfigMaps that they have read when they started."""
DATA_DIR = "/var/lib/agent-store"
DIRECTORY_DIR = "/etc/agent-store/directory"
PROMPT_DIR = "/etc/agent-store/prompt"

ANSWER_SECONDS = 90
"""Longest request of a Trigger: below the Broker's `delivery.timeout` (100 s), which is below the service's."""
REQUEST_SECONDS = 120
_USER = 65532
_RABBITMQ = "rabbitmq.eventing.knative.dev"
"""Prefix of the annotations of Triggers and Brokers of class RabbitMQBroker."""
_QUEUE_PORTS = (8012, 8013, 8022, 8112, 9090, 9091)
"""Of Knative's queue-proxy: requests, probes, metrics for the autoscaler."""
_OUTSIDE_PORTS = (443, 6443, 5432, 6432, 5671, 5672, 6379, 4318)
"""HTTPS, the API server, PostgreSQL and PgBouncer, RabbitMQ, Redis, OTLP: where they are is the operator's matter."""


def render(agent: LambdaAgent, around: Around) -> list[Object]:
    """Its child objects. Needs the prompt and the Broker's address: without them the pod would not work."""
    workload = workload_of(agent, around)
    objects = [_service_account(agent), _role_binding(agent, DIRECTORY), *_permissions(agent), _network_policy(agent)]
    objects += [_prompt(agent, prompt) for prompt in (around.stable, around.canary) if prompt is not None]
    objects += [_knative_service(agent, around)] if workload == "knative" else _deployment(agent, around)
    objects += [_trigger(agent, attributes, workload) for attributes in subscriptions_of(agent, around.known)]
    brand = agent.spec.brand
    if around.catalog and brand is not None and brand.catalog is not None:
        objects.append(_catalog_job(agent, around, brand.id, brand.catalog))
    if around.pod_monitor and agent.spec.observability.metrics:
        objects.append(_pod_monitor(agent))
    return objects


def labels_of(agent: LambdaAgent) -> dict[str, str]:
    labels = {
        "app.kubernetes.io/name": "agent-store",
        "app.kubernetes.io/instance": agent.meta.name,
        "app.kubernetes.io/part-of": "agent-store",
        "app.kubernetes.io/managed-by": MANAGER,
        LABEL: agent.meta.name,
    }
    if agent.spec.brand is not None:
        labels[BRAND_LABEL] = agent.spec.brand.id
    return labels


def _object(api_version: str, kind: str, agent: LambdaAgent, *, name: str = "", **body: Any) -> Object:
    metadata: Object = {
        "name": name or agent.meta.name,
        "namespace": agent.meta.namespace,
        "labels": labels_of(agent),
        "ownerReferences": [owner_of(agent)],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def owner_of(agent: LambdaAgent) -> Object:
    return {
        "apiVersion": API_VERSION, "kind": KIND, "name": agent.meta.name, "uid": agent.meta.uid,
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def _service_account(agent: LambdaAgent) -> Object:
    secrets = [{"name": name} for name in agent.spec.image.pull_secrets]
    body: Object = {"imagePullSecrets": secrets} if secrets else {}
    return _object("v1", "ServiceAccount", agent, **body)


def _permissions(agent: LambdaAgent) -> list[Object]:
    """What it asks for beyond the directory."""
    rules = [
        {
            "apiGroups": list(rule.api_groups),
            "resources": list(rule.resources),
            "resourceNames": list(rule.resource_names),
            "verbs": list(rule.verbs),
        }
        for rule in agent.spec.permissions.rules_
    ]
    if not rules:
        return []
    name = f"{agent.meta.name}-permissions"
    role = _object("rbac.authorization.k8s.io/v1", "Role", agent, name=name, rules=rules)
    return [role, _role_binding(agent, name, name)]


def _role_binding(agent: LambdaAgent, role: str, name: str = "") -> Object:
    return _object(
        "rbac.authorization.k8s.io/v1", "RoleBinding", agent, name=name,
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        subjects=[{"kind": "ServiceAccount", "name": agent.meta.name, "namespace": agent.meta.namespace}],
    )  # fmt: skip


def prompt_name(agent: LambdaAgent, prompt: Prompt) -> str:
    return f"{agent.meta.name}-prompt-{prompt.hash}"


def _prompt(agent: LambdaAgent, prompt: Prompt) -> Object:
    """A revision: never changed, so what a pod was started with is what it goes on with."""
    return _object(
        "v1", "ConfigMap", agent, name=prompt_name(agent, prompt), immutable=True, data={PROMPT_KEY: prompt.text}
    )


def _template(
    agent: LambdaAgent, around: Around, component: str = "server", annotations: Mapping[str, str] | None = None
) -> Object:
    """The pod. `component` tells those that answer from a Job's."""
    spec = agent.spec
    volumes: list[Object] = [
        {"name": "data", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "directory", "configMap": {"name": DIRECTORY, "optional": True}},
    ]
    mounts: list[Object] = [
        {"name": "data", "mountPath": DATA_DIR},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the pod's own
        {"name": "directory", "mountPath": DIRECTORY_DIR, "readOnly": True},
    ]
    for name, prompt in (("stable", around.stable), ("canary", around.canary)):
        if prompt is not None:
            volumes.append({"name": f"prompt-{name}", "configMap": {"name": prompt_name(agent, prompt)}})
            mounts.append({"name": f"prompt-{name}", "mountPath": f"{PROMPT_DIR}/{name}", "readOnly": True})
    container: Object = {
        "name": "agent",
        "image": image_of(agent, around),
        "imagePullPolicy": spec.image.pull_policy,
        "args": ["serve", *consumers_of(agent, around.known)],
        "ports": [{"name": "http1", "containerPort": spec.image.port}],
        "env": _environment(agent, around),
        **({"envFrom": [_from(source) for source in spec.env_from]} if spec.env_from else {}),
        "resources": _resources(agent),
        "readinessProbe": {"httpGet": {"path": "/readyz"}, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": {"httpGet": {"path": "/healthz"}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }  # fmt: skip
    noted = dict(annotations or {})
    if around.sources and component == "server":
        noted[SOURCES] = around.sources
    metadata: Object = {"labels": {**labels_of(agent), COMPONENT: component}}
    if noted:
        metadata["annotations"] = noted
    return {
        "metadata": metadata,
        "spec": {
            "serviceAccountName": agent.meta.name,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": volumes,
        },
    }  # fmt: skip


def image_of(agent: LambdaAgent, around: Around) -> str:
    image = agent.spec.image
    return f"{image.repository}@{image.digest}" if image.digest else f"{image.repository}:{image.tag or around.version}"


def _environment(agent: LambdaAgent, around: Around) -> list[Object]:
    """Own variables of the resource win: they come last."""
    spec = agent.spec
    values = {
        "AGENT_STORE_HOST": "0.0.0.0",  # noqa: S104  # in the pod's own network
        "AGENT_STORE_PORT": str(spec.image.port),
        "AGENT_STORE_DATA": DATA_DIR,
        "AGENT_STORE_SERVICE": agent.meta.name,
        "AGENT_STORE_BUS": "knative",
        "AGENT_STORE_ANSWER_WITHIN": str(ANSWER_SECONDS),
        "K_SINK": around.broker_url,
        "AGENT_STORE_DIRECTORY": f"{DIRECTORY_DIR}/directory.yaml",
        "AGENT_STORE_DIRECTORY_CONFIGMAP": DIRECTORY,
        "AGENT_STORE_LOG_FORMAT": "json",
        "AGENT_STORE_LOG_LEVEL": spec.observability.log_level,
        **around.extra,
    }
    if spec.brand is not None:
        values |= _thinking(spec.ai)
        values["AGENT_STORE_CONTEXT_MESSAGES"] = str(spec.behavior.max_context_messages)
        values["AGENT_STORE_EMIT_INTENTS"] = "yes" if spec.behavior.emit_events else "no"
        values["AGENT_STORE_BRAND"] = json.dumps(listed_brand(spec.brand), ensure_ascii=False)
        if around.stable is not None:
            values["AGENT_STORE_PROMPT"] = f"{PROMPT_DIR}/stable/{PROMPT_KEY}"
        if around.canary is not None:
            values["AGENT_STORE_PROMPT_CANARY"] = f"{PROMPT_DIR}/canary/{PROMPT_KEY}"
            values["AGENT_STORE_CANARY_PERCENT"] = str(spec.rollout.canary_percent)
    tracing = spec.observability.tracing
    if tracing.endpoint:
        values["OTEL_EXPORTER_OTLP_ENDPOINT"] = tracing.endpoint
        values["OTEL_TRACES_SAMPLER"] = "parentbased_traceidratio"
        values["OTEL_TRACES_SAMPLER_ARG"] = str(tracing.ratio)
    own = {variable.name for variable in spec.env}
    listed: list[Object] = [{"name": name, "value": value} for name, value in values.items() if name not in own]
    if spec.ai.api_key is not None:
        key = spec.ai.api_key
        listed.append(
            {"name": "AGENT_STORE_OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": key.name, "key": key.key}}}
        )
    return listed + [variable.model_dump(by_alias=True, exclude_none=True) for variable in spec.env]


def _thinking(ai: Ai) -> dict[str, str]:
    values = {
        "AGENT_STORE_BRAIN": ai.provider,
        "AGENT_STORE_MODEL_MAX_TOKENS": str(ai.max_tokens),
        "AGENT_STORE_MODEL_TEMPERATURE": f"{ai.temperature:g}",
        "AGENT_STORE_MODEL_TIMEOUT": f"{seconds(ai.timeout):g}",
        "AGENT_STORE_TURN_LIMIT": f"{seconds(ai.turn_timeout):g}",
    }
    if ai.model:
        values["AGENT_STORE_MODEL"] = ai.model
    if ai.endpoint and ai.provider != "rules":
        values[f"AGENT_STORE_{ai.provider.upper()}_URL"] = ai.endpoint
    return values


def _from(source: VariablesFrom) -> Object:
    return source.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)


def _resources(agent: LambdaAgent) -> Object:
    return agent.spec.resources.model_dump(by_alias=True, exclude_none=True)


def _knative_service(agent: LambdaAgent, around: Around) -> Object:
    scaling = agent.spec.scaling
    template = _template(
        agent,
        around,
        annotations={
            "autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev",
            "autoscaling.knative.dev/metric": "concurrency",
            "autoscaling.knative.dev/target": str(scaling.target),
            "autoscaling.knative.dev/min-scale": str(scaling.min_replicas),
            "autoscaling.knative.dev/max-scale": str(scaling.max_replicas),
            "autoscaling.knative.dev/scale-to-zero-pod-retention-period": scaling.scale_to_zero_grace,
        },
    )
    del template["spec"]["securityContext"]  # Knative takes the container's only, unless a feature flag is set
    template["spec"]["containerConcurrency"] = 0
    template["spec"]["timeoutSeconds"] = REQUEST_SECONDS
    service = _object("serving.knative.dev/v1", "Service", agent, spec={"template": template})
    if agent.spec.visibility == "Cluster":
        service["metadata"]["labels"]["networking.knative.dev/visibility"] = "cluster-local"
    return service


def _deployment(agent: LambdaAgent, around: Around) -> list[Object]:
    scaling, port = agent.spec.scaling, agent.spec.image.port
    selector = {LABEL: agent.meta.name, COMPONENT: "server"}
    least = max(1, scaling.min_replicas)
    template = _template(agent, around)
    pod = template["spec"]
    container = pod["containers"][0]
    for probe in ("readinessProbe", "livenessProbe"):
        container[probe]["httpGet"]["port"] = port
    pod["terminationGracePeriodSeconds"] = 45
    pod["topologySpreadConstraints"] = [
        {
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }
    ]  # fmt: skip
    grows = scaling.max_replicas > least
    objects = [
        _object(
            "apps/v1", "Deployment", agent,
            spec={
                **({} if grows else {"replicas": least}),  # the autoscaler's, when there is one
                "selector": {"matchLabels": selector},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": template,
            },
        ),
        _object(
            "v1", "Service", agent,
            spec={
                "type": "ClusterIP",
                "selector": selector,
                "ports": [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}],
            },
        ),
    ]  # fmt: skip
    if grows:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": agent.meta.name}
        metric = {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        }
        objects.append(
            _object(
                "autoscaling/v2", "HorizontalPodAutoscaler", agent,
                spec={"scaleTargetRef": target, "minReplicas": least, "maxReplicas": scaling.max_replicas, "metrics": [metric]},
            )
        )  # fmt: skip
    if least > 1:
        objects.append(
            _object(
                "policy/v1",
                "PodDisruptionBudget",
                agent,
                spec={"maxUnavailable": 1, "selector": {"matchLabels": selector}},
            )
        )
    return objects


def _trigger(agent: LambdaAgent, attributes: Mapping[str, str], workload: Workload) -> Object:
    eventing, scaling = agent.spec.eventing, agent.spec.scaling
    parallelism = eventing.parallelism or min(100, scaling.max_replicas * scaling.target)
    reference = {
        "apiVersion": "serving.knative.dev/v1" if workload == "knative" else "v1",
        "kind": "Service", "name": agent.meta.name, "namespace": agent.meta.namespace,
    }  # fmt: skip
    spec: Object = {
        "broker": eventing.broker,
        "filter": {"attributes": dict(sorted(attributes.items()))},
        "subscriber": {"ref": reference, "uri": "/events"},
    }
    if not attributes:
        del spec["filter"]
    if (delivery := _delivery(eventing)) is not None:
        spec["delivery"] = delivery
    trigger = _object(
        "eventing.knative.dev/v1", "Trigger", agent,
        name=trigger_name(agent.meta.name, attributes, eventing.broker), spec=spec,
    )  # fmt: skip
    trigger["metadata"]["annotations"] = {f"{_RABBITMQ}/parallelism": str(parallelism), **_dispatcher(eventing)}
    return trigger


def _dispatcher(eventing: Eventing) -> dict[str, str]:
    """All of them or none: with one of these annotations the Broker's own defaults are off."""
    if (wanted := eventing.dispatcher) is None:
        return {}
    values = {
        "cpu-request": wanted.requests.cpu, "memory-request": wanted.requests.memory,
        "cpu-limit": wanted.limits.cpu, "memory-limit": wanted.limits.memory,
    }  # fmt: skip
    return {f"{_RABBITMQ}/{name}": value for name, value in values.items() if value is not None}


def _delivery(eventing: Eventing) -> Object | None:
    if eventing.dead_letter_sink is None:
        return None
    delivery: Object = {"deadLetterSink": {"uri": eventing.dead_letter_sink.uri}}
    for name, value in (
        ("retry", eventing.retry), ("backoffPolicy", eventing.backoff_policy), ("backoffDelay", eventing.backoff_delay)
    ):  # fmt: skip
        if value is not None:
            delivery[name] = value
    delivery["timeout"] = f"PT{ANSWER_SECONDS + 10}S"
    return delivery


def _network_policy(agent: LambdaAgent) -> Object:
    """In: the store's own pods and the Broker's in this namespace, Knative's, and who reads metrics. Out: this namespace,
    names, Knative, the databases' and brokers' usual ports, HTTPS, and the model server's port."""
    spec = agent.spec
    ports = {spec.image.port, *_QUEUE_PORTS}
    outside = {*_OUTSIDE_PORTS}
    for url in (spec.ai.endpoint, spec.observability.tracing.endpoint):
        if url:
            parts = urlsplit(url)
            outside.add(parts.port or (443 if parts.scheme == "https" else 80))
    knative = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        for name in ("knative-serving", "kourier-system")
    ]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    names = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    here: Object = {"podSelector": {}}
    return _object(
        "networking.k8s.io/v1", "NetworkPolicy", agent,
        spec={
            "podSelector": {"matchLabels": {LABEL: agent.meta.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [here, *knative, monitoring], "ports": [_tcp(port) for port in sorted(ports)]},
            ],
            "egress": [
                {"to": [here, *knative]},
                {"to": [names], "ports": [{"protocol": "UDP", "port": 53}, _tcp(53)]},
                {"ports": [_tcp(port) for port in sorted(outside)]},
            ],
        },
    )  # fmt: skip


def _tcp(port: int) -> Object:
    return {"protocol": "TCP", "port": port}


def _pod_monitor(agent: LambdaAgent) -> Object:
    return _object(
        "monitoring.coreos.com/v1", "PodMonitor", agent,
        spec={
            "selector": {"matchLabels": {LABEL: agent.meta.name}},
            "podMetricsEndpoints": [{"portNumber": agent.spec.image.port, "path": "/metrics", "interval": "30s"}],
        },
    )  # fmt: skip


def catalog_job_name(agent: LambdaAgent, text: str) -> str:
    return f"{agent.meta.name}-catalog-{digest(text)}"


def _catalog_job(agent: LambdaAgent, around: Around, brand: str, catalog: Catalog) -> Object:
    """Imports the brand's catalogue once a content: a changed file is another Job."""
    source = catalog.config_map
    template = _template(agent, around, "catalog")
    pod = template["spec"]
    container = pod["containers"][0]
    for name in ("ports", "readinessProbe", "livenessProbe"):
        del container[name]
    container["args"] = ["catalog", "put", f"/etc/agent-store/catalog/{source.key}", "--brand", brand]
    container["resources"] = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
    container["volumeMounts"] = [
        one for one in container["volumeMounts"] if one["name"] in ("data", "tmp", "directory")
    ] + [{"name": "catalog", "mountPath": "/etc/agent-store/catalog", "readOnly": True}]
    pod["volumes"] = [one for one in pod["volumes"] if one["name"] in ("data", "tmp", "directory")] + [
        {"name": "catalog", "configMap": {"name": source.name}}
    ]
    pod["restartPolicy"] = "OnFailure"
    return _object(
        "batch/v1", "Job", agent, name=catalog_job_name(agent, around.catalog),
        spec={"backoffLimit": 20, "activeDeadlineSeconds": 3600, "template": template},
    )  # fmt: skip
