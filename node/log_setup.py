"""The daemon's log: one line per event on stderr, with time, level and key=value pairs; journald stores it."""

from __future__ import annotations

import logging
import sys

import structlog

from api.errors import Invalid
from kit.log_rate_limiter import LogRateLimiter

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
"""dockerd's names."""


def configure(level: str) -> None:
    """Set structlog up for the process. Raises Invalid for an unknown level."""
    if level not in LEVELS:
        raise Invalid(f"--log-level {level}: it is one of {', '.join(LEVELS)}")
    quiet = LogRateLimiter()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            quiet.processor,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(quiet.filter)
    logging.basicConfig(
        handlers=[handler], level=logging.WARNING, format="level=%(levelname)s logger=%(name)s event=%(message)r"
    )
