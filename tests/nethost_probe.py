"""Inside a host of its own: open a local cloud's network under a foreign filter, ask from a droplet, close again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

from cloudship.local.machines.nspawn import passage
from cloudship.local.machines.nspawn.names import Names
from cloudship.local.machines.nspawn.network import METADATA_ADDRESS, Wiring

_ASK = "import socket,sys; host,port,limit=sys.argv[1:]; "
_ASK += "print(socket.create_connection((host, int(port)), float(limit)).recv(9).decode())"


def main(folder: Path, outside: str, port: int, later: str) -> None:
    """Say what a droplet reaches, with our rules and without, and whether all is as before at the end."""
    before = rules()
    wiring = Wiring(Names("ab12cd"), folder / "network.json")
    if later:
        network = wiring.open()
        subprocess.run(["sh", "-c", later], check=True)
        before = _without(rules(), wiring)
    else:
        network = wiring.open()
    space = Path(wiring.plug(7, network.subnet[9], network.subnet)).name
    assert network.metadata_bind is not None
    server = socket.create_server(network.metadata_bind)
    threading.Thread(target=_serve, args=(server,), daemon=True).start()
    told = {
        "forwarding": passage.FORWARDING.read_text().strip(),
        "outside": _asked(space, outside, port),
        "metadata": _asked(space, METADATA_ADDRESS, 80),
    }
    wiring.open()  # as after a crash: nothing is there twice
    told["ours"] = sum(wiring.names.table in line and "comment" in line for line in rules().splitlines())
    passage.Passage(wiring.names.bridge, wiring.names.table, network.gateway, 8169).close()
    told["shut out"] = [_asked(space, outside, port, limit=2), _asked(space, METADATA_ADDRESS, 80, limit=2)]
    wiring.plug(7, network.subnet[9], network.subnet)
    wiring.unplug(7)
    wiring.close()
    told["as before"] = rules() == before
    told["forwarding after"] = passage.FORWARDING.read_text().strip()
    sys.stdout.write(json.dumps(told) + "\n")


def rules() -> str:
    """Read every filter there is, without what counts."""
    texts = [subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, text=True, check=True).stdout]
    names = Path("/proc/net/ip_tables_names")
    if names.exists() and names.read_text().strip():
        saved = subprocess.run(["iptables-legacy-save"], capture_output=True, text=True, check=True).stdout
        texts += [line.partition("[")[0] for line in saved.splitlines() if not line.startswith("#")]
    return "\n".join(texts)


def _without(text: str, wiring: Wiring) -> str:
    """Leave out our own table, which stood before the other filter came."""
    head = f"table ip {wiring.names.table} {{\n"
    begin = text.index(head)
    return text[:begin] + text[text.index("\n}\n", begin) + 3 :]


def _asked(space: str, host: str, port: int, limit: float = 30) -> str:
    words = ["ip", "netns", "exec", space, sys.executable, "-c", _ASK, host, str(port), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "nothing"


def _serve(server: socket.socket) -> None:
    with server:
        while True:
            connection, _ = server.accept()
            connection.sendall(b"metadata")
            connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
