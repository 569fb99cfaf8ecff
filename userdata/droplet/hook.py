"""The pre-receive hook: what may be pushed, and that a push whose release fails is rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Sequence, Tuple

from droplet import command, toml
from droplet.layout import Config, Layout
from droplet.records import Request
from droplet.settings import FILE, Settings

BRANCHES = Settings().branches
HEAD = f"refs/heads/{BRANCHES[0]}"  # what a clone checks out
DEPLOYED = "refs/cloudship/deployed/"  # where a client puts what has no history to go on from
_NOTHING = "0" * 40
_LONGEST = 200  # letters of what a client says of itself


class RefusedError(Exception):
    """A push that is not for us; the message says what to do instead."""


@dataclass(frozen=True)
class Push:
    """One commit that is to be released, and the branch that it came on."""

    layout: Layout
    request: Request
    ref: str
    old: str

    def check(self) -> None:
        """
        Look, once nobody else releases, that the branch is where this push found it.

        Raises:
            RefusedError: somebody else pushed meanwhile: git would reject this push after it was released.
        """
        now = _git(self.layout, "rev-parse", "--verify", "--quiet", self.ref) or _NOTHING
        if now != self.old:
            raise RefusedError("somebody else pushed meanwhile; fetch their work and push again")


def read(lines: Iterable[str], environ: Mapping[str, str], config: Config) -> Push:
    """
    Understand a push: `old new ref` a line, and who pushes what in git's push options.

    Raises:
        RefusedError: another branch, a tag, a deletion, more than one, or submodules.
    """
    layout = config.layout
    old, new, ref = one_update(lines)
    told = options(environ)
    if not ref.startswith(DEPLOYED):
        refuse(new, ref, _branches(config, new))
    submodules = _submodules(layout, new)
    if submodules:
        raise RefusedError(
            f"a push carries no submodules: {', '.join(submodules[:4])}; use: cloudship deploy {layout.name} FOLDER"
        )
    by = told.get("by") or _git(layout, "log", "-1", "--format=%an", new) or "git push"
    return Push(layout, Request(new, by, told.get("action", "push"), told.get("commit")), ref, old)


def one_update(lines: Iterable[str]) -> Tuple[str, str, str]:
    """
    Take the one update of a push.

    Raises:
        RefusedError: there are more, or none.
    """
    updates = [tuple(line.split()) for line in lines if line.strip()]
    if len(updates) > 1:  # tags that come along are kept, and mean nothing here
        updates = [one for one in updates if not one[-1].startswith("refs/tags/")]
    if len(updates) != 1 or len(updates[0]) != 3:
        raise RefusedError(f"push one branch: git push ship {BRANCHES[0]}")
    old, new, ref = updates[0]
    return old, new, ref


def refuse(new: str, ref: str, branches: Sequence[str]) -> None:
    """
    Let pass only a branch that is released here.

    Raises:
        RefusedError: anything else, with what to do instead.
    """
    kind, _, name = ref.partition("refs/")[2].partition("/")
    first = branches[0]
    if kind == "tags":
        raise RefusedError(
            f"the tag {name} is not released here; push what it names: git push ship {name}^{{}}:{first}"
        )
    if kind != "heads" or name not in branches:
        raise RefusedError(
            f"{name} is not released here; push it as {first}: git push ship {name}:{first},"
            f' or name it in {FILE}: branches = ["{name}"]'
        )
    if set(new) == set(_NOTHING):
        raise RefusedError(f"{name} is live and cannot be deleted; take the ship down instead: cloudship down")


def options(environ: Mapping[str, str]) -> Dict[str, str]:
    """Read git's push options of the form `name=value`."""
    count = environ.get("GIT_PUSH_OPTION_COUNT", "0")
    given = [environ.get(f"GIT_PUSH_OPTION_{index}", "") for index in range(int(count) if count.isdigit() else 0)]
    pairs = (one.partition("=") for one in given)
    return {name: value[:_LONGEST] for name, equals, value in pairs if equals and value.isprintable()}


def _branches(config: Config, commit: str) -> Sequence[str]:
    """Say which branches are released: configured from outside, else by the commit itself."""
    if config.settings.get("branches"):
        return tuple(config.settings["branches"])
    own = toml.parse(_git(config.layout, "show", f"{commit}:{FILE}"))
    project = toml.parse(_git(config.layout, "show", f"{commit}:pyproject.toml"))
    told = (own or toml.table(project, "tool", "cloudship")).get("branches")
    return (toml.texts(told) if isinstance(told, list) else ()) or BRANCHES


def _submodules(layout: Layout, commit: str) -> List[str]:
    listed = _git(layout, "ls-tree", "-r", "--full-tree", commit).splitlines()
    return [line.partition("\t")[2] for line in listed if line.startswith("160000 ")]


def _git(layout: Layout, *words: str) -> str:
    return command.output(["git", "-C", str(layout.repository), *words]).strip()
