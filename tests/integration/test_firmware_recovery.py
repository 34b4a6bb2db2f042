# SPDX-License-Identifier: BSD-2-Clause
"""
Every fault that the emulator knows, by its own list, for a moment: once at the
start and once when it is connected. The board is back, and publishes, within
two minutes of its own time.
"""
import pytest

from lib.board import STEP, fault_word, faults_to_try, needs_board
from test_firmware_faults import template  # noqa: F401

pytestmark = needs_board


@pytest.mark.parametrize("fault", faults_to_try())
def test_a_fault_that_passes(boards, template, fault):  # noqa: F811
    one = boards("faulty").copy_of(template)
    one.start(faults=[fault_word(fault) + ":1", fault_word(fault) + ":1@7000"], seconds=120)
    one.wait(r"^ *(1[1-9]|[2-9]\d|\d{3,})\.\d+ Home \{", 6 * STEP)
    one.stop()
    # Nothing that passes may cost it its settings or its key.
    assert not {1, 2, 4, 6, 50, 51} & set(one.codes()), one.text()[-5000:]
