"""What Python packages an app needs, and which files say so."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Set, Tuple

from droplet import needs, python_version, text, toml
from droplet.needs import name_of

_INCLUDE = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)")
_ONE_SIGN = re.compile(r"\s*([A-Za-z0-9._-]+(?:\s*\[[^\]]*\])?)\s*=\s*([^=\s;#]+)")  # pip wants two
_PATH = re.compile(r"\s*(?:(?:-e|--editable)[\s=]+)?(\.\.?(?:/[^\s\[;#]*)?)(?=[\s\[;]|$)")
_FILE, _FOLDER = "requirements.txt", [f"requirements/{name}.txt" for name in ("production", "prod", "base")]
_UNLOCKED = {
    "Pipfile": "pipenv lock",
    "Pipfile.lock": "git add Pipfile",
    "pdm.lock": "pdm export -o requirements.txt",
}


class RequirementsError(Exception):
    """The files are there but cannot be installed from; `next_step` says what to run."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


@dataclass(frozen=True)
class Requirements:
    """Where the app's packages are named."""

    mode: str  # "requirements", "pyproject", "uv.lock", "poetry.lock", "Pipfile.lock", "project" (setup.py), or "none"
    files: Tuple[str, ...]  # all files that matter, relative; the first one is installed from
    names: FrozenSet[str]  # normalised names that stand there directly
    python: Optional[str] = None  # requires-python

    @property
    def source(self) -> str:
        """The file to name to people."""
        return self.files[0] if self.files else "no requirements file"


NOTHING = Requirements("none", (), frozenset())


def find(tree: Path) -> Requirements:
    """
    Find what a tree's packages are installed from.

    A lock file comes first where the file beside it names the app's packages: nothing else is as exact. Then
    requirements.txt, pyproject.toml, a folder of requirements, setup.py.

    Raises:
        RequirementsError: only files of a tool that is not ours to run.
        SettingsError: pyproject.toml is no TOML.
    """
    project, poetry = _project(tree), _poetry(tree)
    asked = project.get("requires-python")
    python = asked if isinstance(asked, str) and asked else python_version.from_poetry(_needs(poetry).get("python"))
    locked = _locked(tree, project, poetry, python)
    if locked:
        return locked
    if (tree / _FILE).is_file():
        return _of_lines(tree, _FILE, python)
    if "dependencies" in project:
        names = {name_of(one) for one in toml.texts(project["dependencies"])}
        return Requirements("pyproject", ("pyproject.toml",), frozenset(names), python)
    if _needs(poetry):
        raise RequirementsError("pyproject.toml names packages for Poetry, but poetry.lock is missing", "poetry lock")
    for name, command in _UNLOCKED.items():
        if (tree / name).is_file():
            raise RequirementsError(f"{name} alone does not say what to install", command)
    lines = next((name for name in _FOLDER if (tree / name).is_file()), None)
    if lines:
        return _of_lines(tree, lines, python)
    if (tree / "setup.py").is_file() or (tree / "setup.cfg").is_file():
        files = [name for name in ("setup.py", "setup.cfg", "pyproject.toml") if (tree / name).is_file()]
        told = "\n".join(text.read(tree / name) for name in files)
        return Requirements("project", tuple(files), frozenset(_quoted_names(told)), python)
    return Requirements("none", (), frozenset(), python)


def _of_lines(tree: Path, name: str, python: Optional[str]) -> Requirements:
    files, names = _lines(tree, name)
    return Requirements("requirements", tuple(files), frozenset(names), python)


def _locked(
    tree: Path, project: Dict[str, Any], poetry: Dict[str, Any], python: Optional[str]
) -> Optional[Requirements]:
    own = toml.texts(project.get("dependencies"))
    plain = (tree / _FILE).is_file()
    if (tree / "uv.lock").is_file() and (own or not plain):
        if misfit := needs.misfit(_packages(tree / "uv.lock"), own):
            raise RequirementsError(misfit, "uv lock")
        return _of_lock("uv.lock", "pyproject.toml", {name_of(one) for one in own}, python)
    named = set(_needs(poetry)) - {"python"}
    if (tree / "poetry.lock").is_file() and (own or named):
        names = {name_of(one) for one in (*own, *named)} | _in_poetry_lock(tree / "poetry.lock")
        return _of_lock("poetry.lock", "pyproject.toml", names, python)
    if (tree / "Pipfile.lock").is_file() and (tree / "Pipfile").is_file():
        told = toml.parse(text.read(tree / "Pipfile"))
        asked = toml.table(told, "requires")
        wanted = asked.get("python_full_version") or asked.get("python_version") or python
        here = (*toml.table(told, "packages"), *_in_pipfile_lock(tree / "Pipfile.lock"))
        names = {name_of(one) for one in here}
        return _of_lock("Pipfile.lock", "Pipfile", names, wanted if isinstance(wanted, str) else python)
    return None


def _of_lock(lock: str, beside: str, names: Iterable[str], python: Optional[str]) -> Requirements:
    return Requirements(lock, (beside, lock), frozenset(names), python)


def _packages(lock: Path) -> List[Dict[str, Any]]:
    return toml.tables(toml.parse(lock.read_text(encoding="utf-8", errors="replace")).get("package"))


def _in_poetry_lock(path: Path) -> Set[str]:
    """Name what a poetry.lock holds for running, not for developing."""
    packages = _packages(path)
    return {name_of(str(one.get("name", ""))) for one in packages if "main" in toml.texts(one.get("groups", ["main"]))}


def _in_pipfile_lock(path: Path) -> Set[str]:
    """
    Name what a Pipfile.lock holds for running.

    Raises:
        RequirementsError: it is no JSON.
    """
    try:
        return set(json.loads(path.read_text(encoding="utf-8")).get("default", {}))
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise RequirementsError(f"Pipfile.lock cannot be read: {error}", "pipenv lock") from error


def builds(tree: Path) -> bool:
    """Whether a tree says how it is built as a package, so that its own metadata can be had."""
    return bool(_pyproject(tree, "build-system"))


def _project(tree: Path) -> Dict[str, Any]:
    return _pyproject(tree, "project")


def _poetry(tree: Path) -> Dict[str, Any]:
    return _pyproject(tree, "tool", "poetry")


def _needs(poetry: Dict[str, Any]) -> Dict[str, Any]:
    return toml.table(poetry, "dependencies")


def _pyproject(tree: Path, *keys: str) -> Dict[str, Any]:
    path = tree / "pyproject.toml"
    try:
        return toml.table(toml.read(path), *keys, where=path.name) if path.is_file() else {}
    except toml.TomlError as error:
        raise RequirementsError(str(error), "mend pyproject.toml") from error


def _lines(tree: Path, name: str) -> Tuple[List[str], List[str]]:
    """
    Read a requirements file and all that it includes; each once.

    Raises:
        RequirementsError: it names what is not in the tree, which cannot be installed or is a file of this machine; or
            a line is none.
    """
    files, names, waiting = [], [], [name]
    _check(tree, name, name)
    while waiting:
        current = waiting.pop(0)
        if current in files or not (tree / current).is_file():
            continue
        files.append(current)
        for line in text.read(tree / current).splitlines():
            include, local = _INCLUDE.match(line), _PATH.match(line)
            if include and "://" not in include.group(1):
                waiting.append(os.path.normpath(os.path.join(os.path.dirname(current), include.group(1))))
                _check(tree, current, waiting[-1])
            elif local:
                _check(tree, current, os.path.normpath(local.group(1)))
            elif package := name_of(line):
                _check_sign(current, line)
                names.append(package)
    return files, names


def _check_sign(file: str, line: str) -> None:
    found = _ONE_SIGN.match(line)
    if found:
        raise RequirementsError(
            f"{file}: {found.group(0).strip()!r} is no requirement", f"write {found.group(1)}=={found.group(2)}"
        )


def _check(tree: Path, file: str, named: str) -> None:
    if not (_is_inside(tree, named) and (tree / named).exists()):
        step = f"bring {named} into the app, where git does not ignore it, and name it there"
        raise RequirementsError(f"{file} names {named}, which is not in the app", step)


def _is_inside(tree: Path, name: str) -> bool:
    """Whether a file lies in the tree, links followed."""
    root = os.path.realpath(str(tree))
    return "\0" not in name and (os.path.realpath(os.path.join(root, name)) + os.sep).startswith(root + os.sep)


def _quoted_names(text: str) -> List[str]:
    """Guess the names in setup.py or setup.cfg, for the one line that explains; the installer reads it itself."""
    words = re.findall(r"""["']([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:[<>=!~][^"']*)?["']""", text)
    words += re.findall(r"^\s+([A-Za-z0-9._-]+)\s*(?:[<>=!~].*)?$", text, flags=re.MULTILINE)
    return [name_of(word) for word in words]
