"""What a small droplet needs to survive a build."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from droplet import builds, command, swap
from droplet.journal import StageError

HEADER = "Filename\tType\tSize\tUsed\tPriority\n"


@pytest.mark.parametrize(
    ("memory", "swaps", "free", "wanted"),
    [
        (512, HEADER, 20_000, True),
        (1024, HEADER, 20_000, True),
        (4096, HEADER, 20_000, False),
        (512, HEADER + "/swap file 1 0 -2\n", 20_000, False),
        (512, HEADER, 3_000, False),
    ],
)
def test_small_machines_get_swap_where_there_is_none_and_disk_enough(
    memory: int, swaps: str, free: int, wanted: bool
) -> None:
    """From 2 GB on an installation fits beside an app."""
    assert wanted == swap.is_wanted(memory, swaps, free)


def _commands(patch: pytest.MonkeyPatch, failing: str = "") -> list[str]:
    seen = []

    def run(words: Sequence[str], **_: Any) -> list[str]:
        seen.append(words[0])
        if words[0] == failing:
            raise StageError(f"{failing} failed", [f"{failing}: Operation not permitted"])
        return []

    patch.setattr(command, "run", run)
    patch.setattr(command, "output", lambda _: "systemd-nspawn\n" if failing == "container" else "")
    patch.setattr(swap, "is_wanted", lambda *_: True)
    return seen


def test_a_swap_file_stays_over_a_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is private, switched on, and in the table of file systems."""
    seen, file, table = _commands(monkeypatch), tmp_path / "swap", tmp_path / "fstab"
    assert swap.add(512, lambda line: None, file=file, table=table)
    assert ["fallocate", "mkswap", "swapon"] == seen
    assert (0o600, f"{file} none swap sw 0 0\n") == (file.stat().st_mode & 0o777, table.read_text())


def test_a_machine_that_allows_no_swap_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is in the log of the first boot and nothing else is left."""
    _commands(monkeypatch, "swapon")
    said: list[str] = []
    assert not swap.add(512, said.append, file=tmp_path / "swap", table=tmp_path / "fstab")
    assert (["no swap file: swapon: Operation not permitted"], []) == (said, list(tmp_path.iterdir()))


def test_a_container_is_not_even_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Swap belongs to the machine below."""
    seen, said = _commands(monkeypatch, "container"), list[str]()
    assert not swap.add(512, said.append, file=tmp_path / "swap", table=tmp_path / "fstab")
    assert ([], ["no swap file: a container is allowed none"]) == (seen, said)


@pytest.mark.parametrize(("behind", "nice"), [(True, 19), (False, os.nice(0))])
def test_builds_are_the_first_to_go_when_memory_runs_out_and_niced_behind_others(behind: bool, nice: int) -> None:
    """As the kernel sees the process itself."""
    words = ["sh", "-c", "nice; cat /proc/self/oom_score_adj"]
    lines = command.run(words, limits=builds.limits(behind=behind))
    assert [nice, 500] == [int(line) for line in lines]
    assert int(Path("/proc/self/oom_score_adj").read_text()) < 500


@pytest.mark.parametrize(
    ("behind", "place"), [(True, "--slice=cloudship.slice"), (False, f"--property=MemoryMax={builds.MOST}")]
)
def test_builds_have_their_limit_of_memory_where_systemd_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, behind: bool, place: str
) -> None:
    """Of their slice, where they share it with whoever builds beside them; its unit has their share of the cores."""
    monkeypatch.setattr(builds, "SYSTEMD", tmp_path)
    monkeypatch.setattr(builds.shutil, "which", lambda _: "/usr/bin/systemd-run")
    assert place in builds.limits(behind=behind)
    unit = Path(__file__).parents[2] / "userdata" / "systemd" / builds.SLICE
    assert {"CPUWeight=20", f"MemoryMax={builds.MOST}"} <= set(unit.read_text().splitlines())


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started() -> None:
    """A child that keeps the output open does not keep us."""
    began = time.monotonic()
    with pytest.raises(StageError, match=r"did not end within 0\.3 s"):
        command.run(["sh", "-c", "sleep 31.4 & echo begun; wait"], limit=0.3)
    assert time.monotonic() - began < 10
    assert "" == subprocess.run(["pgrep", "-f", "^sleep 31.4"], capture_output=True, text=True, check=False).stdout
