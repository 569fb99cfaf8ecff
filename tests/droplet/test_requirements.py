"""From what an app's packages are installed: the most exact of what it has, or a refusal with the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from shapes import FLASK, app_of

from droplet import python_version
from droplet.app import AppError


@pytest.mark.parametrize(
    "line", ["-r base.txt", "-e ../lib", "-e ./lib", "./wheels/x.whl ; python_version > '3'", ".."]
)
def test_requirements_that_are_not_there_are_refused(tmp_path: Path, line: str) -> None:
    """Before a droplet is paid for: left behind on this machine, they cannot be installed on another."""
    (tmp_path / "lib").mkdir()
    with pytest.raises(AppError, match=r"requirements\.txt names .*, which is not in the app"):
        app_of(tmp_path / "app", {"app.py": FLASK, "requirements.txt": f"flask\n{line}\n"})


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("gunicorn=23", "gunicorn==23"),
        ("gunicorn[gevent] = 23.0 # why", "gunicorn[gevent]==23.0"),
        ("gunicorn=23;python_version>'3'", "gunicorn==23"),
    ],
)
def test_a_single_equals_sign_is_refused_with_what_was_meant(tmp_path: Path, line: str, meant: str) -> None:
    """The commonest slip in these files costs no droplet; what has more of them is the installer's to judge."""
    with pytest.raises(AppError, match=r"requirements\.txt: 'gunicorn.*' is no requirement") as caught:
        app_of(tmp_path, {"app.py": FLASK, "requirements.txt": f"flask\n{line}\n"})
    assert meant in str(caught.value.next_step)


def test_requirements_that_lie_in_the_app_are_taken(tmp_path: Path) -> None:
    """The project itself, a folder, a wheel, with extras and markers; and what comes from an index or a URL."""
    lines = (
        "-e .[web]\n./lib[x]\n-e ./lib\n./x-1.whl ; python_version > '3'\n-c https://example.org/c.txt\nflask == 3\n"
    )
    files = {"app.py": FLASK, "lib/setup.py": "", "x-1.whl": "", "requirements.txt": lines}
    assert {"flask"} == set(app_of(tmp_path, files).requirements.names)


def test_a_folder_of_requirements_is_installed_from_its_file_for_production(tmp_path: Path) -> None:
    """As Django's best known template has it; a requirements.txt beside it comes first."""
    folder = {"app.py": FLASK, "requirements/base.txt": "flask\n", "requirements/local.txt": "-r base.txt\nipdb\n"}
    assert ("requirements/base.txt",) == app_of(tmp_path, folder).dependency_files
    live = {"requirements/production.txt": "-r base.txt\ngunicorn\n"}
    found = app_of(tmp_path, live)
    assert (("requirements/production.txt", "requirements/base.txt"), ()) == (found.dependency_files, found.extras)
    assert ("requirements.txt",) == app_of(tmp_path, {"requirements.txt": "flask\n"}).dependency_files


def test_requirements_with_their_includes_decide_about_the_environment(tmp_path: Path) -> None:
    """Every file that is included counts."""
    found = app_of(
        tmp_path,
        {
            "app.py": FLASK,
            "requirements.txt": "-r base.txt\n-c limits.txt\n",
            "base.txt": "Flask==3\n",
            "limits.txt": "",
            ".python-version": "3.12\n",
        },
    )
    assert ("requirements.txt", "base.txt", "limits.txt", ".python-version") == found.dependency_files
    assert ("3.12", ("gunicorn",)) == (found.python, found.extras)


@pytest.mark.parametrize(
    ("files", "mode"),
    [
        ({"pyproject.toml": '[project]\nname = "x"\ndependencies = ["flask"]\n'}, "pyproject"),
        ({"pyproject.toml": '[project]\nname = "x"\ndependencies = ["flask"]\n', "uv.lock": ""}, "uv.lock"),
        ({"setup.py": "from setuptools import setup\nsetup(install_requires=['flask'])\n"}, "project"),
        ({}, "none"),
    ],
)
def test_packages_are_installed_from_what_is_there(tmp_path: Path, files: dict[str, str], mode: str) -> None:
    """requirements.txt, pyproject.toml with or without a lock, setup.py."""
    assert mode == app_of(tmp_path, {"app.py": FLASK, **files}).requirements.mode


POETRY = '[tool.poetry.dependencies]\npython = "^3.9"\nflask = "^3"\n'
POETRY_LOCK = '[[package]]\nname = "Flask"\nversion = "3.0"\ngroups = ["main"]\n'
PIPENV_LOCK = '{"default": {"flask": {"version": "==3.0"}, "gunicorn": {"version": "==23.0"}}}'


@pytest.mark.parametrize(
    ("files", "mode", "python", "extras"),
    [
        ({"pyproject.toml": POETRY, "poetry.lock": POETRY_LOCK}, "poetry.lock", ">=3.9,<4", ("gunicorn",)),
        (
            {"Pipfile": '[packages]\nflask = "*"\n[requires]\npython_version = "3.11"\n', "Pipfile.lock": PIPENV_LOCK},
            "Pipfile.lock",
            "3.11",
            (),
        ),
        (
            {"pyproject.toml": '[project]\nname = "x"\ndependencies = ["flask"]\n', "poetry.lock": POETRY_LOCK},
            "poetry.lock",
            None,
            ("gunicorn",),
        ),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"requirements.txt": "flask\n"}])
def test_a_lock_comes_before_anything_less_exact(
    tmp_path: Path,
    files: dict[str, str],
    mode: str,
    python: str | None,
    extras: tuple[str, ...],
    beside: dict[str, str],
) -> None:
    """Poetry's and pipenv's own, whatever lies beside them; what the lock holds is not added again."""
    found = app_of(tmp_path, {"app.py": FLASK, **files, **beside})
    assert (mode, python, extras) == (found.requirements.mode, found.python, found.extras)


def test_a_lock_for_tools_only_does_not_hide_the_requirements(tmp_path: Path) -> None:
    """A pyproject.toml that names no package of the app is there for something else."""
    files = {"pyproject.toml": '[project]\nname = "x"\n', "uv.lock": "", "requirements.txt": "flask\n"}
    assert "requirements" == app_of(tmp_path, {"app.py": FLASK, **files}).requirements.mode


@pytest.mark.parametrize(
    ("files", "step"),
    [
        ({"Pipfile": '[packages]\nflask = "*"\n'}, "pipenv lock"),
        ({"Pipfile.lock": PIPENV_LOCK}, "Pipfile"),
        ({"Pipfile": "", "Pipfile.lock": "no JSON"}, "pipenv lock"),
        ({"pyproject.toml": POETRY}, "poetry lock"),
        ({"pdm.lock": ""}, "requirements.txt"),
    ],
)
def test_half_of_a_lock_is_refused_with_the_command(tmp_path: Path, files: dict[str, str], step: str) -> None:
    """Nothing is installed that nobody wrote down."""
    with pytest.raises(AppError) as caught:
        app_of(tmp_path, {"app.py": FLASK, **files})
    assert step in caught.value.next_step


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("^3.10", ">=3.10,<4"),
        ("~3.10", ">=3.10,<3.11"),
        ("^3", ">=3,<4"),
        ("^3.10.2", ">=3.10.2,<4"),
        (">=3.9,<3.13", ">=3.9,<3.13"),
        ("3.11.*", "3.11.*"),
        ("*", None),
        (None, None),
        ("^3.8 || ^4", None),
    ],
)
def test_poetrys_versions_are_read_as_ranges(asked: str | None, found: str | None) -> None:
    """Caret and tilde, as Poetry's documentation defines them."""
    assert found == python_version.from_poetry(asked)


UV_LOCK = """version = 1

[[package]]
name = "shop"
version = "1"
source = { virtual = "." }

[package.metadata]
requires-dist = [
    { name = "blinker", specifier = ">=1.6.0rc1" },
    { name = "click", specifier = "==8.*" },
    { name = "click", marker = "extra == 'x'", specifier = "!=8.0" },
    { name = "flask", extras = ["async"], specifier = ">=2.1,<4" },
    { name = "own", specifier = ">=1", git = "https://example.org/own" },
    { name = "six" },
    { name = "tzdata", marker = "python_full_version < '3.9'", specifier = "<2025" },
    { name = "tzdata", marker = "python_full_version >= '3.9'" },
]

[[package]]
name = "flask"
version = "3.0.3"
"""
LOCKED = ("Flask[async] <4, >=2.01", "click==8.*", "six", "tzdata<2025; python_version < '3.9'", "tzdata")


@pytest.mark.parametrize(
    ("needs", "misfit"),
    [
        (LOCKED, None),
        ((*LOCKED, "blinker >= 2.0.0rc1", "own >= 2", "six @ https://example.org/six.whl"), None),
        ((*LOCKED[1:], "flask>=3.1"), "was made for flask<4,>=2.1, and pyproject.toml asks for flask>=3.1"),
        ((*LOCKED[1:], "flask"), "was made for flask<4,>=2.1, and pyproject.toml asks for any flask"),
        ((*LOCKED, "six~=1.16"), "was made for any six, and pyproject.toml asks for any six or six~=1.16"),
        ((*LOCKED[:-1], "tzdata>1"), "was made for any tzdata or tzdata<2025, and"),
        ((*LOCKED, "werkzeug"), "uv.lock lacks werkzeug"),
    ],
)
def test_a_uv_lock_that_no_longer_fits_is_refused(tmp_path: Path, needs: tuple[str, ...], misfit: str | None) -> None:
    """By what it was made for, as far as that can be told: neither for what comes by itself nor for odd versions."""
    project = f'[project]\nname = "shop"\nversion = "1"\ndependencies = {json.dumps(needs)}\n'
    files = {"app.py": FLASK, "pyproject.toml": project, "uv.lock": UV_LOCK}
    if misfit is None:
        assert "uv.lock" == app_of(tmp_path, files).requirements.mode
        return
    with pytest.raises(AppError, match=re.escape(misfit)) as caught:
        app_of(tmp_path, files)
    assert "uv lock" in str(caught.value.next_step)
