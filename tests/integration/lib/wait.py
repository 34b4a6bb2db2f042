# SPDX-License-Identifier: BSD-2-Clause
"""Deadlines: every wait has one, and asks until it is answered."""
import os
import time

# Seconds that anything may take; longer under sanitizers or on a slow machine.
SCALE = float(os.environ.get("INTEGRATION_PATIENCE", "1"))
PATIENCE = 15 * SCALE


def until(ask, what, seconds=PATIENCE, pause=0.02):
    """Ask until the answer is true, and return it; AssertionError after the deadline."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError("waited %.0f s in vain: %s" % (seconds, what))
        time.sleep(pause)
