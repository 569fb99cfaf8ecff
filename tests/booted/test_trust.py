"""What the droplet trusts, what it shows, and that a ship leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import digitalocean
import jsonschema
import pytest
import requests
from booted.deploying import answered, until
from heeding import heed

from cloudship import drawing, fleet
from cloudship.errors import HostKeyMismatch
from cloudship.keys import mint
from cloudship.local.machines.nspawn.cgroup import groups
from cloudship.local.machines.nspawn.names import Names
from cloudship.records import files_root
from cloudship.ssh import Shell


def test_secrets_host_key_and_metadata(launch: Callable[..., Any], root: Path) -> None:
    """The temporary key is gone, the metadata closed to the app, values in one file, an impostor gets nothing."""
    canary = "canary-3f9c"
    with launch(root / "examples/flask-hello", name="trust", env={"SECRET": canary}) as ship:
        closed = ship.run("curl -s -m 3 http://169.254.169.254/metadata/v1/user-data || echo closed")
        assert "closed" == closed.stdout.strip()
        for_root = ship.run("curl -s -m 3 http://169.254.169.254/metadata/v1/user-data", root=True).stdout
        assert for_root.startswith("#cloud-config")
        assert canary not in for_root
        temporary = ship.run("grep -rl 'BEGIN OPENSSH PRIVATE KEY' /var/lib/cloud || true", root=True).stdout
        assert "" == temporary.strip()
        found = ship.run(f"grep -rlI {canary} /etc /var/log /var/lib/cloud /srv 2>/dev/null || true", root=True).stdout
        assert {"/etc/cloudship/env.json", "/srv/trust/releases/1/env.json"} == set(found.split())
        modes = ship.run("stat -c '%a %U %G' /srv/trust/releases/1/env.json", root=True).stdout
        assert "640 root app" == modes.strip()
        assert canary not in ship.run("ps axww -o args", root=True).stdout
        assert 1 == len(ship.files.pinned())
        ship.files.pin([mint("impostor").public])
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            Shell.connect(ship.ip_address, files=ship.files, limit=10)


def test_a_reboot_brings_the_app_back(launch: Callable[..., Any], root: Path) -> None:
    """What the link names is started at boot, with the same address and host key, metadata closed again."""
    ship = launch(root / "examples/flask-hello", name="rebooted")
    client = ship._client
    asked = client._call(lambda: client._object(digitalocean.Droplet, id=ship.droplet_id).reboot())
    action = client._object(digitalocean.Action, id=asked["action"]["id"])

    def is_done() -> bool:
        client._call(action.load_directly)
        return bool(action.status == "completed")

    until(is_done, limit=240)  # whoever looks earlier may still see the droplet as it was
    until(lambda: answered(ship, limit=2), limit=240)
    closed = ship.run("curl -s -m 3 http://169.254.169.254/metadata/v1/id || echo closed")
    assert "closed" == closed.stdout.strip()
    assert "running" == ship.status()["process"]


def test_systemd_finds_the_apps_unit_well_confined(launch: Callable[..., Any], root: Path) -> None:
    """`systemd-analyze security` rates it below 4; nginx and cloud-init have nothing to say, of either document."""
    with launch(root / "examples/flask-hello", name="confined") as ship:
        rating = ship.run("systemd-analyze security --no-pager cloudship-app@1.service | tail -1", root=True).stdout
        assert float(rating.split(":")[1].split()[0]) < 4
        assert 0 == ship.run("nginx -t", root=True).exit_status
        schema = ship.run("cloud-init schema --system", root=True)
        assert (0, False) == (schema.exit_status, "Error" in schema.stdout + schema.stderr)
        cloned = drawing.rendered(".", git="https://example.org/a.git@main", name="alone", config_file=None)
        told = ship.run("cat > ~/cloned && cloud-init schema --config-file ~/cloned", root=True, input=cloned)
        assert (0, False) == (told.exit_status, "Error" in told.stdout + told.stderr), told
        assert "" == ship.run("systemctl --failed --no-legend", root=True).stdout.strip()
        assert "done" in ship.run("cloud-init status --wait", root=True).stdout


def test_ctrl_c_in_the_middle_leaves_nothing(here: Path, root: Path) -> None:
    """SIGINT ends with 130, SIGTERM with 143, and neither leaves a droplet or a key."""
    import signal
    import time

    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        words = [sys.executable, "-m", "cloudship", "up", str(root / "examples/static-site"), "--name", "broken-off"]
        process = subprocess.Popen(
            [*words, "--cloud", "local"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed,  # noqa: PLW1509  no thread runs yet in there
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("active"):
                break
        time.sleep(0.5)
        process.send_signal(number)
        _, said = process.communicate(timeout=240)
        assert status == process.returncode, said
        assert [] == [ship.name for ship in fleet.ships(cloud="local") if ship.name == "broken-off"]


def test_ten_times_up_and_down_leave_everything_as_it_was(here: Path, root: Path) -> None:
    """Processes, mounts, links, namespaces, keys and files: the same before and after."""
    before = _everything(here)
    for _ in range(10):
        words = [sys.executable, "-m", "cloudship"]
        source = str(root / "examples/static-site")
        done = subprocess.run([*words, "up", source, "--cloud", "local", "--json"], capture_output=True, check=True)
        told = json.loads(done.stdout)
        jsonschema.validate(told, json.loads((root / "docs/schemas/up.json").read_text()))
        assert 200 == requests.get(told["url"], timeout=10).status_code
        subprocess.run([*words, "down", "static-site", "--cloud", "local"], capture_output=True, check=True)
    assert before == _everything(here)


def _everything(directory: Path) -> tuple[object, ...]:
    """List what ships of this local cloud could leave; another one beside it is none of our business."""
    mark = Names.of(directory).mark
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    spaces = Path("/run/netns")
    return (
        sorted(line for line in processes if str(directory) in line and "cloudship.local.server" not in line),
        [line for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line],
        sorted(path.name for path in Path("/sys/class/net").iterdir() if mark in path.name),
        sorted(path.name for path in spaces.iterdir() if mark in path.name) if spaces.is_dir() else [],
        sorted(groups(f"cs-{mark}")),
        sorted(path.name for path in (directory / "machines").iterdir()),
        files_root_of(directory),
    )


def files_root_of(_directory: Path) -> list[str]:
    """List the means to log in that lie on this machine."""
    from cloudship.models import Cloud

    place = files_root(Cloud.LOCAL)
    return sorted(str(path) for path in place.rglob("id_ed25519")) if place.is_dir() else []
