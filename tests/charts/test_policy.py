"""What every pod of every example is held to, and what a cluster needs to run them well."""

import re
from pathlib import Path

import pytest

from kyara_cli.app import app
from kyara_cli.exits import CommandError
from tests.charts.rendering import EXAMPLES, FULLNAME, PASSING, Pod, example, render, rendered

ALL_PODS = [pytest.param(pod, id=f"{name}: {pod.owner}") for name in EXAMPLES for pod in rendered(name).pods()]
SERVICES = (
    "jobs",
    "crawler",
    "fetcher",
    "keyframer",
    "detector",
    "curator",
    "embedder",
    "clusterer",
    "trainer",
    "evaluator",
    "publisher",
)
CPU_STAGES = ("keyframer", "detector", "curator", "embedder", "clusterer")


@pytest.mark.parametrize("pod", ALL_PODS)
def test_no_pod_is_root_or_may_become_it(pod: Pod) -> None:
    security = pod.spec["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] > 0 and security["runAsGroup"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()
    assert not any("hostPath" in volume for volume in pod.spec["volumes"])
    for container in pod.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        # Every program writes somewhere.
        assert any(mount["mountPath"] == "/tmp" for mount in container["volumeMounts"])


@pytest.mark.parametrize("pod", ALL_PODS)
def test_no_pod_has_rights_in_the_cluster_but_the_one_that_asks_for_workers(pod: Pod) -> None:
    assert pod.spec["automountServiceAccountToken"] is pod.owner.endswith("-ray head")
    assert pod.spec["enableServiceLinks"] is False


@pytest.mark.parametrize("pod", ALL_PODS)
def test_images_are_pinned_and_resources_bounded(pod: Pod) -> None:
    for container in pod.containers:
        assert re.fullmatch(r"[^:]+(:\d+/[^:]+)?:[^:]+", container["image"]) and not container["image"].endswith("latest")
        for kind in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"][kind].keys()


@pytest.mark.parametrize("pod", ALL_PODS)
def test_limits_hold_what_is_requested_and_a_pods_scratch(pod: Pod) -> None:
    for container in pod.containers:
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert all(_amount(requests[kind]) <= _amount(limits[kind]) for kind in requests)
    room = sum(_amount(container["resources"]["limits"]["ephemeral-storage"]) for container in pod.spec["containers"])
    for volume in (each["emptyDir"] for each in pod.spec["volumes"] if "emptyDir" in each):
        assert volume.get("medium") == "Memory" or _amount(volume.get("sizeLimit", "0")) <= room


@pytest.mark.parametrize("pod", ALL_PODS)
def test_secrets_come_from_secrets(pod: Pod) -> None:
    for variable in (each for container in pod.containers for each in container.get("env", [])):
        if re.search("TOKEN|SECRET|KEY", variable["name"]):
            assert variable["valueFrom"]["secretKeyRef"]["name"] and "value" not in variable


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_server_says_whether_it_serves(name: str) -> None:
    for pod in rendered(name).pods():
        if pod.component in PASSING:
            continue
        (container,) = pod.spec["containers"]
        assert {"readinessProbe", "livenessProbe"} <= container.keys()
        if pod.component in SERVICES:
            told = rendered(name).settings(pod.component)
            port = int(told.get("probe_listen", told["listen"]).rpartition(":")[2])
            assert all(container[f"{kind}Probe"]["grpc"] == {"port": port} for kind in ("startup", "readiness", "liveness"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_server_outlives_a_drained_node(name: str) -> None:
    release = rendered(name)
    budgets = {each["metadata"]["name"]: each["spec"] for each in release.of("PodDisruptionBudget")}
    servers = {
        pod.component: pod for pod in release.pods() if pod.component not in PASSING and not pod.component.endswith("-ray")
    }
    assert budgets.keys() == {f"{FULLNAME}-{component}" for component in servers}
    for component, pod in servers.items():
        assert budgets[f"{FULLNAME}-{component}"]["selector"]["matchLabels"].items() <= pod.labels.items()


def test_every_service_has_its_objects_and_spreads_its_pods() -> None:
    release = rendered("bundled")
    for service in SERVICES:
        assert release.get("Service", service)["spec"]["clusterIP"] == "None", "clients spread their calls over all pods"
        (pod,) = (pod for pod in release.pods() if pod.component == service)
        for constraint in pod.spec["topologySpreadConstraints"]:
            assert constraint["labelSelector"]["matchLabels"].items() <= pod.labels.items()
        assert release.get("ConfigMap", service)


def test_cpu_stages_follow_their_load_and_nothing_else_sets_their_number() -> None:
    release = rendered("bundled")
    assert {each["metadata"]["name"] for each in release.of("HorizontalPodAutoscaler")} == {f"{FULLNAME}-{s}" for s in CPU_STAGES}
    for stage in CPU_STAGES:
        target = release.get("HorizontalPodAutoscaler", stage)["spec"]["scaleTargetRef"]
        assert "replicas" not in release.get(target["kind"], stage)["spec"]


def test_unfinished_downloads_outlive_the_fetchers_pod() -> None:
    fetcher = rendered("bundled").get("StatefulSet", "fetcher")["spec"]
    (claim,) = fetcher["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in fetcher["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == rendered("bundled").settings("fetcher")["work_dir"]


def test_work_gives_way_to_what_it_depends_on() -> None:
    release = rendered("bundled")
    values = {each["metadata"]["name"]: each["value"] for each in release.of("PriorityClass")}
    by_component = {pod.owner: values[pod.spec["priorityClassName"]] for pod in release.pods() if pod.component != "test"}
    high = {owner for owner, value in by_component.items() if value == max(values.values())}
    assert any("jobs" in owner for owner in high) and any("-ray head" in owner for owner in high)
    assert not any("keyframer" in owner or "-ray cpu" in owner for owner in high)


def test_tenants_leave_the_cluster_alone_and_stay_on_their_nodes() -> None:
    release = rendered("multi-tenant")
    whole_clusters = {"PriorityClass", "ClusterRole", "ClusterRoleBinding", "Namespace", "StorageClass"}
    assert not {each["kind"] for each in release.objects} & whole_clusters
    for pod in release.pods():
        assert pod.spec["priorityClassName"] == "tenant" and pod.spec["nodeSelector"] == {"tenant": "ayame"}
        assert pod.spec["tolerations"] == [{"key": "tenant", "operator": "Equal", "value": "ayame", "effect": "NoSchedule"}]


def test_graphics_cards_are_asked_for_tolerated_and_scaled_from_none() -> None:
    release = rendered("gpu")
    for cluster in release.of("RayCluster"):
        (group,) = cluster["spec"]["workerGroupSpecs"]
        assert group["minReplicas"] == 0 < group["maxReplicas"] and cluster["spec"]["enableInTreeAutoscaling"]
    on_cards = [pod for pod in release.pods() if "nvidia.com/gpu" in pod.spec["containers"][0]["resources"]["limits"]]
    assert {pod.component for pod in on_cards} == {"inference", "trainer-ray", "evaluator-ray"}
    for pod in on_cards:
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod.spec["tolerations"]
        assert pod.spec["containers"][0]["image"].endswith("-cuda") is (pod.component != "inference")
    without = [pod for pod in release.pods() if pod not in on_cards]
    assert not any("nvidia.com/gpu" in str(pod.spec.get("tolerations")) for pod in without)


def test_certificates_tokens_and_metrics_reach_every_service_when_asked_for() -> None:
    release = rendered("external")
    secret = release.get("Certificate", "tls")["spec"]["secretName"]
    for pod in release.pods():
        if pod.component in SERVICES:
            volumes = {each["name"]: each["secret"]["secretName"] for each in pod.spec["volumes"] if "secret" in each}
            assert volumes == {"tls": secret} | ({"auth": "kyara-callers"} if pod.component == "jobs" else {})
            mounts = {each["mountPath"] for each in pod.spec["containers"][0]["volumeMounts"]}
            told = release.settings(pod.component)
            files = [told[name] for name in ("tls_cert", "tls_key", "tls_ca", "auth_key") if name in told]
            assert {str(Path(file).parent) for file in files} == mounts & {"/etc/kyara/tls", "/etc/kyara/auth"}
            probe = pod.spec["containers"][0]["readinessProbe"]["grpc"]["port"]
            assert told["probe_listen"] == f"[::]:{probe}", "probes know no TLS"
            assert told["probe_listen"] != told["listen"]
            assert {"name": "metrics", "containerPort": 9464} in pod.spec["containers"][0]["ports"]
    monitors = {each["metadata"]["name"] for each in release.of("ServiceMonitor")}
    assert monitors == {f"{FULLNAME}-{service}" for service in SERVICES}
    names = set(release.get("Certificate", "tls")["spec"]["dnsNames"])
    assert {f"{FULLNAME}-{service}" for service in SERVICES} <= names


def test_a_certificate_of_ones_own_asks_nothing_of_cert_manager() -> None:
    release = render(example("bundled") | {"tls": {"enabled": True, "existingSecret": "mine"}})
    assert not release.of("Certificate")
    assert {"name": "tls", "secret": {"secretName": "mine", "defaultMode": 0o440}} in release.get("Deployment", "jobs")["spec"][
        "template"
    ]["spec"]["volumes"]


def test_garbage_is_collected_on_schedule_by_a_command_that_exists() -> None:
    (cron,) = rendered("external").of("CronJob")
    assert cron["spec"]["schedule"] == "30 3 * * *" and cron["spec"]["concurrencyPolicy"] == "Forbid"
    (pod,) = (pod for pod in rendered("external").pods() if pod.component == "gc")
    (container,) = pod.containers
    variables = {each["name"]: each for each in container["env"]}
    assert variables["KYARA_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "kyara-gc", "key": "token"}
    assert "AWS_SECRET_ACCESS_KEY" not in variables, "it asks jobs to do it"
    assert container["command"] == ["kyara", "gc", "--grace-days", "7", "--forget-after-days", "0"]
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:1"):
        app([*container["command"][1:], "--address", "127.0.0.1:1"], standalone_mode=False)
    assert not rendered("bundled").of("CronJob"), "unless asked for, nothing is removed"


def test_crawlers_share_the_rates_of_hosts_also_while_they_are_replaced() -> None:
    values = example("bundled") | {"services": {"crawler": {"replicas": 3}}}
    release = render(values)
    assert release.settings("crawler")["replicas"] == release.get("Deployment", "crawler")["spec"]["replicas"] == 3
    assert release.get("Deployment", "crawler")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    values["services"] = {"crawler": {"autoscaling": {"enabled": True, "maxReplicas": 5}}}
    assert render(values).settings("crawler")["replicas"] == 5


def test_logins_of_sites_reach_the_crawler_and_nobody_else() -> None:
    having = [pod.component for pod in rendered("external").pods() for each in pod.containers if "site-logins" in str(each)]
    assert having == ["crawler"]


def test_models_are_read_where_the_job_puts_them() -> None:
    release = rendered("gpu")
    (job,) = (pod for pod in release.pods() if pod.component == "models")
    (fill,) = job.spec["containers"]
    assert fill["command"][:4] == ["kyara", "models", "repository", "--to"]
    repository, *options = fill["command"][4:]
    assert options == ["--gpu"], "this example has graphics cards"
    (catalogue,) = {each["value"] for one in job.containers for each in one["env"] if each["name"] == "KYARA_MODELS_DIR"}
    (triton,) = (pod for pod in release.pods() if pod.component == "inference")
    assert f"--model-repository={repository}" in triton.spec["containers"][0]["args"]
    readers = [
        pod for pod in release.pods() if pod.component in ("curator", "trainer", "evaluator", "trainer-ray", "evaluator-ray")
    ]
    assert {release.settings(pod.component)["models"] for pod in readers if pod.component in SERVICES} == {catalogue}
    for pod in [job, triton, *readers]:
        (volume,) = (each for each in pod.spec["volumes"] if "persistentVolumeClaim" in each)
        assert volume["persistentVolumeClaim"]["claimName"] == release.get("PersistentVolumeClaim", "models")["metadata"]["name"]
        (mount,) = (each for each in pod.spec["containers"][0]["volumeMounts"] if each["name"] == volume["name"])
        assert catalogue.startswith(mount["mountPath"] + "/") and repository.startswith(mount["mountPath"] + "/")
        assert mount.get("readOnly", False) is (pod is not job), "only the job writes"


def test_another_list_of_models_is_another_job() -> None:
    values = example("bundled")
    names = [render(values | more).of("Job")[0]["metadata"]["name"] for more in ({}, {"hub": {"existingSecret": "hub"}}, {})]
    assert names[0] == names[2] != names[1]


def _amount(quantity: str) -> float:
    """A Kubernetes quantity, as a number."""
    found = re.fullmatch(r"([\d.]+)(m|[KMGT]i)?", str(quantity))
    assert found, quantity
    scale = {None: 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    return float(found[1]) * scale[found[2]]
