# SPDX-License-Identifier: BSD-2-Clause
"""
The same clients at Mosquitto itself and behind the gateway: random but valid
actions of three of them, drawn from a seed, and what comes back must be equal
byte by byte. The gateway maps every topic, and back.

Two things are its own: Maximum Packet Size in CONNACK, and DISCONNECT 0x8E for
the older of two connections, which Mosquitto 2.0.11 does not say.
"""
import random
import re
import shutil
import tempfile

import pytest

from lib import client, config, wire
from lib.broker import Broker
from lib.client import Closed
from lib.wait import until
from lib.wire import V5, VERSIONS, Will

STEPS = 80
TOPICS = ("a", "b", "a/b", "a/b/c", "/a", "a/", "b/c", "x y", "\u00e9/\U0002a6d4")
FILTERS = ("a", "b", "a/b", "+", "#", "a/#", "+/b", "a/+", "+/+/c", "/+", "a/b/#", "b/#", "+/#",
           "\u00e9/+", "$share/g/a", "$share/g/a/#", "$share/h/+")
RULES = (config.rule("#", "fleet/one/#"),)
MAPS = ({"name": "all", "publish": RULES, "subscribe": RULES},)


class Direct:
    """At the broker, under the names that the gateway would give."""

    def __init__(self, broker):
        self.broker = broker

    def dial(self, name, version):
        return client.Client(client.unix_socket(self.broker.socket), version)


class Behind:
    """Behind the gateway."""

    def __init__(self, gw, names):
        self.gw, self.broker = gw, gw.broker
        self.devices = {name: gw.enroll(name) for name in names}

    def dial(self, name, version):
        return self.gw.dial(self.devices[name], version)


def shown(packet):
    """What must be equal of it."""
    if packet.type != wire.CONNACK:
        return wire.NAMES[packet.type], packet.flags, packet.body
    props = {k: v for k, v in packet.props.items() if k != "maximum_packet_size"}
    return "CONNACK", packet.session_present, packet.code, props


class Player:
    """One client: what it does is drawn, what it may do follows from what came."""

    def __init__(self, side, name, draw, story):
        self.side, self.name, self.draw, self.story = side, name, draw, story
        self.client, self.mid, self.version = None, 0, draw.choice(VERSIONS)

    def tell(self, *what):
        self.story.append((self.name,) + what)

    def chance(self, part):
        return self.draw.random() < part

    def next_mid(self):
        self.mid = self.mid % 60000 + 1
        return self.mid

    def ends(self):
        """How often the broker saw the end of a connection of this client."""
        with open(self.side.broker.log, errors="replace") as f:
            return len(re.findall("Client %s (?:closed|disconnected|already)" % self.name, f.read()))

    # ---- connections ---------------------------------------------------------------

    def forget(self):
        """What ends with a connection: exchanges and aliases."""
        self.unanswered, self.released, self.sent_2, self.aliases = [], [], {}, {}

    def connect(self):
        five, will, props = self.version == V5, None, {}
        if self.chance(.3):
            will = Will(self.draw.choice(TOPICS), "gone", self.draw.randrange(3), self.chance(.3),
                        self.properties() if five else None)
        for name, values in (("session_expiry", (0, 300, 0xffffffff)),
                             ("receive_maximum", (1, 2, 5, 100)),
                             ("topic_alias_maximum", (0, 3, 20)), ("request_problem", (0, 1))):
            if self.chance(.4):
                props[name] = self.draw.choice(values)
        self.client = self.side.dial(self.name, self.version)
        self.client.send(wire.connect(self.version, self.name, self.chance(.5), will=will,
                                      props=props))
        self.forget()
        self.tell("connected", shown(self.client.recv()))

    def reconnect(self):
        """While the older connection is there."""
        old = self.client
        self.connect()
        try:
            while True:
                packet = old.recv()
                if (packet.type, getattr(packet, "code", None)) != (wire.DISCONNECT, 0x8e):
                    self.tell("old", shown(packet))
        except Closed:
            old.cut()

    def leave(self):
        before = self.ends()
        if self.chance(.5):
            self.client.send(wire.disconnect(4 if self.version == V5 and self.chance(.4) else None))
            self.client.expect_closed()
        self.client.cut()
        self.client = None
        until(lambda: self.ends() > before, "the broker to see the end of " + self.name)
        self.version = self.draw.choice(VERSIONS)

    # ---- packets -------------------------------------------------------------------

    def properties(self):
        """Of a message."""
        all = (("user_property", [("k", "v\u00fc"), ("k", "")]), ("payload_format", 1),
               ("content_type", "text/plain"), ("response_topic", self.draw.choice(TOPICS)),
               ("correlation_data", b"\0\xff"))
        return {name: value for name, value in all if self.chance(.2)}

    def subscribe(self):
        filters, props = [], {}
        for _ in range(self.draw.choice((1, 1, 2, 3))):
            topic, options = self.draw.choice(FILTERS), self.draw.randrange(3)
            if self.version == V5:
                options |= self.draw.choice((0, 0, 8)) | self.draw.choice((0, 0, 0x10, 0x20))
                options |= 4 if self.chance(.2) and not topic.startswith("$share") else 0
            filters.append((topic, options))
        if self.chance(.3):
            props["subscription_id"] = [self.draw.choice((1, 2, 127, 128, 268435455))]
        self.client.send(wire.subscribe(self.version, self.next_mid(), filters, props))

    def unsubscribe(self):
        filters = [self.draw.choice(FILTERS) for _ in range(self.draw.choice((1, 1, 2)))]
        self.client.send(wire.unsubscribe(self.version, self.next_mid(), filters))

    def publish(self):
        qos = self.draw.randrange(3 if len(self.sent_2) < 4 else 2)
        topic, mid, props = self.draw.choice(TOPICS), self.next_mid(), self.properties()
        if self.version == V5 and self.chance(.3):
            alias = props["topic_alias"] = self.draw.randrange(1, 6)
            if alias in self.aliases and self.chance(.5):
                topic = ""
            self.aliases[alias] = topic or self.aliases[alias]
        if qos == 2:
            self.sent_2[mid] = False
        payload = b"%d." % mid * self.draw.choice((0, 1, 10, 200, 5000))
        self.client.send(wire.publish(self.version, topic, payload, qos, self.chance(.25),
                                      mid=mid if qos else None, props=props))

    def release(self):
        for mid in [mid for mid, received in self.sent_2.items() if received][:1]:
            self.client.send(wire.ack(wire.PUBREL, mid))

    def acknowledge(self):
        some = self.draw.randrange(1, 4)
        for qos, mid in self.unanswered[:some]:
            self.client.send(wire.ack(wire.PUBACK if qos == 1 else wire.PUBREC, mid))
        del self.unanswered[:some]
        for mid in self.released:
            self.client.send(wire.ack(wire.PUBCOMP, mid))
        self.released = []

    def act(self):
        if self.client is None:
            self.connect()
            return
        what = self.draw.choices(
            (self.subscribe, self.unsubscribe, self.publish, self.release, self.acknowledge,
             self.leave, self.reconnect), (25, 10, 30, 10, 15, 7, 3))[0]
        self.tell(what.__name__)
        what()

    def gather(self):
        """All that came, up to the answer to a PINGREQ."""
        if self.client is None:
            return
        self.client.send(wire.PING)
        while True:
            packet = self.client.recv()
            if packet.type == wire.PINGRESP:
                return
            self.tell(shown(packet))
            if packet.type == wire.PUBLISH and packet.qos:
                self.unanswered.append((packet.qos, packet.mid))
            elif packet.type == wire.PUBREC and packet.mid in self.sent_2:
                self.sent_2[packet.mid] = True
            elif packet.type == wire.PUBREL:
                self.released.append(packet.mid)
            elif packet.type == wire.PUBCOMP:
                self.sent_2.pop(packet.mid, None)


def play(side, names, seed):
    draw, story = random.Random(seed), []
    players = [Player(side, name, draw, story) for name in names]
    for step in range(STEPS):
        one = draw.choice(players)
        story.append(step)
        one.act()
        for player in [one] + [p for p in players if p is not one]:
            player.gather()
    for player in players:
        if player.client is not None:
            player.client.cut()
    return story


@pytest.fixture
def broker():
    folder = tempfile.mkdtemp(prefix="gw-")
    one = Broker(folder)
    try:
        yield one.start()
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("seed", range(12))
def test_what_comes_back_is_the_same(gateway, broker, seed):
    names = ["d0", "d1", "d2"]
    direct = play(Direct(broker), names, seed)
    behind = play(Behind(gateway(conf={"maps": MAPS}), names), names, seed)
    for i, (wanted, got) in enumerate(zip(direct, behind)):
        assert got == wanted, "after %r" % direct[max(0, i - 8):i]
    assert len(behind) == len(direct)
