# SPDX-License-Identifier: BSD-2-Clause
"""The image of the boards against the real gateway: readings up, commands down."""
import json
import re

import pytest

from lib import process
from lib.board import (CONNECTED, EMULATOR, HOST, IMAGE, PASSPHRASE, SSID, STEP, WAITS, Board,
                       edit_settings, needs_board)
from lib.wait import until

pytestmark = needs_board

QOS = 16  # the record of the settings page


def reading(watch, board):
    """The next one, as it arrived at the broker."""
    packet = watch.message("home/%s/telemetry" % board.name, seconds=STEP)
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
    start = len(one.lines())
    for word, led in (("1", "on"), ("0", "off"), ("ON", "on"), ("nonsense", "off")):
        command(shared, one, word, led)
    switched = [line.split()[-1] for line in one.lines()[start:] if "] LED " in line]
    assert switched == ["on", "off", "on", "off"]
    assert [row["state"] for row in shared.sessions("pump1")] == ["live"]
    one.stop()
    assert one.reported() == 0


@pytest.mark.parametrize("qos", [0, 1])
def test_quality_of_service(boards, shared, qos):
    one = boards("qos%d" % qos).provisioned("--interval", "2")
    edit_settings(one, {QOS: bytes([qos])})
    topic = "home/%s/telemetry" % one.name
    with shared.broker.client(topic) as watch:
        one.start()
        numbers = []
        for _ in range(5):
            packet = watch.message(topic, qos=qos, seconds=STEP)
            numbers.append(json.loads(packet.payload)["RN"])
    assert numbers == [1, 2, 3, 4, 5]


# What they are made of: what the log says of it, and the emulator's words.
KINDS = {"fw-%s" % v.replace(".", ""): ("its firmware is %s$" % v, "--wifi-firmware", v)
         for v in ("19.4.4", "19.5.2", "19.5.4", "19.6.1")}
KINDS["chip608"] = ("ATECC608, serial", "--chip-608")
KINDS["bare"] = ("no DS18B20", "--temperature", "none")
KINDS["agrees"] = ("TLS open .* full",)


@pytest.mark.parametrize("name", KINDS)
def test_what_boards_are_made_of(boards, shared, name):
    """Versions of the radio's firmware, both chips, no sensor, ECDH in the chip."""
    line, *options = KINDS[name]
    ecdh = ["--ecdh", "chip"] if name == "agrees" else []
    one = boards(name, *options).provisioned("--interval", "2", *ecdh)
    with shared.broker.client("home/%s/telemetry" % name) as watch:
        one.start()
        told = reading(watch, one)
    assert (told["Temp"] == 21.5) == (name != "bare")
    one.wait(line)
    assert one.codes()[-1] == 0


def test_gateway_restarts(boards, gateway):
    gw = gateway()
    gw.keep_port()
    one = boards("pump2", gateway=gw).provisioned("--interval", "2")
    one.start()
    one.wait(" Home ")
    gw.stop()
    one.wait("report 1[57]")
    gw.start()
    one.wait(CONNECTED, count=2)
    # What it remembers of its session is unknown to the new gateway: no failure, all anew.
    assert "full" in one.find("TLS open")
    with gw.broker.client("home/pump2/telemetry") as watch:
        assert reading(watch, one)["RN"] > 1
    until(lambda: gw.sessions("pump2")[0]["state"] == "live", "the session to show")


def test_wifi_is_lost_and_comes_back(boards, shared):
    one = boards("pump3").provisioned("--interval", "2")
    one.start(faults=["winc.drop:1@9000", "winc.no-ap:2@9000"])
    one.wait("report 17")
    one.wait("report 11", count=2)
    one.wait(CONNECTED, count=2)
    # The session outlives the radio: nothing is signed or agreed on again.
    assert "resumed" in one.find("TLS open")
    until(lambda: re.search(r"device connected device=pump3 .*resumed=1", shared.text()),
          "the gateway to say so")
    before = len(one.lines())
    until(lambda: any(" Home {" in line for line in one.lines()[before:]), "another reading", STEP)


def test_disconnected_by_the_operator(boards, shared):
    one = boards("pump4").provisioned("--interval", "2")
    one.start()
    one.wait(CONNECTED)
    shared.ctl("disconnect", "pump4")
    one.wait("report 17")
    one.wait(CONNECTED, count=2)
    assert "resumed" in one.find("TLS open")


def trio(gw, folder, log):
    """One emulator with three boards."""
    return process.Process("trio", [
        EMULATOR, "--image", IMAGE, "--instances", "3", "--dir", str(folder), "--name", "trio",
        "--speed", "fast", "--wifi-ssid", SSID, "--wifi-pass", PASSPHRASE,
        "--resolve", "%s=192.0.2.1:%d" % (HOST, gw.port)], folder / log)


def is_running(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_boards_end_with_their_emulator(shared, tmp_path):
    """Even when it is killed and can tell them nothing."""
    child = trio(shared, tmp_path, "killed")
    try:
        until(lambda: child.text().count(WAITS) == 3, "all three to have a request", STEP)
        with open("/proc/%d/task/%d/children" % (child.pid, child.pid)) as f:
            boards = [int(pid) for pid in f.read().split()]
        assert len(boards) == 3 and all(is_running(pid) for pid in boards)
    finally:
        child.kill()
    until(lambda: not any(is_running(pid) for pid in boards), "the boards to end", STEP)


def test_several_at_once(shared, tmp_path):
    """One emulator, three boards: three keys, three identities."""
    made = [Board(shared, tmp_path, "trio-%d" % n) for n in (1, 2, 3)]

    def running(log, done):
        child = trio(shared, tmp_path, log)
        try:
            until(lambda: all(any(line.startswith(one.name + ": ") and done in line
                                  for line in child.text().splitlines()) for one in made),
                  "all three to say %r" % done, STEP)
            assert child.stop(seconds=STEP) == 0, child.text()
            assert child.sanitizer_report() is None
        finally:
            child.kill()
    running("first", WAITS)
    keys = {one.provision("--interval", "2")["fingerprint"] for one in made}
    assert len(keys) == 3
    with shared.broker.client("home/+/telemetry") as watch:
        running("second", " Home {")
        seen = set()
        while len(seen) < 3:
            seen.add(json.loads(watch.message(seconds=STEP).payload)["ID"])
    assert seen == {one.name for one in made}
