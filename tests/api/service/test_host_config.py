"""Which devices of a host are meant."""

from __future__ import annotations

import pytest

from api.errors import NotFound
from api.service.host_config import DeviceRequest, device_names, devices_text, offers_devices

OFFERED = ["acme.com/card=a", "acme.com/gpu=0", "acme.com/gpu=10", "acme.com/gpu=2", "acme.com/gpu=all"]


def gpus(count: int = 0, ids: list[str] | None = None) -> DeviceRequest:
    return DeviceRequest(count=count, device_ids=ids or [], capabilities=[["gpu"]])


@pytest.mark.parametrize(
    ("request_", "names", "words"),
    [
        (DeviceRequest("cdi", device_ids=["acme.com/card=a"]), ["acme.com/card=a"], "acme.com/card=a"),
        (gpus(2), ["acme.com/gpu=0", "acme.com/gpu=2"], "2 GPUs"),
        (gpus(-1), ["acme.com/gpu=all"], "GPUs"),
        (gpus(ids=["10"]), ["acme.com/gpu=10"], "GPU 10"),
    ],
)
def test_a_request_means_devices_that_the_host_names(request_: DeviceRequest, names: list[str], words: str) -> None:
    assert device_names(request_, OFFERED) == names
    assert offers_devices([request_], OFFERED)
    assert devices_text([request_]) == words


@pytest.mark.parametrize(
    ("request_", "offered", "sentence"),
    [
        (DeviceRequest("cdi", device_ids=["acme.com/card=b"]), OFFERED, "offers no device acme.com/card=b"),
        (gpus(4), OFFERED, "4 GPUs are asked for, and this host offers 3"),
        (gpus(1), ["acme.com/card=a"], "offers no GPU"),
    ],
)
def test_what_is_not_offered_is_told(request_: DeviceRequest, offered: list[str], sentence: str) -> None:
    with pytest.raises(NotFound, match=sentence):
        device_names(request_, offered)
    assert not offers_devices([request_], offered)
