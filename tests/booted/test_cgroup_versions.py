"""Hosts of today have control groups of version 2 alone; ships sail in such a tree too, wherever this test runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cloudship.local.machines.nspawn.names import Names

EXAMPLE = Path(__file__).parent.parent.parent / "examples/static-site"
_TREE = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; stat -f -c %T /sys/fs/cgroup"
_STORY = (
    "up {source} --name second --json",
    "run second --root -- stat -f -c %T /sys/fs/cgroup",
    "run second --root -- systemctl list-units --failed --no-legend",
    "down second",
    "local reset --yes",
)


def test_a_ship_sails_where_there_is_version_2_alone(machines: Path, tmp_path: Path) -> None:
    """In a mount namespace of its own: up, systemd inside sees that version and has no failed unit, down, no group."""
    assert machines.is_dir()  # this machine can boot some
    ours = [sys.executable, "-m", "cloudship"]
    story = [line.format(source=EXAMPLE).split() for line in _STORY]
    lines = [_TREE, *(f'{" ".join([*ours, *words])} || exit 1; echo "--"' for words in story)]
    environ = {"CLOUDSHIP_LOCAL_DIR": str(tmp_path / "local"), "CLOUDSHIP_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "\n".join(lines)],
        env={**os.environ, **environ, "CLOUDSHIP_CLOUD": "local"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert 0 == done.returncode, done.stderr
    tree, (up, seen, failed, *_) = done.stdout.split("\n", 1)[0], done.stdout.split("\n", 1)[1].split("--\n")
    assert ("cgroup2fs", "cgroup2fs", "") == (tree, seen.strip(), failed.strip())
    assert "second" == json.loads(up)["name"]
    prefix = Names.of(tmp_path / "local").machine(0)[:-1]
    assert [] == list(Path("/sys/fs/cgroup").glob(f"*/{prefix}*"))
