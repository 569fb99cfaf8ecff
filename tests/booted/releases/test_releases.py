"""What a release brings with it on a real machine: processes, values, files, packages, an order among them."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from booted.deploying import until, write

from cloudship.errors import ReleaseFailed


def test_processes_and_schedules_follow_the_release(ship: Any, app: Path, tmp_path: Path) -> None:
    """A line of the Procfile is a process, as many as asked for, a job runs at its time; both go with their line."""
    procfile = "web: gunicorn app:app\nworker: sh -c 'while true; do echo at work; sleep 0.2; done'\n"
    toml = "[[schedule]]\nname = 'tick'\nrun = 'echo ticked'\nwhen = '*-*-* *:*:*'\n"
    ship.deploy(write(tmp_path / "several", Procfile=procfile, cloudship__toml=toml))
    until(lambda: "at work" in ship.logs(process="worker") and "ticked" in ship.logs(process="tick"))
    assert {"worker": 2} == ship.scale(worker=2)
    until(lambda: ship.status()["processes"]["worker"] == {"count": 2, "state": "running"})
    ship.deploy(write(app))
    until(lambda: set(ship.status()["processes"]) == {"web"})
    shown = "systemctl list-units --plain --no-legend 'cloudship-worker@*' 'cloudship-job-*'"
    until(lambda: ship.run(shown, root=True).stdout.strip() == "")


def test_keys_given_from_outside_go_with_the_release_that_failed_of_them(ship: Any, app: Path, tmp_path: Path) -> None:
    """The next deploy, and the next push, are built as before."""
    outside = tmp_path / "outside.toml"
    outside.write_text("build = 'exit 4'\n")
    with pytest.raises(ReleaseFailed, match="the build command"):
        ship.deploy(write(app), config_file=outside)
    ship.deploy(write(app))


def test_values_make_a_release_and_come_back_with_a_rollback(ship: Any, app: Path) -> None:
    """Byte for byte, without a build; the earlier release has the earlier values."""
    ship.deploy(write(app, work="return os.environ.get('WORD', 'none')"))
    number = ship.releases()[0].number
    hostile = 'a "b" $c\n\\ %s ü'
    ship.set_env({"WORD": hostile})
    assert hostile == requests.get(ship.url, timeout=30).content.decode()
    assert ship.set_env({"WORD": hostile}) is None
    ship.rollback(number)
    assert "none" == requests.get(ship.url, timeout=30).text


def test_the_command_line_changes_a_ship_too(ship: Any, app: Path, tmp_path: Path) -> None:
    """Values from a file, byte for byte, hidden unless asked for; back again; and the log of any release."""
    number = ship.deploy(write(app, work="return os.environ.get('WORD', 'none')")).release
    (tmp_path / "values.env").write_text("WORD='it is $5 \\n'\nOTHER=x\n")

    def typed(*words: str) -> str:
        command = [sys.executable, "-m", "cloudship", *words, "--cloud", "local"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    made = json.loads(typed("env", ship.name, "import", str(tmp_path / "values.env"), "--json"))
    assert {"name": ship.name, "release": number + 1, "changed": True} == made
    assert "it is $5 \\n" == requests.get(ship.url, timeout=30).text
    assert {"WORD=***", "OTHER=***"} <= set(typed("env", ship.name, "list").splitlines())
    typed("env", ship.name, "unset", "OTHER")
    assert {"WORD": "it is $5 \\n"} == json.loads(typed("env", ship.name, "list", "--reveal", "--json"))
    assert ship.url == typed("rollback", ship.name, str(number)).strip()
    assert "none" == requests.get(ship.url, timeout=30).text
    log = json.loads(typed("releases", ship.name, str(number), "--log", "--json"))
    assert {"receive", "dependencies", "probe", "switch"} <= {one["stage"] for one in log if one["seconds"] is not None}
    assert "off" == typed("maintenance", ship.name, "status").strip()


def test_pages_of_the_release_before_still_find_their_hashed_files(ship: Any, app: Path, tmp_path: Path) -> None:
    """For as long as it is the one before; hashed names are cached for ever, plain ones are not."""
    names = ("app.3f9ac21b.js", "app.77c0de11.js")
    for name in names:
        folder = write(tmp_path / name)
        (folder / "static").mkdir()
        (folder / "static" / name).write_text(f"// {name}")
        (folder / "static" / "plain.js").write_text(f"// plain with {name}")
        ship.deploy(folder)
    for name in names:
        answer = requests.get(f"{ship.url}static/{name}", timeout=30)
        assert (f"// {name}", True) == (answer.text, "immutable" in answer.headers["Cache-Control"])
    plain = requests.get(f"{ship.url}static/plain.js", timeout=30)
    assert (f"// plain with {names[1]}", False) == (plain.text, "immutable" in plain.headers["Cache-Control"])
    ship.deploy(write(app))


def test_a_later_release_brings_packages_and_their_services(ship: Any, app: Path) -> None:
    """They run when its release command does; the next release finds them there."""
    asked = "apt = ['cron']\nrelease = 'systemctl is-active cron'\n"
    ship.run("systemctl is-active cron || true; apt-get -qq -y purge cron >/dev/null", root=True)
    for stages in (1, 0):
        ship.deploy(write(app, cloudship__toml=asked))
        log = ship.release_log()
        assert ["active"] == [one["text"] for one in log if (one["stage"], one["state"]) == ("release", "output")]
        assert stages == sum((one["stage"], one["state"]) == ("packages", "done") for one in log)


def test_maintenance_closes_the_site_and_deploys_go_on(ship: Any, app: Path) -> None:
    """503 with a page and Retry-After for visitors; the release behind it is the new one."""
    ship.close_site("Back at <noon>")
    closed = requests.get(ship.url, timeout=30)
    assert (503, "120") == (closed.status_code, closed.headers["Retry-After"])
    assert "Back at &lt;noon&gt;" in closed.text
    number = ship.deploy(write(app)).release
    assert 503 == requests.get(ship.url, timeout=30).status_code
    ship.open_site()
    assert str(number) == requests.get(ship.url, timeout=30).text.split()[0]


GO = "/srv/released/go"
WAITS = f'timeout 120 sh -c "until [ -e {GO} ]; do sleep 0.1; done"'


def test_two_deploys_at_once_come_one_after_the_other(ship: Any, app: Path, tmp_path: Path) -> None:
    """The second one hears for whom it waits, and is live in the end."""
    begun, said = threading.Event(), list[str]()
    slow = write(tmp_path / "slow", mark="first", cloudship__toml=f"build = '{WAITS}'\n")

    def heard(event: Any) -> None:
        if getattr(event, "line", "").startswith("-> build"):
            begun.set()

    def waits(event: Any) -> None:
        said.append(getattr(event, "line", ""))
        if "waiting for release" in said[-1]:
            ship.run(["touch", GO], root=True)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(ship.deploy, slow, notify=heard)
        assert begun.wait(120)
        second = ship.deploy(write(app, mark="second"), notify=waits)
        number = first.result().release
    assert any(line.startswith(f"cloudship: waiting for release {number} (") for line in said), said
    assert (number + 1, f"{number + 1} second") == (second.release, requests.get(ship.url, timeout=30).text)


def test_git_push_releases_and_a_failed_release_rejects_the_push(ship: Any, app: Path, tmp_path: Path) -> None:
    """The remote that `up` would set up in a checkout; the release log streams, and the URL is said."""
    from cloudship import checkouts

    checkout = write(tmp_path / "checkout", mark="pushed")
    git = ("git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    assert "git push ship main deploys from here" == checkouts.tie(
        checkout.resolve(), ship.files, name=ship.name, address=ship.ip_address
    )
    done = subprocess.run([*git, "push", "ship", "main"], capture_output=True, text=True, check=True)
    assert "is live" in done.stderr
    assert ship.url in done.stderr
    assert "pushed" in requests.get(ship.url, timeout=30).text
    write(checkout, top="import nothing_at_all")
    subprocess.run([*git, "commit", "-q", "-a", "-m", "two"], check=True)
    done = subprocess.run([*git, "push", "ship", "main"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nothing_at_all" in done.stderr
    assert "cloudship releases released --log" in done.stderr
    assert "pushed" in requests.get(ship.url, timeout=30).text
