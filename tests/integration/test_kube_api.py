"""The fixture itself: a real API server that can go and come."""

from __future__ import annotations

import httpx

from tests.support.kube import KubeApi


async def test_the_api_server_keeps_what_it_has_over_a_restart(kube_api: KubeApi) -> None:
    namespace = kube_api.namespace()
    kube_api.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}}, namespace=namespace
    )
    kube_api.kill()
    try:
        assert "refused" in kube_api.kubectl("get", "configmaps", check=False)
    finally:
        await kube_api.start()
    assert kube_api.get("configmap", "one", namespace=namespace)["data"] == {"a": "1"}


def test_a_service_account_may_do_what_it_is_granted_and_no_more(kube_api: KubeApi) -> None:
    namespace = kube_api.namespace()
    token = kube_api.token_of("reader", namespace=namespace)
    with httpx.Client(base_url=kube_api.url, verify=str(kube_api.ca), trust_env=False) as http:
        answer = http.get(f"/api/v1/namespaces/{namespace}/configmaps", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


async def test_controllers_collect_what_is_owned_by_what_is_gone(kube_api: KubeApi) -> None:
    await kube_api.controllers()
    namespace = kube_api.namespace()
    kube_api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}}, namespace=namespace)
    uid = kube_api.get("configmap", "owner", namespace=namespace)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    kube_api.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "ownerReferences": [owner]}},
        namespace=namespace,
    )
    kube_api.kubectl("delete", "configmap", "owner", "-n", namespace)
    kube_api.kubectl("wait", "--for=delete", "configmap/owned", "-n", namespace, "--timeout=60s")
