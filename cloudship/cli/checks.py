"""What `doctor` looks at."""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple

from cloudship.enums import Cloud


class Check(NamedTuple):
    """One thing that `up` needs."""

    name: str
    ok: bool
    found: str
    mend: str


def checks(cloud: Cloud | None) -> tuple[Check, ...]:
    """Look at everything that matters for a cloud, or for both."""
    found = [_program("git", "apt-get install git"), _program("ssh", "apt-get install openssh-client"), _keys()]
    if cloud is not Cloud.LOCAL:
        found += _digitalocean(wanted=cloud is Cloud.DIGITALOCEAN)
    if cloud is not Cloud.DIGITALOCEAN:
        found += _local()
    return tuple(found)


def _program(name: str, mend: str) -> Check:
    place = shutil.which(name)
    return Check(name, place is not None, place or "not installed", mend)


def _keys() -> Check:
    from cloudship.errors import ConfigError
    from cloudship.keys import own_public_keys

    try:
        found = own_public_keys(())
    except ConfigError as error:
        return Check("keys", ok=False, found=str(error), mend="ssh-keygen -t ed25519")
    shown = f"{len(found)} of your own will be authorised" if found else "none of your own; each ship gets its own key"
    return Check("keys", ok=True, found=shown, mend="ssh-keygen -t ed25519")


def _digitalocean(*, wanted: bool) -> list[Check]:
    from cloudship import clouds, plan
    from cloudship.cli.finding import trace
    from cloudship.client import Client
    from cloudship.errors import CloudshipError, NotFound
    from cloudship.models import Endpoint

    token = clouds.token()
    mend = "export DIGITALOCEAN_ACCESS_TOKEN=..."
    if token is None or token.reveal().startswith("cloudship_local_"):
        return [Check("token", not wanted, "no token for DigitalOcean", mend)]
    client = Client(Endpoint(cloud=Cloud.DIGITALOCEAN, url=clouds.DIGITALOCEAN_URL, token=token), notify=trace())
    try:
        account = client.account()
        used = len(client.droplets())
    except CloudshipError as error:
        return [Check("token", ok=False, found=str(error), mend=mend)]
    found = [
        Check("token", account.status != "locked", f"{account.email}, {account.status}", "ask DigitalOcean's support"),
        Check(
            "quota",
            used < account.droplet_limit,
            f"{used} of {account.droplet_limit} droplets",
            "ask DigitalOcean for more",
        ),
    ]
    try:
        client.image(plan.IMAGES[0])
        found.append(Check("image", ok=True, found=f"{plan.IMAGES[0]} is offered", mend=""))
    except NotFound:
        mend = f'image = "{plan.IMAGES[1]}" in cloudship.toml'
        found.append(Check("image", ok=True, found=f"{plan.IMAGES[0]} is gone; {plan.IMAGES[1]} follows it", mend=mend))
    return found


def _local() -> list[Check]:
    from cloudship.local import endpoint
    from cloudship.local import setup as machine
    from cloudship.local.machines.registry import driver

    steps = machine.missing()
    lacking = "; ".join(step.title for step in steps)
    root = os.geteuid() == 0 or shutil.which("sudo") is not None
    reason = driver("nspawn", endpoint.directory_of()).unavailable() if os.geteuid() == 0 else None
    return [
        Check("root", root, "root or sudo is to be had" if root else "neither root nor sudo", "become root"),
        Check("engine", not steps and reason is None, lacking or reason or "systemd-nspawn", "cloudship local setup"),
        *_forward_policy(),
        _local_cloud(),
    ]


def _local_cloud() -> Check:
    """See whether it can be asked; what stops it is what whoever looks here wants to know."""
    from cloudship.cli.localcloud import FOLDER
    from cloudship.local import control
    from cloudship.local.errors import LocalCloudError, NoAnswer

    try:
        found = control.status()
    except NoAnswer as error:
        return Check("local cloud", ok=False, found=str(error), mend=error.mend)
    except LocalCloudError as error:
        return Check("local cloud", ok=False, found=str(error), mend="cloudship local start")
    except OSError as error:
        return Check("local cloud", ok=False, found=f"its folder cannot be used: {error}", mend=FOLDER)
    state = f"runs at {found.endpoint.url}" if found.endpoint else "does not run; it starts when it is needed"
    return Check("local cloud", ok=True, found=f"{state}, {found.droplets} droplets", mend="cloudship local start")


def _forward_policy() -> list[Check]:
    """See whether something on this host refuses to forward packets, as Docker and ufw do."""
    from cloudship.local import programs
    from cloudship.local.machines.base import DriverError
    from cloudship.local.machines.nspawn import passage

    if os.geteuid() != 0 or programs.find("nft") is None:
        return [Check("forward policy", ok=True, found="only root can see it", mend="sudo cloudship doctor")]
    try:
        names = passage.refusing()
    except DriverError as error:
        return [Check("forward policy", ok=False, found=str(error), mend="apt-get install nftables")]
    if not names:
        return [Check("forward policy", ok=True, found="nothing here refuses to forward", mend="")]
    shown = f"{', '.join(names)} refuse; the local cloud lets itself through while it runs"
    return [Check("forward policy", ok=True, found=shown, mend="")]
