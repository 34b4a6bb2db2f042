# SPDX-License-Identifier: BSD-2-Clause
"""A board as flashed becomes one of the gateway, whenever the power fails in between."""
import os
import random
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lib.board import (BLOCK, CONNECTED, FLASH, IMAGE, REPORT, SETTINGS, STEP, WAITS,
                       needs_board, records)
from lib.wait import until

pytestmark = needs_board

CSR, CHIP = 65, 68
ASKS, LOCKED = b"MKRGWREP", 3


def request(board):
    found = records(board.page(REPORT), ASKS)
    return found and found.get(CSR)


def test_from_its_own_request_and_again(boards, shared):
    one = boards("valve1")
    one.run_until(WAITS)
    assert one.reported() == 1
    csr = x509.load_der_x509_csr(request(one))
    serial = re.search("serial ([0-9A-F]{18})", one.text()).group(1)
    assert csr.is_signature_valid and csr.subject.rfc4514_string() == "CN=" + serial
    first = one.provision("--interval", "2")
    assert first["identity"] == "valve1" and not first["renewed"] and first["chip"] == serial
    one.run_until(" Home ")
    again = one.provision("--interval", "2")
    assert again["renewed"] and again["fingerprint"] == first["fingerprint"]
    assert again["serial"] != first["serial"]
    one.run_until(" Home ")
    # The request is the one of the first day: nothing was signed for the second.
    assert request(one) == csr.public_bytes(serialization.Encoding.DER)


def test_the_chip_is_locked_only_with_consent(boards, shared):
    one = boards("valve2", "--chip-unlocked")
    one.start()
    one.wait("report 4")
    until(lambda: one.reported() == 4, "the report page", STEP)
    one.stop()
    assert records(one.page(REPORT), ASKS)[CHIP] == b"\0"
    assert "--lock-chip" in one.provision(status=1).err
    one.run_until("report 4")
    one.provision("--lock-chip", output=None)
    one.start()
    one.wait("being set up and locked")
    one.wait(WAITS)
    one.stop()
    assert records(one.page(REPORT), ASKS)[CHIP] == bytes([LOCKED])
    one.provision("--interval", "2")
    one.run_until(" Home ")


@pytest.mark.parametrize("seed", range(3))
def test_power_fails_anywhere(boards, shared, seed):
    """Cut at moments by chance, chip and flash as they are then; the next run completes it."""
    chance = random.Random(seed)
    one = boards("valve3-%d" % seed, "--chip-unlocked")
    one.run_until("report 4")
    one.provision("--lock-chip", output=None)
    for _ in range(5):
        one.start("--speed", "real")
        one.wait("started by")
        one.cut_power(after=chance.uniform(0, 0.6))
        assert os.path.getsize(one.flash) == FLASH
    one.run_until(WAITS)
    one.provision("--interval", "2")
    for _ in range(3):
        one.start("--speed", "real")
        one.wait("started by")
        one.cut_power(after=chance.uniform(0, 1.5))
    one.run_until(" Home ")


@pytest.mark.parametrize("kind", ["cut", "first row", "bit", "erased"])
def test_settings_that_were_written_by_half(boards, shared, kind):
    one = boards("valve4-" + kind.split()[0]).provisioned("--interval", "2")
    whole = one.page(SETTINGS)
    damaged = {"cut": whole[:300].ljust(BLOCK, b"\xff"), "first row": b"\xff" * 256 + whole[256:],
               "bit": whole[:200] + bytes([whole[200] ^ 4]) + whole[201:],
               "erased": b"\xff" * BLOCK}[kind]
    one.put(SETTINGS, damaged)
    code = 2 if kind in ("cut", "bit") else 1
    one.start()
    one.wait("report %d:" % code)
    one.wait(WAITS)
    one.stop()
    assert request(one)
    assert one.provision("--interval", "2")["renewed"]
    one.run_until(CONNECTED)


def test_a_new_image_keeps_settings_and_report(boards, shared):
    """Flashing is --image over a flash that has both pages."""
    one = boards("valve5").provisioned("--interval", "2")
    before = one.page(SETTINGS), one.page(REPORT)
    assert os.path.getsize(IMAGE) + 0x2000 <= SETTINGS
    one.put(0x2000, b"\xff" * 1024)
    one.run_until(CONNECTED)
    assert one.page(SETTINGS) == before[0]
