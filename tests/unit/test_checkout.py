"""A commit as SOURCE, and the remote that ties a checkout to its ship."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cloudship import checkouts, git, source
from cloudship.errors import SourceError
from cloudship.keys import LaunchFiles
from cloudship.source import FolderSource


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with two commits and a change on top."""
    folder = tmp_path / "shop"
    (folder / "sub").mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    for text in ("one", "two"):
        (folder / "app.py").write_text(text)
        (folder / "sub" / "page").write_text(text)
        _git(folder, "add", "-A")
        _git(folder, "commit", "-q", "-m", text)
    (folder / "app.py").write_text("three")
    return folder.resolve()


def _git(folder: Path, *words: str) -> str:
    whole = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(whole, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(("ref", "text"), [("HEAD", "two"), ("HEAD~1", "one"), ("main^", "one")])
def test_a_folder_at_a_commit_is_what_the_commit_has(checkout: Path, tmp_path: Path, ref: str, text: str) -> None:
    """Changes in the folder do not count, and the repository is not written to."""
    before = _git(checkout, "status", "--porcelain")
    asked = source.parse(f"{checkout}@{ref}")
    assert FolderSource(checkout, ref) == asked
    tree = git.read(asked, tmp_path / "work")
    assert (text, 2) == ((tree.root / "app.py").read_text(), tree.files)
    assert before == _git(checkout, "status", "--porcelain")


def test_a_folder_inside_a_repository_at_a_commit(checkout: Path, tmp_path: Path) -> None:
    """Only that folder is sent."""
    tree = git.read(source.parse(f"{checkout / 'sub'}@HEAD~1"), tmp_path / "work")
    assert ["page"] == [path.name for path in tree.root.iterdir()]


def test_a_commit_that_is_not_there_is_refused(checkout: Path, tmp_path: Path) -> None:
    """With the command that lists those that are."""
    with pytest.raises(SourceError, match="no commit 'nope'"):
        git.read(source.parse(f"{checkout}@nope"), tmp_path / "work")


def test_a_folder_with_an_at_in_its_name_is_a_folder(tmp_path: Path) -> None:
    """What exists as it is written is meant as it is written."""
    (tmp_path / "a@b").mkdir()
    assert FolderSource((tmp_path / "a@b").resolve()) == source.parse(str(tmp_path / "a@b"))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchFiles:
    """The files of a launch."""
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "state" / "ships" / "local" / "shop" / "0123456789"
    folder.mkdir(parents=True)
    return LaunchFiles(folder, "0123456789")


def test_a_checkout_is_tied_to_its_ship_and_released_with_it(checkout: Path, files: LaunchFiles) -> None:
    """The remote's host is an alias that ssh knows by our file; nothing of it stays after the ship."""
    before = (checkout / ".git" / "config").read_text()
    told = checkouts.tie(checkout, files, name="shop", address="10.0.0.9")
    assert "git push ship main deploys from here" == told
    assert "ssh://root@shop.0123456789.cloudship/srv/shop/repo.git" == _git(checkout, "remote", "get-url", "ship")
    command = _git(checkout, "config", "core.sshCommand").split()
    shown = subprocess.run(
        [*command, "-G", "shop.0123456789.cloudship"], capture_output=True, text=True, check=True
    ).stdout
    assert {"hostname 10.0.0.9", "user root", f"identityfile {files.identity}"} <= set(shown.splitlines())
    checkouts.forget(files, name="shop")
    assert before == (checkout / ".git" / "config").read_text()
    assert not files.folder.exists()


def test_a_ship_of_the_same_name_is_another_host(checkout: Path, files: LaunchFiles) -> None:
    """What an earlier launch left, whose cloud was reset, leads nobody astray."""
    checkouts.tie(checkout, files, name="shop", address="10.0.0.9")
    folder = files.folder.parent / "fedcba9876"
    folder.mkdir()
    checkouts.tie(checkout, LaunchFiles(folder, "fedcba9876"), name="shop", address="10.0.0.10")
    command = _git(checkout, "config", "core.sshCommand").split()
    host = _git(checkout, "remote", "get-url", "ship").partition("@")[2].partition("/")[0]
    shown = subprocess.run([*command, "-G", host], capture_output=True, text=True, check=True).stdout
    assert "hostname 10.0.0.10" in shown.splitlines()


def test_what_the_user_set_up_is_left_alone(checkout: Path, files: LaunchFiles) -> None:
    """A remote or an ssh command of the user's own stays, and the reason is said."""
    _git(checkout, "config", "core.sshCommand", "ssh -v")
    assert "core.sshCommand is set" in (checkouts.tie(checkout, files, name="shop", address="10.0.0.9") or "")
    _git(checkout, "config", "--unset", "core.sshCommand")
    _git(checkout, "remote", "add", "ship", "https://example.org/x.git")
    assert "leads to https://example.org" in (checkouts.tie(checkout, files, name="shop", address="10.0.0.9") or "")
    checkouts.forget(files, name="shop")
    assert "https://example.org/x.git" == _git(checkout, "remote", "get-url", "ship")


def test_a_folder_below_the_top_of_a_repository_is_not_tied(checkout: Path, files: LaunchFiles) -> None:
    """A push would send the whole repository."""
    assert checkouts.tie(checkout / "sub", files, name="shop", address="10.0.0.9") is None
    assert "" == _git(checkout, "remote")


@pytest.mark.parametrize("name", ["plain", "a b%20c", os.fsdecode(b"a\xffb")], ids=["plain", "blanks", "no text"])
def test_a_checkout_is_tied_and_let_go_whatever_its_path(tmp_path: Path, files: LaunchFiles, name: str) -> None:
    """A path is bytes to the system: what is no text is noted and found again as it is."""
    folder = tmp_path / name
    folder.mkdir()
    _git(folder, "init", "-q", "-b", "main")
    told = checkouts.tie(folder, files, name="shop", address="192.0.2.7")
    assert (folder, "ship") == (files.tied_checkout(), _git(folder, "remote")), told
    checkouts.forget(files, name="shop")
    assert "" == _git(folder, "remote")
