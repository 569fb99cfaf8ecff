"""Django: manage.py, its settings module, and the WSGI or ASGI module that the settings name."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from droplet import syntax, text

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


@dataclass(frozen=True)
class Project:
    """A Django project."""

    directory: str  # where manage.py lies, relative to the tree
    settings: str  # dotted
    target: str  # module:callable
    asgi: bool
    warnings: Tuple[str, ...]


def find(tree: Path) -> Optional[Project]:
    """Find the project in a tree, at its root or one folder below."""
    for manage in (tree / "manage.py", *sorted(tree.glob("*/manage.py"))):
        match = _SETTINGS.search(text.read(manage)) if manage.is_file() else None
        if match:
            return _project(tree, manage.parent, match.group(1))
    return None


def _project(tree: Path, root: Path, settings: str) -> Project:
    """Look at a project; where the module that is served names other settings than manage.py, those are served."""
    found = _with_settings(tree, root, settings)
    served = syntax.module_file(root, found.target.partition(":")[0])
    match = _SETTINGS.search(text.read(served)) if served else None
    if match is None or match.group(1) == settings or syntax.module_file(root, match.group(1)) is None:
        return found
    return _with_settings(tree, root, match.group(1))


def _with_settings(tree: Path, root: Path, settings: str) -> Project:
    values = _settings_values(root, settings)
    package = settings.split(".", maxsplit=1)[0]
    wsgi, asgi = values.get("WSGI_APPLICATION"), values.get("ASGI_APPLICATION")
    if asgi and not wsgi:
        target, is_asgi = _colon(str(asgi)), True
    elif wsgi:
        target, is_asgi = _colon(str(wsgi)), False
    elif syntax.module_file(root, f"{package}.wsgi") or not syntax.module_file(root, f"{package}.asgi"):
        target, is_asgi = f"{package}.wsgi:application", False
    else:
        target, is_asgi = f"{package}.asgi:application", True
    warned = f"DEBUG = True in {settings.replace('.', '/')}.py: visitors see tracebacks and settings"
    directory = root.relative_to(tree).as_posix()
    return Project(directory, settings, target, is_asgi, (warned,) if values.get("DEBUG") is True else ())


def _settings_values(root: Path, settings: str) -> dict:
    """Read the literal values of a settings module and of those it star-imports from its own package."""
    file = syntax.module_file(root, settings)
    tree = syntax.parse(file) if file else None
    if file is None or tree is None:
        return {}
    values: dict = {}
    for name, (module, _) in syntax.imports(tree, settings, package=file.name == "__init__.py").items():
        if name == "*" and module != settings:
            values.update(_settings_values(root, module))
    for name, node in syntax.assignments(tree).items():
        values[name] = node.value if isinstance(node, ast.Constant) else None
    return values


def _colon(dotted: str) -> str:
    module, _, name = dotted.rpartition(".")
    return f"{module}:{name}"
