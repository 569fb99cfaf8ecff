"""What to say where no app was found: what stood in the way, and how a program of its own is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Optional, Tuple

from droplet import procfile, syntax, text, wsgi

_SHOWN = 4
_PROGRAM = re.compile(r"^if __name__ == [\"']__main__[\"']|\.serve_forever\(|^asyncio\.run\(", re.MULTILINE)
_OF_FRAMEWORKS = {
    "streamlit": "streamlit run {name} --server.port $PORT --server.headless true",
    "gradio": "GRADIO_SERVER_PORT=$PORT python {name}",
    "nicegui": "python {name}",
}


def doubts(tree: Path, target: Optional[str], *, packages: bool) -> Tuple[str, ...]:
    """
    Say what the writer of an app may have meant otherwise.

    Args:
        tree: the app.
        target: module:callable, as the settings name it.
        packages: whether a file names the app's packages.
    """
    found = [*procfile.notes(tree)]
    module = (target or "").partition(":")[0]
    if module and not any(syntax.module_file(root, module) for root in (tree, tree / "src")):
        found.append(f"{module} is not in the app: a package that it installs has to bring it")
    if not packages and (tree / "environment.yml").is_file():
        found.append("environment.yml is not read; name the packages in requirements.txt")
    return tuple(found)


def unbuilt(folder: Path) -> Tuple[str, ...]:
    """Say that a page may be what its pages are made of: as they are, browsers show nothing."""
    package = folder / "package.json"
    if not package.is_file() or '"build"' not in text.read(package):
        return ()
    return ("package.json has a build step, which is not run: run it here, and name the folder that it makes",)


def obstacles(tree: Path) -> List[str]:
    """Name what was seen and could not be used, each with the line that makes it usable."""
    found = []
    for path in sorted(tree.glob("*.py")):
        fault = syntax.fault(path)
        if fault:
            found.append(f"{path.name}: {fault}")
    found += wsgi.unusable_factories(tree)
    if (tree / "package.json").is_file():
        found.append("package.json: a project for Node.js; what runs here is Python, and folders of static files")
    return [*found, *_programs(tree)][:_SHOWN]


def _programs(tree: Path) -> List[str]:
    """Find modules that are started by themselves; a Procfile says how."""
    found = []
    for path in sorted(tree.glob("*.py")):
        parsed = syntax.parse(path)
        roots = syntax.imported_roots(parsed) if parsed else set()
        line = next((shown for name, shown in _OF_FRAMEWORKS.items() if name in roots), None)
        if line is None and parsed and _PROGRAM.search(text.read(path)):
            line = "python {name}"
        if line is not None:
            found.append(f"{path.name} runs by itself: in a Procfile, write web: {line.format(name=path.name)}")
    return found
