"""
The way of our packets through what else filters and forwards on this host: Docker, ufw, firewalld, and the host's own.

All local clouds of a host share one lock here, and one mark that says what forwarding was before the first of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cloudship.local.machines.nspawn.host import run, succeeds

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
MARK = Path("/run/cloudship-forwarding")
LOCK = Path("/run/cloudship-network.lock")
OURS = "cloudship_"  # what every local cloud's table begins with
_LEGACY_TABLES = Path("/proc/net/ip_tables_names")
_REFUSING = {"drop", "reject"}
_TRANSLATING = {"masquerade", "snat"}

Rule = dict[str, Any]
Chain = tuple[str, str, str]  # family, table, name


@contextmanager
def alone() -> Iterator[None]:
    """Be the only local cloud that changes the host's network just now."""
    descriptor = os.open(LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Passage:
    """What one local cloud wants to be let through; its rules carry the name of its table."""

    bridge: str
    table: str
    gateway: IPv4Address
    metadata_port: int

    def open(self) -> None:
        """Insert accepting rules wherever somebody else's chain refuses what it does not know; safe to repeat."""
        rows = _rows()
        present = self._present(rows)
        lines = []
        for (family, table, name), hook in _refusing(rows):
            chain, wanted = f"{family} {table} {name}", self._wanted(hook)
            handles = [handle for found, handle in present if found == (family, table, name)]
            if len(handles) != len(wanted):
                lines += [f"delete rule {chain} handle {handle}" for handle in handles]
                lines += [f'insert rule {chain} {rule} accept comment "{self.table}"' for rule in wanted]
        if lines:
            run("nft", "-f", "-", stdin="\n".join(lines) + "\n")
        self._open_legacy()

    def close(self) -> None:
        """Remove exactly those rules."""
        for (family, table, name), handle in self._present(_rows()):
            run("nft", "delete", "rule", family, table, name, "handle", handle)
        if tool := _legacy_tool():
            for hook in ("forward", "input"):
                for rule in self._wanted_legacy(hook):
                    while succeeds(tool, "-w", "-C", *rule):
                        run(tool, "-w", "-D", *rule)

    def _wanted(self, hook: str) -> list[str]:
        if hook == "forward":
            return [f'iifname "{self.bridge}"', f'oifname "{self.bridge}"']
        return [f'iifname "{self.bridge}" ip daddr {self.gateway} tcp dport {self.metadata_port}']

    def _present(self, rows: list[Rule]) -> list[tuple[Chain, str]]:
        rules = [row["rule"] for row in rows if "rule" in row]
        ours = [rule for rule in rules if rule.get("comment") == self.table]
        return [((rule["family"], rule["table"], rule["chain"]), str(rule["handle"])) for rule in ours]

    def _open_legacy(self) -> None:
        tool = _legacy_tool()
        if tool is None:
            return
        dropping = {line.split()[1] for line in run(tool, "-w", "-S").splitlines() if line.endswith(" DROP")}
        for hook in ("forward", "input"):
            for rule in self._wanted_legacy(hook) if hook.upper() in dropping else ():
                if not succeeds(tool, "-w", "-C", *rule):
                    run(tool, "-w", "-I", *rule)

    def _wanted_legacy(self, hook: str) -> list[tuple[str, ...]]:
        end = ("-m", "comment", "--comment", self.table, "-j", "ACCEPT")
        if hook == "forward":
            return [("FORWARD", side, self.bridge, *end) for side in ("-i", "-o")]
        where = ("-d", f"{self.gateway}/32", "-p", "tcp", "-m", "tcp", "--dport", str(self.metadata_port))
        return [("INPUT", "-i", self.bridge, *where, *end)]


def refusing() -> list[str]:
    """Name the chains of others that refuse to forward what they do not know."""
    return [" ".join(chain) for chain, hook in _refusing(_rows()) if hook == "forward"]


def forward() -> None:
    """Let the host forward; the mark says that it did not before, and what was there that did not need it."""
    if FORWARDING.read_text().strip() == "0":
        before = (name for name in _forwarders() if not name.startswith("bridge cs-"))  # local clouds do need it
        MARK.write_text(json.dumps(sorted(before)), encoding="utf-8")
        FORWARDING.write_text("1")


def stop_forwarding(bridge: str) -> None:
    """Put forwarding back where a local cloud changed it, unless somebody but this bridge has come to need it since."""
    if not MARK.exists():
        return
    if _forwarders() <= _before() | {f"bridge {bridge}"}:
        FORWARDING.write_text("0")
        MARK.unlink()


def _before() -> set[str]:
    try:
        return set(json.loads(MARK.read_text(encoding="utf-8")))
    except ValueError:  # an older mark said no more than that it is there
        return set()


def _forwarders() -> set[str]:
    """Name what needs forwarding: bridges, ours and others', and address translation that is not ours."""
    found = {f"bridge {path.parent.name}" for path in Path("/sys/class/net").glob("*/bridge")}
    rules = [row["rule"] for row in _rows() if "rule" in row]
    foreign = [rule for rule in rules if not rule["table"].startswith(OURS)]
    if any(kind in _TRANSLATING for rule in foreign for kind in _kinds(rule)):
        found.add("address translation")
    tool = _legacy_tool("nat")
    if tool and any(f"-j {kind.upper()}" in run(tool, "-w", "-t", "nat", "-S") for kind in _TRANSLATING):
        found.add("address translation")
    return found


def _rows() -> list[Rule]:
    found: list[Rule] = json.loads(run("nft", "-j", "-a", "list", "ruleset"))["nftables"]
    return found


def _refusing(rows: list[Rule]) -> list[tuple[Chain, str]]:
    """Find other people's base chains that refuse what they do not know, by policy or by a last word."""
    last_words = {
        (rule["family"], rule["table"], rule["chain"])
        for rule in (row["rule"] for row in rows if "rule" in row)
        if any(kind in _REFUSING for kind in _kinds(rule)) and _is_unconditional(rule)
    }
    found = []
    for chain in (row["chain"] for row in rows if "chain" in row):
        name: Chain = (chain["family"], chain["table"], chain["name"])
        foreign = not chain["table"].startswith(OURS) and chain["family"] in {"ip", "inet"}
        refuses = chain.get("policy") == "drop" or name in last_words
        if chain.get("type") == "filter" and chain.get("hook") in {"forward", "input"} and foreign and refuses:
            found.append((name, str(chain["hook"])))
    return found


def _kinds(rule: Rule) -> list[str]:
    """Say what a rule does, in nft's words, also where iptables wrote it."""
    kinds = []
    for part in rule.get("expr", ()):
        kind, told = next(iter(part.items()))
        is_target = kind == "xt" and told is not None and told.get("type") == "target"
        kinds.append(str(told["name"]).lower() if is_target else str(kind))
    return kinds


def _is_unconditional(rule: Rule) -> bool:
    return set(_kinds(rule)) <= {*_REFUSING, "counter", "log"}


def _legacy_tool(table: str = "filter") -> str | None:
    """Find the tool for a table of the old iptables; None where the kernel has none, since asking would make one."""
    try:
        if table not in _LEGACY_TABLES.read_text().split():
            return None
    except OSError:
        return None
    return shutil.which("iptables-legacy") or shutil.which("iptables")
