"""Which devices of a host are meant by what a container asks for: names in the host's CDI files, or GPUs by number.

The scheduler asks it to find a host, the host to make the container.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from api.errors import NotFound
from api.service.host_config import DeviceRequest

ALL = "all"


def names_of(request: DeviceRequest, offered: Sequence[str]) -> list[str]:
    """The devices ("vendor.com/class=name") among those a host offers. Raises NotFound, which says what is not there.

    What is asked for as a GPU, as Docker's `--gpus` does, is looked up among the devices of a kind "<vendor>/gpu".
    """
    names = request.device_ids if request.driver == "cdi" else _gpus(request, offered)
    if missing := [name for name in names if name not in offered]:
        raise NotFound(f"this host offers no device {missing[0]}")
    return names


def offers(requests: Iterable[DeviceRequest], offered: Sequence[str]) -> bool:
    """Whether a host with these devices has all that is asked for."""
    try:
        return all(names_of(request, offered) is not None for request in requests)
    except NotFound:
        return False


def told(requests: Iterable[DeviceRequest]) -> str:
    """What is asked for, for people: "acme.com/card=one", "2 GPUs"."""
    return ", ".join(part for request in requests for part in _told(request))


def _told(request: DeviceRequest) -> list[str]:
    if request.driver == "cdi":
        return request.device_ids
    if request.device_ids:
        return [f"GPU {name}" for name in request.device_ids]
    return ["GPUs"] if request.count < 0 else ["a GPU"] if request.count == 1 else [f"{request.count} GPUs"]


def _gpus(request: DeviceRequest, offered: Sequence[str]) -> list[str]:
    every = [name for name in offered if name.partition("=")[0].endswith("/gpu")]
    if not every:
        raise NotFound("this host offers no GPU")
    kind = every[0].partition("=")[0]
    if request.device_ids:
        return [f"{kind}={id}" for id in request.device_ids]
    single = sorted((name for name in every if name.startswith(f"{kind}=") and name != f"{kind}={ALL}"), key=_order)
    if request.count < 0:
        return [f"{kind}={ALL}"] if f"{kind}={ALL}" in every else single
    if request.count > len(single):
        raise NotFound(f"{request.count} GPUs are asked for, and this host offers {len(single)}")
    return single[: request.count]


def _order(name: str) -> tuple[list[int], str]:
    return [int(digits) for digits in re.findall(r"\d+", name)], name
