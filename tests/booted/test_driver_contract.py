"""The contract of drivers, on real machines: boot, reboot, power, disk, metadata, network, and no trace afterwards."""

from __future__ import annotations

import http.server
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from booted.traces import Host

from cloudship.keys import LaunchFiles, mint
from cloudship.local.machines.base import MachineSpec, MachineState
from cloudship.local.machines.nspawn import NspawnDriver
from cloudship.local.machines.nspawn.names import Names
from cloudship.local.machines.nspawn.network import Wiring

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
USER_DATA = "#cloud-config\ndisable_root: false\nssh_genkeytypes: [ed25519]\nruncmd: [[touch, /srv/booted]]\n"


class Lab:
    """A driver in a directory of its own, and a way into its machines."""

    def __init__(self, directory: Path) -> None:
        self.driver = NspawnDriver(directory)
        self.network = self.driver.open()
        self.files = LaunchFiles(directory / "keys", "0123456789")
        pair = mint("lab")
        self.files.save_identity(pair)
        self.public = pair.public

    def spec(self, number: int) -> MachineSpec:
        return MachineSpec(
            droplet_id=number,
            hostname=f"m{number}",
            image="ubuntu-20-04-x64",
            vcpus=1,
            memory_mib=512,
            disk_gib=2,
            address=self.network.subnet[number + 10],
            user_data=USER_DATA,
            public_keys=(self.public,),
        )

    def boot(self, number: int) -> MachineSpec:
        spec = self.spec(number)
        self.driver.create(spec)
        self.driver.start(spec)
        self.reached(spec)
        return spec

    def reached(self, spec: MachineSpec) -> None:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((str(spec.address), 22)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError

    def ssh(self, spec: MachineSpec, command: str) -> str:
        words = [word for word in self.files.options() if "StrictHostKeyChecking" not in word]
        words += ["-oStrictHostKeyChecking=accept-new", f"-oHostKeyAlias=m{spec.droplet_id}-{spec.address}"]
        done = subprocess.run([*words, f"root@{spec.address}", command], capture_output=True, text=True, check=False)
        return done.stdout


@pytest.fixture
def lab(machines: Path, tmp_path: Path) -> Iterator[Lab]:
    """Machines of one test; whatever it did, nothing of them is left at its end."""
    before = FORWARDING.read_text()
    found = Lab(tmp_path)
    yield found
    for number in found.driver.known():
        found.driver.destroy(number)
    found.driver.close()
    assert (Counter(), before) == (Host(tmp_path).settled(Counter()), FORWARDING.read_text())


def test_a_machine_boots_reboots_and_keeps_its_data(lab: Lab) -> None:
    """cloud-init ends well; a reboot from inside and one from outside; power off and on; the disk is bounded."""
    spec = lab.boot(1)
    assert MachineState.RUNNING is lab.driver.state(1)
    assert "done" in lab.ssh(spec, "cloud-init status --wait")
    assert "/srv/booted" in lab.ssh(spec, "echo kept > /srv/kept; sync; ls /srv/booted")
    size = int(lab.ssh(spec, "df -BM --output=size / | tail -1").strip().rstrip("M"))
    assert 1500 < size <= 2048
    assert "1" == lab.ssh(spec, "nproc").strip()  # of its size, however many the host has
    began = lab.ssh(spec, "stat -c %Y /proc/1").strip()
    lab.ssh(spec, "reboot")
    deadline = time.monotonic() + 120
    while lab.ssh(spec, "stat -c %Y /proc/1").strip() in {began, ""} and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "kept" in lab.ssh(spec, "cat /srv/kept")
    lab.driver.reboot(spec)
    lab.reached(spec)
    assert "kept" in lab.ssh(spec, "cat /srv/kept")
    lab.driver.power_off(spec)
    assert MachineState.STOPPED is lab.driver.state(1)
    lab.driver.start(spec)
    lab.reached(spec)
    assert "kept" in lab.ssh(spec, "cat /srv/kept")
    lab.ssh(spec, "systemctl poweroff")
    while lab.driver.state(1) is MachineState.RUNNING:
        time.sleep(0.05)
    lab.driver.destroy(1)
    assert MachineState.ABSENT is lab.driver.state(1)


def test_machines_reach_each_other_the_metadata_and_the_mirrors(lab: Lab) -> None:
    """Whoever asks 169.254.169.254 is known by its address; no other link-local address leads out."""
    seen: list[str] = []

    class Metadata(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.client_address[0])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"metadata")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    assert lab.network.metadata_bind is not None
    server = http.server.ThreadingHTTPServer(lab.network.metadata_bind, Metadata)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    first, second = lab.boot(1), lab.boot(2)
    assert "metadata" == lab.ssh(first, "curl -s -m 30 http://169.254.169.254/metadata/v1/id")
    assert [str(first.address)] == seen
    assert "no" == lab.ssh(first, "curl -s -m 1 http://169.254.1.1/ || echo no").strip()
    assert "1 received" in lab.ssh(first, f"ping -c 1 -W 2 {second.address}")
    assert "ok" in lab.ssh(first, "apt-get -qq update && echo ok")
    server.shutdown()
    server.server_close()


def test_a_killed_container_is_found_and_cleaned_up(lab: Lab) -> None:
    """kill -9 of its processes leaves a machine that is off and starts again."""
    spec = lab.boot(1)
    lab.driver.power_off(spec)
    lab.driver.power_off(spec)
    lab.driver.start(spec)
    lab.driver.start(spec)
    lab.reached(spec)
    again = NspawnDriver(lab.driver._directory)
    assert (MachineState.RUNNING, {1}) == (again.state(1), again.known())
    assert again.shutdown(spec, limit_seconds=120)


def test_an_unknown_image_is_refused(lab: Lab) -> None:
    """The message lists those that there are."""
    from cloudship.local.machines.base import DriverError

    with pytest.raises(DriverError, match="debian-12-x64"):
        lab.driver.create(replace(lab.spec(3), image="plan9"))


def test_forwarding_is_put_back_by_whichever_local_cloud_closes_last(machines: Path, tmp_path: Path) -> None:
    """Two local clouds side by side, closed in the order in which they were opened."""
    before = FORWARDING.read_text()
    first, second = Wiring(Names("aaaaaa"), tmp_path / "a"), Wiring(Names("bbbbbb"), tmp_path / "b")
    try:
        assert first.open().subnet != second.open().subnet
        assert "1" == FORWARDING.read_text().strip()
    finally:
        first.close()
        second.close()
    assert before == FORWARDING.read_text()
