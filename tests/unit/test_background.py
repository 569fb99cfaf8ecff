"""Work beside other work: whatever ends it is raised where it is waited for."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloudship import appinfo, launch
from cloudship.background import Background
from cloudship.errors import CloudshipError, GitError, StorageError
from cloudship.events import Event, Noted
from cloudship.git import process
from cloudship.models import Timeouts


def _raising(error: BaseException) -> Callable[..., Any]:
    def work(*_words: object, **_more: object) -> None:
        raise error

    return work


ENDS = [GitError("the push broke off"), OSError(errno.ENOMEM, "no memory"), MemoryError(), SystemExit(3)]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_whatever_ends_the_work_is_raised_where_it_is_waited_for(error: BaseException) -> None:
    """Also what nobody foresaw: a thread that died is no success."""
    work = Background(_raising(error))
    for waiting in (work.result, lambda: work.wait_for(threading.Event())):
        with pytest.raises(type(error)) as caught:
            waiting()
        assert error is caught.value


def test_work_that_goes_well_has_nothing_to_say() -> None:
    """Its result is that it ended."""
    done: list[int] = []
    Background(lambda: done.append(1)).result()
    assert [1] == done


@pytest.mark.parametrize("words", [["x" * 10_000_000], []], ids=["too many words", "not executable"])
def test_a_git_that_does_not_start_is_an_error_of_ours(tmp_path: Path, words: list[str]) -> None:
    """With the system's own word for it, which is not that git is missing."""
    program = tmp_path / "git"
    program.touch(0o755 if words else 0o644)
    word = os.strerror(errno.E2BIG if words else errno.EACCES)
    with pytest.raises(GitError, match=word):
        process.call([str(program), *words], environ={})


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EMFILE])
def test_a_machine_that_has_no_more_to_give_git_is_told_as_that(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """It is not git that failed."""
    monkeypatch.setattr(subprocess, "Popen", _raising(OSError(number, os.strerror(number))))
    with pytest.raises(StorageError, match=os.strerror(number)):
        process.call(["git", "--version"], environ={})


def _installing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> tuple[Background, list[Event]]:
    """Have the early installation of a launch end with an error."""
    heard: list[Event] = []
    monkeypatch.setattr(appinfo, "dependency_archive", lambda *_: b"archive")
    drawn: Any = SimpleNamespace(request=SimpleNamespace(tree=SimpleNamespace(root=None), app=None))
    shell: Any = SimpleNamespace(stream=_raising(error))
    return launch._prepared_early(drawn, shell, Timeouts(), heard.append), heard


def test_an_early_installation_that_breaks_off_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The release installs what is missing, so the launch goes on."""
    work, heard = _installing(monkeypatch, OSError(errno.ENOMEM, "no memory"))
    work.result()
    assert [True] == [isinstance(one, Noted) and "no memory" in one.text for one in heard]


def test_what_nobody_foresaw_in_an_early_installation_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the launch waits for its end."""
    work, heard = _installing(monkeypatch, CloudshipError("unforeseen"))
    with pytest.raises(CloudshipError, match="unforeseen"):
        work.result()
    assert [] == heard


def test_git_does_not_outlive_us_where_a_thread_waits_for_it(tmp_path: Path) -> None:
    """It has a session of its own, which no Ctrl-C reaches; a thread that nobody waits for dies with us unseen."""
    number_file = tmp_path / "number"
    words = ["sh", "-c", f"echo $$ > {number_file}; exec sleep 60"]
    code = (
        "import pathlib, time\n"
        "from cloudship.background import Background\n"
        "from cloudship.git import process\n"
        f"Background(lambda: process.call({words!r}, environ={{'PATH': '/usr/bin:/bin'}}))\n"
        f"file = pathlib.Path({str(number_file)!r})\n"
        "while not (file.exists() and file.stat().st_size):\n"
        "    time.sleep(0.01)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
    number = int(number_file.read_text())
    for _ in range(100):
        if not Path(f"/proc/{number}").exists() or " Z " in Path(f"/proc/{number}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("it goes on")
