# SPDX-License-Identifier: BSD-2-Clause
"""
The processor faults for real: exception entry, the image's own handler, its
record over the reset, and what the next start says of it.
"""
import re
import struct

import pytest

from lib.board import CONNECTED, REPORT, STEP, needs_board
from test_firmware_faults import template  # noqa: F401

pytestmark = needs_board

CRASHED = r"crashed at ([0-9a-f]{8}), called from ([0-9a-f]{8}), stack ([0-9a-f]{8}), phase (\d)"


# While the crystal starts, before main(); while the radio starts; in the join; with readings.
@pytest.mark.parametrize("fault, phase", [("cpu.undefined:1@300", "0"), ("cpu.jump:1@900", "1"),
                                          ("cpu.undefined:1@2500", "2"), ("cpu.jump:1@9000", "7")])
def test_a_crash_is_told_by_the_next_start(boards, template, fault, phase):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start("--allow-fault", faults=[fault], seconds=200)
    found = re.search(CRASHED, one.wait(CRASHED))
    one.wait(CONNECTED, count=2 if phase == "7" else 1)
    one.wait(r" Home \{.*\"RN\":2,", count=2 if phase == "7" else 1)
    one.stop()
    taken = re.search(r"HardFault, left to the firmware: .*; pc ([0-9A-F]{8}) ", one.text())
    # The handler has read the address from the frame that the processor pushed.
    assert found.group(1).upper() == taken.group(1), one.text()[-4000:]
    assert 0x20006000 < int(found.group(3), 16) < 0x20008000
    assert found.group(4) == phase
    assert "started by restart" in one.text()
    assert one.codes()[-2:] == [51, 0]
    assert one.reported() == 0


def test_an_unexpected_exception_is_told(boards, template):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start(faults=["cpu.nmi:1@9000"], seconds=200)
    one.wait(CRASHED)
    one.wait(CONNECTED, count=2)
    one.stop()
    assert one.codes() == [0, 51, 0], one.text()


def test_a_stack_that_overflowed_is_told(boards, template):  # noqa: F811
    """By the word below it, which is not as it was left."""
    one = boards("faulty").copy_of(template)
    one.start("--allow-fault", "--set", "kept_guard=0@9000", seconds=200)
    one.wait("the stack overflowed")
    one.wait(CRASHED)
    one.wait(CONNECTED, count=2)
    one.stop()
    assert one.codes() == [0, 51, 0], one.text()


def generation(board):
    return struct.unpack_from("<I", board.page(REPORT), 12)[0]


def test_a_board_that_crashes_again_and_again(boards, template):  # noqa: F811
    """It comes back each time, and does not wear out its report page."""
    one = boards("faulty").copy_of(template)
    before = generation(one)
    # Ten seconds of each go to the code on the LED, then it connects: two reports every time.
    one.start("--allow-fault", faults=["cpu.undefined:1@%d" % (9000 + 25000 * n) for n in range(4)],
              seconds=9 + 4 * 25)
    one.ended(seconds=4 * STEP)
    assert len(re.findall(CRASHED, one.text())) == 4
    assert one.codes() == [0] + 4 * [51, 0]
    assert generation(one) - before <= 4
