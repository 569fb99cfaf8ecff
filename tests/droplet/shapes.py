"""Apps in the shapes in which people publish them, and what is found out about one."""

from __future__ import annotations

from pathlib import Path

from droplet.app import App, detect
from droplet.settings import load

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n'


def app_of(folder: Path, files: dict[str, str], encoding: str = "utf-8") -> App:
    """Write files and look at them."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding=encoding)
    return detect(folder, load(folder))
