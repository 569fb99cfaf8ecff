import os
import platform
from datetime import datetime, timezone

from flask import Flask, render_template

app = Flask(__name__)
STARTED = datetime.now(timezone.utc)


@app.get("/")
def hello():
    return render_template(
        "hello.html",
        greeting=os.environ.get("GREETING", "Hello from a ship"),
        release=os.environ.get("CLOUDSHIP_RELEASE", "none"),
        host=platform.node(),
        python=platform.python_version(),
        started=STARTED,
    )


@app.get("/healthz")
def healthz():
    return {"status": "ok", "release": os.environ.get("CLOUDSHIP_RELEASE")}
