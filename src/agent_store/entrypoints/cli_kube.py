"""`agent-store operator` and `agent-store crd`: for clusters."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--namespace", "namespaces", multiple=True, help="Only this namespace; may be given several times.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Health and metrics.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of health and metrics.")
def operator(namespaces: tuple[str, ...], port: int, host: str) -> None:
    """Run the Kubernetes operator: it makes LambdaAgent resources into running agents, and keeps them so.

    It reads the cluster's address from the pod's service account, or from KUBECONFIG.
    """
    from agent_store.entrypoints.operator import run

    run(namespaces=namespaces, host=host, port=port)


@click.group()
def crd() -> None:
    """The LambdaAgent resource definition."""


@crd.command("export")
@click.option("--root", default=".", type=click.Path(file_okay=False, path_type=Path), help="The project's folder.")
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is stale.")
def export(root: Path, check: bool) -> None:
    """Write k8s/crds/lambdaagents.yaml and docs/lambdaagent.md from the model."""
    from agent_store.kube import crd as definition

    stale = {
        path: text
        for name, text in definition.files().items()
        if not (path := root / name).is_file() or path.read_text("utf-8") != text
    }
    if check and stale:
        names = ", ".join(str(path) for path in stale)
        raise click.ClickException(f"stale: {names}: run `agent-store crd export`")
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    if not check:
        click.echo(f"{len(stale)} files written")
