"""Root file systems: built once from the mirrors that this host is set up to use, then shared read-only."""

from cloudship.local.machines.rootfs.build import build, built
from cloudship.local.machines.rootfs.recipe import Recipe, recipe

__all__ = ["Recipe", "build", "built", "recipe"]
