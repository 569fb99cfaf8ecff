"""cloudship: a Python web app online on a fresh droplet in one call, and gone without a trace in another."""

from __future__ import annotations
