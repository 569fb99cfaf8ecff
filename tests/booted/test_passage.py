"""Beside Docker, ufw and firewalld: droplets reach mirrors and metadata, and the filters are left as they were."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import limits
import pytest
from nethost import NetHost, nethost

PROBE = Path(__file__).parent.parent / "nethost_probe.py"
_DOCKER = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
"""
_UFW = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-input - [0:0]
-A INPUT -j ufw-before-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
_FIREWALLD = """table inet firewalld {
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    iifname "lo" accept
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    reject with icmpx admin-prohibited
  }
}
"""
_FILTERS = {
    "docker": (("iptables-nft-restore",), _DOCKER, ["nothing", "metadata"], 2),
    "ufw": (("iptables-nft-restore",), _UFW, ["nothing", "nothing"], 3),
    "firewalld": (("nft", "-f", "-"), _FIREWALLD, ["nothing", "nothing"], 3),
    "docker-legacy": (("iptables-legacy-restore",), _DOCKER, ["nothing", "metadata"], 2),
    "ufw-legacy": (("iptables-legacy-restore",), _UFW, ["nothing", "nothing"], 3),
}


@pytest.fixture
def host(machines: Path, tmp_path: Path) -> Iterator[NetHost]:
    """A host of the test's own; the real one forwards, since a local cloud runs on it."""
    with nethost(tmp_path) as found:
        found.connect()
        yield found


@pytest.fixture
def outside(host: NetHost) -> Iterator[int]:
    """Something that answers beyond that host, as a mirror does."""
    with socket.create_server((host.outside, 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    connection.sendall(b"mirror")
                    connection.close()
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _told(host: NetHost, folder: Path, outside: int, later: str = "") -> dict[str, object]:
    said = host.run(sys.executable, str(PROBE), str(folder), host.outside, str(outside), later)
    return dict(json.loads(said.splitlines()[-1]))


@pytest.mark.parametrize(
    "name",
    [
        "docker",
        "ufw",
        "firewalld",
        pytest.param("docker-legacy", marks=limits.needs("legacy iptables")),
        pytest.param("ufw-legacy", marks=limits.needs("legacy iptables")),
    ],
)
def test_droplets_pass_a_filter_that_refuses_strangers_and_leave_it_as_it_was(
    host: NetHost, outside: int, tmp_path: Path, name: str
) -> None:
    """Mirrors and metadata answer with our rules and not without; each rule is there once, and none stays."""
    command, rules, shut_out, ours = _FILTERS[name]
    host.run(*command, stdin=rules)
    told = _told(host, tmp_path, outside)
    assert ("mirror", "metadata", "1") == (told["outside"], told["metadata"], told["forwarding"])
    assert shut_out == told["shut out"]
    assert ours == told["ours"]
    assert (True, "0") == (told["as before"], told["forwarding after"])


def test_a_filter_that_comes_later_is_passed_by_the_next_droplet(host: NetHost, outside: int, tmp_path: Path) -> None:
    """Docker was started beside a local cloud that runs: its rules are met when the next machine is plugged in."""
    (tmp_path / "rules").write_text(_DOCKER)
    told = _told(host, tmp_path, outside, f"iptables-nft-restore {tmp_path}/rules")
    assert ("mirror", "metadata", True) == (told["outside"], told["metadata"], told["as before"])
    assert "1" == told["forwarding after"], "Docker needs it now"


def test_without_any_filter_nothing_is_inserted(host: NetHost, outside: int, tmp_path: Path) -> None:
    """And forwarding is put back, also beside a bridge that was there before and did without."""
    host.run("ip", "link", "add", "lan0", "type", "bridge")
    told = _told(host, tmp_path, outside)
    assert ("mirror", "metadata", 0) == (told["outside"], told["metadata"], told["ours"])
    assert (True, "0") == (told["as before"], told["forwarding after"])


_VPN = """
nft add table ip vpn
nft add chain ip vpn out '{ type nat hook postrouting priority 100; }'
nft add rule ip vpn out masquerade
"""


@pytest.mark.parametrize(
    ("later", "after"),
    [
        ("ip link add other0 type veth peer name other1", "0"),
        ("ip link add docker0 type bridge", "1"),
        ("iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE", "1"),
        (_VPN, "1"),
    ],
)
def test_forwarding_stays_for_whoever_has_come_to_need_it(
    host: NetHost, outside: int, tmp_path: Path, later: str, after: str
) -> None:
    """A bridge or an address translation that was not there before; a cable alone is neither."""
    assert after == _told(host, tmp_path, outside, later)["forwarding after"]


def test_forwarding_that_was_on_before_stays_on(host: NetHost, outside: int, tmp_path: Path) -> None:
    """It is not ours to turn off."""
    host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert "1" == _told(host, tmp_path, outside)["forwarding after"]
