"""A bare repository of our own, the copy of what is sent beside it, and the commits made there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cloudship import source as sending
from cloudship.errors import GitError, SourceError
from cloudship.git import process
from cloudship.models import Secret
from cloudship.source import Entry
from cloudship.waiting import REAL, Clock

_IDENTITY = "cloudship <cloudship@localhost>"
# The user's own helpers are not asked, and so not told either; ours answers for this origin, and no other.
_ASKED = """[credential]
\thelper =
[credential "{origin}"]
\thelper = "!printf 'username=%s\\\\npassword=%s\\\\n' \\"$CLOUDSHIP_GIT_USER\\" \\"$CLOUDSHIP_GIT_PASSWORD\\" #"
"""


class Repository:
    """
    A bare repository in a workspace, deaf to everything configured elsewhere.

    Args:
        workspace: a folder of ours.
        clock: the time that goes into commits.
    """

    def __init__(self, workspace: Path, clock: Clock = REAL) -> None:
        self.git_dir = workspace / "repo.git"
        self.root = workspace / "tree"
        self.environ = process.inherited() | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "HOME": str(workspace),  # for a git that does not know GIT_CONFIG_GLOBAL yet
            "XDG_CONFIG_HOME": str(workspace),
        }
        self.login: dict[str, str] = {}  # variables in which git finds who logs in at the remote
        self._clock = clock

    def create(self, remote: str | None = None, login: Secret | None = None) -> None:
        """
        Lay the repository out by hand: `git init` takes longer and copies the user's templates.

        Args:
            remote: a URL to fetch from.
            login: who logs in there. It goes into no file, which a kill would leave, and into no word of a command,
                which git would hand on to its helpers for all to see: git is told where in its environment it stands.
        """
        self.root.mkdir(parents=True)
        for folder in ("objects", "refs"):
            (self.git_dir / folder).mkdir(parents=True)
        (self.git_dir / "HEAD").write_text("ref: refs/heads/main\n")
        config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
        if remote is not None:
            quoted = remote.replace('"', '\\"')  # `source.parse` lets no backslash or line end through
            config += f'[remote "origin"]\n\turl = "{quoted}"\n'
            if login is not None:
                self.login = _login(login)
                config += _ASKED.format(origin=_origin(quoted))
        (self.git_dir / "config").write_text(config)

    def words(self, *words: str) -> list[str]:
        """Give the words of a call on this repository."""
        return ["git", f"--git-dir={self.git_dir}", *process.TAME, *words]

    def call(self, *words: str, stdin: bytes = b"") -> bytes:
        """
        Call git on this repository.

        Raises:
            GitError: it failed.
        """
        outcome = process.call(self.words(*words), environ=self.environ, stdin=stdin)
        if outcome.status != 0:
            raise GitError(f"git {words[0]} failed", evidence=outcome.lines[-process.SHOWN :])
        return outcome.out

    def import_files(
        self, entries: Sequence[Entry], content: Callable[[Entry], bytes], *, subject: str
    ) -> tuple[str, str]:
        """
        Make a commit in one pass over files, copying each on the way; give its hash and its tree's.

        Raises:
            SourceError: a file holds a private key.
            GitError: git failed.
        """
        copy = Copy(self.root)
        words = self.words("-c", "fastimport.unpackLimit=1", "fast-import", "--quiet")
        with process.started(words, environ=self.environ) as importing:
            assert importing.stdin is not None  # noqa: S101  it is a pipe
            write = importing.stdin.write
            try:
                write(b"feature done\ncommit refs/heads/main\nmark :1\ncommitter %b\n" % self._signature())
                write(_data(self._message(subject)))
                for entry in entries:
                    data = content(entry)
                    copy.add(entry, data)
                    write(b"M %b inline %b\n" % (entry.mode.encode(), _quoted(entry.path)) + _data(data))
                copy.finish()
                write(b'get-mark :1\nls :1 ""\ndone\n')
                importing.stdin.flush()
            except BrokenPipeError:
                pass  # git says why when it is asked how it ended
            outcome = process.finish(importing, name="git fast-import to end", limit=process.LOCAL_LIMIT)
        if outcome.status != 0:
            raise GitError("git fast-import failed", evidence=outcome.lines[-process.SHOWN :])
        commit, _mode, _kind, tree = outcome.out.split()  # `ls` says: mode, kind, hash, path
        return commit.decode(), tree.decode()

    def commit_tree(self, tree: str, *, subject: str) -> str:
        """Make a commit without parents of a tree that is there, and give its hash."""
        signature = self._signature()
        header = b"tree %b\nauthor %b\ncommitter %b\n\n" % (tree.encode(), signature, signature)
        made = self.call("hash-object", "-t", "commit", "-w", "--stdin", stdin=header + self._message(subject))
        return made.decode().strip()

    def _signature(self) -> bytes:
        return f"{_IDENTITY} {self._clock.wall():.0f} +0000".encode()

    def _message(self, subject: str) -> bytes:
        """Write a message that no other commit has: a push of what is there already would release nothing."""
        return f"{subject}\n\nSent at {self._clock.wall():.6f}\n".encode("utf-8", "replace")


def _login(secret: Secret) -> dict[str, str]:
    """Give the variables in which git's helper finds who logs in."""
    user, _, password = secret.reveal().partition(":")
    return {"CLOUDSHIP_GIT_USER": unquote(user), "CLOUDSHIP_GIT_PASSWORD": unquote(password)}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Copy:
    """
    An exact copy of what is sent, written file by file and checked on the way.

    Links are made last: no file is ever written through one.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._folders = {""}
        self._links: list[tuple[str, str]] = []
        self._keys: list[str] = []

    def add(self, entry: Entry, data: bytes) -> None:
        """Write one file, or remember one link."""
        folder = entry.path.rpartition("/")[0]
        for part in entry.path.split("/"):
            if part.lower() in {"", ".", "..", ".git"}:
                raise SourceError(f"{sending.printable(entry.path)} is no path that a tree may hold")
        if folder not in self._folders:
            with _as_source_error(entry.path):
                os.makedirs(f"{self._root}/{folder}", exist_ok=True)
            self._folders.add(folder)
        if entry.link:
            self._links.append((entry.path, os.fsdecode(data)))
            return
        if sending.holds_private_key(data):
            self._keys.append(entry.path)
        with (
            _as_source_error(entry.path),
            open(f"{self._root}/{entry.path}", "xb", buffering=0, opener=_opener(entry)) as file,
        ):
            file.write(data)

    def finish(self) -> None:
        """
        Make the links.

        Raises:
            SourceError: a link leads out, or a file holds a private key.
        """
        sending.check_links(self._links)
        sending.check_private_keys(self._keys)
        for path, target in self._links:
            with _as_source_error(path):
                os.makedirs(os.path.dirname(f"{self._root}/{path}"), exist_ok=True)
                os.symlink(target, f"{self._root}/{path}")
        sending.check_links((), (path for path, _ in self._links if not self._is_inside(path)))

    def _is_inside(self, path: str) -> bool:
        """Whether a link stays in the tree, those on its way followed: each alone may look harmless."""
        root = os.path.realpath(self._root)
        return f"{os.path.realpath(f'{root}/{path}')}/".startswith(f"{root}/")


@contextmanager
def _as_source_error(path: str) -> Iterator[None]:
    """Say of a path that cannot be, such as one below a file, that it is the source's."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"{sending.printable(path)} cannot be copied: {error.strerror}") from error


def _opener(entry: Entry) -> Callable[[str, int], int]:
    mode = 0o755 if entry.mode == "100755" else 0o644
    return lambda path, flags: os.open(path, flags, mode)


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    """Quote a path as fast-import reads it."""
    raw = os.fsencode(path)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
