"""The user-data: valid, small, and every value exactly what it was."""

from __future__ import annotations

import ast
import base64
import bz2
import json
import tarfile
from io import BytesIO
from typing import Any

import pytest
import yaml

from cloudship import render
from cloudship.errors import UserDataError
from cloudship.keys import mint
from cloudship.render import BootSpec, GitSource, HostKey

PAIR = mint("temporary")
PUSHED = BootSpec(
    name="web", authorized_keys=("ssh-ed25519 AAAA me",), host_key=HostKey(private=PAIR.private, public=PAIR.public)
)
CLONED = BootSpec(name="web", git=GitSource(url="https://example.org/app.git", ref="main"))


def _parsed(spec: BootSpec) -> dict[str, Any]:
    return dict(yaml.safe_load(render.render(spec).text))


def _droplet(parsed: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(_file(parsed, "/etc/cloudship/droplet.json")))


def _file(parsed: dict[str, Any], path: str) -> str:
    return next(str(one["content"]) for one in parsed["write_files"] if one["path"] == path)


@pytest.mark.parametrize("spec", [PUSHED, CLONED])
def test_both_documents_fit_and_begin_as_cloud_init_wants(spec: BootSpec) -> None:
    """First line, ASCII, at most 64 KiB."""
    found = render.render(spec)
    assert found.text.startswith("#cloud-config\n")
    assert found.text.isascii()
    assert found.size <= 64 * 1024


def test_the_pushed_document_carries_the_temporary_host_key_and_no_url() -> None:
    """A client connects to it and pushes."""
    parsed = _parsed(PUSHED)
    assert PAIR.private.reveal() == parsed["ssh_keys"]["ed25519_private"]
    assert _droplet(parsed)["git"] is None


def test_the_cloned_document_carries_the_url_and_no_key() -> None:
    """Nobody connects; the droplet makes its own keys."""
    parsed = _parsed(CLONED)
    assert "ssh_keys" not in parsed
    assert {"url": "https://example.org/app.git", "ref": "main"} == _droplet(parsed)["git"]


def test_the_metadata_is_closed_before_anything_else_runs() -> None:
    """A rule for every boot, not only the first."""
    assert "169.254.169.254" in str(_parsed(PUSHED)["bootcmd"])


def test_settings_arrive_exactly() -> None:
    """Quotes, templates and shell characters pass through YAML and JSON unharmed."""
    hostile = {"build": "echo \"{{ 7*7 }}\" '$(id)' `id` #: \\ %s\u00e9", "app": "a:b"}
    assert hostile == _droplet(_parsed(PUSHED.model_copy(update={"settings": hostile})))["settings"]


def test_letters_of_every_size_pass_through_yaml() -> None:
    """Also those that JSON writes in two halves, which YAML would take for two letters."""
    key = "ssh-ed25519 AAAA caf\u00e9 \u2028 \x7f \U0001f6a2 {{x}} #"
    assert [key] == _parsed(PUSHED.model_copy(update={"authorized_keys": (key,)}))["users"][0]["ssh_authorized_keys"]
    settings = {"build": "echo \U0001f6a2"}
    assert settings == _droplet(_parsed(PUSHED.model_copy(update={"settings": settings})))["settings"]


def test_without_a_key_there_is_no_list_of_them() -> None:
    """cloud-init's schema wants at least one in it."""
    assert [{"name": "root", "lock_passwd": True}] == _parsed(CLONED.model_copy(update={"authorized_keys": ()}))[
        "users"
    ]


def test_the_program_is_packed_whole_and_the_same_each_time() -> None:
    """Equal files give equal bytes."""
    packed = _file(_parsed(PUSHED), "/opt/cloudship/droplet.tar.bz2")
    assert packed == _file(_parsed(CLONED), "/opt/cloudship/droplet.tar.bz2")
    with tarfile.open(fileobj=BytesIO(bz2.decompress(base64.b64decode(packed)))) as archive:
        names = archive.getnames()
    expected = sorted(f"droplet/{path.name}" for path in (render.userdata_folder() / "droplet").glob("*.py"))
    assert expected == sorted(name for name in names if name.startswith("droplet/"))
    assert "files/etc/systemd/system/cloudship-app@.service" in names


class _Undocumented(ast.NodeTransformer):
    """Takes the docstrings out of a tree."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node


def test_what_is_packed_means_what_is_written() -> None:
    """Only docstrings and comments are left out, in every module."""
    packed = dict(render._modules())
    for path in (render.userdata_folder() / "droplet").glob("*.py"):
        written = _Undocumented().visit(ast.parse(path.read_text()))
        sent = packed[f"droplet/{path.name}"]
        assert ast.dump(written) == ast.dump(ast.parse(sent)), path.name
    assert "# " in (render.userdata_folder() / "droplet" / "swap.py").read_text()
    assert "# " not in packed["droplet/swap.py"]


def test_the_users_own_part_is_laid_under_ours() -> None:
    """Its lists follow ours; keys that only it has are taken; ours stand."""
    extra = "#cloud-config\nruncmd: [[touch, /x]]\ntimezone: UTC\nssh_pwauth: true\n"
    parsed = _parsed(PUSHED.model_copy(update={"extra": extra}))
    assert ["touch", "/x"] == parsed["runcmd"][-1]
    assert ("UTC", False) == (parsed["timezone"], parsed["ssh_pwauth"])


@pytest.mark.parametrize(
    ("extra", "message"),
    [("- a list", "mapping"), ("a: [", "no YAML"), ("x: '" + "y" * 70000 + "'", "at most 65536")],
)
def test_user_data_that_would_be_refused_is_refused_here(extra: str, message: str) -> None:
    """Exit 2 before anything is created."""
    with pytest.raises(UserDataError, match=message):
        render.render(PUSHED.model_copy(update={"extra": extra}))


@pytest.mark.parametrize("text", ["a b", "a;", "a\nb", "$host", "{", '"'])
def test_nginx_gets_plain_words_only(text: str) -> None:
    """Whatever is more than a word is refused."""
    with pytest.raises(UserDataError):
        render.nginx_quote(text)


def test_quoting_for_each_language() -> None:
    """Shell words survive a shell; systemd's specifiers are doubled."""
    import subprocess

    hostile = "a'b\"c $(id) `id` \\ \n x"
    shown = subprocess.run(
        ["sh", "-c", f"printf %s {render.shell_quote(hostile)}"], capture_output=True, text=True, check=True
    )
    assert hostile == shown.stdout
    assert "100%%" == render.systemd_quote("100%")


@pytest.mark.parametrize(
    "extra", ["a: 2024-13-45", "a: " + "[" * 5000, "a: " + "9" * 5000, "a: !!python/name:os.system"]
)
def test_yaml_that_python_stumbles_over_is_refused(extra: str) -> None:
    """A date that is none, brackets and digits without an end."""
    with pytest.raises(UserDataError, match="user_data"):
        render.render(PUSHED.model_copy(update={"extra": extra}))


def test_the_users_own_part_keeps_its_types() -> None:
    """Dates, numbers as keys, links between parts: nothing becomes a text on the way."""
    extra = "power_state: {1: 2024-01-01, true: .5, ~: !!binary aGk=}\nlist: &a [1, 'two: #']\nagain: *a\n"
    theirs, parsed = yaml.safe_load(extra), _parsed(PUSHED.model_copy(update={"extra": extra}))
    assert theirs == {key: parsed[key] for key in theirs}
    assert _parsed(PUSHED) == {key: parsed[key] for key in _parsed(PUSHED)}


def test_what_makes_user_data_too_large_is_named() -> None:
    """The key, not only the size."""
    with pytest.raises(UserDataError, match="the most of it is build"):
        render.render(PUSHED.model_copy(update={"settings": {"build": "x" * 66_000, "app": "a:b"}}))
