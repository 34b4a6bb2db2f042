# SPDX-License-Identifier: BSD-2-Clause
"""
The processor faults for real: exception entry, the image's own handler, its
record over the reset, and what the next start says of it.
"""
import re
import struct

import pytest

from lib.board import CONNECTED, REPORT, needs_board

pytestmark = needs_board

CRASHED = r"crashed at ([0-9a-f]{8}), called from ([0-9a-f]{8}), stack ([0-9a-f]{8}), phase (\d)"


# While the crystal starts, before main(); while the radio starts; in the join; with readings.
@pytest.mark.parametrize("fault, phase", [("cpu.undefined:1@300", "0"), ("cpu.jump:1@900", "1"),
                                          ("cpu.undefined:1@2500", "2"), ("cpu.jump:1@9000", "7")])
def test_a_crash_is_told_by_the_next_start(boards, fault, phase):
    one = boards("crash").provisioned("--interval", "2")
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


def test_an_unexpected_exception_is_told(boards):
    one = boards("surprised").provisioned("--interval", "2")
    one.start(faults=["cpu.nmi:1@9000"], seconds=200)
    one.wait(CRASHED)
    one.wait(CONNECTED, count=2)
    one.stop()
    assert one.codes() == [0, 51, 0], one.text()


def test_a_stack_that_overflowed_is_told(boards):
    """By the word below it, which is not as it was left."""
    one = boards("deep").provisioned("--interval", "2")
    one.start("--allow-fault", "--set", "kept_guard=0@9000", seconds=200)
    one.wait("the stack overflowed")
    one.wait(CRASHED)
    one.wait(CONNECTED, count=2)
    one.stop()
    assert one.codes() == [0, 51, 0], one.text()


def generation(board):
    return struct.unpack_from("<I", board.page(REPORT), 12)[0]


def test_a_board_that_crashes_again_and_again(boards):
    """It comes back each time, and does not wear out its report page."""
    one = boards("crashes").provisioned("--interval", "2")
    before = generation(one)
    # Ten seconds of each go to the code on the LED, then it connects: two reports every time.
    one.start("--allow-fault", faults=["cpu.undefined:1@%d" % (9000 + 25000 * n) for n in range(8)],
              seconds=9 + 8 * 25)
    one.ended()
    assert len(re.findall(CRASHED, one.text())) == 8
    assert one.codes() == [0] + 8 * [51, 0]
    assert generation(one) - before <= 4
