# SPDX-License-Identifier: BSD-2-Clause
"""
Every fault that the emulator knows, by its own list, for ever: the board
publishes all the same, or says what is the matter by a code of its own, and
breaks no rule. (Faults that pass: test_firmware_recovery.py.)
"""
import pytest

from lib.board import STEP, Board, fault_word, faults_to_try, needs_board

pytestmark = needs_board


@pytest.fixture(scope="module")
def template(shared, tmp_path_factory):
    board = Board(shared, tmp_path_factory.mktemp("template"), "faulty")
    try:
        return board.provisioned("--interval", "2")
    finally:
        board.abandon()


@pytest.mark.parametrize("fault", faults_to_try())
def test_a_fault_that_stays(boards, template, fault):
    one = boards("faulty").copy_of(template)
    one.start(faults=[fault_word(fault)], seconds=200)
    # Some keep the processor busy until a deadline of its own: that takes a while to compute.
    one.wait(r" Home \{.*\"RN\":3|report [1-9]", 6 * STEP)
    one.stop()
    # Whatever the peripherals do: its settings are good, its key is its own, and it does not crash.
    assert not {1, 2, 6, 50, 51} & set(one.codes()), one.text()[-5000:]
