"""Hosts of today have control groups of version 2 alone; ships sail in such a tree too, wherever this test runs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from cloudship.local.machines.nspawn.names import Names

EXAMPLE = Path(__file__).parent.parent.parent / "examples/static-site"
_TREE = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; stat -f -c %T /sys/fs/cgroup"
_SIZE = "from droplet import hardware; print(hardware.cores(), hardware.memory_mib())"
_RUN = ["run", "second", "--root", "--"]
_STORY = (
    ["up", str(EXAMPLE), "--name", "second", "--json"],
    [*_RUN, "stat", "-f", "-c", "%T", "/sys/fs/cgroup"],
    [*_RUN, "systemctl", "list-units", "--failed", "--no-legend"],
    [*_RUN, "env", "PYTHONPATH=/opt/cloudship", "python3", "-c", _SIZE],
    ["down", "second"],
    ["local", "reset", "--yes"],
)


def test_a_ship_sails_where_there_is_version_2_alone(machines: Path, tmp_path: Path) -> None:
    """In a mount namespace of its own: systemd sees that version, its size and no failed unit; no group stays."""
    assert machines.is_dir()  # this machine can boot some
    ours = [sys.executable, "-m", "cloudship"]
    lines = [_TREE, *(f"{shlex.join([*ours, *words])} || exit 1; echo --" for words in _STORY)]
    environ = {"CLOUDSHIP_LOCAL_DIR": str(tmp_path / "local"), "CLOUDSHIP_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "\n".join(lines)],
        env={**os.environ, **environ, "CLOUDSHIP_CLOUD": "local"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert 0 == done.returncode, done.stderr
    tree, _, told = done.stdout.partition("\n")
    up, seen, failed, size, *_ = (text.strip() for text in told.split("--\n"))
    assert ("cgroup2fs", "cgroup2fs", "", "1 1024") == (tree, seen, failed, size)
    assert "second" == json.loads(up)["name"]
    prefix = Names.of(tmp_path / "local").machine(0)[:-1]
    assert [] == list(Path("/sys/fs/cgroup").glob(f"*/{prefix}*"))
