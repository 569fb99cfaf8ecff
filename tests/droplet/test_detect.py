"""Which app is it: found out, explained, refused in doubt; shapes of apps as people publish them."""

from __future__ import annotations

from pathlib import Path

import pytest
from shapes import FACTORY, FASTAPI, FLASK, MANAGE, app_of

from droplet.app import AppError
from droplet.settings import SettingsError, load


@pytest.mark.parametrize(
    ("files", "kind", "target"),
    [
        ({"app.py": FLASK}, "flask", "app:app"),
        ({"main.py": FLASK}, "flask", "main:app"),
        ({"application.py": FLASK.replace("app =", "application =")}, "flask", "application:application"),
        ({"wsgi.py": "from hello import app\n", "hello.py": FLASK}, "flask", "wsgi:app"),
        (
            {"wsgi.py": "from shop import create_app\napp = create_app()\n", "shop/__init__.py": FACTORY},
            "flask",
            "wsgi:app",
        ),
        ({"shop/__init__.py": FACTORY}, "flask", "shop:create_app()"),
        (
            {"src/shop/__init__.py": "from .factory import create_app\n", "src/shop/factory.py": FACTORY},
            "flask",
            "shop:create_app()",
        ),
        ({"web/__init__.py": "from .core import *\n", "web/core.py": FLASK}, "flask", "web:app"),
        ({"microblog.py": "from app import app\n", "app/__init__.py": FLASK}, "flask", "app:app"),
        ({"hello.py": FLASK}, "flask", "hello:app"),
        ({"main.py": FASTAPI}, "asgi", "main:app"),
        ({"app/main.py": FASTAPI, "app/__init__.py": ""}, "asgi", "app.main:app"),
        ({"app/main.py": FASTAPI}, "asgi", "app.main:app"),
        ({"main.py": "from starlette.applications import Starlette\napp = Starlette()\n"}, "asgi", "main:app"),
        ({"wsgi.py": "def application(environ, start_response):\n    return []\n"}, "wsgi", "wsgi:application"),
        ({"asgi.py": "async def app(scope, receive, send): ...\n"}, "asgi", "asgi:app"),
        ({"app.py": "import bottle\napp = bottle.default_app()\n"}, "wsgi", "app:app"),
        ({"app.py": "import dash\napp = dash.Dash(__name__)\nserver = app.server\n"}, "wsgi", "app:app"),
        (
            {"app.py": "try:\n    from flask import Flask\nfinally:\n    pass\nif True:\n    app = Flask(__name__)\n"},
            "flask",
            "app:app",
        ),
        ({"Procfile": "release: x\nweb: gunicorn a:b\nworker: y\n", "a.py": FLASK}, "procfile", None),
        (
            {"manage.py": MANAGE, "mysite/settings.py": 'WSGI_APPLICATION = "mysite.wsgi.application"\n'},
            "django",
            "mysite.wsgi:application",
        ),
        (
            {"manage.py": MANAGE, "mysite/settings.py": 'ASGI_APPLICATION = "mysite.asgi.application"\n'},
            "django",
            "mysite.asgi:application",
        ),
        ({"index.html": "<p>"}, "static", None),
        ({"public/index.html": "<p>"}, "static", None),
    ],
)
def test_apps_are_recognised(tmp_path: Path, files: dict[str, str], kind: str, target: str | None) -> None:
    """The kind, and what a server runs."""
    found = app_of(tmp_path, files)
    assert (kind, target) == (found.kind, found.target)
    assert "\n" not in found.why


def test_the_reason_names_the_files(tmp_path: Path) -> None:
    """One line that says what was seen where, and what is added."""
    found = app_of(tmp_path, {"app.py": FLASK, "requirements.txt": "flask>=3\n"})
    assert "Flask: app.py defines app, requirements.txt names flask; adding gunicorn" == found.why


def test_a_framework_that_no_file_names_is_installed(tmp_path: Path) -> None:
    """Without any requirements, what was recognised is added, and said."""
    found = app_of(tmp_path, {"main.py": FASTAPI})
    assert {"fastapi", "gunicorn", "uvicorn", "uvicorn-worker"} == set(found.extras)
    assert "adding" in found.why


def test_gunicorn_is_not_added_to_a_procfile_that_does_not_use_it(tmp_path: Path) -> None:
    """What a web: line runs is its own affair."""
    assert () == app_of(tmp_path, {"Procfile": "web: uvicorn main:app --port $PORT\n"}).extras
    assert ("gunicorn",) == app_of(tmp_path, {"Procfile": "web: A=1 gunicorn main:app\n"}).extras


def test_two_apps_are_refused_with_the_line_to_write(tmp_path: Path) -> None:
    """In doubt nothing is guessed."""
    with pytest.raises(AppError) as caught:
        app_of(tmp_path, {"shop/__init__.py": FLASK, "blog/__init__.py": FLASK})
    assert {'app = "blog:app"  # Flask in blog/__init__.py', 'app = "shop:app"  # Flask in shop/__init__.py'} == set(
        caught.value.candidates
    )


def test_the_configuration_settles_it(tmp_path: Path) -> None:
    """`app` wins over everything that is seen."""
    files = {"shop/__init__.py": FLASK, "blog/__init__.py": FLASK, "cloudship.toml": 'app = "blog:app"\n'}
    assert "blog:app" == app_of(tmp_path, files).target


def test_nothing_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    """An empty folder is no app."""
    with pytest.raises(AppError, match=r"Procfile.*manage\.py.*index\.html"):
        app_of(tmp_path, {"notes.txt": "x"})


def test_what_stood_in_the_way_is_said(tmp_path: Path) -> None:
    """A torn module, a factory that cannot be called, another language, and the folder below that holds the app."""
    files = {
        "app.py": "from flask import Flask\napp = Flask(\n",
        "shop/__init__.py": "from flask import Flask\ndef create_app(config):\n    return Flask(__name__)\n",
        "package.json": "{}",
        "service/main.py": FASTAPI,
    }
    with pytest.raises(AppError) as caught:
        app_of(tmp_path, files)
    torn, factory, node, below = caught.value.candidates
    assert torn.startswith("app.py: syntax error in line 2")
    assert "shop/__init__.py: create_app wants arguments; in wsgi.py, write app = create_app(...)" == factory
    assert node.startswith("package.json: a project for Node.js")
    assert ("service/ holds one: ", True) == (below[:20], "FastAPI: main.py defines app" in below)
    assert "name that folder: service" == caught.value.next_step


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import http.server\nhttp.server.HTTPServer(('', 80), None).serve_forever()\n", "web: python server.py"),
        ("def main(): ...\n\n\nif __name__ == '__main__':\n    main()\n", "web: python server.py"),
        ("import streamlit as st\nst.title('x')\n", "web: streamlit run server.py --server.port $PORT"),
        ("import gradio as gr\ngr.Interface(print).launch()\n", "web: GRADIO_SERVER_PORT=$PORT python server.py"),
    ],
)
def test_a_program_of_its_own_is_told_its_procfile_line(tmp_path: Path, text: str, line: str) -> None:
    """There is no callable to serve; how it is started can be said in one line."""
    with pytest.raises(AppError) as caught:
        app_of(tmp_path, {"server.py": text})
    assert any(line in one for one in caught.value.candidates)


def test_code_is_never_run(tmp_path: Path) -> None:
    """Looking at an app has no effect."""
    app_of(tmp_path, {"app.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n{FLASK}"})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_windows_writes_is_read(tmp_path: Path, encoding: str, end: str) -> None:
    """PowerShell's `>` writes two bytes a letter, and editors begin with a mark; uv and Python read both."""
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    wide = {"requirements.txt": f"{mark}flask{end}gunicorn{end}", ".python-version": f"{mark}3.12{end}"}
    (tmp_path / "app.py").write_text(FLASK, encoding="utf-8-sig")
    (tmp_path / "cloudship.toml").write_text(f'release = "x"{end}', encoding="utf-8-sig")
    found = app_of(tmp_path, wide, encoding)
    assert ((), "3.12", {"flask", "gunicorn"}) == (found.extras, found.python, set(found.requirements.names))
    line = app_of(tmp_path, {"Procfile": f"{mark}web: gunicorn app:app{end}"}, encoding).processes
    assert {"web": "gunicorn app:app"} == line


@pytest.mark.parametrize(
    ("files", "note"),
    [
        ({"Procfile": ""}, "names no process"),
        ({"Procfile": "Web: gunicorn app:app\n"}, "web: in small letters"),
        ({"Procfile": "web gunicorn app:app\n"}, "'web gunicorn app:app' is passed over"),
        ({"Procfile": "# later\nworker: python work.py\n"}, None),
        ({"environment.yml": "dependencies: [flask]\n"}, "environment.yml is not read"),
        ({"environment.yml": "dependencies: [flask]\n", "requirements.txt": "flask\n"}, None),
        ({"cloudship.toml": 'app = "shop.web:app"\n'}, "shop.web is not in the app"),
        ({"cloudship.toml": 'app = "app:made"\n'}, None),
    ],
)
def test_what_is_passed_over_is_said(tmp_path: Path, files: dict[str, str], note: str | None) -> None:
    """Its writer believes that it counts."""
    found = app_of(tmp_path, {"app.py": FLASK, **files}).warnings
    assert (note is not None) == bool(found)
    assert (note or "") in "".join(found)


def test_pages_that_are_not_built_are_said(tmp_path: Path) -> None:
    """A browser shows nothing of them; those that a build made are silent."""
    package = '{"scripts": {"build": "vite build"}}'
    (warning,) = app_of(tmp_path / "raw", {"index.html": "<p>", "package.json": package}).warnings
    assert "name the folder that it makes" in warning
    assert () == app_of(tmp_path / "built", {"dist/index.html": "<p>", "package.json": package}).warnings


def test_the_settings_of_the_module_that_is_served_are_djangos(tmp_path: Path) -> None:
    """manage.py is for developing where wsgi.py names others; a name that is not there is passed over."""
    files = {
        "manage.py": MANAGE.replace("mysite.settings", "config.settings.local"),
        "config/settings/base.py": 'WSGI_APPLICATION = "config.wsgi.application"\n',
        "config/settings/local.py": "from .base import *\nDEBUG = True\n",
        "config/settings/production.py": "from .base import *\nDEBUG = False\n",
        "config/wsgi.py": MANAGE.replace("mysite.settings", "config.settings.production"),
    }
    found = app_of(tmp_path, {**files, "cloudship.toml": 'release = "x"\n'})
    assert ("config.settings.production", "config.wsgi:application") == (found.django_settings, found.target)
    assert () == found.warnings
    (tmp_path / "config/wsgi.py").write_text(MANAGE.replace("mysite.settings", "config.settings.gone"))
    assert "config.settings.local" == app_of(tmp_path, {}).django_settings


def test_debug_in_djangos_settings_is_warned_about(tmp_path: Path) -> None:
    """Visitors would see tracebacks."""
    project = {"manage.py": MANAGE, "mysite/settings.py": "DEBUG = True\n"}
    found = app_of(tmp_path, {**project, "Procfile": "release: python manage.py migrate\n"})
    assert ["DEBUG = True in mysite/settings.py"] == [one.split(":")[0] for one in found.warnings]


def test_migrations_that_nothing_runs_are_warned_about(tmp_path: Path) -> None:
    """With the line that runs them; silent where a release command is told, in the configuration or the Procfile."""
    project = {"manage.py": MANAGE, "mysite/settings.py": "X = 1\n"}
    (warning,) = app_of(tmp_path, project).warnings
    assert 'release = "python manage.py migrate"' in warning
    assert () == app_of(tmp_path, {"cloudship.toml": 'release = "python manage.py migrate"\n'}).warnings


def test_a_django_project_one_folder_below_is_found(tmp_path: Path) -> None:
    """`django-admin startproject` leaves it there."""
    found = app_of(
        tmp_path, {"mysite/manage.py": MANAGE, "mysite/mysite/settings.py": "", "requirements.txt": "django\n"}
    )
    assert ("mysite", "mysite.wsgi:application") == (found.directory, found.target)
    assert ("requirements.txt",) == found.dependency_files


def test_a_static_folder_beside_the_flask_module_is_served_from_disk(tmp_path: Path) -> None:
    """nginx answers /static/ itself."""
    assert {"/static/": "shop/static"} == app_of(tmp_path, {"shop/__init__.py": FLASK, "shop/static/a.css": ""}).static


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('app = "no colon"', "module:callable"),
        ('shared = ["../x"]', "inside the app"),
        ('apt = ["-o x"]', "Debian package"),
        ('health = {path = "x"}', "begins with /"),
        ("health = {status = 7}", "HTTP status"),
        ('buidl = "x"', "did you mean 'build'"),
        ("release = 7", "one line"),
        ('server = "apache"', "one of"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_key(tmp_path: Path, text: str, message: str) -> None:
    """Values are validated by field before they reach a shell or a path."""
    (tmp_path / "cloudship.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load(tmp_path)


def test_settings_from_outside_win(tmp_path: Path) -> None:
    """--config and flags stand above the tree's own file."""
    (tmp_path / "cloudship.toml").write_text('release = "a"\nbuild = "b"\n[health]\npath = "/x"\n')
    found = load(tmp_path, {"release": "c", "health": {"timeout": 5}})
    assert ("c", "b", "/x", 5) == (found.release, found.build, found.health_path, found.health_timeout)
