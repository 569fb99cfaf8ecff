"""What git pushes in all its ways, to a repository as the first boot makes it; its hook understands, and stops."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from droplet import bootstrap
from droplet.layout import Layout

HOOK = """#!{python}
import os, sys
from pathlib import Path
sys.path.insert(0, {userdata!r})
from droplet import hook
from droplet.layout import Config, Layout

class Here(Config):
    layout = Layout("web", Path({base!r}))

try:
    push = hook.read(sys.stdin, os.environ, Here("web", {{}}, (), None, None, None))
    push.check()
except hook.RefusedError as error:
    sys.exit("cloudship: " + str(error))
print("cloudship: releases", push.request.commit, "by", push.request.by)
"""
SAFE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
WHO = {f"GIT_{role}_{what}": "joe" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Checkout:
    """Somebody's repository, with the droplet's as its remote `ship`."""

    folder: Path

    def git(self, *words: str) -> tuple[int, str]:
        """Run git in it; its status, and all that it says."""
        whole = ["git", "-c", "protocol.file.allow=always", "-C", str(self.folder), *words]
        done = subprocess.run(whole, capture_output=True, text=True, check=False, env={**os.environ, **SAFE, **WHO})
        return done.returncode, done.stdout + done.stderr

    def commit(self, text: str) -> str:
        """Commit a change, and give its hash."""
        (self.folder / "app.py").write_text(text)
        for words in (("add", "-A"), ("commit", "-q", "-m", text)):
            assert (0, "") == self.git(*words)
        return self.git("rev-parse", "HEAD")[1].strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The droplet's repository, whose hook says what it would release."""
    place = Layout("web", tmp_path / "srv")
    place.home.mkdir(parents=True)
    bootstrap.make_repository(place)
    userdata = str(Path(bootstrap.__file__).parents[1])
    script = HOOK.format(python=sys.executable, userdata=userdata, base=str(tmp_path / "srv"))
    (place.repository / "hooks" / "pre-receive").write_text(script)
    (place.repository / "hooks" / "post-receive").unlink()
    return place.repository


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Checkout:
    """A repository whose first commit was pushed."""
    found = Checkout(tmp_path / "checkout")
    found.folder.mkdir()
    assert 0 == found.git("init", "-q", "-b", "main")[0]
    assert 0 == found.git("remote", "add", "ship", f"file://{repository}")[0]
    commit = found.commit("one")
    status, said = found.git("push", "ship", "main")
    assert (0, True) == (status, f"releases {commit} by joe" in said)
    return found


def _shallow(checkout: Checkout, repository: Path) -> Checkout:
    found = Checkout(checkout.folder.with_name("shallow"))
    assert 0 == checkout.git("clone", "-q", "--depth", "1", f"file://{checkout.folder}", str(found.folder))[0]
    assert 0 == found.git("remote", "add", "ship", f"file://{repository}")[0]
    return found


def test_a_force_push_is_released(checkout: Checkout) -> None:
    """Git alone refuses what does not follow on; who insists gets it live."""
    assert 0 == checkout.git("commit", "-q", "--amend", "-m", "other")[0]
    assert "non-fast-forward" in checkout.git("push", "ship", "main")[1]
    status, said = checkout.git("push", "--force", "ship", "main")
    assert (0, True) == (status, "cloudship: releases" in said)


def test_a_shallow_clone_can_push_whether_its_parents_are_known_or_not(checkout: Checkout, repository: Path) -> None:
    """As CI systems do: what is released is a tree, not a history."""
    shallow = _shallow(checkout, repository)
    commit = shallow.commit("two")
    assert f"releases {commit}" in shallow.git("push", "ship", "main")[1]
    checkout.commit("three")
    checkout.commit("four")
    subprocess.run(["rm", "-r", str(shallow.folder)], check=True)
    shallow = _shallow(checkout, repository)
    commit = shallow.commit("five")
    status, said = shallow.git("push", "--force", "ship", "main")
    assert (0, True) == (status, f"releases {commit}" in said)


def test_tags_come_along_with_their_branch(checkout: Checkout) -> None:
    """One release, of the branch."""
    commit = checkout.commit("two")
    checkout.git("tag", "-a", "v2", "-m", "v2")
    status, said = checkout.git("push", "--follow-tags", "ship", "main")
    assert (0, 1, True) == (status, said.count("cloudship: releases"), f"releases {commit}" in said)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("v1",), "push what it names: git push ship v1^{}:main"),
        (("main:dev",), "git push ship dev:main"),
        ((":main",), "cloudship down"),
        (("--all",), "dev is not released here"),
        (("--mirror",), "push one branch"),
    ],
)
def test_other_pushes_change_nothing_and_say_what_to_do(checkout: Checkout, words: tuple[str, ...], hint: str) -> None:
    """The droplet's branches are what they were."""
    before = checkout.git("ls-remote", "ship")
    checkout.git("tag", "v1")
    checkout.git("branch", "dev")
    if words[0] == "--mirror":
        checkout.commit("two")
    status, said = checkout.git("push", "ship", *words)
    assert (1, True) == (status, hint in said), said
    assert before == checkout.git("ls-remote", "ship")


def test_submodules_are_named_with_the_way_that_carries_them(checkout: Checkout) -> None:
    """A push has no more than their commit's hash."""
    inner = Checkout(checkout.folder.with_name("inner"))
    inner.folder.mkdir()
    inner.git("init", "-q", "-b", "main")
    inner.commit("part")
    assert 0 == checkout.git("submodule", "add", "-q", str(inner.folder), "part")[0]
    checkout.commit("with a part")
    status, said = checkout.git("push", "ship", "main")
    assert (1, True) == (status, "no submodules: part; use: cloudship deploy web FOLDER" in said)


def test_a_branch_that_the_commit_itself_names_is_released(checkout: Checkout) -> None:
    """`branches` in its own cloudship.toml."""
    (checkout.folder / "cloudship.toml").write_text('branches = ["live"]\n')
    commit = checkout.commit("two")
    assert f"releases {commit}" in checkout.git("push", "ship", "main:live")[1]
    assert "main is not released here" in checkout.git("push", "ship", "main")[1]
