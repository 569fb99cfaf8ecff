"""Droplets as systemd-nspawn containers: real booted systems without a daemon."""

from cloudship.local.machines.nspawn.driver import NspawnDriver

__all__ = ["NspawnDriver"]
