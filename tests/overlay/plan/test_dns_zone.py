"""The addresses of a name, as each sandbox sees it."""

from __future__ import annotations

from dataclasses import replace

from overlay.interface import Interface, Sandbox
from overlay.plan.dns_zone import index, lookup, pointer
from overlay.plan.network_snapshot import NetworkSnapshot
from tests.overlay.orders import endpoint, ingress_snapshot, network, service


def sandbox(task_name: str = "shop_api.1.x", aliases: tuple[str, ...] = ()) -> Sandbox:
    return Sandbox("c1", "t1", task_name, "api", "box", (Interface("n1", "10.0.1.40/24", aliases),))


OWN = {"n1": "10.0.1.40"}


def test_a_service_is_its_vip_by_name_and_by_alias_and_its_tasks_by_prefix() -> None:
    names = [index(ingress_snapshot())]

    assert lookup("web", names, sandbox(), OWN) == ("10.0.1.130",)
    assert lookup("www", names, sandbox(), OWN) == ("10.0.1.130",)
    assert lookup("tasks.web", names, sandbox(), OWN) == ("10.0.1.11", "10.0.1.12")
    assert lookup("web.1", names, sandbox(), OWN) == ("10.0.1.11",)
    assert lookup("host-web.2", names, sandbox(), OWN) == ("10.0.1.12",)
    assert lookup("example.org", names, sandbox(), OWN) is None


def test_without_a_vip_a_service_is_its_ready_tasks() -> None:
    tasks = (endpoint("a", "10.0.1.11", "h"), endpoint("b", "10.0.1.12", "h", ready=False))
    names = [index(NetworkSnapshot(network(), (service("web", ""),), tasks))]

    assert lookup("web", names, sandbox(), OWN) == ("10.0.1.11",)
    assert lookup("web", [index(NetworkSnapshot(network(), (service("web", ""),)))], sandbox(), OWN) == ()


def test_on_a_shared_network_the_callers_own_stack_wins() -> None:
    services = tuple(
        service(f"{stack}_db", vip, aliases=("db",)) for stack, vip in (("blog", "10.0.1.130"), ("shop", "10.0.1.131"))
    )
    names = [index(NetworkSnapshot(network(), services))]

    assert lookup("db", names, sandbox("shop_api.1.x"), OWN) == ("10.0.1.131",)
    assert lookup("db", names, sandbox("blog_api.1.x"), OWN) == ("10.0.1.130",)
    assert lookup("db", names, sandbox("other.1.x"), OWN) == ("10.0.1.130", "10.0.1.131")
    assert lookup("blog_db", names, sandbox("shop_api.1.x"), OWN) == ("10.0.1.130",)


def test_a_container_knows_itself_before_it_is_ready() -> None:
    for name in ("box", "shop_api.1.x", "me"):
        assert lookup(name, [], sandbox(aliases=("ME",)), OWN) == ("10.0.1.40",)


def test_networks_are_asked_in_the_order_of_interfaces() -> None:
    first, second = ingress_snapshot(), NetworkSnapshot(network(), (service("web", "10.0.9.9"),))

    assert lookup("web", [index(second), index(first)], sandbox(), OWN) == ("10.0.9.9",)


def test_addresses_have_names() -> None:
    names = [index(replace(ingress_snapshot()))]

    assert pointer("10.0.1.130", names, sandbox(), OWN) == "web.shop_default"
    assert pointer("10.0.1.12", names, sandbox(), OWN) == "web.2.shop_default"
    assert pointer("10.0.1.40", names, sandbox(), OWN) == "box"
    assert pointer("10.9.9.9", names, sandbox(), OWN) is None
