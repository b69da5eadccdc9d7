"""A real Kubernetes API server with its etcd, on loopback: no nodes, no scheduler, and no controllers unless asked for.

The programs are those that `setup-envtest` fetches; `KUBEBUILDER_ASSETS` names their folder.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import ipaddress
import itertools
import json
import os
import ssl
import subprocess
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent_store.entrypoints.programs import Absent, Program, free_port
from tests.support.components import missing

ASSETS = "KUBEBUILDER_ASSETS"
"""The variable that names the folder with the programs."""
ADMIN = "the-administrators-token"
"""A static token of the group system:masters, on loopback and for as long as a test session."""

_HOW = f"`setup-envtest use` fetches kube-apiserver, etcd and kubectl; set {ASSETS} to their folder"
_namespaces = itertools.count(1)


def assets_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the programs are. Raises Absent that says how to get them."""
    folder = environment.get(ASSETS, "")
    if not folder:
        raise Absent(f"kube-apiserver and etcd are absent: {_HOW}")
    for name in ("kube-apiserver", "etcd", "kubectl"):
        if not os.access(Path(folder) / name, os.X_OK):
            raise Absent(f"there is no program {name} in {folder}: {_HOW}")
    return Path(folder)


class Etcd(Program):
    """Without fsync: what it holds need not survive a power cut."""

    name = "etcd"

    def __init__(self, program: Path) -> None:
        self._program = program
        super().__init__()
        self._peers = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        peers = f"http://127.0.0.1:{self._peers}"
        return [
            str(self._program), "--name=test", f"--data-dir={self.folder / 'data'}", "--unsafe-no-fsync",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}", f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=test={peers}", "--log-level=warn",
        ]  # fmt: skip

    async def ready(self) -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
            try:
                return (await http.get(f"{self.url}/health")).status_code == 200
            except httpx.HTTPError:
                return False


class ApiServer(Program):
    """Serves TLS with a certificate of its own authority (`ca`), and knows tokens of `users` and of service accounts."""

    name = "kube-apiserver"
    patience = 120.0

    def __init__(self, program: Path, etcd: Etcd) -> None:
        self._program, self._etcd = program, etcd
        self.more: list[str] = []
        """Further flags, from the next start on."""
        super().__init__()
        _certificates(self.folder)
        (self.folder / "users.csv").write_text(f"{ADMIN},admin,admin,system:masters\n")
        self._tls = ssl.create_default_context(cafile=str(self.ca))

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def command(self) -> Sequence[str]:
        folder = self.folder
        return [
            str(self._program), f"--etcd-servers={self._etcd.url}", "--bind-address=127.0.0.1",
            f"--secure-port={self.port}", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
            f"--cert-dir={folder}", f"--tls-cert-file={folder / 'server.crt'}",
            f"--tls-private-key-file={folder / 'server.key'}", f"--token-auth-file={folder / 'users.csv'}",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--service-cluster-ip-range=10.96.0.0/24", "--authorization-mode=RBAC", "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount", "--watch-cache=true", "--profiling=false",
            *self.more,
        ]  # fmt: skip

    async def ready(self) -> bool:
        async with httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=5) as http:
            try:
                answer = await http.get(f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
            except httpx.HTTPError:
                return False
            return answer.status_code == 200


class Controllers(Program):
    """kube-controller-manager: garbage collection by owner references, namespaces, Deployments, Jobs, service accounts."""

    name = "kube-controller-manager"

    def __init__(self, program: Path, api: KubeApi) -> None:
        self._program, self._api = program, api
        super().__init__()
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # it makes up a certificate of its own

    def command(self) -> Sequence[str]:
        config = f"{self._api.kubeconfig}"
        return [
            str(self._program), f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}", "--bind-address=127.0.0.1", f"--secure-port={self.port}",
            f"--cert-dir={self.folder}", "--leader-elect=false", f"--root-ca-file={self._api.ca}",
            f"--service-account-private-key-file={self._api.ca.parent / 'accounts.key'}",
            "--service-cluster-ip-range=10.96.0.0/24", "--use-service-account-credentials=false",
            "--authentication-skip-lookup=true",
        ]  # fmt: skip

    async def ready(self) -> bool:
        async with httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=2) as http:
            try:
                return (await http.get(f"https://127.0.0.1:{self.port}/healthz")).status_code == 200
            except httpx.HTTPError:
                return False


class KubeApi:
    """`start`, `kill`, `pause`… are about the API server; what it stored stays with etcd.

    `url`, `ca` (a file) and `token` (of an administrator) are how a client comes in; `kubeconfig` has all three.
    """

    token = ADMIN

    def __init__(self) -> None:
        """Raises Absent that says how to get the programs."""
        self._assets = assets_folder()
        self.etcd = Etcd(self._assets / "etcd")
        self.server = ApiServer(self._assets / "kube-apiserver", self.etcd)
        self._controllers: Controllers | None = None
        self.kubeconfig = self.kubeconfig_of(ADMIN, name="admin")

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def ca(self) -> Path:
        return self.server.ca

    async def begin(self) -> None:
        """etcd, then the API server."""
        await self.etcd.start()
        await self.server.start()

    async def start(self) -> None:
        await self.server.start()

    def kill(self) -> None:
        self.server.kill()

    async def restart(self) -> None:
        """As an upgrade does: SIGTERM and some seconds for what is open (a watch never ends by itself), and it comes again
        on the same address."""
        await self.server.terminate(5)
        await self.server.start()

    def pause(self) -> None:
        """Connections stay open and nothing answers."""
        self.server.pause()

    def resume(self) -> None:
        self.server.resume()

    async def controllers(self) -> Controllers:
        """The controllers run from now on. A test that needs them skips where their program is absent."""
        if self._controllers is None:
            program = self._assets / "kube-controller-manager"
            if not os.access(program, os.X_OK):
                missing("kube-controller-manager", f"there is no kube-controller-manager in {self._assets}: {_HOW}")
            self._controllers = Controllers(program, self)
            await self._controllers.start()
        return self._controllers

    def clean(self) -> None:
        for program in (self._controllers, self.server, self.etcd):
            if program is not None:
                program.clean()

    # --- what tests do with it -----------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Its output. Raises AssertionError with what it said when it fails (`check=False`: what it said is returned)."""
        done = subprocess.run(
            [str(self._assets / "kubectl"), *arguments], input=stdin, text=True, capture_output=True, check=False,
            timeout=100, env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.server.folder)},
        )  # fmt: skip
        if done.returncode and check:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def apply(self, *objects: Mapping[str, Any], namespace: str = "default") -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}  # as JSON: kubectl's YAML loses odd characters
        self.kubectl(
            "apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", "-", stdin=json.dumps(listed)
        )

    def get(self, *arguments: str, namespace: str = "default") -> dict[str, Any]:
        """`get("configmap", "settings")` as an object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "-n", namespace, *arguments, "-o", "json"))
        return found

    def namespace(self) -> str:
        """A new namespace of this test's own. (Without controllers a deleted one never goes.)"""
        name = f"test-{os.getpid()}-{next(_namespaces)}"
        self.kubectl("create", "namespace", name)
        return name

    def token_of(self, account: str, *, namespace: str) -> str:
        """A token of a service account, which is made when it is not there."""
        self.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, namespace=namespace)
        return self.kubectl("create", "token", account, "-n", namespace).strip()

    def kubeconfig_of(self, token: str, *, name: str, namespace: str = "default") -> Path:
        """A file for clients that come with this token."""
        path = self.server.folder / f"{name}.kubeconfig"
        authority = base64.b64encode(self.ca.read_bytes()).decode()
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {"name": "test", "cluster": {"server": self.url, "certificate-authority-data": authority}}
                    ],
                    "users": [{"name": name, "user": {"token": token}}],
                    "contexts": [
                        {"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}
                    ],
                    "current-context": "test",
                }
            )
        )
        return path

    def install(self, *definitions: Mapping[str, Any]) -> None:
        """CustomResourceDefinitions, until the API server serves them."""
        self.apply(*definitions)
        for definition in definitions:
            name = f"crd/{definition['metadata']['name']}"
            # `wait` gives up on one that has no conditions yet
            for _ in range(100):
                if self.kubectl("get", name, "-o", "jsonpath={.status.conditions}"):
                    break
            self.kubectl("wait", "--for=condition=Established", "--timeout=60s", name)
            # it is served a moment later: until then kubectl does not know of it, or hears "storage is (re)initializing"
            served = definition["spec"]["names"]["plural"] + "." + definition["spec"]["group"]
            for _ in range(100):
                with contextlib.suppress(AssertionError):
                    self.get(served)
                    break
            else:
                self.get(served)

    def install_crd(self) -> None:
        """The LambdaAgent."""
        from agent_store.kube.crd import definition

        self.install(definition())


@pytest.fixture(scope="session")
def kube_api() -> Generator[KubeApi]:
    """Shared by the tests of this process. A test that kills, stops or pauses it brings it back."""
    try:
        api = KubeApi()
    except Absent as error:
        missing("kube-apiserver", error.message)
    try:
        asyncio.run(api.begin())
        yield api
    finally:
        with contextlib.suppress(ProcessLookupError):
            api.resume()
        api.clean()


def _certificates(folder: Path) -> None:
    """An authority, the server's certificate for loopback, and the key that signs service accounts' tokens."""
    authority, server, accounts = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-authority")])

    def certificate(name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(issuer_name=issuer, subject_name=name, public_key=key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + dt.timedelta(days=2))
        )

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    root = (
        certificate(issuer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    names = [
        x509.DNSName("localhost"),
        x509.DNSName("kubernetes.default.svc"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("10.96.0.1")),
    ]
    leaf = (
        certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")]), server.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    for file, part in (("ca.crt", root), ("server.crt", leaf)):
        (folder / file).write_bytes(part.public_bytes(serialization.Encoding.PEM))
    for file, key in (("server.key", server), ("accounts.key", accounts)):
        (folder / file).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
