"""
What goes wrong in the local cloud.

    LocalCloudError     for the person at this machine: it does not start, stop or fit
    └── NoAnswer            it runs, or did a moment ago, and does not answer
    Refusal             for a client of the API: status, DigitalOcean's error id, message
"""

from __future__ import annotations


class LocalCloudError(Exception):
    """The local cloud could not do what its owner asked; the message says what to do about it."""


class NoAnswer(LocalCloudError):
    """The server of a local cloud does not answer: it hangs, or is gone."""

    mend = "cloudship local stop, then cloudship local start"


class Refusal(Exception):
    """
    An answer of the API that is an error.

    Args:
        status: the HTTP status.
        identifier: DigitalOcean's error id, as in `not_found`.
        message: DigitalOcean's own words wherever they are known.
    """

    def __init__(self, status: int, identifier: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.identifier = identifier
        self.message = message


def not_found() -> Refusal:
    """Refuse for want of the object, in DigitalOcean's words."""
    return Refusal(404, "not_found", "The resource you were accessing could not be found.")


def unprocessable(message: str) -> Refusal:
    """Refuse a request that was understood."""
    return Refusal(422, "unprocessable_entity", message)
