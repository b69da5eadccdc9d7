"""One operator that looks after all namespaces, for the tests of a module; a namespace of its own for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator

import pytest

from tests.support.kube import KubeApi
from tests.support.operator import BROKER, EVENTING, SERVING, Client, Knative, OperatorProcess, Shop, until


@pytest.fixture(scope="module")
def operator(kube_api: KubeApi) -> Generator[OperatorProcess]:
    kube_api.install_crd()
    kube_api.install(*SERVING, *EVENTING)
    process = OperatorProcess(kube_api, kube_api.namespace())
    process.everywhere = True
    try:
        asyncio.run(process.start())
        asyncio.run(until(process.leads))
        yield process
    finally:
        process.clean()


@pytest.fixture
async def client(kube_api: KubeApi) -> AsyncGenerator[Client]:
    found = Client(kube_api)
    yield found
    await found.close()


@pytest.fixture
async def shop(kube_api: KubeApi, operator: OperatorProcess, client: Client) -> AsyncGenerator[Shop]:
    """With a Broker, and Knative at work."""
    namespace = kube_api.namespace()
    knative = Knative(client, namespace)
    found = Shop(kube_api, client, namespace, knative)
    await found.apply(BROKER)
    async with knative.at_work():
        yield found
