"""Flask, FastAPI, Starlette and plain WSGI: the callable that a server can run, found in the syntax tree."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Set, Tuple

from droplet import syntax

MODULES = ("wsgi", "app", "main", "application", "asgi", "server", "run", "api")
NAMES = ("app", "application", "server", "api")
FACTORIES = ("create_app", "make_app")
FRAMEWORKS = {  # what is called: framework, package on the index, whether it speaks ASGI
    "Flask": ("Flask", "flask", False),
    "APIFlask": ("APIFlask", "apiflask", False),
    "FastAPI": ("FastAPI", "fastapi", True),
    "Starlette": ("Starlette", "starlette", True),
    "Litestar": ("Litestar", "litestar", True),
    "Quart": ("Quart", "quart", True),
    "Sanic": ("Sanic", "sanic", True),
    "Bottle": ("Bottle", "bottle", False),
    "default_app": ("Bottle", "bottle", False),
    "Falcon": ("Falcon", "falcon", False),
    "Dash": ("Dash", "dash", False),
}
_SKIPPED = {
    "tests",
    "test",
    "docs",
    "node_modules",
    "venv",
    "env",
    "build",
    "dist",
    "migrations",
    "examples",
    "scripts",
}
_NAMESPACES = ("app", "backend", "api")
_DEPTH = 6  # re-exports followed
_WSGI_ARGUMENTS = 2
_ASGI_ARGUMENTS = 3


@dataclass(frozen=True)
class Candidate:
    """A callable that could be the app."""

    target: str  # module:callable
    file: str  # relative to the tree
    framework: str  # for people
    package: Optional[str]  # on the index; None for plain WSGI
    asgi: bool
    factory: bool
    static_folder: Optional[str]  # relative to the module's root; Flask's alone


def find(tree: Path) -> List[Candidate]:
    """Find every callable, the likeliest first; those of equal rank stand next to each other."""
    seen: Set[Tuple[str, str]] = set()
    found: List[Candidate] = []
    for root, module, file in _modules(tree):
        for name in (*NAMES, *FACTORIES):
            candidate = _candidate(tree, root, module, file, name)
            if candidate is None or (candidate.file, candidate.framework) in seen:
                continue
            seen.add((candidate.file, candidate.framework))
            found.append(candidate)
            break
    return found


def unusable_factories(tree: Path) -> List[str]:
    """Name the factories that cannot be called without arguments, for whoever wonders why none was found."""
    found = []
    for _root, _module, file in _modules(tree):
        parsed = syntax.parse(file)
        for name, function in syntax.functions(parsed).items() if parsed else ():
            if name in FACTORIES and syntax.required_arguments(function):
                where = file.relative_to(tree).as_posix()
                found.append(f"{where}: {name} wants arguments; in wsgi.py, write app = {name}(...)")
    return found


def rank(candidate: Candidate) -> Tuple[int, int]:
    """Say how likely a candidate is, lower is likelier: its module's name, then a ready app before a factory."""
    module = candidate.target.partition(":")[0].split(".")
    last = module[-1]
    order = MODULES.index(last) if last in MODULES else len(MODULES)
    return (0 if order < len(MODULES) and len(module) == 1 else 1, int(candidate.factory))


def named(tree: Path, target: str) -> Candidate:
    """Look at a callable that the settings name; what cannot be seen in the syntax tree is taken as plain WSGI."""
    module, _, name = target.partition(":")
    bare = name[:-2] if name.endswith("()") else name
    for root in (tree, tree / "src"):
        file = syntax.module_file(root, module)
        found = _candidate(tree, root, module, file, bare) if file else None
        if found:
            return Candidate(
                target,
                found.file,
                found.framework,
                found.package,
                found.asgi,
                name.endswith("()"),
                found.static_folder,
            )
    return Candidate(
        target,
        module.replace(".", "/") + ".py",
        "WSGI",
        None,
        asgi=False,
        factory=name.endswith("()"),
        static_folder=None,
    )


def _modules(tree: Path) -> Iterator[Tuple[Path, str, Path]]:
    """Walk the modules that may hold the app: the usual names first, then packages, also below src."""
    for root in (tree, tree / "src"):
        yield from _named(root, "", root)
        for folder in _folders(root):
            if (folder / "__init__.py").is_file():
                yield root, folder.name, folder / "__init__.py"
            yield from _named(root, f"{folder.name}.", folder)
    usual = {f"{name}.py" for name in MODULES} | {"setup.py", "conftest.py", "manage.py"}
    for path in sorted(tree.glob("*.py")):
        if path.name not in usual and path.stem.isidentifier():
            yield tree, path.stem, path


def _folders(root: Path) -> List[Path]:
    """List the packages below a root, and folders that are packages without saying so."""
    packages = [path.parent for path in sorted(root.glob("*/__init__.py"))]
    usable = [path for path in packages if path.name not in _SKIPPED and not path.name.startswith((".", "_"))]
    return usable + [root / name for name in _NAMESPACES if root / name not in packages]


def _named(root: Path, prefix: str, folder: Path) -> Iterator[Tuple[Path, str, Path]]:
    for name in MODULES:
        if (folder / f"{name}.py").is_file():
            yield root, prefix + name, folder / f"{name}.py"


def _candidate(tree: Path, root: Path, module: str, file: Path, name: str) -> Optional[Candidate]:
    origin = _resolve(root, module, file, name, _DEPTH)
    if origin is None:
        return None
    framework, package, asgi, factory, where = origin
    static = where.parent / "static"
    folder = static.relative_to(tree).as_posix() if framework in {"Flask", "APIFlask"} and static.is_dir() else None
    target = f"{module}:{name}" + ("()" if factory else "")
    return Candidate(target, file.relative_to(tree).as_posix(), framework, package, asgi, factory, folder)


_Origin = Tuple[str, Optional[str], bool, bool, Path]


def _resolve(root: Path, module: str, file: Path, name: str, depth: int) -> Optional[_Origin]:
    """Follow a name to what it is: an app, a factory, or nothing of ours."""
    tree = syntax.parse(file)
    if tree is None or depth == 0:
        return None
    values, functions = syntax.assignments(tree), syntax.functions(tree)
    if name in values:
        return _of_value(root, module, file, tree, values[name], depth)
    if name in functions:
        return _of_function(functions[name], name, file, tree)
    package = file.name == "__init__.py"
    named = syntax.imports(tree, module, package=package).get(name)
    sources = [named] if named else [(star, name) for star in syntax.star_imports(tree, module, package=package)]
    for source in sources:
        found = _of_import(root, source, depth)
        if found:
            return found
    return None


def _of_import(root: Path, source: Tuple[str, str], depth: int) -> Optional[_Origin]:
    module, name = source
    file = syntax.module_file(root, module)
    return _resolve(root, module, file, name, depth - 1) if file else None


def _of_value(root: Path, module: str, file: Path, tree: ast.Module, value: ast.expr, depth: int) -> Optional[_Origin]:
    called = syntax.called(value)
    if called in FRAMEWORKS and (called != "App" or "falcon" in syntax.imported_roots(tree)):
        framework, package, asgi = FRAMEWORKS[called]
        return framework, package, asgi, False, file
    if called == "App" and "falcon" in syntax.imported_roots(tree):
        return "Falcon", "falcon", isinstance(value, ast.Call) and "asgi" in ast.dump(value.func), False, file
    follow = called or (value.id if isinstance(value, ast.Name) else "")
    if isinstance(value, ast.Attribute) and value.attr == "server" and isinstance(value.value, ast.Name):
        follow = value.value.id  # Dash shows its Flask app as `app.server`
    if follow:
        found = _resolve(root, module, file, follow, depth - 1)
        return (*found[:3], False, found[4]) if found else None  # a guess would deploy the wrong thing
    return None


def _of_function(function: ast.AST, name: str, file: Path, tree: ast.Module) -> Optional[_Origin]:
    arguments = [one.arg for one in getattr(function, "args").args]  # noqa: B009  two node types have it
    if name in FACTORIES or name.startswith(("create_", "make_")):
        for node in ast.walk(function):
            called = syntax.called(node)
            if called in FRAMEWORKS and syntax.required_arguments(function) == 0:
                framework, package, asgi = FRAMEWORKS[called]
                return framework, package, asgi, True, file
        return None
    if isinstance(function, ast.AsyncFunctionDef) and len(arguments) == _ASGI_ARGUMENTS and arguments[0] == "scope":
        return "ASGI", None, True, False, file
    if len(arguments) == _WSGI_ARGUMENTS and arguments[1].startswith("start"):
        del tree  # plain WSGI needs no framework
        return "WSGI", None, False, False, file
    return None
