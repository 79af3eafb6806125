"""Invalid requests of every kind: the exact status and the exact message."""

from __future__ import annotations

import io
from typing import Any

import pytest

from api.http.app import MAX_BODY
from tests.manager.http.cluster_api import M1, W1, Api, service

POST, GET, DELETE = "POST", "GET", "DELETE"
CREATE, NETWORK = "/services/create", "/networks/create"


def container(**fields: Any) -> dict[str, Any]:
    """A service with an invalid container spec."""
    return {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "demo:1", **fields}}}


def template(**fields: Any) -> dict[str, Any]:
    """A service with an invalid task template."""
    return {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "demo:1"}, **fields}}


def ports(*given: dict[str, Any], mode: str = "vip") -> dict[str, Any]:
    """A service that publishes."""
    return service("web", EndpointSpec={"Mode": mode, "Ports": list(given)})


def network(**fields: Any) -> dict[str, Any]:
    """An invalid network."""
    return {"Name": "net", "Driver": "overlay", **fields}


GPU = {"Kind": "gpu", "Value": 0}
SPEC = "TaskTemplate.ContainerSpec"
TABLE: list[tuple[str, str, Any, int, str]] = [
    # bodies
    (POST, CREATE, b"{", 400, "the request body is not JSON: look at line 1, column 2"),
    (POST, CREATE, b"", 400, "the request body is empty; a JSON object is needed"),
    (
        POST, CREATE, b'{"Name":"web"} {}', 400,
        "the request body is not JSON: look at line 1, column 16",
    ),
    (POST, CREATE, [], 400, "the body must be an object, not a list"),
    (POST, CREATE, {"Name": 7}, 400, "Name: must be a string, not 7"),
    (
        POST, CREATE, service("web", Mode={"Replicated": {"Replicas": "3"}}), 400,
        "Mode.Replicated.Replicas: must be a whole number, not '3'",
    ),
    # names and images
    (
        POST, CREATE, service("web.1"), 400,
        "Name: 'web.1' must be valid as a DNS name component (letters, digits, '-' and '_' between them)",
    ),
    (
        POST, CREATE, service("w" * 64), 400,
        f"Name: {'w' * 20}… has 64 characters; a name must be 63 characters or fewer",
    ),
    (POST, CREATE, {"Name": "web"}, 400, f"{SPEC}.Image: image reference must be provided"),
    (
        POST, CREATE, service("web", image="Demo"), 400,
        f"{SPEC}.Image: invalid image reference 'Demo': the repository name must be lowercase",
    ),
    # modes and numbers
    (
        POST, CREATE, service("web", Mode={"Replicated": {"Replicas": -1}}), 400,
        "Mode.Replicated.Replicas: number of replicas must be non-negative",
    ),
    (
        POST, CREATE, service("web", Mode={"Replicated": {}, "Global": {}}), 400,
        "Mode: must specify only one service mode",
    ),
    (
        POST, CREATE, service("web", Mode={"GlobalJob": {}}, UpdateConfig={}), 400,
        "UpdateConfig, RollbackConfig: may not be used with a job; every update starts it anew",
    ),
    (
        POST, CREATE, service("web", UpdateConfig={"MaxFailureRatio": 1.5}), 400,
        "UpdateConfig.MaxFailureRatio: update-maxfailureratio cannot be less than 0 or bigger than 1",
    ),
    (
        POST, CREATE, service("web", UpdateConfig={"Order": "random"}), 400,
        "UpdateConfig.Order: 'random' is none of start-first, stop-first",
    ),
    (
        POST, CREATE, template(Resources={"Limits": {"MemoryBytes": 1000}}), 400,
        "TaskTemplate.Resources.Limits.MemoryBytes: invalid memory value 1000: Must be at least 4MiB",
    ),
    (
        POST, CREATE, template(Resources={"Reservations": {"NanoCPUs": 5}}), 400,
        "TaskTemplate.Resources.Reservations.NanoCPUs: invalid cpu value 5e-09: Must be at least 0.001",
    ),
    (
        POST, CREATE, template(RestartPolicy={"Delay": -1}), 400,
        "TaskTemplate.RestartPolicy.Delay: must not be negative",
    ),
    # placement
    (
        POST, CREATE, template(Placement={"Constraints": ["node.role=manager"]}), 400,
        "TaskTemplate.Placement.Constraints[0]: constraint 'node.role=manager': expected one operator from ==, !=",
    ),
    (
        POST, CREATE, template(Placement={"Preferences": [{"Spread": {"SpreadDescriptor": "rack"}}]}), 400,
        "TaskTemplate.Placement.Preferences[0].Spread.SpreadDescriptor: 'rack' is no node attribute to spread over",
    ),
    # ports
    (POST, CREATE, ports({"TargetPort": 0}), 400, "EndpointSpec.Ports[0].TargetPort: 0 is not from 1 to 65535"),
    (
        POST, CREATE, ports({"TargetPort": 80, "PublishedPort": 70000}), 400,
        "EndpointSpec.Ports[0].PublishedPort: 70000 is not from 1 to 65535 (or 0 for any)",
    ),
    (
        POST, CREATE, ports({"TargetPort": 80, "PublishedPort": 81}, {"TargetPort": 90, "PublishedPort": 81}), 400,
        "EndpointSpec.Ports[1]: duplicate published ports provided: 81/tcp",
    ),
    (
        POST, CREATE, ports({"TargetPort": 80, "PublishedPort": 81}, mode="dnsrr"), 400,
        "EndpointSpec.Ports[0]: port published with ingress mode can't be used with dnsrr mode",
    ),
    # containers
    (
        POST, CREATE, container(Mounts=[{"Type": "volume", "Target": "data"}]), 400,
        f"{SPEC}.Mounts[0].Target: 'data' must be an absolute path",
    ),
    (
        POST, CREATE, container(Mounts=[{"Type": "tmpfs", "Target": "/a"}, {"Type": "tmpfs", "Target": "/a/"}]), 400,
        f"{SPEC}.Mounts[1].Target: duplicate mount point: /a/",
    ),
    (
        POST, CREATE, container(Mounts=[{"Type": "bind", "Source": "x", "Target": "/a"}]), 400,
        f"{SPEC}.Mounts[0].Source: invalid bind mount source, must be an absolute path: 'x'",
    ),
    (
        POST, CREATE, container(Mounts=[{"Type": "nfs", "Target": "/a"}]), 400,
        f"{SPEC}.Mounts[0].Type: 'nfs' is none of bind, cluster, image, npipe, tmpfs, volume",
    ),
    (
        POST, CREATE, container(Healthcheck={"Test": ["CMD", "x"], "Interval": 5}), 400,
        f"{SPEC}.Healthcheck.Interval: 5 ns cannot be less than 1ms",
    ),
    (
        POST, CREATE, container(Healthcheck={"Test": ["RUN"]}), 400,
        f"{SPEC}.Healthcheck.Test: begins with 'RUN'; NONE, CMD or CMD-SHELL is needed",
    ),
    (
        POST, CREATE, container(Ulimits=[{"Name": "nofile", "Soft": 10, "Hard": 5}]), 400,
        f"{SPEC}.Ulimits: nofile: the soft limit (10) exceeds the hard one (5)",
    ),
    (POST, CREATE, container(Env=["=x"]), 400, f"{SPEC}.Env[0]: '=x' has no name; it must be NAME=VALUE"),
    (
        POST, CREATE, container(Hosts=["db 10.0.0.1"]), 400,
        f"{SPEC}.Hosts[0]: 'db 10.0.0.1' is not of the form 'ADDRESS NAME …'",
    ),
    (POST, CREATE, container(OomScoreAdj=2000), 400, f"{SPEC}.OomScoreAdj: 2000 is not from -1000 to 1000"),
    # what Argosy does not have
    *(
        (
            POST, CREATE, container(Mounts=[{"Type": type, "Target": target}]), 501,
            f"{SPEC}.Mounts[0].Type: '{type}' is not supported by Argosy; bind, volume, tmpfs are",
        )
        for type, target in (("cluster", "/a"), ("image", "/a"), ("npipe", r"\\.\pipe\a"))
    ),
    (
        POST, CREATE, container(Privileges={"CredentialSpec": {"File": "x.json"}}), 501,
        f"{SPEC}.Privileges.CredentialSpec: credential specs are for Windows containers, which are not supported by"
        " Argosy",
    ),
    (
        POST, CREATE, container(Isolation="hyperv"), 501,
        f"{SPEC}.Isolation: 'hyperv' is for Windows containers, which are not supported by Argosy",
    ),
    (
        POST, CREATE, template(Resources={"SwapBytes": 1}), 501,
        "TaskTemplate.Resources.SwapBytes: not supported by Argosy here; ContainerSpec.HostConfig.MemorySwap (memory"
        " and swap) is",
    ),
    (
        POST, CREATE, template(PluginSpec={"Name": "x"}, Runtime="plugin"), 501,
        "TaskTemplate.PluginSpec: plugins are not supported by Argosy",
    ),
    (
        POST, CREATE, container(Privileges={"CredentialSpec": {"File": "x"}}, Imgae="x"), 501,
        f"{SPEC}.Privileges.CredentialSpec: credential specs are for Windows containers, which are not supported by"
        " Argosy",
    ),
    (POST, CREATE, container(Secrets=[{"SecretID": "a"}]), 400, "secret not found: a"),
    (POST, CREATE, container(Configs=[{"ConfigName": "a"}]), 400, "config not found: a"),
    (POST, CREATE, container(Secrets=[{}]), 400, "malformed secret reference: it has neither an id nor a name"),
    (
        POST, CREATE, container(Hostname="{{.Node.Hostnam}}"), 400,
        f"{SPEC}.Hostname: template {{{{.Node.Hostnam}}}}: there is no .Node.Hostnam;"
        " there is .Node.Hostname, .Node.ID, .Node.Platform",
    ),
    (
        POST, CREATE, template(Runtime="plugin"), 501,
        "TaskTemplate.Runtime: 'plugin' is not supported; only containers are",
    ),
    (
        POST, CREATE, template(Resources={"Reservations": {"GenericResources": [{"DiscreteResourceSpec": GPU}]}}), 400,
        "TaskTemplate.Resources.Reservations.GenericResources[0].DiscreteResourceSpec:"
        " a Kind, and a Value of at least 1, are needed",
    ),
    (
        POST, CREATE, template(LogDriver={"Name": "splunk"}), 501,
        "TaskTemplate.LogDriver: 'splunk' is not supported; json-file, local and none are",
    ),
    # networks of services
    (POST, CREATE, template(Networks=[{"Target": "nowhere"}]), 404, "network nowhere not found"),
    (
        POST, CREATE, template(Networks=[{"Target": "bridge"}]), 400,
        "network bridge cannot be used with services: only overlay networks, host and none can",
    ),
    (
        POST, CREATE, template(Networks=[{"Target": "ingress"}]), 400,
        "network ingress is the routing mesh's; publish a port to use it",
    ),
    (
        POST, CREATE, template(Networks=[{"Target": "x"}, {"Target": "x"}]), 400,
        "TaskTemplate.Networks[1].Target: network x is given twice",
    ),
    # networks
    (POST, NETWORK, {}, 400, "Name: a network needs a name"),
    (
        POST, NETWORK, {"Name": "a b"}, 400,
        "Name: 'a b' must begin with a letter or digit, go on with letters, digits, '_', '.', '-', and be 63 characters"
        " or fewer",
    ),
    (
        POST, NETWORK, network(Driver="bridge"), 501,
        "Driver: 'bridge' is not supported; a cluster's networks are overlay networks",
    ),
    (
        POST, NETWORK, network(IPAM={"Config": [{"Subnet": "10.9.0.7/24"}]}), 400,
        "IPAM.Config[0].Subnet: '10.9.0.7/24' is not a subnet; the one that this address is in is 10.9.0.0/24",
    ),
    (
        POST, NETWORK, network(IPAM={"Config": [{"Subnet": "10.9.0.0/31"}]}), 400,
        "IPAM.Config[0].Subnet: 10.9.0.0/31 must have a prefix length from 8 to 29",
    ),
    (
        POST, NETWORK, network(Options={"encrypted": ""}), 501,
        "Options.encrypted: encrypted networks are not supported",
    ),
    (POST, NETWORK, network(Options={"colour": "red"}), 501, "Options.colour: this option is not supported"),
    (
        POST, NETWORK, network(Options={"com.docker.network.driver.mtu": "big"}), 400,
        "Options.com.docker.network.driver.mtu: 'big' is not a number from 576 to 65535",
    ),
    (POST, NETWORK, network(EnableIPv6=True), 501, "EnableIPv6: IPv6 on overlay networks is not supported"),
    (
        POST, NETWORK, network(EnableIPv4=False), 501,
        "EnableIPv4: IPv4 cannot be disabled on a network of the cluster",
    ),
    (POST, NETWORK, {"Name": "host"}, 403, "operation is not permitted on predefined host network"),
    (POST, NETWORK, {"Name": "ingress"}, 409, "network with name ingress already exists"),
    (DELETE, "/networks/bridge", None, 403, "bridge is a pre-defined network and cannot be removed"),
    (
        POST, NETWORK, network(Ingress=True), 409,
        "Ingress: network ingress is the routing mesh's; remove it before you make another",
    ),
    (POST, NETWORK, network(Ingress=True, Internal=True), 400,
     "Internal: the routing mesh's network is there to be reached from outside"),
    (POST, NETWORK, network(IPAM={"Config": [{"Subnet": "127.5.0.0/16"}]}), 400,
     "IPAM.Config[0].Subnet: 127.5.0.0/16 overlaps 127.0.0.0/8, the loopback addresses"),
    (POST, NETWORK, network(IPAM={"Config": [{"Subnet": "224.1.0.0/16"}]}), 400,
     "IPAM.Config[0].Subnet: 224.1.0.0/16 overlaps 224.0.0.0/4, the multicast addresses"),
    (POST, NETWORK, network(IPAM={"Config": [{"Subnet": "169.254.9.0/24"}]}), 400,
     "IPAM.Config[0].Subnet: 169.254.9.0/24 overlaps 169.254.0.0/16, the link-local addresses"),
    (POST, NETWORK, network(IPAM={"Config": [{"Subnet": "0.0.0.0/8"}]}), 400,
     "IPAM.Config[0].Subnet: 0.0.0.0/8 overlaps 0.0.0.0/8, which means this network"),
    (POST, NETWORK, network(IPAM={"Config": [{"Subnet": "250.1.0.0/16"}]}), 400,
     "IPAM.Config[0].Subnet: 250.1.0.0/16 overlaps 240.0.0.0/4, which is reserved"),
    (POST, NETWORK, network(IPAM={"Config": [{"Subnet": "172.16.0.0/12"}]}), 400,
     "IPAM.Config[0].Subnet: 172.16.0.0/12 overlaps 172.31.240.0/20, each host's own network for containers"),
    (POST, NETWORK, network(IPAM={"Config": [{"Subnet": "10.1.0.0/16"}]}), 409,
     "IPAM.Config[0].Subnet: 10.1.0.0/16 overlaps 10.1.0.1/32 of host m1; choose another subnet"),
    (DELETE, "/networks/nowhere", None, 404, "network nowhere not found"),
    (
        POST, "/networks/ingress/connect", {"Container": "x"}, 501,
        "containers cannot be connected to or disconnected from a network; change the networks of their service",
    ),
    # things that do not exist
    (GET, "/services/nowhere", None, 404, "service nowhere not found"),
    (DELETE, "/services/nowhere", None, 404, "service nowhere not found"),
    (GET, "/tasks/nowhere", None, 404, "task nowhere not found"),
    (GET, "/nodes/nowhere", None, 404, "node nowhere not found"),
    (GET, "/secrets/nowhere", None, 404, "secret nowhere not found"),
    (GET, "/nothing", None, 404, "page not found: GET /nothing"),
    (DELETE, "/services", None, 405, "DELETE is not possible on /services; GET, HEAD is"),
    # queries
    (GET, "/services?filters=name", None, 400, 'filters: not of the form {"name": {"value": true}}'),
    (
        GET, '/services?filters={"nam":["x"]}', None, 400,
        "invalid filter 'nam'; known here: id, label, mode, name, runtime",
    ),
    (
        GET, '/services?filters={"mode":["singular"]}', None, 400,
        "invalid filter 'mode=singular'; modes are global, global-job, replicated, replicated-job",
    ),
    (
        GET, '/tasks?filters={"desired-state":["happy"]}', None, 400,
        "invalid filter 'desired-state=happy'; running, shutdown and accepted are used",
    ),
    (GET, '/tasks?filters={"service":["nowhere"]}', None, 404, "service nowhere not found"),
    (GET, '/nodes?filters={"role":["boss"]}', None, 400, "invalid filter 'role=boss'; manager or worker"),
    (
        GET, '/networks?filters={"scope":["galaxy"]}', None, 400,
        "invalid filter 'scope=galaxy'; global, local, swarm are possible",
    ),
    (GET, "/networks/ingress?scope=galaxy", None, 400, "scope: 'galaxy' is none of swarm, local, global"),
    (
        GET, "/events?since=yesterday", None, 400,
        "since: 'yesterday' is neither Unix seconds nor a time like 2024-01-31T12:00:00Z",
    ),
    (GET, "/v1.99/services", None, 400, "client version 1.99 is too new. Maximum supported API version is 1.50"),
    (GET, "/v1.12/services", None, 400, "client version 1.12 is too old. Minimum supported API version is 1.24"),
    # nodes
    (
        POST, f"/nodes/{W1}/update", {"Role": "worker", "Availability": "active"}, 400,
        "invalid node version '': ?version= takes the Version.Index that was read",
    ),
    (
        POST, f"/nodes/{W1}/update?version=2", {"Availability": "asleep"}, 400,
        "Availability: 'asleep' is none of active, pause, drain",
    ),
    (
        DELETE, f"/nodes/{W1}", None, 400,
        f"node {W1} is not down and can't be removed; stop it, or use --force",
    ),
    (
        DELETE, f"/nodes/{M1}?force=1", None, 400,
        f"node {M1} is a cluster manager and a member of its store."
        " It must be demoted to worker before removal",
    ),
    # the cluster
    (
        POST, "/swarm/update?version=x", {}, 400,
        "invalid swarm version 'x': ?version= takes the Version.Index that was read",
    ),
    (POST, "/swarm/unlock", {}, 409, "swarm is not locked"),
    (
        POST, "/secrets/create", {"Name": "s", "Data": ""}, 400,
        "Data: secret data must be larger than 0 and less than 512000 bytes",
    ),
    (
        GET, "/distribution/Demo/json", None, 400,
        "invalid image reference 'Demo': the repository name must be lowercase",
    ),
    (GET, "/distribution/demo:1/json", None, 404, "demo:1: registry says manifest unknown"),
]  # fmt: skip


UNKNOWN = [
    (CREATE, service("web", Replicas=3), "unknown field $.Replicas"),
    (CREATE, container(Imgae="x"), f"unknown field $.{SPEC}.Imgae"),
    (CREATE, container(Privileges={"CredentialSpec": {"File": "x"}}, Imgae="x"), f"unknown field $.{SPEC}.Imgae"),
    (NETWORK, network(Colour="red"), "unknown field $.Colour"),
    ("/secrets/create", {"Name": "word", "Data": "b3Blbg==", "Sort": "x"}, "unknown field $.Sort"),
]


@pytest.mark.parametrize(("path", "body", "message"), UNKNOWN)
async def test_unknown_fields_of_our_own_client_are_refused_by_name(
    api: Api, path: str, body: Any, message: str
) -> None:
    api.agent = "argosy/0.1.0"
    assert await api.call(POST, path, body) == (400, {"message": message})


@pytest.mark.parametrize(
    ("path", "body"), [(path, body) for path, body, _ in UNKNOWN if "CredentialSpec" not in str(body)]
)
async def test_unknown_fields_of_others_are_ignored_as_docker_ignores_them(api: Api, path: str, body: Any) -> None:
    status, value = await api.call(POST, path, body)
    assert status == 201, value


async def test_a_mode_in_lower_case_is_that_mode(api: Api) -> None:
    """docker-py, Ansible, aiodocker and dockerode write it so; Docker reads keys in any case."""
    id = await api.create("agent", Mode={"global": {}})
    assert (await api.get(f"/services/{id}"))["Spec"]["Mode"] == {"Global": {}}


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), TABLE)
async def test_bad_input_gets_one_clear_sentence(
    api: Api, method: str, path: str, body: Any, status: int, message: str
) -> None:
    before = api.manager.store.state.revision
    answered, value = await api.call(method, path, body)
    assert (answered, value.get("message") if isinstance(value, dict) else value) == (status, message)
    assert api.manager.store.state.revision == before


async def test_the_logs_of_a_service_need_a_stream_and_sound_numbers(api: Api) -> None:
    await api.create("web")
    for query, message in (
        ({}, "Bad parameters: you must choose at least one stream (stdout=1, stderr=1)"),
        ({"stdout": 1, "tail": "some"}, "tail: 'some' is neither a number of lines nor 'all'"),
        (
            {"stdout": 1, "since": "noon"},
            "since: 'noon' is neither Unix seconds nor a time like 2024-01-31T12:00:00Z",
        ),
    ):
        status, value = await api.call("GET", "/services/web/logs", **query)
        assert (status, value["message"]) == (400, message)


async def test_updates_that_ask_for_impossible_things_are_refused(api: Api) -> None:
    id = await api.create("web")
    for query, message in (
        ({"version": "-1"}, "invalid service version '-1': ?version= takes the Version.Index that was read"),
        ({"rollback": "yesterday"}, "invalid rollback option 'yesterday'; previous is the only one"),
        ({"registryAuthFrom": "me"}, "invalid registryAuthFrom 'me'; spec or previous-spec"),
    ):
        status, value = await api.update(id, service("web"), **query)
        assert (status, value["message"]) == (400, message)


async def test_a_body_over_the_limit_is_refused_by_its_size(api: Api) -> None:
    size = MAX_BODY + 1
    headers = {"Content-Type": "application/json"}
    async with api.client.post("/services/create", data=io.BytesIO(b" " * size), headers=headers) as response:
        message = (await response.json())["message"]
        assert (response.status, message) == (413, f"the request body has {size} bytes; at most {MAX_BODY} are taken")


async def test_a_body_of_another_kind_is_refused_by_its_kind(api: Api) -> None:
    async with api.client.post("/networks/create", data=b"{}", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 400
        message = (await response.json())["message"]
        assert message == "unsupported Content-Type header (text/plain): must be 'application/json'"
