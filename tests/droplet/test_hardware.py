"""How large a droplet is, on a machine, and in containers that are limited in different ways."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from droplet import hardware


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine of 16 GiB."""
    _write(tmp_path / "proc/meminfo", f"MemTotal:       {16 << 20} kB\nMemFree:         1 kB\n")
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "memory"),
    [
        ({}, 16384),
        ({"memory/memory.limit_in_bytes": f"{1 << 30}\n"}, 1024),
        ({"memory.max": f"{2 << 30}\n"}, 2048),
        ({"memory.max": "max\n"}, 16384),
    ],
)
def test_the_limits_of_its_control_group_count(root: Path, files: dict[str, str], memory: int) -> None:
    """Version 1 and version 2, with a limit and without one."""
    for name, text in files.items():
        _write(root / "sys/fs/cgroup" / name, text)
    assert memory == hardware.memory_mib(root)


@pytest.mark.parametrize(
    ("environ", "memory"),
    [
        ("container=systemd-nspawn\0DROPLET_MEMORY_MIB=512\0", 512),
        ("DROPLET_MEMORY_MIB=999999\0", 16384),
        ("DROPLET_MEMORY_MIB=\0", 16384),
        ("", 16384),
    ],
)
def test_what_init_was_told_counts_where_it_is_less(root: Path, environ: str, memory: int) -> None:
    """A container does not see limits that are set above its root."""
    _write(root / "proc/1/environ", environ)
    assert memory == hardware.memory_mib(root)


def test_the_cores_are_those_that_it_may_run_on() -> None:
    """Not all that the host has."""
    ours = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, [min(ours)])
        assert 1 == hardware.cores()
    finally:
        os.sched_setaffinity(0, ours)
    assert len(ours) == hardware.cores()
