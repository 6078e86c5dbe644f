"""NetworkPolicies let the drawn arrows through and nothing else: judged as a cluster's network would judge a packet."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

import pytest

from kyara_outside import NOT_PUBLIC
from tests.charts.rendering import EXAMPLES, NAMESPACE, PASSING, Object, Pod, Rendered, example, render, rendered

PUBLIC = ("8.8.8.8", "151.101.1.6", "2606:4700::6810:85e5")
PRIVATE = (
    *("0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("192.0.0.8", "198.18.0.1", "224.0.0.251", "255.255.255.255"),
    *("::1", "fe80::1", "fd00::1", "fc00::1", "ff02::1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "2002:a00:1::1"),
)
OUTSIDE = {"crawler": {80, 443}, "fetcher": {80, 443, 3306, 6443, 6881, 51413}, "publisher": {443}, "models": {443}}
"""Who may reach public addresses, and on which of the ports that are tried."""
PORTS = (22, 53, 80, 443, 3306, 6443, 6881, 51413)


def test_arrows_are_those_that_services_settings_speak_of() -> None:
    """A service that is told an address may call there; jobs calls every stage, what comes and goes calls jobs."""
    release = render(example("bundled") | {"gc": {"schedule": "30 3 * * *"}})
    expected = {("test", "jobs", 7400), ("test", "store", 8333), ("gc", "jobs", 7400)}
    for service in sorted({pod.component for pod in release.pods()} & _services()):
        told = release.settings(service)
        ports = {"store": 8333, "inference": 8001, "temporal": 7233}
        expected |= {(service, backend, port) for backend, port in ports.items() if backend in told}
        expected |= {(service, stage, 7400) for stage in told.get("stages", ())}
        if "ray" in told:
            ray = f"{service}-ray"
            expected |= {(service, ray, 8265), (ray, "store", 8333)}
            expected |= {(ray, ray, port) for port in (6379, 8265, 10001, 52365)}
    assert set(_arrows(release)) == expected


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_is_closed_from_both_sides(name: str) -> None:
    release = rendered(name)
    for pod in release.pods():
        policies = list(_policies(release, pod.labels))
        assert len(policies) == 2, f"{pod.owner}: the release's and its own"
        assert all(set(policy["policyTypes"]) == {"Ingress", "Egress"} for policy in policies)


@pytest.mark.parametrize("name", EXAMPLES)
def test_only_those_that_read_or_change_the_world_reach_it(name: str) -> None:
    release = rendered(name)
    wanted = dict(OUTSIDE)
    if name == "air-gapped":
        wanted = {}
    for pod, address, port in product(_each(release), PUBLIC, PORTS):
        assert _may_reach(release, pod, address, port) == (port in wanted.get(pod.component, ())), (pod.owner, address, port)


@pytest.mark.parametrize("name", EXAMPLES)
def test_nobody_reaches_private_addresses(name: str) -> None:
    release = rendered(name)
    for pod, address, port in product(_each(release), PRIVATE, PORTS):
        asks_for_workers = pod.component.endswith("-ray") and port in (443, 6443)
        assert not _may_reach(release, pod, address, port) or asks_for_workers, (pod.owner, address, port)


def test_only_named_addresses_of_the_api_server_and_the_store_are_open() -> None:
    tenant, gapped = rendered("multi-tenant"), rendered("air-gapped")
    ray = next(pod for pod in tenant.pods() if pod.component == "trainer-ray")
    assert _may_reach(tenant, ray, "10.43.0.1", 443) and not _may_reach(tenant, ray, "10.43.0.2", 443)
    keyframer = next(pod for pod in gapped.pods() if pod.component == "keyframer")
    assert _may_reach(gapped, keyframer, "10.20.0.5", 9000) and not _may_reach(gapped, keyframer, "10.20.0.5", 22)


def test_what_is_elsewhere_in_the_cluster_is_reached_in_its_namespace_only() -> None:
    release = rendered("external")
    jobs = next(pod for pod in release.pods() if pod.component == "jobs")
    assert _leaves(release, jobs, {"app": "any"}, "temporal", 7233)
    assert not _leaves(release, jobs, {"app": "any"}, "temporal", 22)
    assert not _leaves(release, jobs, {"app": "any"}, "inference", 8001), "jobs asks no model"


def test_everyone_finds_names_and_only_clients_and_metrics_come_in() -> None:
    release = rendered("external")
    for pod in release.pods():
        assert _leaves(release, pod, {"k8s-app": "kube-dns"}, "kube-system", 53, "UDP")
        assert not _leaves(release, pod, {"k8s-app": "other"}, "kube-system", 53, "UDP")
        client = _enters(release, pod, {"app": "any"}, "tools", 7400)
        assert client is (pod.component == "jobs")
        assert not _enters(release, pod, {"app": "any"}, NAMESPACE, 7400)
        assert _enters(release, pod, {"app": "prometheus"}, "monitoring", 9464) is (pod.component in _services())


def test_egress_rules_of_ones_own_are_taken_as_they_are() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "198.51.100.7/32"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    release = render(example("gpu") | {"store": {**example("gpu")["store"], "egress": [rule]}})
    assert rule in release.get("NetworkPolicy", "keyframer")["spec"]["egress"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_kubernetes_takes_every_block_of_addresses(name: str) -> None:
    """Its own rule: an exception lies within the block, is smaller, and is not IPv4 in IPv6's form."""
    for policy in rendered(name).of("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
                whole = ip_network(block["cidr"])
                for part in map(ip_network, block.get("except", [])):
                    assert part.version == whole.version and part.prefixlen > whole.prefixlen
                    assert getattr(part.network_address, "ipv4_mapped", None) is None


def test_the_closed_addresses_are_those_that_the_fetcher_refuses() -> None:
    rules = rendered("bundled").get("NetworkPolicy", "fetcher")["spec"]["egress"]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]
    closed = {ip_network(each) for block in blocks for each in block["except"]}
    assert closed == set(NOT_PUBLIC) - {ip_network("::ffff:0:0/96")}


def test_without_policies_there_are_none() -> None:
    assert not render(example("bundled") | {"networkPolicy": {"enabled": False}}).of("NetworkPolicy")


def _services() -> set[str]:
    return {pod.component for pod in rendered("external").pods()} - {*PASSING}


def _each(release: Rendered) -> list[Pod]:
    """A pod of each component."""
    return list({pod.component: pod for pod in release.pods()}.values())


def _arrows(release: Rendered) -> Iterator[tuple[str, str, int]]:
    ports = (22, 80, 443, 6379, 7233, 7400, 8000, 8001, 8265, 8333, 9464, 10001, 52365)
    for source, target, port in product(_each(release), _each(release), ports):
        out = _leaves(release, source, target.labels, NAMESPACE, port)
        come = _enters(release, target, source.labels, NAMESPACE, port)
        if port in _listens(target):
            assert out == come, f"{source.component} -> {target.component}:{port} is open from one side only"
            if out:
                yield source.component, target.component, port


def _listens(pod: Pod) -> set[int]:
    ports = {each["containerPort"] for each in pod.spec["containers"][0].get("ports", [])}
    # Ray's nodes listen on these and more.
    return ports | ({6379, 8265, 10001, 52365} if pod.component.endswith("-ray") else set())


def _policies(release: Rendered, labels: dict[str, str]) -> Iterator[Object]:
    for policy in release.of("NetworkPolicy"):
        if _selects(policy["spec"]["podSelector"], labels):
            yield policy["spec"]


def _leaves(release: Rendered, pod: Pod, labels: dict[str, str], namespace: str, port: int, protocol: str = "TCP") -> bool:
    rules = [rule for policy in _policies(release, pod.labels) for rule in policy.get("egress", [])]
    return any(_to_pods(rule["to"], labels, namespace) and _on(rule, port, protocol) for rule in rules)


def _enters(release: Rendered, pod: Pod, labels: dict[str, str], namespace: str, port: int) -> bool:
    rules = [rule for policy in _policies(release, pod.labels) for rule in policy.get("ingress", [])]
    return any(_to_pods(rule["from"], labels, namespace) and _on(rule, port, "TCP") for rule in rules)


def _may_reach(release: Rendered, pod: Pod, address: str, port: int) -> bool:
    for rule in (rule for policy in _policies(release, pod.labels) for rule in policy.get("egress", [])):
        for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
            inside = ip_address(address) in ip_network(block["cidr"])
            closed = any(ip_address(address) in ip_network(part) for part in block.get("except", []))
            if inside and not closed and _on(rule, port, "TCP"):
                return True
    return False


def _to_pods(peers: list[Object], labels: dict[str, str], namespace: str) -> bool:
    """Whether a pod of a namespace is among `peers`; a peer without a namespace is in the release's."""
    spaces = {"kubernetes.io/metadata.name": namespace}
    return any(
        _selects(peer.get("podSelector", {}), labels)
        and (_selects(peer["namespaceSelector"], spaces) if "namespaceSelector" in peer else namespace == NAMESPACE)
        for peer in peers
        if "ipBlock" not in peer
    )


def _on(rule: Object, port: int, protocol: str) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        each["port"] <= port <= each.get("endPort", each["port"]) and each.get("protocol", "TCP") == protocol for each in ports
    )


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    matches = selector.get("matchLabels", {}).items() <= labels.items()
    return matches and all(labels.get(each["key"]) in each["values"] for each in expressions)
