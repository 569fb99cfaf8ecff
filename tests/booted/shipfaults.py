"""
What goes wrong with a ship that is live: a row for each, with how it is broken, mended, and what the error must name.

A row without a name for its cause is one that a deploy has to get over.
"""

from __future__ import annotations

from dataclasses import dataclass

from booted.inside import FILL

HEAD = "from flask import Flask\nimport os\napp = Flask(__name__)\n"
FLASK = HEAD + "@app.get('/')\ndef home():\n    return 'release ' + os.environ['CLOUDSHIP_RELEASE']\n"
GOOD = {"app.py": FLASK, "requirements.txt": "flask\n"}
IMPATIENT = "[health]\ntimeout = 3\n"


@dataclass(frozen=True)
class ShipFault:
    """
    One thing that goes wrong.

    Args:
        breaks: a script that breaks the live droplet.
        mends: a script that mends it; a mount is taken off lazily, since a request may have a file of it open.
        names: what the error names of the cause; empty: the deploy goes well all the same.
        files: the app, or what in it differs from the good one.
        seconds: within which the deploy has to be over.
        answers: whether the ship answers while it is broken; where not, nobody could.
        goes_live: whether the release is live all the same: it is sound, and what is spoilt is before it.
        during: whether the script runs beside the deploy, once that builds.
        ref: what of the source is deployed.
    """

    breaks: str = ""
    mends: str = ""
    names: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    seconds: float = 60.0
    answers: bool = True
    goes_live: bool = False
    during: bool = False
    ref: str = ""
    ci: bool = False


def _filled(mib: int, **more: object) -> ShipFault:
    breaks = FILL.format(path="/var/fill", mib=mib)
    return ShipFault(breaks, "rm -f /var/fill", ("No space left",), **more)  # type: ignore[arg-type]


def _app(top: str = "", work: str = "return 'no'", toml: str = IMPATIENT, **files: str) -> tuple[tuple[str, str], ...]:
    text = f"{HEAD}import time\n{top}\n@app.get('/')\ndef home():\n    {work}\n"
    more = {name.replace("__", "."): told for name, told in files.items()}
    return tuple({"app.py": text, "cloudship.toml": toml, **more}.items())


_LOCKED = (
    'setsid python3 -c \'import fcntl, time; held = [open(name, "w") for name in ("/var/lib/dpkg/lock-frontend",'
    ' "/var/lib/dpkg/lock")]; [fcntl.lockf(one, fcntl.LOCK_EX) for one in held]; time.sleep({})\''
    " >/dev/null 2>&1 </dev/null & sleep 0.5"
)
_NO_SOURCES = (
    "mv /etc/apt/sources.list /etc/apt/kept.list; rm -rf /var/lib/apt/lists/*;"
    " echo 'deb http://127.0.0.1:9/ bookworm main' >/etc/apt/sources.list"
)
_SOURCES_BACK = "mv /etc/apt/kept.list /etc/apt/sources.list"


def _package(name: str) -> tuple[tuple[str, str], ...]:
    return (("cloudship.toml", f'apt = ["{name}"]\n'),)


DISKS = {
    "disk full, 0 MiB left": _filled(0, ci=True),
    "disk full, 1 MiB left": _filled(1, files=(("requirements.txt", "flask\nrequests\n"),)),
    "disk full, 8 MiB left": _filled(8, files=(("requirements.txt", "flask\npyyaml\nrequests\n"),)),
    "disk full while it builds": ShipFault(
        FILL.format(path="/var/fill", mib=0),
        "rm -f /var/fill",
        ("No space left",),
        files=_app(toml="build = 'sleep 2; dd if=/dev/zero of=big bs=1M count=8'\n"),
        during=True,
    ),
    "a build fills the disk": ShipFault(
        FILL.format(path="/var/fill", mib=120),
        "rm -f /var/fill",
        ("No space left",),
        files=_app(toml="build = 'dd if=/dev/zero of=big bs=1M count=400'\n"),
    ),
    "disk read-only": ShipFault(
        "mount --bind /srv /srv && mount -o remount,bind,ro /srv", "umount -l /srv", ("Read-only",), ci=True
    ),
    "/tmp noexec": ShipFault("mount -t tmpfs -o noexec tmpfs /tmp", "umount -l /tmp"),
    "a build eats all memory": ShipFault(
        files=_app(toml="build = \"python3 -c 'b = [bytearray(1 << 26) for _ in range(64)]'\"\n", work="return 'no'"),
        names=("memory",),
    ),
}
NETWORK = {
    "no DNS": ShipFault(
        "mv /etc/resolv.conf /etc/kept; echo nameserver 127.0.0.1 >/etc/resolv.conf",
        "mv /etc/kept /etc/resolv.conf",
        ("dns",),
        files=(("requirements.txt", "flask\nsix==1.16.0\n"),),
    ),
}
PACKAGES = {
    "mirror refuses": ShipFault(_NO_SOURCES, _SOURCES_BACK, ("mirror", "refused"), files=_package("tree")),
    "dpkg's lock held for a while": ShipFault(_LOCKED.format(5), files=_package("bc")),
    "dpkg interrupted": ShipFault(
        "echo 'Package: git' >/var/lib/dpkg/updates/0001", "rm -f /var/lib/dpkg/updates/*", files=_package("dc")
    ),
    "no such package": ShipFault(names=("no-such-package-at-all",), files=_package("no-such-package-at-all")),
}
SHELLS = {
    "sshd stopped": ShipFault("systemctl stop ssh", "systemctl start ssh", ("SSH",)),
    "sshd lets few in": ShipFault(
        "mkdir -p /run/sshd; echo 'MaxStartups 1:100:1' >/etc/ssh/sshd_config.d/few.conf; systemctl reload ssh;"
        " setsid python3 -c 'import socket, time; s = socket.create_connection((\"127.0.0.1\", 22)); time.sleep(5)'"
        " >/dev/null 2>&1 </dev/null & sleep 0.5",
        "rm /etc/ssh/sshd_config.d/few.conf; systemctl reload ssh; sleep 5",
        ("too many at once",),
    ),
    "another host key": ShipFault(
        "cd /etc/ssh && mkdir -p kept && mv ssh_host_ed25519_key* kept/ && ssh-keygen -q -t ed25519 -N ''"
        " -f ssh_host_ed25519_key && systemctl restart ssh",
        "cd /etc/ssh && mv -f kept/* . && systemctl restart ssh",
        ("host key",),
        ci=True,
    ),
    "our key is not let in": ShipFault(
        "mv ~root/.ssh/authorized_keys ~root/.ssh/kept", "mv ~root/.ssh/kept ~root/.ssh/authorized_keys", ("let us in",)
    ),
    "sshd dies while it builds": ShipFault(
        "pkill -KILL sshd; true",
        "systemctl restart ssh",
        ("broke",),
        files=_app(toml="build = 'sleep 6'\n", work="return 'no'"),
        during=True,
    ),
    "reboot while it builds": ShipFault(
        "systemctl reboot",
        "",
        ("going down",),
        files=_app(toml="build = 'sleep 6'\n", work="return 'no'"),
        during=True,
        answers=False,
    ),
}
PARTS = {
    "nginx refuses its configuration": ShipFault(
        "echo 'nonsense on;' >/etc/nginx/conf.d/hand.conf",
        "rm /etc/nginx/conf.d/hand.conf",
        ("nonsense",),
        files=(("app.py", ""), ("requirements.txt", ""), ("index.html", "static")),
        ci=True,
    ),
    "nginx stopped by hand": ShipFault(
        "systemctl stop nginx", "systemctl start nginx", ("nginx",), answers=False, goes_live=True
    ),
    "an older build answers in its place": ShipFault(
        "echo \"server { listen $(hostname -I | cut -d' ' -f1):80; return 200 'an older build'; }\""
        " >/etc/nginx/conf.d/hand.conf; systemctl reload nginx",
        "rm /etc/nginx/conf.d/hand.conf; systemctl reload nginx",
        ("200 by nginx itself",),
        answers=False,
        goes_live=True,
    ),
    "git is gone": ShipFault(
        "mv /usr/bin/git /usr/bin/kept-git; mv /usr/bin/git-receive-pack /usr/bin/kept-receive",
        "mv /usr/bin/kept-git /usr/bin/git; mv /usr/bin/kept-receive /usr/bin/git-receive-pack",
        ("git-receive-pack",),
    ),
    "the repository is damaged": ShipFault(
        "mv /srv/*/repo.git/objects /srv/kept",
        "rmdir /srv/*/repo.git/objects; mv /srv/kept $(echo /srv/*/repo.git)/objects",
        ("repo",),
    ),
    "uv is gone": ShipFault(
        "mv /opt/cloudship/bin/uv /opt/cloudship/bin/kept",
        "mv /opt/cloudship/bin/kept /opt/cloudship/bin/uv",
        ("uv",),
        files=(("requirements.txt", "flask\nsix\n"),),
    ),
    "the unit is gone": ShipFault(
        "mv /etc/systemd/system/cloudship-app@.service /var/kept; systemctl daemon-reload",
        "mv /var/kept /etc/systemd/system/cloudship-app@.service; systemctl daemon-reload",
        ("cloudship-app@",),
    ),
    "the environment is damaged": ShipFault(
        "for one in /srv/*/envs/*/bin; do mv $one/gunicorn $one/kept; done",
        "for one in /srv/*/envs/*/bin; do mv $one/kept $one/gunicorn; done",
        ("gunicorn",),
    ),
}
APPS = {
    "app does not import": ShipFault(files=_app("import nothing_like_this"), names=("nothing_like_this",)),
    "app crashes in a loop": ShipFault(
        files=(("Procfile", "web: sh -c 'echo giving up; exit 3'\n"),), names=("giving up", "status 3")
    ),
    "app ends after a while": ShipFault(
        files=_app(
            "import threading\nthreading.Timer(1.5, os.kill, (os.getppid(), 9)).start()",
            "time.sleep(14)",
            "[health]\ntimeout = 15\n",
        ),
        names=("ended",),
    ),
    "app binds another port": ShipFault(
        files=(("Procfile", "web: python3 -m http.server 9999\n"), ("cloudship.toml", IMPATIENT)),
        names=("PORT",),
        ci=True,
    ),
    "app's port is taken": ShipFault(
        "setsid python3 -m http.server 8000 >/dev/null 2>&1 </dev/null & sleep 0.7",
        "pkill -f '[h]ttp.server 8000'; true",
        ("Address already in use",),
        files=(("Procfile", "web: python3 -m http.server 8000\n"), ("cloudship.toml", IMPATIENT)),
    ),
    "app wants port 80": ShipFault(
        files=(("Procfile", "web: python3 -m http.server 80\n"), ("cloudship.toml", IMPATIENT)), names=("Permission",)
    ),
    "app answers 500": ShipFault(
        files=_app(work="raise RuntimeError('the database is on fire')", toml=""), names=("500", "on fire")
    ),
    "app answers 502": ShipFault(files=_app(work="return 'upstream', 502", toml=""), names=("502",)),
    "app hangs": ShipFault(
        files=_app(work="time.sleep(100)", toml="[health]\ntimeout = 8\n"), names=("no answer",), ci=True
    ),
    "app starts slowly": ShipFault(files=_app("time.sleep(8)", "return 'slow'", "[health]\ntimeout = 30\n")),
    "app starts more slowly than it may": ShipFault(files=_app("time.sleep(8)", "return 'slow'"), names=("for 3 s",)),
    "app answers at length": ShipFault(files=_app(work="return b'x' * (64 << 20)")),
    "packages do not install": ShipFault(
        files=(("requirements.txt", "flask\nno-such-package-at-all==9\n"),), names=("no-such-package-at-all",)
    ),
    "packages do not build": ShipFault(
        files=(
            ("requirements.txt", "flask\n./broken\n"),
            ("broken/setup.py", "raise SystemExit('no compiler here')\n"),
        ),
        names=("no compiler here",),
    ),
    "branch missing": ShipFault(ref="@nowhere", names=("nowhere",), ci=True),
}
FAULTS: dict[str, ShipFault] = {**DISKS, **NETWORK, **PACKAGES, **SHELLS, **PARTS, **APPS}
