import pytest

from api.errors import Invalid
from node.membership.advertise_address import advertised, host_port, interfaces, listening, resolve

ONE = {
    "lo": ["127.0.0.1"],
    "eth0": ["192.0.2.1"],
    "argosy0": ["172.31.240.1"],
    "ab256": ["10.0.0.2"],
    "docker0": ["172.17.0.1"],
}
TWO = {**ONE, "eth1": ["198.51.100.1"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:2377", ("0.0.0.0", 2377)),
        ("192.0.2.1", ("192.0.2.1", 1)),
        (":99", ("", 99)),
        ("eth0:5", ("eth0", 5)),
        ("[fe80::1]:7", ("fe80::1", 7)),
        ("fe80::1", ("fe80::1", 1)),
    ],
)
def test_host_and_port_are_split(text: str, expected: tuple[str, int]) -> None:
    assert host_port(text, 1) == expected


@pytest.mark.parametrize("text", ["a:b", "a:0", "a:65536", "a:-1"])
def test_a_bad_port_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not a port"):
        host_port(text, 1)


@pytest.mark.parametrize(
    ("given", "listen", "expected"),
    [
        ("", "0.0.0.0", "192.0.2.1"),
        ("", "", "192.0.2.1"),
        ("", "192.0.2.9", "192.0.2.9"),
        ("eth0", "0.0.0.0", "192.0.2.1"),
        ("lo", "0.0.0.0", "127.0.0.1"),
        ("203.0.113.5:2377", "192.0.2.9", "203.0.113.5"),
    ],
)
def test_what_is_advertised(given: str, listen: str, expected: str) -> None:
    assert advertised(given, listen, ONE) == expected


def test_two_addresses_are_no_choice_the_docker_client_knows_the_words() -> None:
    with pytest.raises(Invalid, match=r"could not choose an IP address to advertise .* on different interfaces"):
        advertised("", "0.0.0.0", TWO)
    with pytest.raises(Invalid, match="could not find the system's IP address"):
        advertised("", "0.0.0.0", {"lo": ["127.0.0.1"]})


@pytest.mark.parametrize("given", ["0.0.0.0", "nothing", "300.1.1.1", "eth9"])
def test_what_cannot_be_advertised_is_refused(given: str) -> None:
    with pytest.raises(Invalid):
        advertised(given, "0.0.0.0", ONE)


def test_an_interface_without_one_address_is_refused() -> None:
    with pytest.raises(Invalid, match="more than one"):
        resolve("eth0", {"eth0": ["192.0.2.1", "192.0.2.2"]})
    with pytest.raises(Invalid, match="no usable"):
        resolve("eth0", {"eth0": []})


def test_what_is_listened_on() -> None:
    assert listening("0.0.0.0:5", 1, ONE) == ("0.0.0.0", 5)
    assert listening("eth0", 1, ONE) == ("192.0.2.1", 1)
    assert listening(":7", 1, ONE) == ("0.0.0.0", 7)
    with pytest.raises(Invalid, match="cannot listen on 'nowhere:7'"):
        listening("nowhere:7", 1, ONE)


def test_the_kernel_knows_the_loopback() -> None:
    assert "lo" in interfaces()
