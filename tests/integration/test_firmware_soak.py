# SPDX-License-Identifier: BSD-2-Clause
"""
A board that runs for long, at the fast clock, with faults by chance: nothing
may hang, leak, break a rule, or need the watchdog. FIRMWARE_SOAK_HOURS says how
many emulated hours (a day: 24), FIRMWARE_SOAK_SEED which chance.
"""
import json
import os
import random
import re

import pytest

from lib.board import faults, needs_board
from lib.gateway import SANITIZED
from lib.wait import SCALE

pytestmark = needs_board

HOURS = float(os.environ.get("FIRMWARE_SOAK_HOURS", 0.05 if SANITIZED else 0.5))
SEED = int(os.environ.get("FIRMWARE_SOAK_SEED", "20261123"))
INTERVAL = 60
# The last quarter of an hour is without faults: then it must be well.
CALM = min(900, HOURS * 3600 / 3)
STACK_LIMIT = 0x20006000


# Every second one ends the connection, so that the others have one to disturb.
ENDS = ("winc.drop", "winc.reset-after", "winc.silent-reset", "winc.fin-data", "winc.hang")


def storm(chance):
    """About ten faults an hour, each for one to three times; at most what the emulator takes."""
    end = HOURS * 3600 - CALM
    count = min(240, max(12, int(10 * end / 3600)))
    names = [name for name in faults() if not name.startswith("board.")]
    return ["%s:%d@%d" % (chance.choice(ENDS if n % 2 else names), chance.randint(1, 3),
                          1000 * chance.uniform(20, end)) for n in range(count)]


@pytest.mark.timeout(max(2400, HOURS * 2400) * SCALE)
def test_runs_and_runs(boards):
    chance = random.Random(SEED)
    words = storm(chance)
    print("seed %d, %.1f hours, faults %s" % (SEED, HOURS, " ".join(words)))
    one = boards("endless").provisioned("--interval", str(INTERVAL))
    one.start("--seed", str(SEED), faults=words, seconds=HOURS * 3600)
    one.ended(seconds=max(1800, HOURS * 1800) * SCALE)
    print(one.text()[-2500:])
    lines = one.lines()
    figures = re.search(r"lowest SP 0x([0-9A-F]+); (\d+) resets, (\d+) by the watchdog", one.text())
    assert figures.group(2) == "0" and figures.group(3) == "0"
    assert int(figures.group(1), 16) > STACK_LIMIT
    readings = [(float(line.split()[0]), json.loads(line.split(" ", 2)[2])["RN"])
                for line in (text.strip() for text in lines) if " Home {" in line]
    # None is made twice, and the calm at the end has all of its own.
    numbers = [number for _, number in readings]
    assert numbers == sorted(set(numbers))
    calm = [at for at, _ in readings if at > HOURS * 3600 - CALM + 360]
    assert len(calm) >= (CALM - 360) / INTERVAL - 2, one.text()[-5000:]
