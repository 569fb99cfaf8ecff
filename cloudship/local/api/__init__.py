"""DigitalOcean's HTTP API, version 2: one module for each kind of resource."""

from cloudship.local.api.app import application

__all__ = ["application"]
