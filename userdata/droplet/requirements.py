"""What Python packages an app needs, and which files say so."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterable, List, Optional, Set, Tuple

from droplet import python_version
from droplet.settings import parse, read_toml

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_INCLUDE = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)")
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
    requirements.txt, pyproject.toml, setup.py.

    Raises:
        RequirementsError: only files of a tool that is not ours to run.
        SettingsError: pyproject.toml is no TOML.
    """
    project, poetry = _project(tree), _poetry(tree)
    python = project.get("requires-python") or python_version.from_poetry(poetry.get("dependencies", {}).get("python"))
    locked = _locked(tree, project, poetry, python)
    if locked:
        return locked
    if (tree / "requirements.txt").is_file():
        files, names = _lines(tree, "requirements.txt")
        return Requirements("requirements", tuple(files), frozenset(names), python)
    if "dependencies" in project:
        names = {_normal(one) for one in project["dependencies"]}
        return Requirements("pyproject", ("pyproject.toml",), frozenset(names), python)
    if poetry.get("dependencies"):
        raise RequirementsError("pyproject.toml names packages for Poetry, but poetry.lock is missing", "poetry lock")
    for name, command in _UNLOCKED.items():
        if (tree / name).is_file():
            raise RequirementsError(f"{name} alone does not say what to install", command)
    if (tree / "setup.py").is_file() or (tree / "setup.cfg").is_file():
        files = [name for name in ("setup.py", "setup.cfg", "pyproject.toml") if (tree / name).is_file()]
        text = "\n".join((tree / name).read_text(encoding="utf-8", errors="replace") for name in files)
        return Requirements("project", tuple(files), frozenset(_quoted_names(text)), python)
    return Requirements("none", (), frozenset(), python)


def _locked(
    tree: Path, project: Dict[str, Any], poetry: Dict[str, Any], python: Optional[str]
) -> Optional[Requirements]:
    own = project.get("dependencies", [])
    plain = (tree / "requirements.txt").is_file()
    if (tree / "uv.lock").is_file() and (own or not plain):
        return _of_lock("uv.lock", "pyproject.toml", {_normal(one) for one in own}, python)
    named = set(poetry.get("dependencies", {})) - {"python"}
    if (tree / "poetry.lock").is_file() and (own or named):
        names = {_normal(one) for one in (*own, *named)} | _in_poetry_lock(tree / "poetry.lock")
        return _of_lock("poetry.lock", "pyproject.toml", names, python)
    if (tree / "Pipfile.lock").is_file() and (tree / "Pipfile").is_file():
        told = parse((tree / "Pipfile").read_text(encoding="utf-8", errors="replace"))
        asked = told.get("requires", {})
        wanted = asked.get("python_full_version") or asked.get("python_version") or python
        names = {_normal(one) for one in (*told.get("packages", {}), *_in_pipfile_lock(tree / "Pipfile.lock"))}
        return _of_lock("Pipfile.lock", "Pipfile", names, wanted)
    return None


def _of_lock(lock: str, beside: str, names: Iterable[str], python: Optional[str]) -> Requirements:
    return Requirements(lock, (beside, lock), frozenset(names), python)


def _in_poetry_lock(path: Path) -> Set[str]:
    """Name what a poetry.lock holds for running, not for developing."""
    packages = parse(path.read_text(encoding="utf-8", errors="replace")).get("package", [])
    return {_normal(one.get("name", "")) for one in packages if "main" in one.get("groups", ["main"])}


def _in_pipfile_lock(path: Path) -> Set[str]:
    """
    Name what a Pipfile.lock holds for running.

    Raises:
        RequirementsError: it is no JSON.
    """
    try:
        return set(json.loads(path.read_text(encoding="utf-8")).get("default", {}))
    except (ValueError, AttributeError) as error:
        raise RequirementsError(f"Pipfile.lock cannot be read: {error}", "pipenv lock") from error


def builds(tree: Path) -> bool:
    """Whether a tree says how it is built as a package, so that its own metadata can be had."""
    path = tree / "pyproject.toml"
    return path.is_file() and "build-system" in read_toml(path)


def _project(tree: Path) -> Dict[str, Any]:
    path = tree / "pyproject.toml"
    return dict(read_toml(path).get("project", {})) if path.is_file() else {}


def _poetry(tree: Path) -> Dict[str, Any]:
    path = tree / "pyproject.toml"
    return dict(read_toml(path).get("tool", {}).get("poetry", {})) if path.is_file() else {}


def _lines(tree: Path, name: str) -> Tuple[List[str], List[str]]:
    """Read a requirements file and all that it includes; each once."""
    files, names, waiting = [], [], [name]
    while waiting:
        current = waiting.pop(0)
        if current in files or not (tree / current).is_file():
            continue
        files.append(current)
        for line in (tree / current).read_text(encoding="utf-8", errors="replace").splitlines():
            include = _INCLUDE.match(line)
            if include:
                waiting.append(str(Path(current).parent / include.group(1)))
            elif _NAME.match(line):
                names.append(_normal(line))
    return files, names


def _normal(requirement: str) -> str:
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def _quoted_names(text: str) -> List[str]:
    """Guess the names in setup.py or setup.cfg, for the one line that explains; the installer reads it itself."""
    words = re.findall(r"""["']([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:[<>=!~][^"']*)?["']""", text)
    words += re.findall(r"^\s+([A-Za-z0-9._-]+)\s*(?:[<>=!~].*)?$", text, flags=re.MULTILINE)
    return [_normal(word) for word in words]
