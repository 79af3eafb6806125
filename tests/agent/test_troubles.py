"""A part of the agent that fails, an entry that cannot be applied: the rest goes on, and the managers are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import agent.tasks.task_runner
import agent.tasks.worker
from agent.runtime.interface import RuntimeFailure
from agent.session.assignment_reader import ManagerReader
from api.codec import encode
from api.errors import Invalid
from api.wire.assignments import NetworkAssignment, PeerAssignment
from api.wire.session_messages import Assignments, Part, SessionInfo
from overlay.interface import NetworkFailure
from tests.agent.builders import NETWORK, Lab, a_host, a_spec, a_task, cid
from tests.texts import message_of

pytestmark = pytest.mark.looptime


def troubles(lab: Lab) -> list[str]:
    """What the managers were told last."""
    return lab.manager.hellos()[-1].description.troubles


async def runs(lab: Lab, task: str = "t1") -> None:
    await lab.manager.until(lambda: lab.manager.state(task) == "running")


async def test_networks_that_do_not_come_up_are_tried_again_and_the_managers_know(tmp_path: Path) -> None:
    async with a_host(tmp_path, agent=False) as lab:
        lab.networks.start_failures = [NetworkFailure("the kernel has no vxlan")] * 3
        lab.start_agent()
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task()])
        await lab.manager.until(lambda: troubles(lab) == ["networks: the kernel has no vxlan"])
        await runs(lab)
        await lab.manager.until(lambda: troubles(lab) == [])


async def test_a_runtime_that_cannot_list_its_images_keeps_no_session_away(tmp_path: Path) -> None:
    async with a_host(tmp_path, agent=False) as lab:
        lab.runtime.list_failure = RuntimeFailure("the image store is locked")
        lab.start_agent()
        await lab.manager.talking()
        await lab.manager.until(lambda: troubles(lab) == ["list of images: the image store is locked"])
        lab.runtime.list_failure = None
        await lab.manager.until(lambda: troubles(lab) == [])


async def test_one_task_that_breaks_the_agent_breaks_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = agent.tasks.task_runner.step
    broken = {"t1"}

    def step(wanted: Any, seen: Any) -> Any:
        if wanted.order.id in broken:
            raise KeyError("nobody has thought of this")
        return whole(wanted, seen)

    monkeypatch.setattr("agent.tasks.task_runner.step", step)
    async with a_host(tmp_path) as lab:
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task("t1"), a_task("t2")])
        await runs(lab, "t2")
        assert "cannot be handled" in message_of(lab.manager.statuses["t1"][-1])
        await lab.manager.until(lambda: [t.partition(":")[0] for t in troubles(lab)] == ["task web.1.t1"])
        broken.clear()
        await runs(lab, "t1")


async def test_one_task_on_the_disk_that_breaks_the_agent_breaks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_host(tmp_path) as lab:
        (await lab.manager.talking()).assign(full=True, put=[NETWORK, a_spec(), a_task("t1"), a_task("t2")])
        await runs(lab, "t1")
        await runs(lab, "t2")
        await lab.kill_agent()
        lab.manager.statuses.clear()
        real = agent.tasks.worker.observe

        def observe(status: Any, container: Any, image: Any, spec: Any) -> Any:
            if container is not None and container.task_id == "t1":
                raise ValueError("a record that nobody has thought of")
            return real(status, container, image, spec)

        monkeypatch.setattr("agent.tasks.worker.observe", observe)
        lab.start_agent()
        await runs(lab, "t2")
        assert lab.runtime.verbs(cid("t2")) == ["create", "start"]


async def test_an_entry_that_cannot_be_applied_is_left_out_named_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_host(tmp_path) as lab:
        talk = await lab.manager.talking()
        bad = PeerAssignment("n9.net", "net", "n9", "not-an-ip", "10.0.1.150")
        odd = NetworkAssignment("odd", "odd", 1 << 30, "10.0.9.0/24", "", "10.0.9.1/24")
        talk.assign(full=True, put=[bad, odd, NETWORK, a_spec(), a_task()])
        await runs(lab)
        assert set(lab.networks.view.networks) == {"net"}
        assert lab.networks.view.peers == {}
        talk.assign(put=[bad])
        await lab.manager.until(lambda: len(troubles(lab)) == 2)
        assert troubles(lab) == [
            "network odd: 1073741824 is no VXLAN network identifier",
            "peer n9.net: 'not-an-ip' is no IPv4 address",
        ]
        talk.assign(put=[msgspec.structs.replace(bad, host="192.0.2.9")], remove=[("network", "odd")])
        await lab.manager.until(lambda: "peer n9.net: 'not-an-ip' is no IPv4 address" not in troubles(lab))
        assert set(lab.networks.view.peers) == {"n9.net"}
        assert capsys.readouterr().out.count("'not-an-ip' is no IPv4 address") == 1


async def test_a_set_that_comes_in_parts_is_acted_on_when_it_is_whole(tmp_path: Path) -> None:
    async with a_host(tmp_path) as lab:
        talk = await lab.manager.talking()
        talk.assign(full=True, put=[NETWORK, a_spec(), a_task("t1"), a_task("t2")])
        await runs(lab, "t1")
        await runs(lab, "t2")
        talk.break_off()
        await lab.manager.until(lambda: lab.manager.connection is None)
        talk = await lab.manager.talking()
        talk.say(Part([NETWORK, a_spec(), a_task("t1")]))
        for _ in range(5):
            await lab.manager.until(lambda: True)
        assert "stop" not in lab.runtime.verbs(cid("t2"))
        talk.assign(full=True, put=[a_task("t2"), a_task("t3")])
        await runs(lab, "t3")
        for task in ("t1", "t2"):
            assert lab.runtime.verbs(cid(task)) == ["create", "start"]


def test_an_entry_of_a_later_version_is_left_out_of_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    reader, good = ManagerReader(), a_task()
    later = b'{"type":"teleport","ID":"x","Where":1}'
    for kind in (Assignments(3, True, [good]), Part([good])):
        whole = encode(kind)
        message = whole.replace(b'"Put":[', b'"Put":[' + later + b",")
        assert message != whole
        assert reader.read(message) == kind
    assert capsys.readouterr().out.count("teleport x") == 1
    assert reader.read(encode(SessionInfo(2.0))) == SessionInfo(2.0)
    for junk in (b"", b"{", b"[]", b'{"type":"other"}', b'{"Put":1}', b"[" * 100_000):
        with pytest.raises(Invalid):
            reader.read(junk)
