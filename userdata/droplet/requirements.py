"""What Python packages an app needs, and which files say so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

from droplet.settings import read_toml

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_INCLUDE = re.compile(r"\s*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)")
_EXPORTS = {
    "poetry.lock": "poetry export -f requirements.txt -o requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "Pipfile": "pipenv lock && pipenv requirements > requirements.txt",
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

    mode: str  # "requirements", "pyproject", "uv.lock", "project" (setup.py), or "none"
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
    Find what a tree's packages are installed from: requirements.txt, pyproject.toml (with uv.lock), setup.py.

    Raises:
        RequirementsError: only a lock file of a tool that is not ours to run.
        SettingsError: pyproject.toml is no TOML.
    """
    project = _project(tree)
    python = project.get("requires-python")
    if (tree / "requirements.txt").is_file():
        files, names = _lines(tree, "requirements.txt")
        return Requirements("requirements", tuple(files), frozenset(names), python)
    if "dependencies" in project or (tree / "uv.lock").is_file():
        names = {_normal(one) for one in project.get("dependencies", [])}
        locked = (tree / "uv.lock").is_file()
        files = ["pyproject.toml", *(["uv.lock"] if locked else [])]
        return Requirements("uv.lock" if locked else "pyproject", tuple(files), frozenset(names), python)
    for name, command in _EXPORTS.items():
        if (tree / name).is_file():
            raise RequirementsError(f"{name} is there, but nothing that every installer reads", command)
    if (tree / "setup.py").is_file() or (tree / "setup.cfg").is_file():
        files = [name for name in ("setup.py", "setup.cfg", "pyproject.toml") if (tree / name).is_file()]
        text = "\n".join((tree / name).read_text(encoding="utf-8", errors="replace") for name in files)
        return Requirements("project", tuple(files), frozenset(_quoted_names(text)), python)
    return Requirements("none", (), frozenset(), python)


def builds(tree: Path) -> bool:
    """Whether a tree says how it is built as a package, so that its own metadata can be had."""
    path = tree / "pyproject.toml"
    return path.is_file() and "build-system" in read_toml(path)


def _project(tree: Path) -> Dict[str, Any]:
    path = tree / "pyproject.toml"
    return dict(read_toml(path).get("project", {})) if path.is_file() else {}


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
