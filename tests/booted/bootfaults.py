"""
What goes wrong in a first boot: a row for each, with what the error must name.

A row without a name for its cause is one that a launch has to get over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from booted.inside import FILL
from booted.mirror import PORTAL, Asked, closed_port
from booted.planting import Yard

FLASK = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef home():\n    return 'good'\n"
GOOD = {"app.py": FLASK, "requirements.txt": "flask\n"}
STATIC = {"index.html": "good"}


@dataclass(frozen=True)
class BootFault:
    """
    One thing that goes wrong.

    Args:
        plant: breaks it, before the boot.
        names: what the error names of the cause; empty: the launch goes well all the same.
        files: the app.
        seconds: within which it has to be over.
        limits: of the waits, where the usual ones are too long for a test.
        config: keys of the configuration.
        user_data: a cloud-config of the user's own.
    """

    plant: Callable[[Yard], None]
    names: tuple[str, ...] = ()
    files: dict[str, str] | None = None
    seconds: float = 200.0  # where others use the machine too
    limits: tuple[tuple[str, float], ...] = ()
    config: tuple[tuple[str, object], ...] = ()
    user_data: str = ""
    ci: bool = False


def _first(script: str) -> Callable[[Yard], None]:
    return lambda yard: yard.first(script)


def _beside(script: str) -> Callable[[Yard], None]:
    return lambda yard: yard.beside(script)


def _mirror(spoil: Callable[[Asked], None]) -> Callable[[Yard], None]:
    def plant(yard: Yard) -> None:
        yard.mirror.spoil = spoil

    return plant


def _answers(status: int, body: bytes = b"", *, until: int = 1 << 30) -> Callable[[Yard], None]:
    def spoil(asked: Asked) -> None:
        if asked.turn < until:
            asked.status, asked.body = status, body

    return _mirror(spoil)


def _flips(what: str) -> Callable[[Yard], None]:
    """Change one byte of some of the files."""

    def spoil(asked: Asked) -> None:
        if what in asked.path and asked.body:
            asked.body = asked.body[:-100] + bytes([asked.body[-100] ^ 1]) + asked.body[-99:]

    return _mirror(spoil)


def _slow(pause: float = 0.0, per_second: float | None = None) -> Callable[[Yard], None]:
    def spoil(asked: Asked) -> None:
        asked.pause, asked.per_second = pause, per_second

    return _mirror(spoil)


def _leaving(mib: int) -> Callable[[Yard], None]:
    """Leave so much of the disk."""
    return _first(FILL.format(path="/fault/fill", mib=mib))


_HOLDS = (
    'python3 -c \'import fcntl, time; held = [open(name, "w") for name in ("{0}/lock-frontend", "{0}/lock")];'
    " [fcntl.lockf(one, fcntl.LOCK_EX) for one in held]; time.sleep({1})'\n"
)
_BOOT = (("boot", 60.0),)  # the usual limit is for real clouds
_SSH = (("ssh", 30.0),)
_ONCE_FOLLOWED = "until pgrep -f '[b]oot-log --follow' >/dev/null; do sleep 0.1; done\n"
_ONCE_APT_RUNS = "until pgrep -x apt-get >/dev/null; do sleep 0.1; done\n"
# In sshd's place: it lets everybody through, and takes its time over that.
_FRONT = """import socket, threading, time
def lead(one):
    time.sleep({seconds})
    other = socket.create_connection(("127.0.0.1", 2222))
    def carry(source, target):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    threading.Thread(target=carry, args=(one, other), daemon=True).start()
    carry(other, one)
front = socket.create_server(("0.0.0.0", 22))
while True:
    threading.Thread(target=lead, args=(front.accept()[0],), daemon=True).start()
"""
_TAKES_80 = (
    'python3 -c \'import http.server as h; h.ThreadingHTTPServer(("0.0.0.0", 80), h.SimpleHTTPRequestHandler)'
    ".serve_forever()'\n"
)


def _refusing(yard: Yard) -> None:
    address = yard.mirror.address
    yard.sources(f"http://{address}:{closed_port(address)}/{{}}/")


def _no_dns(yard: Yard) -> None:
    yard.plant("etc/resolv.conf", "nameserver 127.0.0.1\n")
    yard.sources("http://mirror.invalid/{}/")


def _dating(line: str) -> Callable[[Yard], None]:
    """
    Have apt take the mirror's lists for those of another time: what a wrong clock comes to.

    The image has none of its own then, as many have none: with those apt would install. And whatever this host's apt,
    which the image takes after, thinks of dates, it looks at them.
    """
    looks = 'Acquire::Check-Valid-Until "true";\nAcquire::Check-Date "true";\n'

    def plant(yard: Yard) -> None:
        yard.plant("etc/apt/apt.conf.d/zz-fault", f"{looks}{line}\n")
        yard.first("rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin\n")

    return plant


def _slow_front(yard: Yard) -> None:
    yard.plant("etc/ssh/sshd_config.d/fault.conf", "Port 2222\n")
    yard.plant("fault/front.py", _FRONT.format(seconds=3))
    yard.beside("exec python3 /fault/front.py\n")


def _few_let_in(yard: Yard) -> None:
    yard.plant("etc/ssh/sshd_config.d/fault.conf", "MaxStartups 1:100:1\n")
    holds = 'import socket, time; one = socket.create_connection(("127.0.0.1", 22)); time.sleep(4)'
    yard.beside(f"until python3 -c '{holds}'; do sleep 0.05; done\n")


def _own_host_key(yard: Yard) -> None:
    """What droplets have whose user-data is not read."""
    yard.first("echo 'garbage: [' >/var/lib/cloud/seed/config_drive/openstack/latest/user_data\n")


MIRRORS = {
    "mirror refuses": BootFault(_refusing, ("connection refused", "mirror")),
    "mirror 404": BootFault(_answers(404), ("does not have a Release file", "mirror"), ci=True),
    "mirror 503": BootFault(_answers(503), ("503", "mirror")),
    "mirror 503 at first": BootFault(_answers(503, until=4)),
    "mirror never answers": BootFault(_slow(pause=600), ("fetching the lists of http://10.213.",), limits=_BOOT),
    "mirror drips": BootFault(_slow(per_second=50), ("fetching the lists of http://10.213.",), limits=_BOOT),
    "mirror is late": BootFault(_slow(pause=0.5)),
    "mirror is a portal": BootFault(_answers(200, PORTAL), ("mirror", "signed")),
    "package with a wrong hash": BootFault(_flips(".deb"), ("Hash Sum mismatch", "mirror"), ci=True),
    "index with a wrong hash": BootFault(_flips("/by-hash/"), ("mirror", "Hash Sum mismatch")),
    "release with a wrong signature": BootFault(_flips("InRelease"), ("mirror", "signed")),
    "lists of the past, as with a clock ten years ahead": BootFault(
        _dating('Acquire::Max-ValidTime "1";'), ("clock", "expired")
    ),
    "lists of the future, as with a clock five years behind": BootFault(
        _dating('Acquire::Max-FutureTime "-157680000";'), ("clock", "not valid yet")
    ),
}
PACKAGES = {
    "dpkg's lock held for a while": BootFault(_beside(_HOLDS.format("/var/lib/dpkg", 6)), ci=True),
    "dpkg's lock held for ever": BootFault(
        _beside(_HOLDS.format("/var/lib/dpkg", 600)), ("lock-frontend", "held by"), limits=_BOOT
    ),
    "dpkg interrupted": BootFault(_first("printf 'Package: x\\n' >/var/lib/dpkg/updates/0001\n")),
    "dpkg's database damaged": BootFault(_first("echo rubbish >/var/lib/dpkg/status\n"), ("/var/lib/dpkg/status",)),
    "a package that cannot be set up": BootFault(
        lambda yard: yard.plant("etc/dpkg/dpkg.cfg.d/fault", "pre-invoke=/bin/false\n"),
        ("a package could not be set up",),
    ),
    "no such package": BootFault(
        _first(":\n"), ("no-such-package-at-all",), config=(("apt", ("no-such-package-at-all",)),)
    ),
}
DISKS = {
    "disk full, 0 MiB left": BootFault(_leaving(0), ("SSH",), limits=_SSH),
    "disk full, 1 MiB left": BootFault(_leaving(1), ("SSH",), limits=_SSH),
    "disk full, 12 MiB left": BootFault(_leaving(12), ("space",)),
    "disk full, 20 MiB left": BootFault(_leaving(20), ("space",), ci=True),
    "disk full, 60 MiB left": BootFault(_leaving(60), ("space",)),
    "disk full, 100 MiB left": BootFault(_leaving(100), ("space",)),
    "inodes full": BootFault(_first("mount -t tmpfs -o nr_inodes=6 tmpfs /srv\n"), ("No space left",)),
    "/tmp noexec": BootFault(_first("mount -t tmpfs -o noexec,mode=1777 tmpfs /tmp\n")),
    "disk read-only": BootFault(_first("mount --bind /srv /srv && mount -o remount,bind,ro /srv\n"), ("Read-only",)),
    "disk read-only from the start": BootFault(_first("mount -o remount,bind,ro /\n"), ("SSH",), limits=_SSH),
    "memory runs out": BootFault(_beside("while true; do pkill -KILL -x apt-get; sleep 0.1; done\n"), ("memory",)),
    "the first boot's program is killed": BootFault(
        _beside(f"{_ONCE_APT_RUNS} systemctl kill --signal=KILL cloudship-bootstrap.service\n"), ("memory",)
    ),
}
BOOTS = {
    "no DNS": BootFault(_no_dns, ("name resolution",)),
    "cloud-init disabled": BootFault(
        lambda yard: yard.plant("etc/cloud/cloud-init.disabled", ""), ("SSH",), limits=_SSH
    ),
    "cloud-init cannot write the program": BootFault(
        _first("rm -rf /usr/local/sbin; : >/usr/local/sbin\n"), ("never began",), ci=True
    ),
    "cloud-init's last stage fails": BootFault(
        lambda yard: yard.configure("cloud-final.service", "Service", "ExecStartPre=/bin/false"),
        ("never began", "cloud-final"),
        ci=True,
    ),
    "cloud-init's last stage hangs": BootFault(
        lambda yard: yard.configure("cloud-final.service", "Service", "ExecStartPre=/bin/sleep infinity"),
        ("cloud-final",),
        limits=_BOOT,
    ),
    "cloud-init hangs before sshd": BootFault(
        lambda yard: yard.configure("cloud-init.service", "Service", "ExecStartPre=/bin/sleep infinity"),
        ("SSH",),
        limits=_SSH,
    ),
    "a command of the user's fails": BootFault(
        _first(":\n"), user_data="#cloud-config\nruncmd:\n  - [sh, -c, exit 3]\n"
    ),
    "a command of the user's hangs before sshd": BootFault(
        _first(":\n"), ("SSH",), limits=_SSH, user_data="#cloud-config\nbootcmd:\n  - [sleep, infinity]\n"
    ),
    "user-data that nobody can read": BootFault(_own_host_key, ("user-data",)),
    "no user-data": BootFault(_first("rm -rf /var/lib/cloud/seed\n"), ("SSH",), limits=_SSH),
    "reboot in the middle": BootFault(_beside(f"{_ONCE_APT_RUNS} systemctl reboot\n"), ("broke",)),
    "power lost in the middle": BootFault(
        _beside(f"{_ONCE_APT_RUNS} systemctl poweroff --force --force\n"), ("broke",)
    ),
}
SHELLS = {
    "sshd late": BootFault(lambda yard: yard.configure("ssh.service", "Service", "ExecStartPre=/bin/sleep 6")),
    "sshd never": BootFault(
        lambda yard: yard.configure("ssh.service", "Service", "ExecStartPre=/bin/false"), ("SSH",), limits=_SSH
    ),
    "sshd dies in the middle": BootFault(_beside(f"{_ONCE_FOLLOWED} pkill -KILL sshd\n"), ("broke",), ci=True),
    "sshd lets few in": BootFault(_few_let_in),
    "sshd is slow": BootFault(_slow_front, seconds=60),
    "our key is not let in": BootFault(
        lambda yard: yard.plant("etc/ssh/sshd_config.d/fault.conf", "AuthorizedKeysFile /nowhere\n"),
        ("does not let us in",),
        limits=_SSH,
    ),
}
PARTS = {
    "nginx refuses its configuration": BootFault(
        lambda yard: yard.plant("etc/nginx/conf.d/hand.conf", "nonsense on;\n"), ("nonsense", "nginx")
    ),
    "nginx configured by hand, for another name": BootFault(
        lambda yard: yard.plant("etc/nginx/conf.d/hand.conf", "server { listen 80; server_name by.hand; }\n")
    ),
    "nginx configured by hand, for all": BootFault(
        lambda yard: yard.plant("etc/nginx/conf.d/hand.conf", "server { listen 80 default_server; }\n"),
        ("duplicate default server",),
    ),
    "port 80 taken": BootFault(_beside(_TAKES_80), ("80", "in use"), ci=True),
    "index refuses": BootFault(
        lambda yard: yard.plant("etc/pip.conf", "[global]\nindex-url = http://127.0.0.1:9/simple\n"),
        ("127.0.0.1:9", "refused"),
    ),
}
APPS = {
    "app crashes in a loop": BootFault(
        _first(":\n"), ("giving up", "status 3"), {"Procfile": "web: sh -c 'echo giving up; exit 3'\n"}
    ),
    "app binds another port": BootFault(
        _first(":\n"),
        ("PORT",),
        {"Procfile": "web: python3 -m http.server 9999\n", "cloudship.toml": "[health]\ntimeout = 3\n"},
    ),
    "app wants port 80": BootFault(
        _first(":\n"),
        ("Permission",),
        {"Procfile": "web: python3 -m http.server 80\n", "cloudship.toml": "[health]\ntimeout = 3\n"},
    ),
    "app hangs": BootFault(
        _first(":\n"),
        ("no answer",),
        {
            "app.py": FLASK.replace("return", "__import__('time').sleep(90); return"),
            "requirements.txt": "flask\n",
            "cloudship.toml": "[health]\ntimeout = 3\n",
        },
    ),
    "app answers 502": BootFault(
        _first(":\n"), ("502",), {"app.py": FLASK.replace("'good'", "'bad', 502"), "requirements.txt": "flask\n"}
    ),
    "app starts slowly": BootFault(
        _first(":\n"), files={"app.py": "import time\ntime.sleep(8)\n" + FLASK, "requirements.txt": "flask\n"}
    ),
    "app answers at length": BootFault(
        _first(":\n"),
        files={"app.py": FLASK.replace("'good'", "b'good'.ljust(64 << 20)"), "requirements.txt": "flask\n"},
    ),
    "packages do not build": BootFault(
        _first(":\n"),
        ("no compiler here",),
        {
            "app.py": FLASK,
            "requirements.txt": "flask\n./broken\n",
            "broken/setup.py": "raise SystemExit('no compiler here')\n",
        },
    ),
}
FAULTS: dict[str, BootFault] = {**MIRRORS, **PACKAGES, **DISKS, **BOOTS, **SHELLS, **PARTS, **APPS}
