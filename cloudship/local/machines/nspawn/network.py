"""
The machines' network on the host: a bridge, an address translation, a namespace and a cable for each machine.

The address is in the namespace before init starts, so nothing inside has to bring it up, and a client's first
packet meets a machine that refuses it instead of a silence that costs a second of ARP.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path

from cloudship.local.machines.base import DriverError, HostNetwork
from cloudship.local.machines.nspawn.host import run, succeeds
from cloudship.local.machines.nspawn.names import Names

METADATA_PORT = 8169
METADATA_ADDRESS = "169.254.169.254"
CANDIDATES = tuple(ip_network(f"10.213.{number}.0/24") for number in range(256))
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARDING_MARK = Path("/run/cloudship-forwarding")
ARP_RETRY_MS = 50  # a machine that boots is asked again after this, not after the kernel's second


@dataclass(frozen=True)
class Wiring:
    """The network of one local cloud; what it changed on the host is kept in a file, for the way back."""

    names: Names
    record: Path

    def open(self) -> HostNetwork:
        """Bring up bridge and packet filter, or adopt them."""
        told = self._told()
        subnet = self._subnet(told)
        gateway = subnet[1]
        if not _exists(self.names.bridge):
            run("ip", "link", "add", self.names.bridge, "type", "bridge")
        run("ip", "addr", "replace", f"{gateway}/{subnet.prefixlen}", "dev", self.names.bridge)
        run("ip", "link", "set", self.names.bridge, "up")
        settings = Path("/proc/sys/net/ipv4/neigh") / self.names.bridge
        (settings / "retrans_time_ms").write_text(str(ARP_RETRY_MS))
        self._tell({"subnet": str(subnet)})
        run("nft", "-f", "-", stdin=ruleset(self.names, subnet, gateway))
        _forward()
        self._accept_forwarding()
        return HostNetwork(subnet, gateway, (str(gateway), METADATA_PORT))

    def close(self) -> None:
        """Take everything away again."""
        for family, table, chain, handle in _our_rules(self.names.table):
            run("nft", "delete", "rule", family, table, chain, "handle", handle)
        if succeeds("nft", "list", "table", "ip", self.names.table):
            run("nft", "delete", "table", "ip", self.names.table)
        if _exists(self.names.bridge):
            run("ip", "link", "del", self.names.bridge)
        _stop_forwarding()
        self.record.unlink(missing_ok=True)

    def plug(self, droplet_id: int, address: IPv4Address, subnet: IPv4Network) -> str:
        """Make a machine's namespace with its address in it, and give the namespace's path."""
        space, link = self.names.machine(droplet_id), self.names.link(droplet_id)
        self.unplug(droplet_id)
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

    def _subnet(self, told: dict[str, str]) -> IPv4Network:
        """Take the subnet that was used before while it is ours or free, else the first free one."""
        taken = _networks(except_for=self.names.bridge)
        before = [IPv4Network(told["subnet"])] if "subnet" in told else []
        for candidate in (*before, *CANDIDATES):
            if isinstance(candidate, IPv4Network) and not any(candidate.overlaps(other) for other in taken):
                return candidate
        raise DriverError("No free subnet is left in 10.213.0.0/16 for the local cloud")

    def _accept_forwarding(self) -> None:
        """Let our packets pass where somebody else's forward policy drops (Docker, ufw)."""
        present = _our_rules(self.names.table)
        for family, table, chain in _dropping_chains():
            if any(rule[:3] == (family, table, chain) for rule in present):
                continue
            for side in ("iifname", "oifname"):
                rule = (side, self.names.bridge, "accept", "comment", f'"{self.names.table}"')
                run("nft", "insert", "rule", family, table, chain, *rule)

    def _told(self) -> dict[str, str]:
        try:
            return dict(json.loads(self.record.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def _tell(self, told: dict[str, str]) -> None:
        self.record.write_text(json.dumps(told), encoding="utf-8")


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


def _rules() -> list[dict[str, dict[str, object]]]:
    found: list[dict[str, dict[str, object]]] = json.loads(run("nft", "-j", "-a", "list", "ruleset"))["nftables"]
    return found


def _dropping_chains() -> list[tuple[str, str, str]]:
    chains = [row["chain"] for row in _rules() if "chain" in row]
    return [
        (str(chain["family"]), str(chain["table"]), str(chain["name"]))
        for chain in chains
        if chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain["family"] in {"ip", "inet"}
    ]


def _our_rules(comment: str) -> list[tuple[str, str, str, str]]:
    rules = [row["rule"] for row in _rules() if "rule" in row]
    return [
        (str(rule["family"]), str(rule["table"]), str(rule["chain"]), str(rule["handle"]))
        for rule in rules
        if rule.get("comment") == comment
    ]


def _forward() -> None:
    """Let the host forward; a mark that all local clouds share says that it did not before."""
    if FORWARDING.read_text().strip() == "0":
        FORWARDING_MARK.touch()
        FORWARDING.write_text("1")


def _stop_forwarding() -> None:
    """Put forwarding back where a local cloud changed it, unless a bridge, ours or another's, still needs it."""
    if FORWARDING_MARK.exists() and not any(Path("/sys/class/net").glob("*/bridge")):
        FORWARDING.write_text("0")
        FORWARDING_MARK.unlink()
