"""The house: one direction of imports, one importer per library, sizes, docstrings, and public names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloudship

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cloudship"
LAYERS = {
    **dict.fromkeys(("about", "choices", "enums", "errors", "legible", "models", "events", "refusals"), 0),
    **dict.fromkeys(("waiting", "tags", "durable", "journal", "keys", "source"), 1),
    **dict.fromkeys(("index", "render", "values", "config", "clouds", "card", "background"), 1),
    **dict.fromkeys(("plan", "appinfo", "story", "drawing", "answers", "verdict", "locking", "records"), 2),
    **dict.fromkeys(("client", "wire", "ssh", "git", "probe"), 3),
    **dict.fromkeys(
        (
            "readiness",
            "bootlog",
            "creation",
            "inventory",
            "teardown",
            "extending",
            "standing",
            "reach",
            "reaper",
            "checkouts",
            "hostkey",
            "request",
            "releasing",
            "deploy",
        ),
        4,
    ),
    **dict.fromkeys(("ship", "draft", "rivals"), 5),
    **dict.fromkeys(("launch", "fleet"), 6),
    **dict.fromkeys(("cli", "display", "pytest_plugin", "__main__"), 7),
}
ONE_IMPORTER = {
    "digitalocean": {"client.py"},
    "requests": {"wire.py"},
    "urllib3": {"wire.py"},
    "paramiko": {"ssh.py"},
    "tenacity": {"waiting.py"},
    "jinja2": {"render.py"},
    "cryptography": {"keys.py"},
    "filelock": {"locking.py"},
    "pydantic_settings": {"config.py"},
}
_TEXTS = {".py", ".md", ".toml", ".j2", ".sh", ".service", ".slice", ".lock", ".ipynb", ".html", ""}
MOST_LINES, MOST_IN_FUNCTION = 400, 60


def _modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path, ast.parse(path.read_text())


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "cloudship")


def _of_cloudship(tree: ast.AST) -> set[str]:
    found = {name.split(".")[1] for name in _imports(tree) if name.startswith("cloudship.")}
    return found & {*LAYERS, "local"}


def test_every_module_has_a_layer() -> None:
    """A new module is given its place when it is made."""
    names = {name for name, _, _ in _modules()} - {"__init__", "local"}
    assert set() == names - set(LAYERS)


def test_imports_lead_down() -> None:
    """No module imports from a higher layer; within layer 0 and 1 only what lies there."""
    wrong = [
        f"{path.name} imports {other}"
        for name, path, tree in _modules()
        if name in LAYERS
        for other in _of_cloudship(tree) - {name, "local"}
        if LAYERS[other] > LAYERS[name]
    ]
    assert [] == wrong


def test_no_imports_in_a_circle() -> None:
    """Modules of one layer may know each other, but never both ways round."""
    edges: dict[str, set[str]] = {}
    for name, _, tree in _modules():
        if name in LAYERS:
            edges.setdefault(name, set()).update(_at_run_time(tree) - {name, "local"})

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        found = edges.get(start, set()) - seen
        return goal in found or any(reaches(one, goal, seen | found) for one in found)

    assert [] == [name for name in edges if reaches(name, name, set())]


def _at_run_time(tree: ast.Module) -> set[str]:
    """Leave out what only the type checker imports."""
    body = [node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))]
    return _of_cloudship(ast.Module(body=body, type_ignores=[]))


def test_library_and_local_cloud_meet_over_http_only() -> None:
    """The local cloud imports nothing of the library; of the library only the edges know the local cloud."""
    for name, path, tree in _modules():
        if name == "local":
            assert set() == _of_cloudship(tree) - {"local"}, path
        elif name not in {"cli", "pytest_plugin"}:
            assert "local" not in _of_cloudship(tree), path


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_each_library_has_one_importer(library: str) -> None:
    """So that it can be replaced, and its errors are mapped once."""
    found = {
        path.name
        for name, path, tree in _modules()
        if name != "local" and any(one.split(".")[0] == library for one in _imports(tree))
    }
    assert ONE_IMPORTER[library] == found


def test_only_the_edges_print() -> None:
    """The library tells its listeners; it never writes to a terminal."""
    for name, path, tree in _modules():
        if name in {"cli", "display", "local"}:
            continue
        printed = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        ]
        assert [] == printed, path


def test_modules_and_functions_stay_small() -> None:
    """A newcomer reads a file in one sitting, and a function at a glance."""
    for path in (*PACKAGE.rglob("*.py"), *(ROOT / "userdata").rglob("*.py")):
        text = path.read_text()
        assert text.count("\n") <= MOST_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                begin = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                assert (node.end_lineno or 0) - begin.lineno < MOST_IN_FUNCTION, f"{path}: {node.name}"


def test_every_test_says_what_it_holds() -> None:
    """One sentence, as its docstring."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path}: {node.name}"


def test_the_public_names_are_complete_sorted_and_there() -> None:
    """`__all__` is what can be imported."""
    assert sorted(cloudship.__all__) == cloudship.__all__
    assert set(cloudship._PLACES) == set(cloudship.__all__)
    for name in cloudship.__all__:
        assert getattr(cloudship, name) is not None


def test_importing_the_package_loads_nothing_heavy() -> None:
    """A name is imported when it is used."""
    import subprocess
    import sys

    code = "import sys, cloudship; print(sorted({'pydantic', 'paramiko', 'digitalocean', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def test_nothing_that_is_committed_names_a_machine_or_a_registry() -> None:
    """No absolute path of a developer's machine, no host of a package index."""
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "deb.debian" + ".org", "npmjs" + ".org")
    places = ("/ro" + "ot/", "/wo" + "rk/", "/ho" + "me/")
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT)
        hidden = any(part.startswith(".") and part != ".ci" for part in inside.parts)
        if path.is_file() and not hidden and path.suffix in _TEXTS:
            text = path.read_text(errors="replace")
            assert not [one for one in (*hosts, *places) if one in text], path
