# SPDX-License-Identifier: BSD-2-Clause
"""
The 49th day: the firmware counts milliseconds in 32 bits. The count begins so
that it starts again at 0 in the middle of something.
"""
import re

import pytest

from lib.board import STEP, needs_board
from lib.gateway import SANITIZED
from test_firmware_faults import template  # noqa: F401

pytestmark = needs_board


def before_wrap(ms):
    """The option that lets the count begin so many milliseconds before 0; main() starts it later."""
    return ["--set", "milliseconds=%d@200" % (2 ** 32 - ms)]


def numbers(board):
    return [int(n) for n in re.findall(r" Home \{.*\"RN\":(\d+),", board.text())]


def events(board):
    """Its log, as pairs: the count of milliseconds, the text."""
    found = re.findall(r"^ *(\d+)\.(\d{3}) (.*)$", board.text(), re.M)
    return [(1000 * int(s) + int(ms), text) for s, ms, text in found]


def between(before, after):
    return (after - before) % 2 ** 32


def check_run(board):
    """It ends well, and no reading is early or twice."""
    board.ended(seconds=4 * STEP)
    codes = board.codes()
    # A host that is slow may cost a connection, but nothing else has a reason to fail.
    assert codes[-1] == 0 and not [code for code in codes if 0 < code < 15], board.text()
    assert re.search(r"^ *4294\d{3}\.\d+ ", board.text(), re.M)
    found = numbers(board)
    assert len(found) >= 8 and found == sorted(set(found)), board.text()[-4000:]
    times = [at for at, text in events(board) if text.startswith("Home {")]
    # Begun each two seconds, told when the sensor is done.
    assert all(between(a, b) >= 1950 for a, b in zip(times, times[1:])), times


# In the start of the radio, the join, the handshake, and with readings.
@pytest.mark.parametrize("ms", [300, 1500, 3900, 20000][::4 if SANITIZED else 1])
def test_nothing_happens_on_the_49th_day(boards, template, ms):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start(*before_wrap(ms), seconds=120)
    check_run(one)


# Each time another failure is paused for: the waits are 1-2, 2-4, 4-8 and 8-16 seconds.
@pytest.mark.parametrize("ms", [4000, 16000][::2 if SANITIZED else 1])
def test_a_pause_ends_on_the_49th_day(boards, template, ms):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start(*before_wrap(ms), faults=["winc.connect-refused:4"], seconds=120)
    check_run(one)
    assert one.codes()[:4] == 4 * [15]
    told = events(one)
    pauses = [n for n, (_, text) in enumerate(told) if text.startswith("again in ")]
    assert told[pauses[0]][0] > 2 ** 31
    for n in pauses:
        assert between(told[n][0], told[n + 1][0]) >= int(told[n][1].split()[2])
