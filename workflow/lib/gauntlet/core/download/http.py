"""One file from one URL: retried with back-off, resumed where the server can, bounded."""

import http.client
import logging
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from gauntlet.core.download.meter import Meter
from gauntlet.core.errors import GauntletError

logger = logging.getLogger(__name__)
TIMEOUT = 30.0  # seconds without a byte
DELAYS = (1.0, 2.0, 4.0)  # seconds before each new attempt
CHUNK = 1 << 18
GAIN = 1 << 20  # bytes more than ever before: a failed attempt that was worth it
SLOWEST = 1000.0  # bytes per second, after one TIMEOUT
TRANSIENT = frozenset({408, 416, 425, 429, 500, 502, 503, 504})


class Unreachable(GauntletError):
    """The server did not deliver, however often it was asked."""


def download(url: str, part: Path, limit: int) -> bool:
    """Load a URL into the file `part`, going on from what it holds; says if that took two pieces.

    Raises Unreachable when the last attempt fails, GauntletError where another one is no use: an
    answer such as 404, or more than `limit` bytes. What came is left in `part` for a later call.
    """
    most, failures, resumed = _size(part), 0, False
    while True:
        resumed |= _size(part) > 0
        reason = _attempt(url, part, limit)
        if reason is None:
            return resumed
        failures = 0 if _size(part) > most + GAIN else failures + 1
        most = max(most, _size(part))
        if failures > len(DELAYS):
            raise Unreachable(f"{reason}, {failures} times")
        delay = DELAYS[max(failures - 1, 0)]
        logger.info("%s: %s; once more in %g s", url, reason, delay)
        time.sleep(delay)


def _attempt(url: str, part: Path, limit: int) -> str | None:
    """Load the rest once; gives the reason of a failure that may pass."""
    have = _size(part)
    headers = {"User-Agent": "gauntlet", "Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={have}-"} if have else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as answer:
            _receive(answer, part, have, limit)
    except HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
        if error.code not in TRANSIENT:
            raise GauntletError(f"HTTP {error.code} {error.reason}") from error
        return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return str(error.reason if isinstance(error, URLError) else error) or type(error).__name__
    except ValueError as error:
        raise GauntletError(str(error)) from error
    return None


def _receive(answer: http.client.HTTPResponse, part: Path, have: int, limit: int) -> None:
    going_on = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    have = have if answer.status == 206 and going_on else 0
    total = _total(answer, have)
    if (total or 0) > limit:
        raise GauntletError(f"it has {total} bytes; at most {limit} are expected")
    meter = Meter(answer.url.rpartition("/")[2], have, total)
    try:
        with open(part, "ab" if have else "wb") as stream:
            while block := answer.read1(CHUNK):
                stream.write(block)
                meter.add(len(block))
                _require_decent(meter, limit)
    finally:
        meter.close()
    if total is not None and meter.done < total:
        raise ConnectionError(f"the answer ended after {meter.done} of {total} bytes")


def _require_decent(meter: Meter, limit: int) -> None:
    if meter.done > limit:
        raise GauntletError(f"it has more than {limit} bytes, the most that are expected")
    if time.monotonic() - meter.start > TIMEOUT and meter.rate < SLOWEST:
        raise TimeoutError(f"slower than {SLOWEST:g} bytes/s")


def _total(answer: http.client.HTTPResponse, have: int) -> int | None:
    length = answer.headers.get("Content-Length", "").strip()
    return have + int(length) if length.isdecimal() and len(length) < 19 else None


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
