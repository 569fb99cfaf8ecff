"""The settings that wrap a Django project's own, loaded by Django itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from droplet import djangoapp, launch

SETTINGS = """
import sys
SECRET_KEY = "x"
DEBUG = {debug}
ALLOWED_HOSTS = ["example.org"]
ROOT_URLCONF = "urls"
STATIC_URL = "/assets/"
STATIC_ROOT = "collected" if sys.argv[1] == "collectstatic" else None
"""
URLS = """
from django.urls import path


def broken(request):
    raise RuntimeError("the database is on fire")


urlpatterns = [path("", broken)]
"""
VISIT = """
import django
django.setup()
from django.conf import settings
from django.test import Client
answer = Client(raise_request_exception=False).get("/", headers={"host": "10.0.0.7"})
print(answer.status_code, settings.ALLOWED_HOSTS)
"""


def _project(folder: Path, more: str = "", *, debug: bool = False) -> dict[str, str]:
    """Make a project and its wrapper; gives the environment in which it is loaded."""
    (folder / "own.py").write_text(SETTINGS.format(debug=debug) + more)
    (folder / "urls.py").write_text(URLS)
    djangoapp.write_settings(folder / "generated", ("10.0.0.7",))
    path = f"{folder / 'generated'}:{folder}"
    return {
        **os.environ,
        "PYTHONPATH": path,
        "DJANGO_SETTINGS_MODULE": "cloudship_settings",
        "CLOUDSHIP_DJANGO_SETTINGS": "own",
    }


def _visit(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", VISIT, "gunicorn"]
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_written_once_whatever_debug_says(tmp_path: Path, debug: bool) -> None:
    """Without DEBUG Django would write it nowhere; the droplet's own address is allowed either way."""
    done = _visit(_project(tmp_path, debug=debug))
    assert "500 ['example.org', '10.0.0.7'" in done.stdout
    assert 1 == done.stderr.count("RuntimeError: the database is on fire")


def test_a_projects_own_logging_stays(tmp_path: Path) -> None:
    """Nothing is laid over it."""
    handlers = "'handlers': {'none': {'class': 'logging.NullHandler'}}"
    loggers = "'loggers': {'django': {'handlers': ['none']}}"
    own = f"LOGGING = {{'version': 1, {handlers}, {loggers}}}\n"
    assert "RuntimeError" not in _visit(_project(tmp_path, own)).stderr


def test_settings_that_look_at_the_command_are_asked_as_by_collectstatic(tmp_path: Path) -> None:
    """Many spare it the database, and fail where there is no command at all."""
    words = [sys.executable, "-c", djangoapp._ASK]
    done = subprocess.run(words, env=_project(tmp_path), capture_output=True, text=True, check=True)
    assert '["/assets/", "collected"]' == done.stdout.strip()


def test_settings_that_the_apps_values_name_are_wrapped_too(tmp_path: Path) -> None:
    """Without the wrapper no address of the droplet would be allowed, and every visitor be answered 400."""
    ours = _project(tmp_path)
    (tmp_path / "production.py").write_text("from own import *\nALLOWED_HOSTS = ['shop.example']\n")
    values = {"DJANGO_SETTINGS_MODULE": "production"}
    assert "500 ['shop.example', '10.0.0.7'" in _visit(launch.environment(ours, values)).stdout
    del ours["CLOUDSHIP_DJANGO_SETTINGS"]
    assert "production" == launch.environment(ours, values)["DJANGO_SETTINGS_MODULE"]
