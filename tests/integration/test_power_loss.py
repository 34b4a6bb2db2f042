# SPDX-License-Identifier: BSD-2-Clause
"""
The spool's files at random instants, while devices publish: a second gateway on
a copy has everything that was acknowledged before. gatewayd stands still while
it is copied, since a loss of power is one instant for all three files.
"""
import os
import random
import shutil
import signal
import threading
import time

import pytest

from lib import client
from lib.recorder import Recorder
from lib.wait import PATIENCE, SCALE, until
from lib.wire import V311, V5

SEED = int(os.environ.get("OUTAGE_SEED", "0")) or int.from_bytes(os.urandom(4), "big") or 1
DEVICES = 20
COPIES = 4


class Publisher(threading.Thread):
    """1, 2, 3, ... with QoS 1, each acknowledged before the next."""

    def __init__(self, gw, device, version, over):
        super().__init__(name=device.name, daemon=True)
        self.gw, self.device, self.version, self.over = gw, device, version, over
        self.acknowledged, self.error = 0, None

    def run(self):
        try:
            with self.gw.client(self.device, self.version) as c:
                while not self.over.is_set():
                    c.publish("Home", b"%d" % (self.acknowledged + 1), 1)
                    self.acknowledged += 1
                    self.over.wait(.01 * SCALE)
        except (client.Closed, OSError, AssertionError) as e:  # told by the test
            self.error = e


def copy_at_an_instant(gw, publishers, state):
    """What was acknowledged before, by name; the state folder as it then was in STATE."""
    promised = {p.name: p.acknowledged for p in publishers}
    gw.process.send(signal.SIGSTOP)
    try:
        shutil.copytree(gw.state, state)
    finally:
        gw.process.send(signal.SIGCONT)
    return promised


def all_there(gw, promised):
    """Start GW, let it deliver to its broker, and compare."""
    recorder = Recorder(gw.folder, gw.broker.socket, persistent=False)
    try:
        recorder.await_subscribed(1)
        gw.start()
        until(lambda: gw.ctl("spool", output="json")["messages"] == 0, "the spool to be empty")
        with gw.broker.client() as c:
            c.publish("home/last/telemetry", b"0", 2)
        until(lambda: "home/last/telemetry" in recorder.recorded(), "all to be recorded")
        for name, acknowledged in promised.items():
            got = recorder.recorded().get("home/%s/telemetry" % name, [])
            # More may be there: what was stored between the counting and the copy.
            assert len(got) >= acknowledged and got == list(range(1, len(got) + 1)), \
                "seed %d: %s: %d acknowledged, got %r" % (SEED, name, acknowledged, got[-5:])
    finally:
        recorder.stop()


@pytest.mark.timeout(12 * PATIENCE)
def test_copies_of_the_spool(gateway):
    dice, over = random.Random(SEED), threading.Event()
    gw = gateway(start_broker=False)
    publishers = [Publisher(gw, gw.enroll(), (V311, V5)[i % 2], over) for i in range(DEVICES)]
    copies = []
    try:
        for p in publishers:
            p.start()
        until(lambda: all(p.acknowledged or p.error for p in publishers), "all to publish")
        for i in range(COPIES):
            time.sleep(dice.uniform(0, .6) * SCALE)
            state = gw.path("copy%d" % i)
            copies.append((state, copy_at_an_instant(gw, publishers, state)))
    finally:
        over.set()
        for p in publishers:
            p.join(2 * PATIENCE)
    assert [p.error for p in publishers if p.error] == []
    for state, promised in copies:
        all_there(gateway(pki=state, start=False, conf={"log": {"level": "info"}},
                          broker={"options": ["max_inflight_messages 0"]}), promised)
