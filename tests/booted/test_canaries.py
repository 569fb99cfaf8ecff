"""T14 on a real machine: values, passwords, keys and the token of a deploy stand nowhere but where they are for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gitserver
import pytest
from inside import Machine

from cloudship import fleet

NAME = "canaries"
MARK = "canary-t14"  # in every secret of ours
PLACES = "/etc /home /media /mnt /opt /root /run /srv /tmp /usr/local /var"
ENV_FILES = ["/etc/cloudship/env.json", *(f"/srv/{NAME}/releases/{number}/env.json" for number in (1, 2))]
OF_APPS = "cloudship-app"


def _patterns(secrets: list[str]) -> str:
    """Write what is looked for so that whoever looks for it does not find itself."""
    return " ".join(f"-e '[{one[0]}]{one[1:]}'" for one in secrets)


@pytest.fixture
def deployed(here: Path, root: Path, tmp_path: Path) -> str:
    """Launch and deploy by the command line, with every kind of secret; gives all that was said."""
    shutil.copytree(root / "examples/flask-hello", tmp_path / "source")
    gitserver.publish(tmp_path / "source", tmp_path)
    (tmp_path / "values.env").write_text(f"FROM_FILE={MARK}-file\n")
    index = {
        "UV_INDEX_URL": f"https://me:{MARK}-index@index.invalid/simple/"
    }  # of a deploy: a first boot has to find packages
    said = []
    with gitserver.GitServer(tmp_path, f"me:{MARK}-repository").serving() as server:
        source = f"http://me:{MARK}-repository@{server.host}/app.git"
        more = ["--env-file", str(tmp_path / "values.env"), "--cloud", "local"]
        for words in (["up", source, "--name", NAME], ["deploy", NAME, source]):
            verb = [sys.executable, "-m", "cloudship", "-v", "--debug", *words, *more]
            verb += ["--env", f"BY_{words[0].upper()}={MARK}-flag"]
            done = subprocess.run(
                verb,
                env={**os.environ, **(index if words[0] == "deploy" else {})},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-2000:]
            said.append(done.stdout + done.stderr)
    return "".join(said)


def test_secrets_stand_nowhere_but_in_the_file_that_is_for_them(here: Path, deployed: str, tmp_path: Path) -> None:
    """As root and as the app's user: disks, logs, journal, metadata, words of processes, histories, temporary files."""
    try:
        ship = fleet.get(NAME, cloud="local")
        token = json.loads((here / "endpoint.json").read_text())["token"]
        key = ship.files.identity.read_text().splitlines()[3:-1]
        secrets = [MARK, token, *(line for line in key if len(line) > 30)]
        looked_for, machine = _patterns(secrets), Machine(here, ship.droplet_id)
        found = machine.run(f"grep -rlsa -D skip {looked_for} {PLACES} || true").split()
        assert sorted(ENV_FILES) == sorted(found)
        assert {"640 root"} == set(machine.run(f"stat -c '%a %U' {' '.join(ENV_FILES)}").splitlines())
        assert "" == machine.run(f"journalctl --no-pager -o export | grep -a {looked_for} || true")
        assert "" == machine.run(f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -a {looked_for} || true")
        in_memory = machine.run(f"grep -lsa {looked_for} /proc/[0-9]*/environ || true").split()
        groups = [machine.run(f"cat {Path(one).parent}/cgroup", check=False) for one in in_memory]
        assert (True, []) == (len(groups) > 0, [one for one in groups if one and OF_APPS not in one])
        metadata = "curl -s -m 5 http://169.254.169.254/metadata/v1/user-data"
        assert "0" == machine.run(f"{metadata} | grep -c {looked_for} || true").strip()
        as_app = ship.run(f"grep -rlsa -D skip {looked_for} {PLACES}").stdout.split()
        assert set() == set(as_app) - set(ENV_FILES)
        assert [] == [secret for secret in secrets if secret in deployed]
        state = [path for path in Path(os.environ["CLOUDSHIP_STATE_DIR"]).rglob("*") if path.is_file()]
        assert [] == [path for path in state if path != ship.files.identity and _holds(path, secrets)]
        own = [path for path in here.iterdir() if path.is_file() and path.name != "endpoint.json"]
        assert [] == [path for path in own if _holds(path, secrets[:1])]
    finally:
        fleet.down(NAME, cloud="local")


def _holds(path: Path, secrets: list[str]) -> bool:
    data = path.read_bytes()
    return any(secret.encode() in data for secret in secrets)
