"""
The rotation of the host key is cut off at every step of it, on a real sshd: at our side, and on the droplet.

The client is killed before and after each command, connection and change of a file; the script on the droplet is
killed, or the droplet loses its power, before each of its lines. Afterwards whoever has the files of the launch gets
in, and whoever has the temporary key alone is taken for the droplet only as long as nothing is sent to it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import sshd
from sshd import CLOUD_INIT, Host, Meeting

from campaign import case
from campaign.conftest import SOAK, record, told
from campaign.points import Point, kill_at
from cloudship import durable, hostkey, keys
from cloudship.errors import CloudshipError, HostKeyMismatch, ShellUnreachable
from cloudship.keys import mint
from cloudship.models import Timeouts
from cloudship.render import rotation_script
from cloudship.ssh import Shell

FAILED, UNREACHED = 1, 0  # how a rotation ended
CUT = "srv/cut"  # there once the droplet is where its power goes
CUTS = {
    "the script is killed": (
        'kill -9 "$$"',
        "import os; os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)",
    ),
    "the power is lost": (
        "touch /srv/cut; sleep 60",
        "import time; open('/srv/cut', 'w'); time.sleep(60)",
    ),
}


class Ground:
    """A droplet that is rotated again and again, a thief who has its temporary key, and the client's files."""

    def __init__(self, folder: Path) -> None:
        key = mint("temporary")
        self.thief = Host(folder / "thief")
        self.thief.let_anybody_in()
        self.thief.use_key(key)
        self._kept = folder / "client"
        files, public = sshd.known(folder / "kept")
        shutil.copytree(files.folder, self._kept)
        self.meeting = Meeting(Host(folder / "droplet"), key, files)
        self.meeting.host.authorize(public)

    def anew(self) -> None:
        """Be as before the rotation, on both sides."""
        host, files = self.meeting.host, self.meeting.files
        host.stop()
        for path in (host.folder / "etc").iterdir():
            path.unlink()
        (host.folder / CUT).unlink(missing_ok=True)
        host.use_key(self.meeting.key)
        copy = host.folder / CLOUD_INIT / "instance/user-data.txt"
        copy.write_text(f"#cloud-config\nkey: {self.meeting.key.private.reveal()}\n")
        shutil.rmtree(files.folder)
        shutil.copytree(self._kept, files.folder)
        files.pin((), self.meeting.key.public)
        host.start()

    def rotate(self, act: Callable[[Point], None], script: bytes, limit: float = 20) -> int:
        """Rotate in a fork, and give how it ended."""

        def work() -> int:
            hostkey.rotation_script = lambda: script  # type: ignore[attr-defined]
            _watch(act)
            try:
                _rotated(self.meeting, limit)
            except CloudshipError:
                return FAILED
            return UNREACHED

        ended = case.fork(work, {})
        assert ended.status in (FAILED, UNREACHED, -signal.SIGKILL), ended.output
        return ended.status

    def judged(self) -> list[str]:
        """Say what is wrong after a rotation that was cut off."""
        wrong, files = [], self.meeting.files
        try:
            with self.meeting.connect() as shell:
                wrong += [] if shell.run("true").exit_status == 0 else ["no command runs"]
        except CloudshipError as error:
            wrong.append(f"locked out: {error}")
        pinned = files.pinned()
        temporary = " ".join(self.meeting.key.public.split()[:2])
        if files.is_settled == (temporary in pinned):
            wrong.append(f"settled {files.is_settled}, and pinned are {pinned}")
        before = len(self.thief.requests())
        try:
            self.meeting.connect(port=self.thief.port).close()
        except HostKeyMismatch:
            if len(self.thief.requests()) > before:
                wrong.append(f"the thief heard {self.thief.requests()[before:]}")
        else:
            wrong += ["the thief is trusted with more"] if files.is_settled else []
        return wrong


def _rotated(meeting: Meeting, limit: float) -> None:
    shell = hostkey.rotate(
        meeting.connect(),
        temporary=meeting.key.public,
        files=meeting.files,
        connect=meeting.connect,
        timeouts=Timeouts(host_key=limit),
    )
    shell.close()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Where the cases of one test take place."""
    if reason := sshd.lacking():
        assert os.environ.get("CI") != "true", reason
        pytest.skip(f"no sshd can be started here: {reason}")
    found = Ground(tmp_path)
    with found.thief:
        yield found
        found.meeting.host.stop()


def _watch(act: Callable[[Point], None]) -> None:
    """Stand before and after whatever changes a file, or crosses to the droplet."""
    crossings: Counter[str] = Counter()

    def around(place: Any, name: str, label: Callable[..., str] = lambda *_: "") -> None:
        plain = vars(place)[name] if isinstance(place, type) else getattr(place, name)
        inner = plain.__func__ if isinstance(plain, classmethod) else plain

        @wraps(inner)
        def watched(*args: Any, **kwargs: Any) -> Any:
            boundary = f"{name} {label(*args)}".strip()
            crossings[boundary] += 1
            act(Point(boundary, crossings[boundary], "before"))
            try:
                found = inner(*args, **kwargs)
            except (
                ShellUnreachable
            ):  # sshd begins anew, and may not be there yet: the next attempt is the same crossing
                crossings[boundary] -= 1
                raise
            act(Point(boundary, crossings[boundary], "after"))
            return found

        setattr(place, name, classmethod(watched) if isinstance(plain, classmethod) else watched)

    around(Shell, "connect")
    around(Shell, "run", lambda _shell, words: words[-1])
    around(Shell, "close")
    around(keys.LaunchFiles, "pin")
    around(durable, "_write_new", lambda path, _text: _named(path))
    around(durable.os, "open", lambda path, *_: _named(path))
    around(Path, "replace", lambda path, _: _named(path))
    around(Path, "unlink", _named)


def _named(path: Path | str) -> str:
    """Give a file's name without what is another in each run."""
    return re.sub(r"\.[0-9a-f]{10}\.part$", ".part", Path(path).name)


def _points(ground: Ground) -> list[Point]:
    """Watch a rotation that goes well, and list its points."""
    ground.anew()
    seen = ground.meeting.host.folder / "points"

    def act(point: Point) -> None:
        with seen.open("a") as file:
            file.write(f"{point.moment}\t{point.crossing}\t{point.boundary}\n")

    assert ground.rotate(act, rotation_script()) == UNREACHED
    assert [] == ground.judged()
    assert ground.meeting.files.is_settled
    rows = [line.split("\t") for line in dict.fromkeys(seen.read_text().splitlines())]
    return [Point(boundary, int(crossing), moment) for moment, crossing, boundary in rows]


def test_a_client_that_is_killed_at_any_step_is_neither_locked_out_nor_led_astray(ground: Ground) -> None:
    """Before and after every command, connection and change of a file."""
    points, wrong = _points(ground), {}
    assert {"run generate", "run switch", "replace known_hosts.part", "close"} <= {one.boundary for one in points}
    for point in points:
        ground.anew()
        ended = ground.rotate(kill_at(point, signal.SIGKILL), rotation_script())
        found = ground.judged() + ([] if ended == -signal.SIGKILL else [f"not killed, but ended with {ended}"])
        if found:
            wrong[str(point)] = found
    assert not wrong, told(wrong)
    assert len(points) >= 30, len(points)
    record("rotation, the client is killed", points=len(points), cases=len(points))


def _cut_scripts(cut: tuple[str, str]) -> list[tuple[str, bytes]]:
    """Write the script with a cut before each of its lines, wherever a command may stand, for each step by itself."""
    lines, found = rotation_script().decode().splitlines(keepends=True), []
    in_python, branch = False, None
    for number, line in enumerate(lines):
        for step in ("generate", "switch") if branch is None else {branch} & {"generate", "switch"}:
            stop = f"{cut[1]}\n" if in_python else f'[ "$1" != {step} ] || {{ {cut[0]}; }}\n'
            script = "".join((*lines[:number], stop, *lines[number:])).encode()
            if _is_script(script):
                found.append((f"{step}, before line {number + 1}: {line.strip()}", script))
        in_python = line.strip() != "PYTHON" and (in_python or line.rstrip().endswith("<<'PYTHON'"))
        branch = label.group(1) if (label := re.fullmatch(r"(\S+)\)\n", line)) else branch
    return found


def _is_script(script: bytes) -> bool:
    return subprocess.run(["sh", "-n"], input=script, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", CUTS)
def test_a_droplet_that_is_cut_off_at_any_line_answers_with_a_key_that_is_known(ground: Ground, name: str) -> None:
    """With the temporary one or its own: the script killed before each line, or the power lost there."""
    wrong, reached, scripts = {}, 0, _cut_scripts(CUTS[name])
    chosen = scripts if SOAK else scripts["power" in name :: 2]  # the ones here, the others there
    for where, script in chosen:
        ground.anew()
        ended = _with_power_lost(ground, script) if "power" in name else ground.rotate(lambda _point: None, script)
        reached += ended == FAILED
        found = ground.judged()
        if ended == FAILED and ground.meeting.files.is_settled:
            found.append("a droplet that was cut off counts as settled")
        if found:
            wrong[where] = found
    assert not wrong, told(wrong)
    assert reached >= len(chosen) * 0.8 >= 15, (reached, len(chosen))
    record(f"rotation, {name}", points=reached, cases=len(chosen))


def _with_power_lost(ground: Ground, script: bytes) -> int:
    """Rotate, take the power where the droplet says that it is there, and let it boot again."""
    host, over = ground.meeting.host, threading.Event()

    def cut() -> None:
        while not over.wait(0.005):
            if (host.folder / CUT).exists():
                host.stop()
                return

    thread = threading.Thread(target=cut)
    thread.start()
    ended = ground.rotate(lambda _point: None, script)
    over.set()
    thread.join()
    host.start(host.port)
    return ended
