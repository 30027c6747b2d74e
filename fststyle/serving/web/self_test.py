"""``fststyle serve --self-test``: the promises of the server, each tried on a live one with real requests.

The server runs as a program of its own, with the styles and the device that were asked for, a key, and small limits:
one that allows 30 seconds for a body would take 30 seconds to show that it does not allow more.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fststyle.serving.web.probe import Probe, Unexpected
from fststyle.serving.web.self_test_checks import CHECKS, LIMITS, check_stop

KEY_VARIABLE = "FSTSTYLE_API_KEY"
_PATIENCE = 60.0


@dataclass(frozen=True)
class Finding:
    """What a check promised, whether it held, and what was seen."""

    promise: str
    held: bool
    found: str


def run_self_test(options: Sequence[str]) -> Iterator[Finding]:
    """One finding after the other; ``options`` are those of ``fststyle serve`` that choose styles and device."""
    with _server(options) as probe:
        for promise, check in CHECKS.items():
            yield _find(promise, check, probe)
        yield _find("SIGTERM lets finish what runs", check_stop, probe)


def _find(promise: str, check: Callable[[Probe], str], probe: Probe) -> Finding:
    try:
        return Finding(promise, True, check(probe))
    except Unexpected as error:
        return Finding(promise, False, str(error))
    except Exception as error:  # a server that breaks the connection fails the check, not the self-test
        return Finding(promise, False, f"{type(error).__name__}: {error}")


@contextmanager
def _server(options: Sequence[str]) -> Iterator[Probe]:
    key = secrets.token_urlsafe(24)
    limits = [text for name, value in LIMITS.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "fststyle", "serve", "--host", "127.0.0.1", "--port", "0", *limits, *options]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | {KEY_VARIABLE: key}
            )
        try:
            line = process.stdout.readline() if process.stdout else ""
            probe = Probe(line.strip().rpartition(" ")[2], key, process, log)
            probe.wait_until_ready(_PATIENCE)
            yield probe
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
