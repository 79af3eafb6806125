"""The health check: exits with 0 when the URL answers 200."""

import sys
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=3) as answer:
        raise SystemExit(answer.status != 200)
except OSError as error:
    raise SystemExit(f"{sys.argv[1]}: {error}") from None
