"""A password in a git URL: it opens the repository, and stands in no word, no file and no message."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gitserver import GitServer, publish

from cloudship import drawing, git, source
from cloudship.errors import SourceError
from cloudship.source import GitSource

USER, PASSWORD = "me", "s3cret-p%40ss"  # in the URL's own spelling
LOGIN = "me:s3cret-p@ss"


@pytest.fixture
def folder(tmp_path: Path, flask_app: Path) -> Path:
    """A folder with one bare repository."""
    place = tmp_path / "served"
    place.mkdir()
    publish(flask_app, place)
    return place


@pytest.fixture
def server(folder: Path) -> Iterator[GitServer]:
    """A server that asks for a password."""
    with GitServer(folder, LOGIN).serving() as found:
        yield found


@pytest.fixture(autouse=True)
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where git writes down each command that it runs, word by word; and a helper of the user's that must not know."""
    programs, said = tmp_path / "programs", tmp_path / "trace"
    programs.mkdir()
    real = next(place for place in os.environ["PATH"].split(":") if Path(place, "git").exists())
    (programs / "git").write_text(f'#!/bin/sh\nGIT_TRACE={said} exec {real}/git "$@"\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / "gitconfig").write_text(f"[credential]\n\thelper = store --file={tmp_path / 'told'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    return said


def _everything(place: Path) -> str:
    return "\n".join(path.read_text("utf-8", "replace") for path in place.rglob("*") if path.is_file())


@pytest.mark.parametrize("spelling", ["plain", "with a ref"])
def test_it_opens_the_repository_and_shows_nowhere(
    server: GitServer, tmp_path: Path, trace: Path, spelling: str
) -> None:
    """Not in what is fetched, in no word of any command that git runs, and the user's own helper is not told."""
    url = f"http://{USER}:{PASSWORD}@{server.host}/app.git" + ("@main" if spelling == "with a ref" else "")
    asked = source.parse(url)
    tree = git.read(asked, tmp_path / "workspace")
    assert (tree.root / "app.py").is_file()
    assert "git-remote-http" in trace.read_text() or "remote-http" in trace.read_text()
    shown = [trace.read_text(), _everything(tmp_path / "workspace"), tree.description, repr(asked), repr(tree)]
    assert [] == [text for text in shown if "s3cret" in text]
    assert not (tmp_path / "told").exists()


def test_a_token_alone_is_a_secret_too(folder: Path, tmp_path: Path, trace: Path) -> None:
    """It stands where a user's name would."""
    with GitServer(folder, "ghp_t0ken:").serving() as server:
        asked = source.parse(f"http://ghp_t0ken@{server.host}/app.git")
        assert isinstance(asked, GitSource)
        tree = git.read(asked, tmp_path / "workspace")
    assert [] == [text for text in (trace.read_text(), asked.shown, tree.description) if "t0ken" in text]


def test_one_that_is_refused_is_not_shown(server: GitServer, tmp_path: Path) -> None:
    """The message and its evidence are git's own words, which know nothing of it."""
    with pytest.raises(SourceError, match="cannot be fetched") as caught:
        git.read(source.parse(f"http://me:wr0ng@{server.host}/app.git"), tmp_path / "workspace")
    shown = f"{caught.value} {caught.value.evidence} {caught.value.next_step}"
    assert (False, True) == ("wr0ng" in shown, "Authentication failed" in shown)


def test_another_host_never_hears_it(server: GitServer, folder: Path, tmp_path: Path) -> None:
    """Whoever is redirected to asks in vain."""
    with GitServer(folder, elsewhere=f"http://{server.host}").serving() as first:
        with pytest.raises(SourceError):
            git.read(source.parse(f"http://{USER}:{PASSWORD}@{first.host}/app.git"), tmp_path / "workspace")
        assert [] == server.heard


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git:hunter2@example.org/app.git",
        "git://me:hunter2@example.org/app.git",
        "ssh://-oProxyCommand=hunter2@example.org/app.git",
        "https://me:hunter2@/app.git",
        "https://me:hunter2@[::1/app.git",
        "https://me:hunter2%0ahost=evil.example@example.org/app.git",
        "https://me:hunter2@example.org:0/app.git",
        "ext::https://me:hunter2@example.org/app.git",
    ],
)
def test_a_url_that_is_not_taken_is_refused_without_showing_its_password(url: str) -> None:
    """Where a password would be a word of a command, or would say something else to git's helper."""
    with pytest.raises(SourceError) as caught:
        source.parse(url)
    assert "hunter2" not in f"{caught.value} {caught.value.next_step}"


def test_user_data_never_carries_one(folder: Path) -> None:
    """Everything on a droplet can read it."""
    with pytest.raises(SourceError, match="can be read by everything") as caught:
        drawing.rendered("https://me:hunter2@example.org/app.git", git=None, name="web", config_file=None)
    assert "hunter2" not in f"{caught.value} {caught.value.next_step}"
