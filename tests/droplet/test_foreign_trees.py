"""Trees that anybody may have written: nothing outside of them is read, no file of theirs makes the reader stumble."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from droplet import procfile, release, settings, toml
from droplet.app import AppError, detect
from droplet.journal import StageError
from droplet.settings import SettingsError

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


def _written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "-r ../secret.txt",
        "-r {outside}",
        "-c sub/../../secret.txt",
        "--requirement={outside}",
        "-r link.txt",
        "-r a\0b",
    ],
)
def test_a_requirements_file_includes_nothing_from_outside(tmp_path: Path, line: str) -> None:
    """The client sends what is included along: a tree from somewhere else would fetch files of this machine."""
    (tmp_path / "secret.txt").write_text("hunter2\n")
    tree = _written(tmp_path / "tree", {"app.py": FLASK, "sub/x": ""})
    (tree / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tree / "requirements.txt").write_text(line.format(outside=tmp_path / "secret.txt") + "\n")
    with pytest.raises(AppError, match="which is not in the app") as caught:
        detect(tree, settings.Settings())
    assert "hunter2" not in str(caught.value)


def test_a_requirements_file_includes_what_is_beside_it(tmp_path: Path) -> None:
    """Up and down again inside the tree, each once, named from the tree's own root."""
    tree = _written(
        tmp_path,
        {
            "app.py": FLASK,
            "requirements.txt": "-r requirements/live.txt\n",
            "requirements/live.txt": "-r ../base.txt\nredis\n",
            "base.txt": "flask\n-c requirements/live.txt\n",
        },
    )
    found = detect(tree, settings.Settings()).requirements
    assert ("requirements.txt", "requirements/live.txt", "base.txt") == found.files
    assert {"flask", "redis"} == set(found.names)


_NUMBERS = st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False)
_NAMES = st.text("ab", min_size=1, max_size=2)
_VALUES = st.recursive(
    st.booleans() | _NUMBERS | st.text("ab.=<>1/-", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    [
        *("project", "tool", "tool.poetry", "tool.cloudship", "build-system", "project.dependencies"),
        *("project.requires-python", "tool.poetry.dependencies", "tool.poetry.dependencies.python"),
        *("tool.cloudship.health", "tool.cloudship.schedule", "tool.cloudship.shared", "tool.cloudship.apt"),
    ]
)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value)


@given(_KEYS, _VALUES, st.sampled_from(["", "uv.lock", "poetry.lock", "Pipfile.lock"]), _VALUES)
def test_whatever_stands_in_a_table_is_understood_or_refused(key: str, value: Any, lock: str, locked: Any) -> None:
    """A text where a list belongs, a number where a table does: said, and never an error of Python's."""
    with TemporaryDirectory() as folder:
        tree = _written(Path(folder), {"app.py": FLASK, "pyproject.toml": f"{key} = {_toml(value)}\n"})
        if lock:
            _written(tree, {lock: f"package = {_toml(locked)}\n" if lock != "Pipfile.lock" else json.dumps(locked)})
            _written(tree, {"Pipfile": f"requires = {_toml(value)}\npackages = {_toml(locked)}\n"})
        with suppress(AppError, SettingsError):
            detect(tree, settings.load(tree))


DEEP = {
    "cloudship.toml": "a = " + "[" * 50_000,
    "pyproject.toml": "a = " + "[" * 50_000,
    "app.py": "x = " + "-" * 100_000 + "1",
    ".python-version": "9" * 5000,
    "runtime.txt": "python-" + "3." * 5000,
}


@pytest.mark.parametrize("name", DEEP)
def test_nesting_and_numbers_without_an_end_are_refused_or_passed_over(tmp_path: Path, name: str) -> None:
    """What makes a parser give up is no reason to."""
    tree = _written(tmp_path, {"wsgi.py": FLASK, "requirements.txt": "flask\n", name: DEEP[name]})
    if name.endswith(".toml"):
        with pytest.raises(SettingsError, match=name):
            settings.load(tree)
    else:
        assert "wsgi:app" == detect(tree, settings.load(tree)).target


def test_a_procfile_is_cut_at_line_ends_alone(tmp_path: Path) -> None:
    """Letters that only Python takes for a line's end belong to the command; the blanks around it do not."""
    (tmp_path / "Procfile").write_bytes("web:  a\u2028b: c\x0bd\u0085e \r\n# x: y\n\nworker:f\n".encode())
    assert {"web": "a\u2028b: c\x0bd\u0085e", "worker": "f"} == procfile.read(tmp_path)


@pytest.mark.parametrize("line", ["a" * 61 + ": sleep 1", "worker: a\0b"])
def test_a_process_that_cannot_be_is_refused(tmp_path: Path, line: str) -> None:
    """A name that no unit can have, a command that no shell can be given."""
    tree = _written(tmp_path, {"app.py": FLASK, "requirements.txt": "flask\n", "Procfile": line + "\n"})
    with pytest.raises(AppError, match="Procfile"):
        detect(tree, settings.Settings())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("apt", ["git-"]),
        ("apt", ["a"]),
        ("apt", ["x" * 101]),
        ("python", "\u0663.\u0661\u0661"),
        ("python", "9" * 30),
        ("health", {"path": "/caf\u00e9"}),
        ("health", {"path": "/a#b"}),
        ("health", {"path": "/\x7f"}),
        ("health", {"timeout": float("inf")}),
        ("health", []),
        ("shared", ["a\nb"]),
        ("shared", ["a/" * 600]),
        ("shared", ["x" * 201]),
        ("shared", ["./"]),
        ("app", "a" * 300 + ":app"),
        ("branches", ["b" * 300]),
    ],
)
def test_values_that_could_do_harm_are_refused_by_key(tmp_path: Path, key: str, value: Any) -> None:
    """A package that apt would remove, a path that is none, a page that HTTP cannot ask for, a wait without an end."""
    if value == []:
        (tmp_path / "cloudship.toml").write_text("health = 3\n")
        with pytest.raises(SettingsError, match="health"):
            settings.load(tmp_path)
    else:
        with pytest.raises(SettingsError, match=key):
            settings.load(tmp_path, {key: value})


def test_toml_that_is_no_table_is_named() -> None:
    """With the file and the key; where nobody needs to know, it is empty."""
    with pytest.raises(toml.TomlError, match=r"x.toml: \[tool.a\] is no table"):
        toml.table({"tool": {"a": 1}}, "tool", "a", "b", where="x.toml")
    assert {} == toml.table({"tool": {"a": 1}}, "tool", "a", "b")
    assert ("b",) == toml.texts(["b", 1, None])


@pytest.mark.parametrize("side", ["tree", "shared"])
def test_no_link_is_followed_to_what_survives_releases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """The app's user makes both folders, and it is root that moves files between them."""
    monkeypatch.setattr(release, "own", lambda *_: None)
    for name in ("tree", "shared", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere" / "file.txt").write_text("theirs")
    (tmp_path / side / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StageError, match=r"the way to data/file\.txt is a link"):
        release.link_shared(tmp_path / "shared", tmp_path / "tree", ("data/file.txt",))
    assert ["file.txt"] == [path.name for path in (tmp_path / "elsewhere").iterdir()]
    assert not (tmp_path / "elsewhere" / "file.txt").is_symlink()
