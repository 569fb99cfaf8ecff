"""What a droplet keeps to itself: its metadata, its doors; and what somebody hears who answers in its place."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from booted.deploying import shared_ship
from booted.inside import Machine

from cloudship import checkouts
from cloudship.errors import CloudshipError, HostKeyMismatch
from cloudship.keys import mint

CANARY = "canary-8b30-value"
# Every way to the metadata that a process has: by name of the address, and as IPv6 writes it.
PROBE = """
import json, pathlib, socket, sys
def tried(family, address):
    with socket.socket(family) as one:
        one.settimeout(3)
        try:
            one.connect((address, 80))
            one.sendall(b"GET /metadata/v1/user-data HTTP/1.0\\r\\nHost: 169.254.169.254\\r\\n\\r\\n")
            return one.recv(100).decode()
        except OSError as error:
            return f"closed: {type(error).__name__}"
ways = {
    "IPv4": (socket.AF_INET, "169.254.169.254"),
    "IPv4 in IPv6": (socket.AF_INET6, "::ffff:169.254.169.254"),
    "IPv6": (socket.AF_INET6, "fe80::a9fe:a9fe%eth0"),
    "its own IPv6": (socket.AF_INET6, "fd00:ec2::254"),
}
print("metadata", json.dumps({name: tried(*way) for name, way in ways.items()}), flush=True)
"""
APP = "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef home():\n    return 'home'\n"
PROCFILE = "web: gunicorn app:app\nworker: sh -c 'while true; do python probe.py; sleep 1; done'\n"
TOML = "[[schedule]]\nname = 'tick'\nrun = 'python probe.py'\nwhen = '*-*-* *:*:*'\n"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app whose processes try to read the metadata."""
    folder = tmp_path_factory.mktemp("strangers") / "app"
    folder.mkdir()
    files = {"app.py": APP, "probe.py": PROBE, "Procfile": PROCFILE, "cloudship.toml": TOML}
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "requirements.txt").write_text("flask\n")
    return folder


@pytest.fixture(scope="module")
def ship(machines: Path, app: Path) -> Iterator[Any]:
    """One ship for all of them."""
    with shared_ship(app, name="guarded", machines=machines, state=app.parent / "state") as found:
        yield found


@pytest.fixture(autouse=True)
def same_state(app: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of that ship lies in its own state folder."""
    monkeypatch.setenv("CLOUDSHIP_STATE_DIR", str(app.parent / "state"))


@pytest.fixture
def machine(ship: Any, here: Path) -> Machine:
    """Its droplet, from the host's side."""
    return Machine(here, ship.droplet_id)


def test_the_metadata_is_closed_to_every_process_of_the_app(ship: Any, machine: Machine) -> None:
    """To the web process, a worker, a job and any other user, on every way, also after a reboot; root reads it."""
    for moment in ("after the first boot", "after a reboot"):
        web = ship.run("python3 - <<'EOF'\n" + PROBE + "EOF").stdout
        nobody = machine.run(f"setpriv --reuid=nobody --clear-groups python3 -c '{PROBE}'")
        for said in (web, nobody, _until_said(ship, "worker"), _until_said(ship, "tick")):
            answers = json.loads(said.rpartition("metadata ")[2].splitlines()[0])
            assert 4 == len(answers), moment
            assert all(one.startswith("closed: ") for one in answers.values()), (moment, answers)
        root = json.loads(machine.run(f"python3 -c '{PROBE}'").partition(" ")[2])
        assert "200" in root["IPv4"], root
        if moment == "after the first boot":
            _rebooted(ship, machine)


def _until_said(ship: Any, process: str) -> str:
    deadline = time.monotonic() + 240
    while "metadata " not in (said := ship.logs(process=process, since="10s ago")):
        assert time.monotonic() < deadline, process
        time.sleep(0.2)
    return str(said)


def _rebooted(ship: Any, machine: Machine) -> None:
    began = machine.run("stat -c %Y /proc/1")
    machine.run("systemctl reboot", check=False)
    deadline = time.monotonic() + 120
    while machine.run("stat -c %Y /proc/1", check=False) in (began, "") or not _is_well(ship):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _is_well(ship: Any) -> bool:
    try:
        return bool(ship.status()["process"] == "running")
    except CloudshipError:
        return False


def test_nobody_gets_in_with_a_password(ship: Any, machine: Machine) -> None:
    """sshd's own account of itself, and a try: keys are all that it offers, and root has no password."""
    said = dict(line.split(" ", 1) for line in machine.run("sshd -T").splitlines() if " " in line)
    assert ("no", "no", "no", "yes", "without-password") == tuple(
        said[name]
        for name in (
            "passwordauthentication",
            "kbdinteractiveauthentication",
            "permitemptypasswords",
            "pubkeyauthentication",
            "permitrootlogin",
        )
    )
    assert machine.run("getent shadow root").split(":")[1].startswith(("!", "*"))
    for method in ("none", "password", "keyboard-interactive"):
        words = [*ship.openssh()[:-1], "-v", f"-oPreferredAuthentications={method}", "-oPubkeyAuthentication=no"]
        tried = [word for word in words if word not in ("-oPasswordAuthentication=no", "-oLogLevel=ERROR")]
        done = subprocess.run(
            [*tried, ship.openssh()[-1], "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        offered = [line for line in done.stderr.splitlines() if "can continue:" in line]
        assert (255, True) == (done.returncode, bool(offered)), done.stderr
        assert {"publickey"} == {line.rpartition(": ")[2] for line in offered}


def test_what_is_secret_lies_in_files_of_its_own(ship: Any) -> None:
    """On this machine the key and what is pinned are for this user alone, and so is their folder."""
    for path in (ship.files.identity, ship.files.known_hosts):
        assert 0o600 == path.stat().st_mode & 0o777, path
    assert 0o700 == ship.files.folder.stat().st_mode & 0o777


SSHD = """
set -e
mkdir -p /run/stranger
cp /run/stranger.key /run/stranger/key; chmod 600 /run/stranger/key
printf '#!/bin/sh\\necho "$1 $2"\\n' > /run/anybody; chmod 755 /run/anybody; chown root /run/anybody
cat > /run/stranger/config <<'END'
HostKey /run/stranger/key
PidFile /run/stranger/pid
LogLevel DEBUG1
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
PermitEmptyPasswords yes
AuthorizedKeysCommand /run/anybody %t %k
AuthorizedKeysCommandUser root
END
systemctl stop ssh.socket 2>/dev/null || true
systemctl stop ssh
mkdir -p /run/sshd
/usr/sbin/sshd -f /run/stranger/config -E /run/stranger/log
timeout 60 sh -c 'until [ -s /run/stranger/pid ]; do sleep 0.1; done'  # it returns before it listens
"""
GONE = """
pid=$(cat /run/stranger/pid)
kill $pid; timeout 60 sh -c "while kill -0 $pid 2>/dev/null; do sleep 0.1; done"  # it holds the port until then
rm -rf /run/stranger
systemctl start ssh
"""
VERBS = {
    "run": ("run", "guarded", "--", "id"),
    "ssh": ("ssh", "guarded"),
    "logs": ("logs", "guarded"),
    "deploy": ("deploy", "guarded", "APP"),
    "env": ("env", "guarded", "set", f"SECRET={CANARY}"),
}


def _temporary(machine: Machine) -> str:
    """Find the temporary key where everybody with root's rights finds it: in the user-data."""
    text = machine.run("curl -sf http://169.254.169.254/metadata/v1/user-data")
    return str(yaml.safe_load(text)["ssh_keys"]["ed25519_private"])


STRANGERS: dict[str, Callable[[Machine], str]] = {
    "with the temporary key": _temporary,
    "with another key": lambda _machine: mint("stranger").private.reveal(),
    "with no key that fits": lambda machine: machine.run(
        "rm -f /run/ec*; ssh-keygen -q -t ecdsa -N '' -f /run/ec; cat /run/ec"
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_whoever_answers_in_the_droplets_place_hears_nothing(
    ship: Any, machine: Machine, app: Path, tmp_path: Path, name: str
) -> None:
    """Not by any verb, not by `git push ship main`: no request to log in, and each command says why it failed."""
    key = STRANGERS[name](machine)
    machine.run(f"cat > /run/stranger.key <<'END'\n{key.strip()}\nEND")
    checkout = _checkout(tmp_path, app, ship)
    machine.run(SSHD)
    try:
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            ship.set_env({"SECRET": CANARY})
        for verb, words in VERBS.items():
            done = _said(*(str(app) if word == "APP" else word for word in words))
            assert done.returncode in ((255,) if verb in ("run", "ssh") else (1,)), (verb, done.stderr)
            assert any(text in done.stderr.lower() for text in ("host key", "pinned kind")), (verb, done.stderr)
            assert done.stderr.count("\n") <= 16
        pushed = subprocess.run(
            ["git", "-C", str(checkout), "push", "ship", "main"], capture_output=True, text=True, check=False
        )
        assert pushed.returncode != 0
        log = machine.run("cat /run/stranger/log")
    finally:
        machine.run(GONE)
    assert log.count("Connection from") > len(VERBS)
    assert [] == [line for line in log.splitlines() if "userauth" in line or "Accepted" in line or "session" in line]
    assert CANARY not in log
    assert "home" in subprocess.run(["curl", "-s", ship.url], capture_output=True, text=True, check=True).stdout


def _said(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours as people do."""
    whole = [sys.executable, "-m", "cloudship", *words]
    return subprocess.run(whole, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)


def _checkout(folder: Path, app: Path, ship: Any) -> Path:
    """Make a checkout with the remote that `up` sets up."""
    place = folder / "checkout"
    subprocess.run(["cp", "-r", str(app), str(place)], check=True)
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    told = checkouts.tie(place.resolve(), ship.files, name=ship.name, address=ship.ip_address)
    assert "git push ship main deploys from here" == told
    return place
