"""What is read from conntrack's listing."""

from __future__ import annotations

from overlay.conntrack import reply_sources

LISTING = b"""\
tcp      6 431999 ESTABLISHED src=10.0.1.7 dst=10.0.1.130 sport=40716 dport=80 src=10.0.1.12 dst=10.0.1.7 sport=80 \
dport=40716 [ASSURED] mark=0 use=1
udp      17 29 src=192.0.2.9 dst=192.0.2.1 sport=5000 dport=5300 [UNREPLIED] src=10.255.0.13 dst=192.0.2.9 sport=53 \
dport=5000 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.
"""


def test_the_addresses_behind_connections_are_those_that_answer() -> None:
    assert reply_sources(LISTING) == {"10.0.1.12", "10.255.0.13"}


def test_a_line_in_another_form_is_passed_over() -> None:
    assert reply_sources(b"icmp 1 29 src=10.0.0.1\n\nsomething else\n") == set()
