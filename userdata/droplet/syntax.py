"""Looking at Python code without running it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, List, Optional, Tuple


def parse(path: Path) -> Optional[ast.Module]:
    """Read a module's syntax tree; None when it is not there or is no Python of this version."""
    try:
        return ast.parse(path.read_bytes())  # as Python does: a byte order mark and a named encoding count
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # the last two of brackets without end
        return None


def fault(path: Path) -> Optional[str]:
    """Say why a module is no Python of this version; None when it is, or is not there."""
    try:
        ast.parse(path.read_bytes())
    except SyntaxError as error:
        return f"syntax error in line {error.lineno}: {error.msg}"
    except (RecursionError, MemoryError):
        return "it is nested too deeply"
    except (OSError, ValueError):
        return None
    return None


def module_file(root: Path, module: str) -> Optional[Path]:
    """Find the file of a module below a root."""
    place = root.joinpath(*module.split("."))
    for candidate in (place.with_suffix(".py"), place / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def assignments(tree: ast.Module) -> Dict[str, ast.expr]:
    """Collect what is assigned to names at the module's own level, also inside its `if` and `try`."""
    found: Dict[str, ast.expr] = {}
    for node in _level(tree.body):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and node.value is not None:
                found[target.id] = node.value
    return found


def functions(tree: ast.Module) -> Dict[str, ast.AST]:
    """Collect the functions at the module's own level."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name: node for node in _level(tree.body) if isinstance(node, kinds)}


def imports(tree: ast.Module, module: str, *, package: bool) -> Dict[str, Tuple[str, str]]:
    """
    Collect which names come from which modules, relative ones made absolute.

    Args:
        tree: the module's syntax tree.
        module: its dotted name.
        package: whether it is a package's `__init__`.
    """
    found: Dict[str, Tuple[str, str]] = {}
    for node in _level(tree.body):
        if isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, package=package)
            for alias in node.names:
                found[alias.asname or alias.name] = (base, alias.name)
    return found


def star_imports(tree: ast.Module, module: str, *, package: bool) -> List[str]:
    """List the modules of which everything is imported."""
    nodes = [node for node in _level(tree.body) if isinstance(node, ast.ImportFrom)]
    stars = [node for node in nodes if any(alias.name == "*" for alias in node.names)]
    return [_absolute(node, module, package=package) for node in stars]


def imported_roots(tree: ast.Module) -> List[str]:
    """List the top-level packages that a module imports anywhere."""
    roots: List[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots += [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.append(node.module.split(".")[0])
    return roots


def called(node: Optional[ast.AST]) -> str:
    """Name what an expression calls, as in `Flask` of `flask.Flask(__name__)`; empty when it calls nothing."""
    if isinstance(node, ast.Call):
        function = node.func
        return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return ""


def required_arguments(function: ast.AST) -> int:
    """Count the arguments that a call must give."""
    arguments = getattr(function, "args", None)
    if arguments is None:
        return 0
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    keyword = sum(1 for default in arguments.kw_defaults if default is None)
    return positional + keyword


def _absolute(node: ast.ImportFrom, module: str, *, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    keep = len(parts) - node.level + (1 if package else 0)
    return ".".join(parts[:keep] + ([node.module] if node.module else []))


def _level(body: List[ast.stmt]) -> List[ast.stmt]:
    found: List[ast.stmt] = []
    for node in body:
        found.append(node)
        for part in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                found += _level(getattr(node, part, []))
    return found
