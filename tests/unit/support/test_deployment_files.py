"""What docker/ has: manifests that Kubernetes takes, a module that loads, metrics that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from statefun_runtime.connectors.modules import load_module
from tests.conftest import skip_or_fail
from tests.support.helm import helm
from tests.support.provisions import ROOT, Unavailable

DOCKER = ROOT / "docker"
CHART = DOCKER / "kubernetes" / "chart"
KUBERNETES = "1.30"
VARIABLES = {"KAFKA": "kafka:9092", "FUNCTIONS": "http://functions:8000/statefun"}
VALUES = {
    "volume": (),
    "bucket-and-workers": ("--set", "workers=3,checkpoints=s3://checkpoints/shop"),
    "cluster": ("--set", "cluster.name=shop,checkpoints=s3://checkpoints/shop"),
    "growing-cluster": (
        "--set",
        "cluster.name=shop,checkpoints=s3://checkpoints/shop,cluster.autoscaling.enabled=true",
    ),
    "all-that-is-optional": (
        "--set-json",
        'envFromSecrets=["keys"],extraArgs=["--strict"],podAnnotations={"a":"b"},'
        'nodeSelector={"a":"b"},tolerations=[{"operator":"Exists"}],'
        'serviceAccount.annotations={"a":"b"},persistence.storageClass="fast",resources={}',
    ),
}

Manifest = dict[str, Any]


def manifests(text: str) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(text) if one is not None]


def check(found: list[Manifest]) -> None:
    """Hold manifests to Kubernetes' schemas, and to what a worker needs."""
    for one in found:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    labels = [pod["metadata"]["labels"] for pod in _pods(found)]
    for one in found:
        selector = one["spec"].get("selector", {}) if "spec" in one else {}
        wanted = selector.get("matchLabels", selector)
        assert not wanted or any(wanted.items() <= had.items() for had in labels), one["metadata"]
    for pod in _pods(found):
        _check_pod(pod["spec"])


def _pods(found: list[Manifest]) -> Iterator[Manifest]:
    for one in found:
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield one["spec"]["template"]


def _check_pod(spec: dict[str, Any]) -> None:
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe in container:
            assert container[probe]["httpGet"]["port"] in ports
    stop = [
        int(arg[15:-1]) for arg in container.get("args", ()) if arg.startswith("--stop-timeout=")
    ]
    if container["name"] == "worker":
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        # A clean stop ends with a checkpoint.
        assert spec["terminationGracePeriodSeconds"] >= stop[0] + 30


def test_plain_manifests_are_what_kubernetes_takes():
    text = (DOCKER / "kubernetes" / "plain" / "greeter.yaml").read_text()
    found = manifests(text)
    check(found)
    assert {one["kind"] for one in found} >= {
        "Deployment",
        "StatefulSet",
        "Service",
        "ConfigMap",
    }


def test_a_manifest_that_kubernetes_refuses_is_found():
    text = (DOCKER / "kubernetes" / "plain" / "greeter.yaml").read_text()
    with pytest.raises(kubernetes_validate.ValidationError):
        check(manifests(text.replace("readinessProbe:", "readynessProbe:")))
    with pytest.raises(AssertionError):
        check(
            manifests(
                text.replace(
                    "terminationGracePeriodSeconds: 90", "terminationGracePeriodSeconds: 30"
                )
            )
        )


@pytest.mark.parametrize("values", list(VALUES))
def test_the_chart_writes_what_kubernetes_takes(values: str, pytestconfig: pytest.Config):
    try:
        text = helm("template", "shop", CHART, *VALUES[values])
    except Unavailable as error:
        skip_or_fail(pytestconfig, "helm", error)
    found = manifests(text)
    check(found)
    kinds = {one["kind"] for one in found}
    assert {"Service", "ServiceAccount", "ConfigMap"} <= kinds
    assert ("StatefulSet" in kinds) == ("cluster" not in values)
    assert ({"Deployment", "PodDisruptionBudget"} <= kinds) == ("cluster" in values)
    assert ("HorizontalPodAutoscaler" in kinds) == (values == "growing-cluster")
    assert ("--cluster=shop" in text) == ("cluster" in values)
    assert ("--workers=3" in text) == (values == "bucket-and-workers")


def test_a_chart_of_a_cluster_needs_a_bucket(pytestconfig: pytest.Config):
    try:
        helm("version")
    except Unavailable as error:
        skip_or_fail(pytestconfig, "helm", error)
    with pytest.raises(Unavailable, match="a cluster needs checkpoints"):
        helm("template", "shop", CHART, "--set", "cluster.name=shop")


def test_the_greeters_module_loads_and_is_the_same_in_kubernetes(tmp_path: Path):
    path = DOCKER / "greeter" / "module.yaml"
    assert load_module(str(path), strict=True, variables=VARIABLES).problems == ()
    (config,) = [
        one
        for one in manifests((DOCKER / "kubernetes" / "plain" / "greeter.yaml").read_text())
        if one["kind"] == "ConfigMap"
    ]
    (tmp_path / "module.yaml").write_text(config["data"]["module.yaml"])
    loaded = load_module(str(tmp_path / "module.yaml"), strict=True, variables=VARIABLES)
    assert loaded.problems == ()


def test_workers_of_the_compose_files_are_bare():
    for name in ("compose.greeter.yaml", "compose.yaml"):
        services = yaml.safe_load((DOCKER / name).read_text())["services"]
        workers = [service for key, service in services.items() if key.startswith("worker")]
        assert workers
        for service in [*workers, services["functions"]]:
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]


def test_the_dashboard_and_the_rules_ask_for_metrics_that_there_are():
    page = (ROOT / "docs" / "operations" / "metrics.md").read_text()
    known = set(re.findall(r"statefun_\w+", page)) | {
        f"{prefix}{rest}"
        for prefix in ("statefun_functions_", "statefun_checkpoints_")
        for rest in re.findall(r"…(\w+)", page)
    }
    dashboard = json.loads((DOCKER / "grafana" / "dashboards" / "statefun.json").read_text())
    rules = yaml.safe_load((DOCKER / "prometheus" / "rules.yml").read_text())
    asked = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", ())]
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    names = {name for expr in asked for name in re.findall(r"statefun_\w+", expr)}
    assert len(names) > 10
    assert {name for name in names if name.removesuffix("_bucket") not in known} == set()
