"""Hostile texts: what each of the languages between a user and a running app would make something else of."""

from __future__ import annotations

import unicodedata

CANARY = "CANARY"  # stands for the path of a file that no command may ever make

_SHELL = (
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY",
    "| touch CANARY",
    "&& touch CANARY",
    "a';touch CANARY;'",
    'a";touch CANARY;"',
    "a\ntouch CANARY",
    "> CANARY",
    "${IFS}touch${IFS}CANARY",
    "*",
    "~",
    "!!",
    "$HOME",
    "a\\",
)
_OPTIONS = (
    "-oProxyCommand=touch CANARY",
    "--upload-pack=touch CANARY",
    "--exec=touch CANARY",
    "-x",
    "--",
    "-",
    "ext::sh -c touch% CANARY",
    "ssh://-oProxyCommand=touch CANARY/x",
    "git@host:-oProxyCommand=CANARY",
)
_YAML = (
    "*alias",
    '!!python/object/apply:os.system ["touch CANARY"]',
    "a: b",
    "a # b",
    "---\nruncmd: [[touch, CANARY]]",
    "<%",
    "- item",
    "{a: b}",
    "[a, b]",
    "&a",
    "%YAML 1.1",
    "|",
    "yes",
    "null",
    "1e3",
    "012",
    "2024-01-01",
)
_CLOUD_INIT = (
    "## template: jinja",
    "a\n## template: jinja\n{{7*7}}",
    "#cloud-boothook\ntouch CANARY",
    "#include http://127.0.0.1:9/",
    "{{7*7}}",
    "{% for x in y %}",
    "{{ ds.meta_data }}",
)
_NGINX = (";}", '"', "$host", 'a;\n return 200 "got you";', "a # b", "a;alias /etc/;")
_SYSTEMD = ("%h", "%%", "%n %i", "a\nExecStart=/bin/touch CANARY", "$MAINPID", "\\x20", "a\n[Install]")
_ENV_FILE = ('"quoted"', "'single'", "a\\nb", "a=b=c", " leading", "trailing ", "a\tb", "a\"b'c", "line\nline", "#a")
_UNICODE = (
    unicodedata.normalize("NFC", "caf\u00e9"),
    unicodedata.normalize("NFD", "caf\u00e9"),
    "a\u202eb",
    "a\u200bb",
    "\uff41\uff50\uff50",
    "\U0001f6a2",
    "\ufeffa",
    "a\u2028B=c",
    "a\u0085B=c",
    "\u0663.\u0661\u0662",
    "a\udcffb",
    "\ufb01n",
)
_PATHS = (
    "../../CANARY",
    "/etc/passwd",
    "..",
    ".",
    "a/../../b",
    "%2e%2e%2f",
    "~nobody",
    "~nobody-there/x",
    "//x",
    "a/" * 500,
)
_CONTROLS = ("\0", "a\0b", "a\rb", "a\r\nb", "\x1b[2J\x07", "\x7f", "a\x0bB=c", " ", "\ud800")
_LONG = ("x" * 300, "x" * 5000, "x" * 65536, "9" * 5000)

_TEXTS = (_SHELL, _OPTIONS, _YAML, _CLOUD_INIT, _NGINX, _SYSTEMD, _ENV_FILE, _UNICODE, _PATHS, _CONTROLS, _LONG)
PAYLOADS: tuple[str, ...] = tuple(dict.fromkeys(text for some in _TEXTS for text in some))


def aimed(payload: str, canary: object) -> str:
    """Aim a payload at a file that must not come to be."""
    return payload.replace(CANARY, str(canary))


def toml(text: str) -> str | None:
    """Write a text as a basic string of TOML; None where TOML has no way to."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return None
    plain = {'"': '\\"', "\\": "\\\\"}
    written = (plain.get(letter) or (letter if letter.isprintable() else f"\\U{ord(letter):08x}") for letter in text)
    return f'"{"".join(written)}"'
