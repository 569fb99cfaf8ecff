"""How large a droplet is, on a machine, and in containers that are limited in different ways."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from droplet import hardware


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores and 16 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    _write(tmp_path / "proc/meminfo", f"MemTotal:       {16 << 20} kB\nMemFree:         1 kB\n")
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ({}, (8, 16384)),
        ({"cpu/cpu.cfs_quota_us": "20000\n", "cpu/cpu.cfs_period_us": "10000\n"}, (2, 16384)),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, (8, 16384)),
        ({"cpu/cpu.cfs_quota_us": "5000\n", "cpu/cpu.cfs_period_us": "10000\n"}, (1, 16384)),
        ({"memory/memory.limit_in_bytes": f"{1 << 30}\n"}, (8, 1024)),
        ({"cpu.max": "30000 10000\n", "memory.max": f"{2 << 30}\n"}, (3, 2048)),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, (8, 16384)),
    ],
)
def test_the_limits_of_its_control_group_count(root: Path, files: dict[str, str], size: tuple[int, int]) -> None:
    """Version 1 and version 2, with a limit and without one; never less than one core."""
    for name, text in files.items():
        _write(root / "sys/fs/cgroup" / name, text)
    assert size == (hardware.cores(root), hardware.memory_mib(root))


@pytest.mark.parametrize(
    ("environ", "size"),
    [
        ("container=systemd-nspawn\0DROPLET_CORES=1\0DROPLET_MEMORY_MIB=512\0", (1, 512)),
        ("DROPLET_CORES=64\0DROPLET_MEMORY_MIB=999999\0", (8, 16384)),
        ("DROPLET_CORES=many\0DROPLET_MEMORY_MIB=\0", (8, 16384)),
        ("", (8, 16384)),
    ],
)
def test_what_init_was_told_counts_where_it_is_less(root: Path, environ: str, size: tuple[int, int]) -> None:
    """A container does not see limits that are set above its root."""
    _write(root / "proc/1/environ", environ)
    assert size == (hardware.cores(root), hardware.memory_mib(root))
