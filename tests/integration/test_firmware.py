# SPDX-License-Identifier: BSD-2-Clause
"""The image of the boards against the real gateway: readings up, commands down."""
import json
import re

import pytest

from lib import process
from lib.board import CONNECTED, WAITS, Board, needs_board, SSID, PASSPHRASE, HOST, EMULATOR, IMAGE
from lib.wait import until

pytestmark = needs_board


def reading(watch, board):
    """The next one, as it arrived at the broker."""
    packet = watch.message("home/%s/telemetry" % board.name)
    told = json.loads(packet.payload)
    assert set(told) == {"ID", "RN", "Temp"} and told["ID"] == board.name
    return told


def command(gateway, board, word, led):
    """Publish it, and wait until the board has obeyed."""
    before = board.text().count("command: LED " + led)
    with gateway.broker.client() as operator:
        operator.publish("home/%s/command" % board.name, word, qos=1)
    board.wait("command: LED %s$" % led, count=before + 1)


def test_publishes_and_obeys(boards, shared):
    one = boards("pump1", "--led-log", "--temperature", "-7.25").provisioned("--interval", "3")
    with shared.broker.client("home/pump1/telemetry") as watch:
        one.start()
        first, second = reading(watch, one), reading(watch, one)
    assert first == {"ID": "pump1", "RN": 1, "Temp": -7.25} and second["RN"] == 2
    one.wait(CONNECTED)
    start = len(one.lines())
    for word, led in (("1", "on"), ("0", "off"), ("ON", "on"), ("nonsense", "off")):
        command(shared, one, word, led)
    switched = [line.split()[-1] for line in one.lines()[start:] if "] LED " in line]
    assert switched == ["on", "off", "on", "off"]
    assert [row["state"] for row in shared.sessions("pump1")] == ["connected"]
    one.stop()
    assert one.reported() == 0
