# SPDX-License-Identifier: BSD-2-Clause
"""
The 49th day: the firmware counts milliseconds in 32 bits. The count begins so
that it starts again at 0 in the middle of something.
"""
import re

import pytest

from lib.board import needs_board
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


# In the start of the radio, the join, the handshake, and with readings.
@pytest.mark.parametrize("ms", [300, 1500, 3900, 20000])
def test_nothing_happens_on_the_49th_day(boards, template, ms):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start(*before_wrap(ms), seconds=45)
    one.ended()
    assert one.codes() == [0], one.text()
    assert re.search(r"^ *4294\d{3}\.\d+ ", one.text(), re.M)
    found = numbers(one)
    assert found == list(range(1, len(found) + 1))
    # One in two seconds, from the fifth second or so on.
    assert len(found) >= 15, one.text()[-4000:]
    times = [at for at, text in events(one) if text.startswith("Home {")]
    # Neither early nor late: begun each two seconds, told when the sensor is done.
    assert all(1950 <= between(a, b) < 2500 for a, b in zip(times, times[1:])), times


# Each time another failure is paused for: the waits are 1-2, 2-4, 4-8 and 8-16 seconds.
@pytest.mark.parametrize("ms", [4000, 16000])
def test_a_pause_ends_on_the_49th_day(boards, template, ms):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start(*before_wrap(ms), faults=["winc.connect-refused:4"], seconds=60)
    one.ended()
    assert one.codes() == 4 * [15] + [0], one.text()
    told = events(one)
    pauses = [n for n, (_, text) in enumerate(told) if text.startswith("again in ")]
    assert told[pauses[0]][0] > 2 ** 31
    for n in pauses:
        assert between(told[n][0], told[n + 1][0]) >= int(told[n][1].split()[2])
    found = numbers(one)
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= 8, one.text()[-4000:]
