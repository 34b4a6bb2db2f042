# SPDX-License-Identifier: BSD-2-Clause
"""
The processor faults for real: exception entry, the image's own handler, its
record over the reset, and what the next start says of it.
"""
import re
import struct

import pytest

from lib.board import REPORT, STEP, needs_board
from lib.gateway import SANITIZED
from lib.wait import until
from test_firmware_faults import template  # noqa: F401

pytestmark = needs_board

CRASHED = r"crashed at ([0-9a-f]{8}), called from ([0-9a-f]{8}), stack ([0-9a-f]{8}), phase (\d)"
# While the crystal starts, before main(); while the radio starts; in the join; with readings.
CRASHES = [("cpu.undefined:1@300", "0"), ("cpu.jump:1@900", "1"), ("cpu.undefined:1@2500", "2"),
           ("cpu.jump:1@40000", "7")]


def comes_back(board):
    """Reports the crash, connects, publishes; what the crash said."""
    found = re.search(CRASHED, board.wait(CRASHED, 2 * STEP))
    until(lambda: re.search(r"crashed at.* report 51:.* report 0:.* Home \{.*\"RN\":2,",
                            board.text(), re.S), "the board to come back", 2 * STEP)
    board.stop()
    assert board.reported() == 0
    return found


@pytest.mark.parametrize("fault, phase", CRASHES[::4 if SANITIZED else 1])
def test_a_crash_is_told_by_the_next_start(boards, template, fault, phase):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start("--allow-fault", faults=[fault])
    found = comes_back(one)
    taken = re.search(r"HardFault, left to the firmware: .*; pc ([0-9A-F]{8}) ", one.text())
    # The handler has read the address from the frame that the processor pushed.
    assert found.group(1).upper() == taken.group(1), one.text()[-4000:]
    assert 0x20006000 < int(found.group(3), 16) < 0x20008000
    assert found.group(4) == phase
    assert "started by restart" in one.text()


def test_an_unexpected_exception_is_told(boards, template):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start(faults=["cpu.nmi:1@40000"])
    comes_back(one)


def test_a_stack_that_overflowed_is_told(boards, template):  # noqa: F811
    """By the word below it, which is not as it was left."""
    one = boards("faulty").copy_of(template)
    one.start("--allow-fault", "--set", "kept_guard=0@40000")
    comes_back(one)
    assert "the stack overflowed" in one.text()


def generation(board):
    return struct.unpack_from("<I", board.page(REPORT), 12)[0]


def test_a_board_that_crashes_again_and_again(boards, template):  # noqa: F811
    """It comes back each time, and does not wear out its report page."""
    one = boards("faulty").copy_of(template)
    before = generation(one)
    # Ten seconds of each go to the code on the LED, then it connects: two reports every time.
    one.start("--allow-fault", faults=["cpu.undefined:1@%d" % (30000 * n) for n in range(1, 5)],
              seconds=200)
    one.ended(seconds=4 * STEP)
    codes = one.codes()
    assert codes.count(51) == 4 and codes.count(0) >= 3 and codes[-1] == 0, one.text()[-5000:]
    assert generation(one) - before <= 4
