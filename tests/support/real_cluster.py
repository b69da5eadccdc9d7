"""A real cluster with Knative, the RabbitMQ operators and the class RabbitMQBroker, named by KUBECONFIG, and the store on it
as `kubectl apply -k k8s/kustomize/kind` makes it. The store's image must be on its nodes.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.support.components import missing
from tests.support.graph import message_delivery, signed
from tests.support.manifests import KUSTOMIZE, program

NAMESPACE, SYSTEM = "agent-store-multibrands", "agent-store-system"
NEEDED = (
    "brokers.eventing.knative.dev",
    "rabbitmqbrokerconfigs.eventing.knative.dev",
    "services.serving.knative.dev",
    "rabbitmqclusters.rabbitmq.com",
    "queues.rabbitmq.com",
)
APP_SECRET, STAFF_TOKEN = "for-trying-only-app-secret", "for-trying-only"
"""Of the overlay `kind`."""
T = TypeVar("T")


class Cluster:
    """kubectl, with the answers as objects."""

    def __init__(self, kubectl: str) -> None:
        self._kubectl = kubectl

    def run(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        done = subprocess.run([self._kubectl, *words], input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def error(self, *words: str) -> str:
        """What kubectl says on standard error."""
        return subprocess.run([self._kubectl, *words], capture_output=True, text=True, check=False).stderr

    def get(self, *words: str, namespace: str = NAMESPACE) -> Any:
        """An object, or the items of a list."""
        found = json.loads(self.run("get", "-n", namespace, "-o", "json", *words))
        return found["items"] if found["kind"].endswith("List") else found

    def apply(self, folder: str | Path, seconds: float = 120) -> str:
        """`kubectl apply -k`, of `k8s/kustomize/<folder>` or of a path; again while an admission webhook starts anew."""
        path = folder if isinstance(folder, Path) else KUSTOMIZE / folder

        def try_it() -> str | None:
            done = subprocess.run(
                [self._kubectl, "apply", "-k", str(path)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0 or "failed calling webhook" in done.stderr, done.stderr
            return done.stdout if done.returncode == 0 else None

        return until(try_it, seconds, f"kubectl apply -k {path}")

    def take_away(self, folder: str | Path) -> None:
        """In the order of docs/kubernetes.md: Triggers and Brokers tidy up in RabbitMQ before it goes."""
        path = folder if isinstance(folder, Path) else KUSTOMIZE / folder
        for kind in ("lambdaagents", "brokers"):
            self.run("delete", kind, "-n", NAMESPACE, "--all", "--cascade=foreground", "--timeout=180s")
        self.run("delete", "-k", str(path), "--ignore-not-found", "--timeout=300s")

    def wait(self, what: str, condition: str, seconds: int, *words: str, namespace: str = NAMESPACE) -> None:
        self.run("wait", "-n", namespace, what, f"--for={condition}", f"--timeout={seconds}s", *words)

    def pods(self, selector: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """Those that are not on their way out."""
        found: list[dict[str, Any]] = self.get("pods", "-l", selector, namespace=namespace)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    @contextmanager
    def reach(self, service: str, port: int, namespace: str) -> Generator[int]:
        """A port of this machine that leads to a Service's."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            own = free.getsockname()[1]
        process = subprocess.Popen(
            [self._kubectl, "port-forward", "-n", namespace, f"service/{service}", f"{own}:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until(lambda: _open(own), 30, f"port-forward of {service}")
            yield own
        finally:
            process.terminate()
            process.wait(10)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """What `look` gives as soon as it is true. Fails when it does not become so in time."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)


@dataclass(frozen=True)
class Message:
    """One message of the shop, as the customer's phone shows it."""

    seq: int
    wamid: str
    kind: str
    text: str
    options: tuple[str, ...]


class Shop:
    """The gateway from outside, and WhatsApp's simulator behind it."""

    def __init__(self, cluster: Cluster, http: httpx.Client) -> None:
        self.cluster, self.http = cluster, http
        self._staff = {"Authorization": f"Bearer {STAFF_TOKEN}"}

    def deliver(self, body: Mapping[str, Any], secret: str = APP_SECRET) -> int:
        """A signed webhook, as Meta sends it: again while it is not answered. Returns the status."""
        content = json.dumps(body).encode()

        def post() -> int | None:
            try:
                status = self.http.post(
                    "/webhooks/whatsapp", content=content, headers=signed(secret, content)
                ).status_code
            except httpx.TransportError:
                return None
            return status if status < 500 else None

        return until(post, 120, "the webhook is answered")

    def api(self, path: str, **params: str | int | float) -> Any:
        def get() -> httpx.Response | None:
            try:
                answer = self.http.get(path, params=params, headers=self._staff)
            except httpx.TransportError:
                return None
            return answer if answer.status_code < 500 else None

        return until(get, 120, path).raise_for_status().json()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.http.post(path, json=body, headers=self._staff).raise_for_status().json()


_numbers = itertools.count(int(time.time()) % 10_000_000 * 10)


@dataclass
class Shopper:
    """A customer at a phone who writes to one number of the shop by signed webhooks."""

    shop: Shop
    number: str
    name: str = "Ana"
    wa_id: str = field(default_factory=lambda: f"5511{next(_numbers):09d}")
    patience: float = 90
    """Seconds that an answer may take."""
    heard: list[Message] = field(default_factory=list[Message])

    def __post_init__(self) -> None:
        person = self.shop.post("/simulator/api/customers", {"name": self.name, "wa_id": self.wa_id})
        self._chat = f"/simulator/api/customers/{person['id']}/chats/{self.number}/messages"

    def say(self, text: str, *, hear: str = "") -> list[Message]:
        """What the shop answers, up to the first message in which the pattern `hear` is found."""
        return self._write({"type": "text", "text": {"body": text}}, hear)

    def tap(self, pattern: str, *, hear: str = "") -> list[Message]:
        """Taps the newest choice whose id the pattern matches, once the shop has offered it."""

        def offered() -> tuple[Message, str] | None:
            self._read()
            return next(
                (
                    (one, option)
                    for one in reversed(self.heard)
                    for option in one.options
                    if re.fullmatch(pattern, option)
                ),
                None,
            )

        message, option = until(offered, self.patience, f"the choice {pattern!r}")
        kind = "list_reply" if message.kind == "list" else "button_reply"
        reply = {"type": kind, kind: {"id": option, "title": option[:20]}}
        return self._write({"type": "interactive", "context": {"id": message.wamid}, "interactive": reply}, hear)

    def _write(self, message: Mapping[str, Any], hear: str) -> list[Message]:
        body = message_delivery(self.number, self.wa_id, {"id": f"wamid.{uuid.uuid4().hex}", **message}, self.name)
        assert self.shop.deliver(body) == 200
        return self.listen(hear)

    def listen(self, hear: str) -> list[Message]:
        before = len(self.heard)

        def more() -> list[Message] | None:
            self._read()
            fresh = self.heard[before:]
            return fresh if any(re.search(hear, message.text) for message in fresh) else None

        try:
            return until(more, self.patience, f"an answer with {hear!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; heard: {[message.text for message in self.heard[before:]]}") from None

    def _read(self) -> None:
        after = self.heard[-1].seq if self.heard else 0
        for one in self.shop.api(self._chat, after=after, wait=1):
            if not one["mine"]:
                options = tuple(option["id"] for option in one["options"])
                said = "\n".join([one["text"], *(link["url"] for link in one["links"])])
                self.heard.append(Message(one["seq"], one["wamid"], one["kind"], said, options))

    def buy(
        self,
        words: str = "Oi, quero um vestido vermelho até 300 reais",
        title: str = "Vestido Midi Aurora",
        product: str = "vestido-midi-aurora",
        sku: str = "FAS-VAURORA-VM-M",
        card: str = "4242",
    ) -> str:
        """One of these to the door, paid in the chat. Returns the order's number."""
        self.say(words, hear=title)
        self.tap(f"product:{product}")
        self.tap(f"add:{sku}")
        self.tap("checkout")
        self.tap("method:delivery")
        self.say("Ana Souza, 01310-100, Av Paulista 1000 ap 12")
        self.tap("ship:expresso")
        placed = self.tap("confirm_order", hear="/pay/")
        number = next(found[0] for one in reversed(placed) if (found := re.search(r"AS-[2-9A-Z]{6}", one.text)))
        self.say(card, hear="Pagamento aprovado")
        return number


@functools.cache
def _cluster() -> Cluster:
    if not os.environ.get("KUBECONFIG"):
        missing(
            "cluster",
            "no cluster: set KUBECONFIG to one with Knative and the RabbitMQ operators (`make kind-up` makes one)",
        )
    kubectl = program("kubectl")
    if kubectl is None:
        missing("cluster", "kubectl is absent: https://kubernetes.io/docs/tasks/tools/ says how to get it")
    done = subprocess.run(
        [kubectl, "get", "crd", *NEEDED, "-o", "name"], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        missing("cluster", f"the cluster of KUBECONFIG lacks what the store needs: {done.stderr.strip()}")
    return Cluster(kubectl)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return _cluster()


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Cluster:
    """The store, as the README says: the operator, then the overlay `kind`; every LambdaAgent is Ready."""
    cluster.apply("operator")
    cluster.wait("crd/lambdaagents.agent-store.dev", "condition=Established", 60)
    cluster.apply("kind")
    cluster.wait("deployment/agent-store-operator", "condition=Available", 180, namespace=SYSTEM)
    cluster.wait("lambdaagent", "condition=Ready", 420, "--all")
    return cluster


@pytest.fixture
def shop(installed: Cluster) -> Generator[Shop]:
    """Through Kourier, by the gateway's name."""
    url: str = installed.get("lambdaagent", "whatsapp-gateway")["status"]["url"]
    host = httpx.URL(url).host
    with (
        installed.reach("kourier", 80, "kourier-system") as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Host": host}, timeout=60, trust_env=False) as http,
    ):
        yield Shop(installed, http)


def requested_millicores(pods: Sequence[Mapping[str, Any]]) -> int:
    """What the containers of these pods ask for, of those that run on."""

    def millicores(quantity: str) -> int:
        return int(quantity[:-1]) if quantity.endswith("m") else round(float(quantity) * 1000)

    return sum(
        millicores(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
        for pod in pods
        if pod["status"]["phase"] in ("Pending", "Running")
        for container in pod["spec"]["containers"]
    )
