"""What a Django release needs: settings that know the droplet's addresses, and its static files collected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

from droplet import command
from droplet.layout import USER

# Without DEBUG, Django mails its errors to nobody and writes them nowhere.
_WRAPPER = '''"""The project's own settings, and the names under which this droplet is reached."""

import importlib
import os

_own = importlib.import_module(os.environ["CLOUDSHIP_DJANGO_SETTINGS"])
globals().update({name: value for name, value in vars(_own).items() if name.isupper()})
ALLOWED_HOSTS = [*globals().get("ALLOWED_HOSTS", []), *%s]
if not globals().get("LOGGING"):
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"live": {"()": "django.utils.log.RequireDebugFalse"}},
        "handlers": {"log": {"class": "logging.StreamHandler", "filters": ["live"]}},
        "loggers": {"django.request": {"handlers": ["log"], "level": "ERROR"}},
    }
'''
# Settings that look at sys.argv expect a command there, and often spare collectstatic the database.
_ASK = """
import json, sys
sys.argv = ["manage.py", "collectstatic"]
import django
django.setup()
from django.conf import settings
print("\\n" + json.dumps([str(settings.STATIC_URL or ""), str(settings.STATIC_ROOT or "")]))
"""


def write_settings(folder: Path, hosts: Tuple[str, ...]) -> None:
    """Generate the settings module that wraps the project's own."""
    folder.mkdir(exist_ok=True)
    (folder / "cloudship_settings.py").write_text(_WRAPPER % json.dumps(list(hosts)), encoding="utf-8")


def collect(root: Path, env: Dict[str, str], say: Callable[[str], None]) -> Optional[Tuple[str, Path]]:
    """
    Collect the static files where STATIC_ROOT is set, and give URL prefix and folder; None where it is not.

    Raises:
        StageError: the settings do not load, or collectstatic fails.
    """
    asked = command.run(
        ["python", "-c", _ASK],
        cwd=root,
        env=env,
        user=USER,
        limit=120,
        message="Django's settings do not load",
    )
    url, place = json.loads(asked[-1])
    if not place:
        return None
    words = ["python", "manage.py", "collectstatic", "--noinput"]
    command.run(words, say=say, cwd=root, env=env, user=USER, limit=600, message="collectstatic failed")
    prefix = url.split("://", 1)[-1].partition("/")[2] if "://" in url else url
    return f"/{prefix.strip('/')}/", root / place
