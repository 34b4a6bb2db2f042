# SPDX-License-Identifier: BSD-2-Clause
"""
Everything at once: devices that send random legal packets in random pieces and
go in every way there is, devices that send nonsense, strangers, a broker that
comes and goes, reloads, and an operator who looks and disconnects.

What must hold: gatewayd lives and no sanitizer speaks, every byte it sends is
MQTT, nothing is acknowledged that was not sent or twice, nobody reads or
writes outside of its map, and at the end nothing is left over.

CHAOS_SECONDS says how long (default 20), CHAOS_SEED repeats the dice of a run.
"""
import collections
import os
import random
import signal
import socket
import ssl
import struct
import threading
import time

from lib import client, config, wire
from lib.config import rule
from lib.wait import PATIENCE, SCALE, until
from lib.wire import V5

SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or int.from_bytes(os.urandom(4), "big") or 1

UP = ("Home", "log/a", "clear/a/b", "pub/x", "pub/y/z", "low")
DENIED_UP = ("nope", "$SYS/broker", "home/somebody/telemetry", "inTopic", "small")
FILTERS = ("#", "+", "+/#", "inTopic", "all/#", "all/+", "all/x", "sub/#", "own/#", "own/+/z",
           "own/x", "jobs/+", "$share/group/jobs/+", "own/+")
DENIED_FILTERS = ("nope", "$SYS/#", "home/#", "dev/+/up/#")
DOWN = ("inTopic", "all/", "sub/", "own/", "jobs/")
# Words of the log that blame a device or the broker.
BLAME = ("malformed", "never defined", "nobody asked", "over the maximum", "codes than filters",
         "identifier 0", "second CON", "does not fit", "not checked")
OTHER_MAPS = ({
    "name": "test",
    "publish": config.MAPS[0]["publish"] + (rule("more/#", "dev/${identity}/more/#"),),
    "subscribe": config.MAPS[0]["subscribe"],
},)
GONE = (client.Closed, ConnectionError, ssl.SSLError, OSError)


class Fault(Exception):
    """What gatewayd must never do."""


class Chaos:
    """Who takes part, when it ends, and what went wrong."""

    def __init__(self, gw):
        self.gw, self.end, self.threads = gw, time.monotonic() + SECONDS, []
        self.faults, self.counts = [], collections.Counter()

    def running(self):
        return time.monotonic() < self.end and not self.faults and self.gw.process.running()

    def start(self, name, step, *args):
        dice = random.Random("%d %s" % (SEED, name))

        def run():
            try:
                while self.running():
                    step(self, dice, *args)
                    self.counts[step.__name__] += 1
            except Exception as e:  # whatever it is, the test has to show it
                self.faults.append("%s: %r" % (name, e))
        thread = threading.Thread(target=run, name=name)
        thread.start()
        self.threads.append(thread)

    def finish(self):
        for thread in self.threads:
            thread.join(10 * PATIENCE)
            assert not thread.is_alive(), thread.name


# ---- devices ---------------------------------------------------------------------

class Talk:
    """One connection of a device that keeps to the rules."""

    def __init__(self, dice, device, conn, connack):
        self.dice, self.name, self.conn = dice, device.name.encode(), conn
        self.version, self.buffer = conn.version, conn.buffer  # behind CONNACK
        self.publishes, self.asked = {}, {}  # by packet identifier, not yet answered
        self.mid, self.aliases = 0, {}
        self.alias_max = connack.get("topic_alias_maximum", 0)
        # An outage of the broker has terms of its own.
        self.max_qos = connack.get("maximum_qos", 2)
        self.window = min(15, connack.get("receive_maximum", 65535))
        self.out = bytearray()

    def next_mid(self):
        self.mid = self.mid % 65535 + 1
        return self.mid if self.mid not in self.publishes and self.mid not in self.asked \
            else self.next_mid()

    # ---- what it says

    def say_publish(self):
        d, props = self.dice, {}
        topic = d.choice(UP if d.random() < .7 else DENIED_UP)
        qos, mid = min(d.randrange(3), self.max_qos), None
        if qos and len(self.publishes) < self.window:
            mid = self.next_mid()
            self.publishes[mid] = wire.PUBACK if qos == 1 else wire.PUBREC
        else:
            qos = 0
        if self.version == V5:
            if d.random() < .2:
                props["response_topic"] = d.choice(("own/answer", "nope", "all/x"))
            if d.random() < .2:
                props["user_property"] = [("a", "b" * d.randrange(300))]
            if self.alias_max and d.random() < .4:
                alias = d.randrange(self.alias_max) + 1
                props["topic_alias"] = alias
                if alias in self.aliases and d.random() < .6:
                    topic = ""
                self.aliases[alias] = True
        size = d.choice((0, 1, 10, 11, 100, 2000, 20000) + ((200000,) if d.random() < .05 else ()))
        return wire.publish(self.version, topic, self.name + b"|" + bytes(size), qos,
                            d.random() < .2, mid=mid, props=props)

    def say_subscribe(self):
        d, mid = self.dice, self.next_mid()
        many = d.choice((1, 1, 2, 5, 40))
        filters = [(d.choice(FILTERS if d.random() < .8 else DENIED_FILTERS), d.randrange(3))
                   for _ in range(many)]
        self.asked[mid] = (wire.SUBACK, many)
        # MQTT 5 knows no identifiers in shared subscriptions of old brokers; without is legal.
        props = {"subscription_id": d.randrange(1, 300000)} if d.random() < .3 else None
        return wire.subscribe(self.version, mid, filters, props)

    def say_unsubscribe(self):
        d, mid = self.dice, self.next_mid()
        many = d.choice((1, 2, 20))
        self.asked[mid] = (wire.UNSUBACK, many if self.version == V5 else 0)
        return wire.unsubscribe(self.version, mid,
                                [d.choice(FILTERS + DENIED_FILTERS) for _ in range(many)])

    def say(self):
        d = self.dice.random()
        if d < .7:
            return self.say_publish()
        return self.say_subscribe() if d < .85 else \
            self.say_unsubscribe() if d < .95 else wire.PING

    # ---- what it hears

    def answered(self, kind, mid, code):
        if self.publishes.get(mid) != kind:
            raise Fault("%s %d that was not awaited" % (wire.NAMES[kind], mid))
        if kind == wire.PUBREC and code < 0x80:
            self.publishes[mid] = wire.PUBCOMP
            self.out += wire.ack(wire.PUBREL, mid)
        else:
            del self.publishes[mid]

    def hear(self, got):
        lazy = self.dice.random() < .1
        if got.type in (wire.PUBACK, wire.PUBREC, wire.PUBCOMP):
            self.answered(got.type, got.mid, got.code)
        elif got.type in (wire.SUBACK, wire.UNSUBACK):
            if self.asked.pop(got.mid, None) != (got.type, len(got.codes)):
                raise Fault("an answer that was not awaited: %r" % got)
        elif got.type == wire.PUBLISH:
            if got.topic and not got.topic.startswith(DOWN):
                raise Fault("a topic that the device does not know: %r" % got)
            if got.qos and not lazy:
                self.out += wire.ack(wire.PUBACK if got.qos == 1 else wire.PUBREC, got.mid)
        elif got.type == wire.PUBREL:
            self.out += wire.ack(wire.PUBCOMP, got.mid)

    def listen(self, seconds):
        self.conn.sock.settimeout(seconds)
        try:
            chunk = self.conn.sock.recv(65536)
        except (socket.timeout, ssl.SSLWantReadError):
            return
        if not chunk:
            raise client.Closed("end of file")
        self.buffer += chunk
        while True:
            found = wire.split(self.buffer)
            if not found:
                return
            del self.buffer[:found[2]]
            self.hear(wire.Packet(self.version, found[0], found[1]))

    def send_in_pieces(self):
        while self.out:
            n = self.dice.choice((1, 2, 7, 100, 5000, len(self.out), len(self.out)))
            piece = bytes(self.out[:n])
            del self.out[:n]
            self.conn.sock.settimeout(2 * SCALE)
            self.conn.sock.sendall(piece)
            if self.dice.random() < .02:
                time.sleep(self.dice.random() * .02)


def leave(dice, conn):
    """Every way to go."""
    way = dice.randrange(5)
    try:
        if way == 0:
            conn.sock.sendall(wire.disconnect())
        elif way == 1:  # inside of a packet
            conn.sock.sendall(wire.publish(conn.version, "pub/x", bytes(500))[:dice.randrange(1, 400)])
        elif way == 2:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif way == 3:
            conn.sock.settimeout(SCALE)
            conn.sock.unwrap()
    except (OSError, ValueError):
        pass
    conn.cut()


def enter(dice, gw, device, memory):
    """A connection behind CONNACK, or None when it was refused."""
    version = dice.choice(wire.VERSIONS)
    context = memory.setdefault("context", client.tls_context(gw.ca, device))
    sock = client.tls_socket(gw.port, context,
                             session=memory.get("session") if dice.random() < .5 else None)
    conn = client.Client(sock, version)
    try:
        props = {}
        if version == V5:
            props = {"topic_alias_maximum": dice.choice((0, 5)),
                     "session_expiry": dice.choice((0, 0, 60))}
        will = wire.Will(dice.choice(UP), device.name.encode() + b"|will", dice.randrange(2)) \
            if dice.random() < .3 else None
        conn.send(wire.connect(version, "x", dice.random() < .6, dice.choice((0, 1, 60)), will,
                               "user" if dice.random() < .3 else None, None, props))
        if dice.random() < .03:
            raise client.Closed("given up before CONNACK")
        got = conn.recv()
        memory["session"] = conn.sock.session
        if got.type != wire.CONNACK:
            raise Fault("not a CONNACK: %r" % got)
        if got.code != 0:
            raise client.Closed("refused")
        return conn, got.props
    except BaseException:
        leave(dice, conn)
        raise


def device_step(chaos, dice, device, memory):
    try:
        conn, connack = enter(dice, chaos.gw, device, memory)
    except GONE:
        chaos.counts["refused"] += 1
        time.sleep(.05)
        return
    talk = Talk(dice, device, conn, connack)
    try:
        for _ in range(dice.choice((3, 30, 300))):
            for _ in range(dice.choice((1, 1, 10))):
                talk.out += talk.say()
            talk.send_in_pieces()
            talk.listen(dice.choice((.0001, .001, .02)))
            if not chaos.running():
                break
    except GONE:
        chaos.counts["lost"] += 1
    leave(dice, conn)


def nonsense_step(chaos, dice, device):
    """A device with a certificate that breaks the rules."""
    version = dice.choice(wire.VERSIONS)
    try:
        conn = chaos.gw.dial(device, version)
    except GONE:
        return
    good = [wire.connect(version, "x"), wire.publish(version, "Home", bytes(30), 1, mid=7),
            wire.subscribe(version, 9, [("#", 1)] * 30), wire.ack(wire.PUBREL, 5),
            wire.ack(wire.PUBREC, 5), wire.ack(wire.PUBACK, 5), wire.unsubscribe(version, 7, ["#"]),
            wire.packet(wire.AUTH, 0, b""), wire.packet(wire.CONNACK, 0, b"\0\0")]
    out = bytearray(wire.connect(version, "x") if dice.random() < .9 else b"")
    for _ in range(dice.randrange(30)):
        out += dice.choice(good)
    for _ in range(dice.randrange(4)):
        out[dice.randrange(len(out)) if out else 0:0] = bytes([dice.randrange(256)])
    try:
        while out:
            n = dice.randrange(1, len(out) + 1)
            conn.sock.settimeout(SCALE)
            conn.sock.sendall(out[:n])
            del out[:n]
        conn.sock.settimeout(.1)
        conn.sock.recv(1000)
    except GONE:
        pass
    leave(dice, conn)


def stranger_step(chaos, dice, ca):
    """Nobody that the gateway knows."""
    with socket.socket() as s:
        s.settimeout(SCALE)
        try:
            s.connect(("127.0.0.1", chaos.gw.port))
            way = dice.randrange(4)
            if way == 0:
                client.tls_context(ca).wrap_socket(s, server_hostname="localhost").recv(1)
            elif way == 1:
                s.sendall(bytes(dice.randrange(256) for _ in range(dice.randrange(1, 600))))
            elif way == 2:
                s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            if dice.random() < .5:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                s.settimeout(.05)
                s.recv(100)
        except GONE:
            pass
    time.sleep(dice.random() * .05)


# ---- around the devices -------------------------------------------------------------

def broker_step(chaos, dice):
    time.sleep(dice.uniform(.5, 3))
    chaos.gw.broker.stop(dice.choice((signal.SIGTERM, signal.SIGKILL)))
    time.sleep(dice.choice((0, .3)))
    chaos.gw.broker.start()


def reload_step(chaos, dice):
    time.sleep(dice.uniform(.1, 1))
    changes = {"maps": dice.choice((config.MAPS, config.MAPS, OTHER_MAPS)),
               "limits": {"packet_memory": dice.choice((131072, 200000))}}
    file = chaos.gw.conf_file
    with open(file + ".new", "w") as f:
        f.write(config.settings(config.merge(chaos.gw.conf, changes)))
    os.replace(file + ".new", file)  # the operator reads it at the same time
    for _ in range(dice.choice((0, 1, 5))):  # several, while one is under way
        chaos.gw.process.send(signal.SIGHUP)
    chaos.gw.ctl("reload")


def operator_step(chaos, dice, names):
    time.sleep(dice.uniform(0, .5))
    if dice.random() < .5:
        chaos.gw.ctl("devices")
    else:
        chaos.gw.ctl("disconnect", dice.choice(names), status=None)


def watch_step(chaos, dice, names):
    """What reaches the broker: each device in its own place only."""
    try:
        with chaos.gw.broker.client("#") as watcher:
            while chaos.running():
                try:
                    got = watcher.recv(.2)
                except AssertionError:
                    continue
                if got.type != wire.PUBLISH:
                    watcher.answer(got)
                    continue
                sender = got.payload.split(b"|")[0].decode(errors="replace")
                chaos.counts["seen"] += 1
                if sender in names and sender not in got.topic.split("/"):
                    raise Fault("%s published to %s" % (sender, got.topic))
                watcher.answer(got)
    except GONE:
        time.sleep(.1)


def publisher_step(chaos, dice, names):
    """Somebody at the broker who talks to all devices."""
    try:
        with chaos.gw.broker.client() as c:
            for _ in range(200):
                topic = dice.choice(("broadcast/x", "home/%s/command", "dev/%s/down/a", "jobs/1",
                                     "home/%s/telemetry"))
                if "%" in topic:
                    topic %= dice.choice(names)
                c.send(wire.publish(4, topic, bytes(dice.choice((1, 100, 30000)))))
                time.sleep(.005)
    except GONE:
        time.sleep(.1)


def test_chaos(gateway):
    print("CHAOS_SEED=%d CHAOS_SECONDS=%g" % (SEED, SECONDS))
    gw = gateway(conf={"log": {"level": "info"}})
    devices = [gw.enroll() for _ in range(4)]
    bad = gw.enroll()
    names = [d.name for d in devices]
    chaos = Chaos(gw)
    for i, device in enumerate(devices + devices[:2]):  # two of them twice: takeovers
        chaos.start("device %d" % i, device_step, device, {})
    chaos.start("nonsense", nonsense_step, bad)
    chaos.start("stranger", stranger_step, gw.ca)
    chaos.start("broker", broker_step)
    chaos.start("reload", reload_step)
    chaos.start("operator", operator_step, names + [bad.name])
    chaos.start("watcher", watch_step, names)
    chaos.start("publisher", publisher_step, names)
    chaos.finish()
    print(dict(chaos.counts))
    assert not chaos.faults, "seed %d: %s" % (SEED, chaos.faults)
    assert gw.process.running(), gw.process.sanitizer_report()

    until(lambda: gw.metrics()["connections"] == 0, "all connections to be gone")
    metrics = gw.metrics()
    assert metrics["sessions"] == 0 and metrics["malformed_from_broker"] == 0, metrics
    blamed = [line for line in gw.text().split("\n") if "device disconnected" in line
              and "device=%s " % bad.name not in line and any(b in line for b in BLAME)]
    assert not blamed, "seed %d: %s" % (SEED, blamed[:5])
    until(lambda: gw.status()["broker"]["state"] == "up", "the broker to be back")
    with gw.client(devices[0]) as c:
        c.subscribe(("own/y", 1))  # not own/x: what the chaos retained there comes first
        c.publish("pub/y", b"after all")
        c.message("own/y", b"after all")


# ---- a broker that is broken ---------------------------------------------------------

def broken_answers(dice, version):
    """What a broker may send, now and then what it must not."""
    props = lambda **kw: kw if version == V5 else None  # noqa: E731
    mid, qos = dice.randrange(1, 6), dice.randrange(3)
    topic = dice.choice(("home/%s/command" % "dev1", "broadcast/x", "elsewhere", "dev/dev1/down/a"))
    return dice.choice((
        lambda: wire.publish(version, topic, bytes(dice.choice((0, 5, 3000, 100000))), qos,
                             mid=mid if qos else None, dup=dice.random() < .2),
        lambda: wire.publish(version, topic if dice.random() < .5 else "", b"x", 0,
                             props=props(topic_alias=dice.randrange(1, 4),
                                         response_topic="dev/dev1/up/r")),
        lambda: wire.ack(dice.choice((wire.PUBACK, wire.PUBREC, wire.PUBREL, wire.PUBCOMP)), mid),
        lambda: wire.packet(wire.SUBACK, 0, wire.u16(mid) + (b"\0" if version == V5 else b"") +
                            bytes(dice.choice((0, 1, 0x80)) for _ in range(dice.randrange(1, 4)))),
        lambda: wire.PONG,
        lambda: wire.packet(wire.CONNACK, 0, b"\0\0" + (b"\0" if version == V5 else b"")),
        lambda: wire.packet(wire.DISCONNECT, 0, b"\x8b" if version == V5 else b""),
        lambda: bytes(dice.randrange(256) for _ in range(dice.randrange(1, 40))),
    ))()


def broken_broker(chaos, dice, listener):
    try:
        sock = listener.accept()[0]
    except socket.timeout:
        return
    with sock:
        sock.settimeout(SCALE)
        try:
            first = sock.recv(65536)
            if not first:
                return  # the gateway asks whether somebody is there
            version = first[first.index(b"MQ") + (6 if b"MQIsdp" in first else 4)]
            out = wire.packet(wire.CONNACK, 0, b"\0\0" + (
                wire.properties({"topic_alias_maximum": 3}) if version == V5 else b""))
            if dice.random() < .1:
                out = b""  # no CONNACK first
            for _ in range(dice.randrange(40)):
                out += broken_answers(dice, version)
            while out:
                n = dice.choice((1, 50, len(out)))
                sock.sendall(out[:n])
                out = out[n:]
            sock.settimeout(.05)
            while sock.recv(65536):
                pass
        except (OSError, ValueError):
            pass


def device_of_broken_broker(chaos, dice, device):
    try:
        conn, connack = enter(dice, chaos.gw, device, {})
    except GONE:
        time.sleep(.01)
        return
    talk = Talk(dice, device, conn, connack)
    # Its acknowledgements are anybody's guess; what is MQTT is not.
    talk.hear = lambda got: None
    try:
        for _ in range(20):
            if "receive_maximum" not in connack:  # it means to have lost count
                talk.publishes.clear()
            talk.out += talk.say()
            talk.send_in_pieces()
            talk.listen(.002)
    except GONE:
        pass
    leave(dice, conn)


def test_a_broken_broker(gateway):
    print("CHAOS_SEED=%d CHAOS_SECONDS=%g" % (SEED, SECONDS))
    gw = gateway(start_broker=False, start=False,
                 conf={"log": {"level": "info"}, "upstream": {"connect_timeout": "2s"}})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(gw.broker.socket)
        listener.listen(10)
        listener.settimeout(.2)
        device = gw.enroll("dev1")
        gw.start()
        chaos = Chaos(gw)
        chaos.end -= SECONDS / 2
        for i in range(4):
            chaos.start("broker %d" % i, broken_broker, listener)
        for i in range(3):
            chaos.start("device %d" % i, device_of_broken_broker, device)
        chaos.finish()
        print(dict(chaos.counts))
        assert not chaos.faults, "seed %d: %s" % (SEED, chaos.faults)
        assert gw.process.running(), gw.process.sanitizer_report()
        until(lambda: gw.metrics()["connections"] == 0, "all connections to be gone")
        assert gw.metrics()["malformed_from_device"] == 0
