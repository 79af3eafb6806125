"""The error tree. Every error a user can meet is one of these, with one clear sentence as its text.

ArgosyError             500  a fault of ours
├── Invalid             400  the request is wrong; says what, where and what to do
├── Unauthorized        401  no or bad credentials
├── Forbidden           403  the caller may not
├── NotFound            404  no such object
├── TooSlow             408  a request that does not come in in time
├── Conflict            409  in use, exists already, or changed since it was read
├── TooLarge            413  a body over its limit
├── TooMany             429  more of it than may be asked for in a while
├── Unimplemented       501  a part of the Engine API that Argosy does not have
└── Unavailable         503  cannot be done now (temporary)
    └── NotManager      503  this host is not a manager of a cluster
"""

from __future__ import annotations

from typing import ClassVar


class ArgosyError(Exception):
    """Anything that is told to a user; `str()` is the sentence."""

    status: ClassVar[int] = 500
    temporary: ClassVar[bool] = False
    reason: object = None
    """The same as a Reason (api/reasons), where it has one; None otherwise."""


class Invalid(ArgosyError):
    """The request is wrong and will be wrong again."""

    status = 400

    @classmethod
    def of(cls, problems: list[str]) -> Invalid:
        """One error for all problems of a value."""
        return cls("; ".join(problems))


class Unauthorized(ArgosyError):
    """No credentials, or bad ones."""

    status = 401


class Forbidden(ArgosyError):
    """The caller is known, and may not do this."""

    status = 403


class NotFound(ArgosyError):
    """The object named does not exist."""

    status = 404


class TooSlow(ArgosyError):
    """A request whose body does not come in in time."""

    status = 408


class Conflict(ArgosyError):
    """The object exists already, is in use, or changed since it was read."""

    status = 409


class TooLarge(ArgosyError):
    """A request body over its limit."""

    status = 413


class TooMany(ArgosyError):
    """More requests of a kind than are taken in a while; the same one may succeed later."""

    status = 429
    temporary = True


class Unimplemented(ArgosyError):
    """A part of the Engine API that Argosy does not have."""

    status = 501


class Unavailable(ArgosyError):
    """Cannot be done now; the same request may succeed later."""

    status = 503
    temporary = True


class NotManager(Unavailable):
    """A cluster request that reached a host which is no manager."""
