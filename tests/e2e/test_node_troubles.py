"""What does not work on a host is said where people look, stops nothing else, and is forgotten when it works again."""

from __future__ import annotations

from tests.e2e.world import IMAGE, World

PEER = (IMAGE, "python3", "peer.py")


def test_a_network_that_a_host_cannot_make_is_in_node_ls_and_the_others_work(world: World) -> None:
    world.argosy("network", "create", "trouble")
    vni = world.until(
        lambda: world.api("/networks/trouble")["Options"]["com.docker.network.driver.overlay.vxlanid_list"]
    )
    gives = "ip link del squatter 2>/dev/null"
    # somebody else has taken the name of the network's device on w1
    world.inside("w1", f"ip link add av{vni} type veth peer name squatter")
    try:
        world.argosy(
            "service", "create", "--detach", "--name", "ill", "--network", "trouble", "--mode", "global", *PEER
        )
        world.argosy("service", "create", "--detach", "--name", "well", "--mode", "global", "-p", "18098:8000", *PEER)
        world.until(lambda: "networks: not as wanted: The kernel refused to add VXLAN" in world.argosy("node", "ls"))
        assert "networks: not as wanted" in world.argosy("node", "inspect", "--pretty", "w1")
        assert "networks: not as wanted" not in world.argosy("node", "inspect", "--pretty", "w2")
        world.until_running("well", 3)
        assert world.until(lambda: world.ask("w1", 18098))
        assert {world.host_of(task) for task in world.tasks("ill")} <= {"m1", "w2"}

        world.inside("w1", f"{gives} ; true")
        world.until_running("ill", 3)
        world.until(lambda: "networks:" not in world.argosy("node", "ls"))
    finally:
        world.inside("w1", f"{gives} ; true")
        world.argosy("service", "rm", "ill", "well")
        world.until(lambda: world.argosy("network", "rm", "trouble"))
