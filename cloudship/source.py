"""What is sent: the kinds of SOURCE, the rules of what belongs in it, and the tree that comes of it; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from cloudship.errors import SourceError
from cloudship.legible import typed
from cloudship.models import SHIP_NAME, Secret, as_ship_name

LIMIT = 50 * 1000 * 1000  # bytes
SHOWN = 8  # offenders named in an error
SCHEMES = frozenset({"https", "http", "ssh", "git", "file"})
_TAKEN = f"{', '.join(sorted(SCHEMES))} are"
_WITH_LOGIN = frozenset({"https", "http"})  # a password in any other URL would be a word of some command

# What no app needs on a droplet unless git tracks it, as patterns of gitignore.
NEVER_UNTRACKED = (
    *(".git", ".hg", ".svn", "node_modules/", "__pycache__/", "*.py[co]", "*.egg-info/", ".eggs/"),
    *(".tox/", ".nox/", ".mypy_cache/", ".ruff_cache/", ".pytest_cache/", ".ipynb_checkpoints/", "htmlcov/"),
    *(".venv/", ".env", ".env.*", ".envrc", "*.sqlite", "*.sqlite3", "*.sqlite3-*", "*.db", ".DS_Store", "*.swp"),
    *(".idea/", ".vscode/"),
)
_PRIVATE_KEY = re.compile(rb"\s*-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_SCP_LIKE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/?/|-)[^\s\\\x00-\x1f]+")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+~^-]*")  # in a repository that is here
_ENVIRONMENT_MARK = "pyvenv.cfg"


@dataclass(frozen=True)
class FolderSource:
    """A folder on this machine: as it is now, or as a commit of its repository has it."""

    path: Path
    ref: str | None = None  # branch, tag or commit; None: as it is now


@dataclass(frozen=True)
class GitSource:
    """A repository somewhere else, at a branch, tag or commit, or at its head."""

    url: str  # without whoever may log in there
    ref: str | None = None

    login: Secret | None = None  # user and password, or a token, as they stood in the URL

    @property
    def shown(self) -> str:
        """How it is shown: without a password."""
        return self.url + (f"@{self.ref}" if self.ref else "")


Source = FolderSource | GitSource


@dataclass(frozen=True)
class Entry:
    """One file of a tree."""

    path: str
    mode: str  # as git writes it
    size: int  # bytes

    @property
    def link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.mode == "120000"


@dataclass(frozen=True)
class SourceTree:
    """An exact tree, copied and committed, ready to be pushed."""

    root: Path  # the copy
    git_dir: Path  # the repository that holds the commit
    commit: str
    tree: str  # its hash: equal trees have equal ones
    files: int
    size: int  # bytes
    description: str  # for people
    origin: str | None = None  # the commit it was taken from, if any
    left_out: tuple[str, ...] = ()  # names at the top that are not sent


def parse(text: str | Path) -> Source:
    """
    Understand a SOURCE: a folder or a git URL, each with an optional `@ref`.

    Raises:
        SourceError: a folder that does not exist, a file, or a URL that is not taken.
    """
    shown = str(text)
    if not shown:  # a variable that is not set, rather than the folder one happens to stand in
        raise SourceError(
            "An empty text names no folder", next_step="name the folder that holds the app; . is this one"
        )
    if isinstance(text, str) and ("://" in shown or _SCP_LIKE.fullmatch(shown)):
        return _git(shown)
    if isinstance(text, str) and re.match(r"[a-z-]+::", shown):
        raise SourceError(f"{typed(shown)} is no URL that is fetched from; {_TAKEN}")
    try:
        return _folder(Path(text), shown)
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, nobody's home
        why = getattr(error, "strerror", None) or error
        raise SourceError(f"{typed(shown)} is no path: {why}", next_step="name the folder that holds the app") from None


def _folder(text: Path, shown: str) -> FolderSource:
    path = text.expanduser()
    if not path.exists() and (at_ref := _folder_at_ref(shown)) is not None:
        return at_ref
    if not path.exists():
        raise SourceError(f"{typed(shown)!r} does not exist", next_step="name the folder that holds the app")
    if not path.is_dir():
        packed = path.suffix in {".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".whl"}
        step = "unpack it, and name the folder" if packed else f"name its folder: {path.parent}"
        raise SourceError(f"{shown!r} is a file; an app is a folder or a git URL", next_step=step)
    return FolderSource(path.resolve())


def default_name(source: Source) -> str:
    """
    Make a ship's name of the folder's or the repository's name.

    Raises:
        SourceError: nothing of it can stand in a name.
    """
    if isinstance(source, FolderSource):
        text = source.path.name
    else:
        text = re.split(r"[/:]", source.url.rstrip("/"))[-1].removesuffix(".git")
    name = as_ship_name(text)
    if not SHIP_NAME.fullmatch(name):
        raise SourceError(f"No name for a ship can be made of {text!r}", next_step="--name NAME")
    return name


def check_sizes(entries: Sequence[Entry]) -> None:
    """
    Refuse a tree that is empty or too large.

    Raises:
        SourceError: with the largest files.
    """
    if not entries:
        raise SourceError(
            "There is nothing to send: the folder is empty, or git ignores all of it",
            next_step="name the folder that holds the app",
        )
    whole = sum(entry.size for entry in entries)
    if whole > LIMIT:
        largest = sorted(entries, key=lambda entry: -entry.size)[:SHOWN]
        raise SourceError(
            f"{whole / 1e6:.0f} MB would be sent; at most {LIMIT / 1e6:.0f} MB are",
            evidence=[f"{entry.size / 1e6:8.1f} MB  {printable(entry.path)}" for entry in largest],
            next_step="name what is not needed in .gitignore",
        )


def check_links(links: Iterable[tuple[str, str]], outside: Iterable[str] = ()) -> None:
    """
    Refuse links that lead out of the tree.

    Args:
        links: path and target of each.
        outside: paths that are already known to lead out.

    Raises:
        SourceError: with the links.
    """
    offenders = dict.fromkeys([*outside, *(path for path, target in links if _leads_out(path, target))])
    if offenders:
        raise SourceError(
            "These links lead out of what is sent",
            evidence=[printable(path) for path in offenders][:SHOWN],
            next_step="replace them by what they point to, or name them in .gitignore",
        )


def check_private_keys(paths: Sequence[str]) -> None:
    """
    Refuse private keys.

    Raises:
        SourceError: with the files.
    """
    if paths:
        raise SourceError(
            "These files hold a private key, which is never sent",
            evidence=[printable(path) for path in paths][:SHOWN],
            next_step="name them in .gitignore, and give the app its secrets by --env-file",
        )


def holds_private_key(data: bytes) -> bool:
    """Whether a file is a private key."""
    return _PRIVATE_KEY.match(data[:4096]) is not None


def environment_of(path: str) -> str | None:
    """Name the Python environment that a file marks, relative to the tree; None when it marks none."""
    folder, _, name = path.rpartition("/")
    return folder if name == _ENVIRONMENT_MARK else None


def printable(path: str) -> str:
    """Show a path on a terminal, whatever is in it."""
    return path if path.isprintable() else ascii(path)[1:-1]


def _git(text: str) -> GitSource:
    url, ref = _parted(text)
    try:
        url, login = _without_login(url)
    except ValueError as error:
        raise SourceError(f"This is no URL that is fetched from: {error}; {_TAKEN}") from None
    if ref is not None and (not _REF.fullmatch(ref) or ".." in ref):
        raise SourceError(f"{ref!r} is no branch, tag or commit")
    return GitSource(url, ref, login)


def _without_login(url: str) -> tuple[str, Secret | None]:
    """
    Part a URL from who logs in there: that is a secret, and goes neither into words nor into user-data.

    Raises:
        ValueError: it is no URL that is taken; the message does not show it.
    """
    if not url.isprintable() or re.search(r"[\s\\]", url):
        raise ValueError("it has blanks or letters that none has")
    if "://" not in url:
        return url, None  # the short form of ssh, which has no password
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"of the kind {parts.scheme!r}")
    user, _, host = parts.netloc.rpartition("@")
    if parts.scheme != "file" and (not parts.hostname or host.startswith("-") or parts.port == 0):
        raise ValueError("it names no host")
    if not user:
        return url, None
    if parts.scheme in _WITH_LOGIN:
        if re.search(r"[\x00-\x1f]", unquote(user)):
            raise ValueError("who logs in has letters that nobody has")
        return urlunsplit(parts._replace(netloc=host)), Secret(user)
    if parts.scheme != "ssh" or ":" in user or user.startswith("-"):
        raise ValueError("a password in it would be shown to everybody here; use a key, or https://")
    return url, None


def _folder_at_ref(text: str) -> FolderSource | None:
    head, at, ref = text.rpartition("@")
    folder = Path(head or ".").expanduser()
    if not at or not folder.is_dir() or not _REVISION.fullmatch(ref) or ".." in ref:
        return None
    return FolderSource(folder.resolve(), ref)


def _parted(text: str) -> tuple[str, str | None]:
    """Part `URL@ref`: the last @ counts, unless what follows it is still the host."""
    head, at, tail = text.rpartition("@")
    in_path = "/" in head.partition("://")[2] if "://" in text else ":" in head
    return (head, tail) if at and in_path else (text, None)


def _leads_out(path: str, target: str) -> bool:
    if target.startswith("/"):
        return True
    depth = len(PurePosixPath(path).parent.parts)
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
