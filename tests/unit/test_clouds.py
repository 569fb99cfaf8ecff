"""Which cloud is meant, and where a token may go."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cloudship import clouds
from cloudship.errors import ConfigError, CredentialsError, LocalCloudUnavailable
from cloudship.keys import state_folder
from cloudship.local import endpoint
from cloudship.local.endpoint import directory_of, process_started
from cloudship.local.machines.rootfs.build import cache_folder
from cloudship.models import Cloud, Endpoint, Secret

REAL = "dop_v1_" + "a" * 64


def _never() -> None:
    raise LocalCloudUnavailable("it was started")


def _running(place: Path) -> dict[str, str]:
    place.mkdir()
    told = {"url": "http://127.0.0.1:7", "token": "t", "pid": os.getpid(), "started": process_started(os.getpid())}
    told["driver"] = "none"
    (place / "endpoint.json").write_text(json.dumps(told))
    return {"CLOUDSHIP_LOCAL_DIR": str(place)}


def test_a_configured_token_means_digitalocean() -> None:
    """With a token and nothing said, the real cloud is meant."""
    found = clouds.choose(None, start_local=_never, environ={"DIGITALOCEAN_TOKEN": REAL})
    assert (Cloud.DIGITALOCEAN, clouds.DIGITALOCEAN_URL) == (found.cloud, found.url)


def test_without_anything_the_local_cloud_is_started(tmp_path: Path) -> None:
    """No token, no endpoint: local."""
    environ = {"CLOUDSHIP_LOCAL_DIR": str(tmp_path / "c")}
    found = clouds.choose(None, start_local=lambda: _running(tmp_path / "c") and None, environ=environ)
    assert (Cloud.LOCAL, "http://127.0.0.1:7/v2/") == (found.cloud, found.url)


def test_a_real_token_never_goes_to_another_endpoint() -> None:
    """An emulator named in the environment does not get DigitalOcean's token."""
    environ = {"DIGITALOCEAN_END_POINT": "http://127.0.0.1:9/v2/", "DIGITALOCEAN_ACCESS_TOKEN": REAL}
    with pytest.raises(CredentialsError):
        clouds.choose(None, start_local=_never, environ=environ)


def test_an_endpoint_that_is_neither_ours_nor_digitaloceans_is_refused() -> None:
    """A host somewhere else is no cloud of ours."""
    environ = {"DIGITALOCEAN_API_URL": "https://api.example.org", "DIGITALOCEAN_TOKEN": "x"}
    with pytest.raises(ConfigError, match="neither"):
        clouds.choose(None, start_local=_never, environ=environ)


def test_an_endpoint_that_disagrees_with_the_flag_is_refused(tmp_path: Path) -> None:
    """--cloud digitalocean with a loopback endpoint is a contradiction."""
    environ = {**_running(tmp_path / "c"), "DIGITALOCEAN_API_URL": "http://127.0.0.1:7"}
    with pytest.raises(ConfigError, match="disagrees"):
        clouds.choose(Cloud.DIGITALOCEAN, start_local=_never, environ=environ)
    assert Cloud.LOCAL is clouds.choose(None, start_local=_never, environ=environ).cloud


def test_digitalocean_without_a_token_says_how_to_set_one() -> None:
    """The next step is in the error."""
    with pytest.raises(CredentialsError) as caught:
        clouds.choose(Cloud.DIGITALOCEAN, start_local=_never, environ={})
    assert "DIGITALOCEAN_ACCESS_TOKEN" in (caught.value.next_step or "")


def test_doctls_own_configuration_is_read(tmp_path: Path) -> None:
    """A token that doctl uses is used, of the context that is in use."""
    place = tmp_path / ".config" / "doctl"
    place.mkdir(parents=True)
    (place / "config.yaml").write_text("access-token: one\ncontext: work\nauth-contexts:\n  work: two\n")
    found = clouds.token({"HOME": str(tmp_path)})
    assert found is not None
    assert "two" == found.reveal()


def test_both_sides_agree_on_where_the_local_cloud_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library and the local cloud share no code, but one rule."""
    monkeypatch.setenv("CLOUDSHIP_LOCAL_DIR", str(tmp_path))
    assert directory_of() == clouds.local_directory()
    monkeypatch.delenv("CLOUDSHIP_LOCAL_DIR")
    assert directory_of() == clouds.local_directory()


def test_folders_that_are_named_from_where_one_stands_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, local cloud and cache: other programs are told where they lie, and stand elsewhere."""
    monkeypatch.chdir(tmp_path)
    for name in ("STATE", "LOCAL", "CACHE"):
        monkeypatch.setenv(f"CLOUDSHIP_{name}_DIR", name.lower())
    found = [state_folder(), clouds.local_directory(), directory_of(), cache_folder()]
    assert [tmp_path / name for name in ("state", "local", "local", "cache/rootfs")] == found


def test_a_local_cloud_whose_number_is_another_process_by_now_does_not_run(tmp_path: Path) -> None:
    """After kill -9 or a reboot the record stays: both sides take it for a dead one's, and `up` starts the cloud."""
    place = tmp_path / "c"
    environ = _running(place)
    assert (True, True) == (clouds.local(environ) is not None, endpoint.read(place) is not None)
    told = json.loads((place / "endpoint.json").read_text())
    (place / "endpoint.json").write_text(json.dumps({**told, "started": told["started"] - 1}))
    assert (None, None) == (clouds.local(environ), endpoint.read(place))
    with pytest.raises(LocalCloudUnavailable, match="it was started"):
        clouds.choose(None, start_local=_never, environ=environ)
    assert () == clouds.reachable(None, environ={**environ, "HOME": "/nonexistent"})


def test_a_local_cloud_that_died_and_was_not_waited_for_does_not_run(tmp_path: Path) -> None:
    """A zombie has its number and its beginning still, and answers nothing."""
    environ = _running(tmp_path / "c")
    dead = subprocess.Popen(["sleep", "60"])
    began = process_started(dead.pid)
    dead.kill()
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    told = json.loads((tmp_path / "c" / "endpoint.json").read_text())
    (tmp_path / "c" / "endpoint.json").write_text(json.dumps({**told, "pid": dead.pid, "started": began}))
    found = clouds.local(environ), endpoint.read(tmp_path / "c")
    dead.wait()
    assert (None, None) == found


@pytest.mark.parametrize("text", ["two words", "line\nend", "na\u00efve", "\x00"])
def test_what_can_be_no_token_is_refused_without_showing_it(text: str) -> None:
    """The library would show it in its own error; blanks around a token are a file's line end, and are taken off."""
    with pytest.raises(CredentialsError, match="DIGITALOCEAN_TOKEN") as caught:
        clouds.token({"DIGITALOCEAN_TOKEN": text})
    assert text not in str(caught.value)
    assert Secret("dop_v1_x") == clouds.token({"DIGITALOCEAN_TOKEN": "dop_v1_x\n"})
    assert clouds.token({"DIGITALOCEAN_TOKEN": " \n", "HOME": "/nonexistent"}) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "ftp://127.0.0.1/",
        "127.0.0.1:80",
        "http://",
        "http://me:hunter2@127.0.0.1/",
        "http://127.0.0.1:99999",
    ],
)
def test_what_is_no_address_of_an_api_is_refused_without_showing_it(url: str) -> None:
    """By the variable that holds it."""
    with pytest.raises(ConfigError, match="DIGITALOCEAN_API_URL holds no address") as caught:
        clouds.choose(None, start_local=lambda: None, environ={"DIGITALOCEAN_API_URL": url})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("token", [REAL, "dor_v1_x", "0123456789abcdef" * 4])
def test_no_token_of_digitaloceans_goes_to_this_machine(tmp_path: Path, token: str) -> None:
    """Old ones have no beginning of their own: they are 64 hexadecimal digits."""
    environ = {"DIGITALOCEAN_END_POINT": "http://127.0.0.1:9", "CLOUDSHIP_LOCAL_DIR": str(tmp_path)}
    with pytest.raises(CredentialsError, match="is not sent to"):
        clouds.choose(None, start_local=_never, environ={**environ, "DIGITALOCEAN_TOKEN": token})


def test_an_account_is_marked_without_its_token() -> None:
    """The same token is the same account, on each cloud; the mark does not hold it."""
    endpoint = Endpoint(cloud=Cloud.LOCAL, url="http://127.0.0.1:1/v2/", token=Secret("dop_v1_abc"))
    others = (
        endpoint.model_copy(update={"token": Secret("dop_v1_abd")}),
        endpoint.model_copy(update={"cloud": Cloud.DIGITALOCEAN}),
    )
    assert endpoint.mark == endpoint.model_copy(update={"url": "http://127.0.0.1:2/v2/"}).mark
    assert 3 == len({endpoint.mark, *(one.mark for one in others)})
    assert (True, False) == (endpoint.mark.startswith("local/"), "dop_v1" in endpoint.mark)
