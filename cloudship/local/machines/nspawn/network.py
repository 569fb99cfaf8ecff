"""
The machines' network on the host: a bridge, an address translation, a namespace and a cable for each machine.

The address is in the namespace before init starts, so nothing inside has to bring it up, and a client's first
packet meets a machine that refuses it instead of a silence that costs a second of ARP.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from cloudship.local.machines.base import DriverError, HostNetwork
from cloudship.local.machines.nspawn import passage
from cloudship.local.machines.nspawn.host import run, succeeds
from cloudship.local.machines.nspawn.names import Names

METADATA_PORT = 8169
METADATA_ADDRESS = "169.254.169.254"
CANDIDATES = tuple(IPv4Network(f"10.213.{number}.0/24") for number in range(256))
ARP_RETRY_MS = 50  # a machine that boots is asked again after this, not after the kernel's second


@dataclass(frozen=True)
class Wiring:
    """The network of one local cloud; its subnet is kept in a file, so that addresses last."""

    names: Names
    record: Path

    def open(self) -> HostNetwork:
        """Bring up bridge and packet filter, or adopt them."""
        with passage.alone():
            subnet = self._subnet()
            self._remember(subnet)  # before anything is there: after a crash the same one is taken
            gateway = subnet[1]
            if not self.is_open():
                run("ip", "link", "add", self.names.bridge, "type", "bridge")
            run("ip", "addr", "replace", f"{gateway}/{subnet.prefixlen}", "dev", self.names.bridge)
            run("ip", "link", "set", self.names.bridge, "up")
            settings = Path("/proc/sys/net/ipv4/neigh") / self.names.bridge
            (settings / "retrans_time_ms").write_text(str(ARP_RETRY_MS))
            run("nft", "-f", "-", stdin=ruleset(self.names, subnet, gateway))
            passage.forward()
            self._passage(subnet).open()
        return HostNetwork(subnet, gateway, (str(gateway), METADATA_PORT))

    def close(self) -> None:
        """Take everything away again; safe where there is nothing."""
        with passage.alone():
            self._passage(self._remembered() or CANDIDATES[0]).close()
            if succeeds("nft", "list", "table", "ip", self.names.table):
                run("nft", "delete", "table", "ip", self.names.table)
            passage.stop_forwarding(self.names.bridge)
            if self.is_open():  # last: as long as it is there, somebody has to come and close
                run("ip", "link", "del", self.names.bridge)

    def is_open(self) -> bool:
        """Whether the bridge is there."""
        return _exists(self.names.bridge)

    def plug(self, droplet_id: int, address: IPv4Address, subnet: IPv4Network) -> str:
        """Make a machine's namespace with its address in it, and give the namespace's path."""
        space, link = self.names.machine(droplet_id), self.names.link(droplet_id)
        self.unplug(droplet_id)
        with passage.alone():
            self._passage(subnet).open()  # a filter may have come since: Docker was started, ufw was enabled
        run("ip", "netns", "add", space)
        outside = [
            f"link add {link} type veth peer name eth0 netns {space}",
            f"link set {link} master {self.names.bridge} up",
        ]
        inside = [
            "link set lo up",
            f"addr add {address}/{subnet.prefixlen} brd + dev eth0",
            "link set eth0 up",
            f"route add default via {subnet[1]}",
        ]
        run("ip", "-batch", "-", stdin="\n".join(outside))
        run("ip", "-n", space, "-batch", "-", stdin="\n".join(inside))
        return f"/run/netns/{space}"

    def close_port(self, droplet_id: int, port: int) -> None:
        """Drop what comes for a port of a machine."""
        chain = f"type filter hook input priority -10; tcp dport {port} drop;"
        rules = f"table inet cloudship_fault {{ chain input {{ {chain} }} }}"
        run("ip", "netns", "exec", self.names.machine(droplet_id), "nft", "-f", "-", stdin=rules)

    def unplug(self, droplet_id: int) -> None:
        """Remove a machine's cable and namespace, as far as they exist."""
        space, link = self.names.machine(droplet_id), self.names.link(droplet_id)
        if _exists(link):
            run("ip", "link", "del", link)
        if Path("/run/netns", space).exists():
            run("ip", "netns", "del", space)

    def plugged(self) -> frozenset[int]:
        """Name the machines that have a namespace."""
        spaces = Path("/run/netns")
        names = [path.name for path in spaces.iterdir()] if spaces.is_dir() else []
        return frozenset(found for name in names if (found := self.names.droplet_id(name)) is not None)

    def _subnet(self) -> IPv4Network:
        """Take the subnet of before while it is ours or free, else the first free one from where the name points."""
        taken = _networks(except_for=self.names.bridge)
        first = int(self.names.mark, 16) % len(CANDIDATES)  # two local clouds do not take turns with one subnet
        remembered = self._remembered()
        before: tuple[IPv4Network, ...] = () if remembered is None else (remembered,)
        for candidate in (*before, *CANDIDATES[first:], *CANDIDATES[:first]):
            if not any(candidate.overlaps(other) for other in taken):
                return candidate
        raise DriverError("No free subnet is left in 10.213.0.0/16 for the local cloud")

    def _passage(self, subnet: IPv4Network) -> passage.Passage:
        return passage.Passage(self.names.bridge, self.names.table, subnet[1], METADATA_PORT)

    def _remembered(self) -> IPv4Network | None:
        try:
            return IPv4Network(json.loads(self.record.read_text(encoding="utf-8"))["subnet"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, subnet: IPv4Network) -> None:
        unfinished = self.record.with_suffix(".part")
        unfinished.write_text(json.dumps({"subnet": str(subnet)}), encoding="utf-8")
        unfinished.rename(self.record)


def ruleset(names: Names, subnet: IPv4Network, gateway: IPv4Address) -> str:
    """
    Write the packet filter of one local cloud.

    The metadata address is always ours: it is redirected to the local server, and whatever else goes to its
    network is dropped, since on a cloud's machine it would reach that cloud's own metadata.
    """
    bridge = names.bridge
    return f"""
add table ip {names.table}
delete table ip {names.table}
table ip {names.table} {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "{bridge}" ip daddr {METADATA_ADDRESS} tcp dport 80 dnat to {gateway}:{METADATA_PORT}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {subnet} oifname != "{bridge}" masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{bridge}" ip daddr 169.254.0.0/16 drop
  }}
}}
"""


def _exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _networks(*, except_for: str) -> list[IPv4Network]:
    routes = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
    used = [row["dst"] for row in routes if row.get("dev") != except_for and row.get("dst") != "default"]
    return [IPv4Network(text, strict=False) for text in used if text[:1].isdigit()]
