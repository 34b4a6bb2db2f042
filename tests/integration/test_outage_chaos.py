# SPDX-License-Identifier: BSD-2-Clause
"""
Outages of every kind at random moments under numbered traffic of 52 devices,
and afterwards a comparison of the numbers. lib/recorder.py, a subscriber at the
broker itself, says what came; the devices say what they were promised.

Three tests, since what can be claimed depends on who is killed:

- the broker is stopped, restarted and frozen, its socket removed or refused.
  Mosquitto keeps its sessions over SIGTERM (persistence is on), so everything
  is claimed: no QoS 1 is lost, no QoS 2 lost or doubled, no QoS 0 lost on a
  rule that stores once a later PINGREQ is answered (the gateway has read it),
  in both directions; a device without state at the broker never sees an outage.
- gatewayd is killed as well. What it has read of QoS 0 is safe when the spool
  has committed it, and that is what the PUBACK of a later publish on a rule
  that stores means. The connections of devices end with the process.
- the broker is killed. Its acknowledgement is not durable: what it has in
  memory goes, that is its sessions, its half of QoS 2 and its queues. By
  construction nothing is there that matters: the recorder has subscribed before
  the gateway finds the socket of the new broker, has no window, and Mosquitto
  writes a message to its subscribers before it acknowledges it. So no QoS 1 and
  no stored QoS 0 is lost; a device whose session is gone sends its QoS 2 again as
  new, so it is not lost either, but may be doubled, as it may be without us.

OUTAGE_SECONDS says how long each test disturbs (default 7), OUTAGE_SEED repeats
the dice of a run.
"""
import collections
import os
import random
import signal
import socket
import ssl
import threading
import time

import pytest

from lib import client, config, wire
from lib.config import rule
from lib.gateway import Gateway
from lib.recorder import Recorder
from lib.wait import PATIENCE, SCALE, until
from lib.wire import V311, V5

SECONDS = float(os.environ.get("OUTAGE_SECONDS", "7")) * SCALE
SEED = int(os.environ.get("OUTAGE_SEED", "0")) or int.from_bytes(os.urandom(4), "big") or 1
# Of the configuration. So long a device may take to acknowledge what came last before an outage.
RESPONSE_TIMEOUT = 3.0 * SCALE
WINDOW = 10
LAST = 3  # messages of each device after the last outage
GONE = (client.Closed, ConnectionError, ssl.SSLError, OSError)

STORE = rule("Store", "home/${identity}/stored", qos=1, delivery="store")
MAPS = ({**config.MAPS[0], "publish": (STORE,) + config.MAPS[0]["publish"]},)

# What a device is: the topic it publishes to, its QoS, and whether its session lasts.
Kind = collections.namedtuple("Kind", "name topic qos persistent")
KINDS = (Kind("stored QoS 0", "Store", 0, False), Kind("stored QoS 1", "Store", 1, False),
         Kind("relayed QoS 1", "Home", 1, False), Kind("lasting QoS 1", "Home", 1, True),
         Kind("lasting QoS 2", "Home", 2, True))
DEVICES = 52


class Device(threading.Thread):
    """
    Publishes 1, 2, 3, ... and keeps what is not acknowledged, over connections
    too. `sure` are the numbers that it was promised; `got` those that came down.
    """

    def __init__(self, test, number, device):
        super().__init__(name=device.name, daemon=True)
        self.test, self.device = test, device
        self.kind = KINDS[number % len(KINDS)]
        self.version = (V311, V5)[number // len(KINDS) % 2]
        self.retain = number % 3 == 0
        self.dice = random.Random("%d %s" % (SEED, device.name))
        self.number, self.sure, self.left = 0, set(), None
        self.plain = collections.deque()       # numbers of QoS 0, on this connection
        self.open = collections.OrderedDict()  # mid: (number, qos), or None behind PUBREC
        self.pings = collections.deque()       # the first number behind each
        self.got, self.last_down = [], {}      # last_down: by mid
        self.half = set()                      # mids of QoS 2 down, behind PUBREC
        self.connects, self.fresh = 0, 0       # fresh: without a session
        self.subscribed, self.finished = False, False
        self.error, self.conn = None, None

    def __str__(self):
        return "%s (%s, MQTT %d)" % (self.name, self.kind.name, self.version)

    def topic(self):
        return "home/%s/%s" % (self.name, "stored" if self.kind.topic == "Store" else "telemetry")

    def run(self):
        try:
            while not self.test.over.is_set():
                try:
                    self.enter()
                    self.talk()
                except GONE:
                    self.leave()
                    time.sleep(.05 * SCALE * self.dice.random())
        except Exception as e:  # told by the test
            self.error = e
        self.leave()

    def leave(self):
        if self.conn is not None:
            self.conn.cut()
        self.conn = None

    # ---- a connection ------------------------------------------------------------------

    def enter(self):
        self.conn = self.test.gw.dial(self.device, self.version)
        lasts = {"session_expiry": 3600} if self.kind.persistent and self.version == V5 else None
        self.conn.send(wire.connect(self.version, "x", not self.kind.persistent, 0, props=lasts))
        connack = self.conn.recv()
        if connack.code != 0:
            raise client.Closed("refused")
        self.connects += 1
        self.pings.clear()
        self.plain.clear()
        if self.kind.persistent and self.connects > 1:
            self.session_is(connack.session_present)
        if not connack.session_present:
            self.half.clear()
            self.fresh += 1
            self.subscribed = False
        if not self.subscribed:
            self.conn.send(wire.subscribe(self.version, 65000, (("inTopic", self.down_qos()),)))
        for mid, what in self.open.items():
            self.conn.send(self.packet(mid, *what, dup=connack.session_present) if what
                           else wire.ack(wire.PUBREL, mid))

    def down_qos(self):
        return min(1, self.kind.qos) if not self.kind.persistent else self.kind.qos

    def session_is(self, present):
        assert present or not self.test.sessions_last, "the session is gone"
        if not present:  # everything is to be said again
            for mid in self.open:
                self.open[mid] = (mid, self.kind.qos)

    def packet(self, mid, number, qos, dup=False):
        return wire.publish(self.version, self.kind.topic, b"%d" % number, qos, self.retain,
                            dup, mid if qos else None)

    # ---- what it says -------------------------------------------------------------------

    def publish(self, qos):
        self.number += 1
        assert self.number < 65000
        if qos:
            self.open[self.number] = (self.number, qos)
        else:
            self.plain.append(self.number)
        return self.packet(self.number, self.number, qos)

    def say_some(self):
        out = b""
        for _ in range(self.dice.choice((1, 1, 2, 4))):
            if self.left == 0 or len(self.open) >= WINDOW:
                break
            self.left = None if self.left is None else self.left - 1
            # A QoS 1 between those of QoS 0, to learn what is committed.
            qos = self.kind.qos or int(self.dice.random() < .2 or self.left == 0)
            out += self.publish(qos)
        if self.left != 0 and len(self.pings) < 3 and self.dice.random() < .3:
            self.pings.append(self.number + 1)
            out += wire.PING
        return out

    def talk(self):
        heard = time.monotonic()
        while not self.test.over.is_set():
            if self.left is None and self.test.calm.is_set():
                self.left = LAST
            self.conn.send(self.say_some())
            self.finished = self.left == 0 and not (self.open or self.pings) and self.subscribed
            if self.listen(self.dice.uniform(.02, .1) * SCALE):
                heard = time.monotonic()
            waited = time.monotonic() - heard
            assert waited < 2 * PATIENCE or not (self.open or self.pings), "nothing is answered"

    # ---- what it hears ------------------------------------------------------------------

    def listen(self, seconds):
        end, heard = time.monotonic() + seconds, False
        while time.monotonic() < end:
            self.conn.sock.settimeout(max(.001, end - time.monotonic()))
            try:
                chunk = self.conn.sock.recv(65536)
            except (socket.timeout, ssl.SSLWantReadError):
                break
            if not chunk:
                raise client.Closed("end of file")
            self.conn.buffer += chunk
            heard = True
            self.hear_all()
        return heard

    def hear_all(self):
        while True:
            found = wire.split(self.conn.buffer)
            if not found:
                return
            del self.conn.buffer[:found[2]]
            self.hear(wire.Packet(self.version, found[0], found[1]))

    def hear(self, p):
        if p.type == wire.PINGRESP:
            self.promised(self.pings.popleft(), not self.test.kills_gateway)
        elif p.type == wire.SUBACK:
            assert p.codes == [self.down_qos()], repr(p)
            self.subscribed = True
        elif p.type == wire.PUBLISH:
            self.take(p)
        elif p.type == wire.PUBREL:
            self.half.discard(p.mid)
            self.conn.send(wire.ack(wire.PUBCOMP, p.mid))
        elif p.type == wire.DISCONNECT:
            assert p.code == 0x8b, repr(p)
        else:
            self.acknowledged(p)

    def acknowledged(self, p):
        unknown = p.type == wire.PUBCOMP and p.code == 0x92  # it was completed before
        assert p.mid in self.open, "an answer to nothing: %r" % p
        assert p.code in (0, 0x10) or unknown, repr(p)
        if p.type == wire.PUBREC:
            self.open[p.mid] = None
            self.conn.send(wire.ack(wire.PUBREL, p.mid))
            return
        assert p.type == (wire.PUBCOMP if self.kind.qos == 2 else wire.PUBACK), repr(p)
        del self.open[p.mid]
        self.sure.add(p.mid)
        self.promised(p.mid, True)

    def promised(self, number, holds):
        """QoS 0 before that number, of those that were sent on this connection."""
        while holds and self.plain and self.plain[0] < number:
            self.sure.add(self.plain.popleft())

    def take(self, p):
        # Mosquitto says what is finished again after a restart (lib/recorder.py).
        again = p.qos == 2 and p.dup and self.last_down.get(p.mid) == p.payload
        if p.mid not in self.half and not again:
            self.got.append(p.payload)
        self.last_down[p.mid] = p.payload
        if p.qos == 1:
            self.conn.send(wire.ack(wire.PUBACK, p.mid))
        elif p.qos == 2:
            self.half.add(p.mid)
            self.conn.send(wire.ack(wire.PUBREC, p.mid))


class Source(threading.Thread):
    """Somebody at the broker who sends numbers with QoS 2 to all devices in turn."""

    def __init__(self, test, devices):
        super().__init__(name="source", daemon=True)
        self.test, self.devices = test, devices
        self.sent, self.open = 0, collections.OrderedDict()
        self.finished, self.error = False, None

    def run(self):
        try:
            while not self.finished:
                try:
                    with client.Client(client.unix_socket(self.test.gw.broker.socket)) as conn:
                        self.talk(conn)
                except GONE:
                    time.sleep(.02)
        except Exception as e:  # told by the test
            self.error = e

    def packet(self, mid, dup=False):
        device = self.devices[(mid - 1) % len(self.devices)]
        return wire.publish(V311, "home/%s/command" % device.name, b"%d" % mid, 2, False, dup, mid)

    def talk(self, conn):
        conn.connect(clean=False, client_id="source")
        for mid, received in self.open.items():
            conn.send(wire.ack(wire.PUBREL, mid) if received else self.packet(mid, True))
        while not self.test.calm.is_set() or self.open:
            if not self.test.calm.is_set():
                self.sent += 1
                self.open[self.sent] = False
                conn.send(self.packet(self.sent))
            while self.open and (len(self.open) >= WINDOW or self.test.calm.is_set()):
                self.hear(conn, conn.recv())
            self.test.calm.wait(.01 * SCALE)
        self.finished = True

    def hear(self, conn, p):
        if p.type == wire.PUBREC:
            self.open[p.mid] = True
            conn.send(wire.ack(wire.PUBREL, p.mid))
        else:
            assert p.type == wire.PUBCOMP, repr(p)
            del self.open[p.mid]

    def sent_to(self, device):
        at = self.devices.index(device)
        return [n for n in range(1, self.sent + 1) if (n - 1) % len(self.devices) == at]


class Trial:
    """One run: a gateway whose broker is behind a door, a symbolic link."""

    def __init__(self, gateway, fleet, sessions_last=True, kills_gateway=False):
        self.dice = random.Random("%d trial" % SEED)
        self.sessions_last, self.kills_gateway = sessions_last, kills_gateway
        self.calm, self.over = threading.Event(), threading.Event()
        self.did, self.retained = [], {}
        self.gw = gateway(pki=fleet.state, start=False, broker={
            "persistence": sessions_last, "options": ["max_inflight_messages 0", "log_type error"]},
            conf={"maps": MAPS, "log": {"level": "info"}, "upstream": {
                "response_timeout": "%dms" % (RESPONSE_TIMEOUT * 1000), "retry_max": "200ms"}})
        self.door = self.gw.path("door.sock")
        self.recorder = None
        self.devices = [Device(self, i, d) for i, d in enumerate(fleet.devices)]
        self.source = Source(self, self.devices)

    def lasting(self):
        return [d for d in self.devices if d.kind.persistent]

    # ---- outages -------------------------------------------------------------------------

    def open_door(self):
        os.symlink(self.gw.broker.socket, self.door + ".new")
        os.replace(self.door + ".new", self.door)

    def shut_door(self):
        """The gateway finds no socket, or one where nobody listens."""
        if self.dice.random() < .5:
            os.unlink(self.door)
            return
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.door + ".new")
        os.replace(self.door + ".new", self.door)

    def pause(self, most):
        time.sleep(self.dice.uniform(0, most) * SCALE)

    def stop_broker(self):
        self.gw.broker.stop(signal.SIGTERM)
        self.pause(.8)
        self.gw.broker.start()

    def stop_behind_door(self):
        self.shut_door()
        self.gw.broker.stop(signal.SIGTERM)
        self.gw.broker.start()
        self.pause(.8)
        self.open_door()

    def kill_broker(self):
        """
        The recorder is there before the gateway, and each device learns that its session is
        gone: it cannot, when the next outage swallows the CONNACK that says so.
        """
        before, fresh = self.recorder.subscribed(), [(d, d.fresh) for d in self.lasting()]
        self.shut_door()
        self.gw.broker.stop(signal.SIGKILL)
        self.pause(.3)
        self.gw.broker.start()
        self.recorder.await_subscribed(before + 1)
        self.open_door()
        until(lambda: self.check() or all(d.fresh > n for d, n in fresh),
              "all to learn that their session is gone", 2 * PATIENCE)

    def freeze(self, seconds):
        self.gw.broker.process.send(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self.gw.broker.process.send(signal.SIGCONT)

    def freeze_briefly(self):
        self.freeze(self.dice.uniform(0, .4 * RESPONSE_TIMEOUT))

    def freeze_long(self):
        self.freeze(RESPONSE_TIMEOUT + self.dice.uniform(.2, 1.2) * SCALE)

    def kill_gateway(self):
        self.gw.kill()
        self.pause(.2)
        self.gw.start()

    def kill_gateway_alone(self):
        """Without a broker, so that only the spool knows."""
        self.gw.broker.stop(signal.SIGTERM)
        self.pause(.6)
        self.kill_gateway()
        self.pause(.4)
        self.gw.broker.start()

    def disturb(self, *outages):
        """All of them in random order, again and again, but each once at least."""
        end, left = time.monotonic() + SECONDS, []
        while left or time.monotonic() < end:
            left = left or self.dice.sample(outages, len(outages))
            self.pause(1.2)
            outage = left.pop()
            self.did.append(outage.__name__)
            outage()
            self.check()

    # ---- the run -------------------------------------------------------------------------

    def threads(self):
        return self.devices + ([self.source] if self.source.is_alive() else [])

    def check(self):
        for thread in self.devices + [self.source]:
            if thread.error is not None:
                raise AssertionError("%s: %r" % (thread, thread.error)) from thread.error
        self.recorder.check()
        assert self.gw.process.running(), self.gw.process.text()[-4000:]

    def all_finished(self):
        self.check()
        return all(t.finished for t in self.threads())

    def waiting(self):
        return [(str(t), t.left, list(t.open)[:5]) for t in self.devices if not t.finished][:5]

    def start(self):
        self.recorder = Recorder(self.gw.folder, self.gw.broker.socket, self.sessions_last)
        self.recorder.await_subscribed(1)
        self.gw.write_conf(upstream={"path": self.door})
        self.open_door()
        self.gw.start()
        self.gw.keep_port()
        for device in self.devices:
            device.start()

    def run(self, *outages):
        self.start()
        try:
            until(lambda: self.check() or all(d.subscribed for d in self.devices),
                  "all to subscribe", 4 * PATIENCE)
            if self.sessions_last:
                self.source.start()
            self.disturb(*outages)
            self.calm.set()
            try:
                until(self.all_finished, "all to be answered", 4 * PATIENCE)
            except AssertionError as e:
                raise AssertionError("%s %r" % (e, self.waiting())) from e
            until(lambda: self.gw.ctl("spool", output="json")["messages"] == 0,
                  "the spool to be empty")
            # What a clean session misses while it is held is lost to it.
            until(lambda: self.gw.metrics()["sessions_held"] == 0, "nobody to be held")
            self.say_the_end()
        finally:
            self.calm.set()
            self.over.set()
            for thread in self.threads():
                thread.join(2 * PATIENCE)

    def say_the_end(self):
        """Every subscription works, and what is retained is the newest."""
        with self.gw.broker.client() as c:
            for d in self.devices:
                c.publish("home/%s/command" % d.name, b"end", 2)
            until(lambda: self.check() or all(b"end" in d.got for d in self.devices),
                  "all to be told of the end")
            c.publish("home/recorder/stored", b"0", 2)
            until(lambda: "home/recorder/stored" in self.recorder.recorded(), "all to be recorded")
            c.subscribe(("home/+/+", 0))
            self.retained = {p.topic: int(p.payload) for p in c.fence()}

    # ---- claims --------------------------------------------------------------------------

    def verify(self):
        faults, recorded = [], self.recorder.recorded()
        print("%d messages of %d devices" % (sum(map(len, recorded.values())), len(self.devices)))
        for d in self.devices:
            found = self.faults_up(d, recorded.get(d.topic(), [])) + self.faults_down(d)
            faults += ["%s: %s" % (d, f) for f in found]
        assert not faults, "%d faults: %s" % (len(faults), "\n".join(faults[:10]))

    def faults_up(self, d, got):
        first = list(dict.fromkeys(got))
        lost = sorted(d.sure - set(first))
        doubled = len(got) - len(first) if d.kind.qos == 2 and self.sessions_last else 0
        faults = {
            "lost %r" % lost[:10]: lost,
            "%d are doubled" % doubled: doubled,
            "the order is %r" % out_of_order(first): first != sorted(first),
            "connected %d times" % d.connects:
                d.connects > 1 and not d.kind.persistent and not self.kills_gateway,
            "%r is retained, not %d" % (self.retained.get(d.topic()), d.number):
                d.retain and self.retained.get(d.topic()) != d.number,
        }
        return [what for what, true in faults.items() if true]

    def faults_down(self, d):
        got = [int(n) for n in d.got if n != b"end"]
        first = list(dict.fromkeys(got))
        sent = self.source.sent_to(d)
        faults = {
            "got %r, not %r" % (first[-5:], sent[-5:]): d.kind.persistent and sent != first,
            "got some twice": d.kind.qos == 2 and len(got) > len(first),
            "the order down is %r" % out_of_order(first): first != sorted(first),
        }
        return [what for what, true in faults.items() if true]

    def close(self):
        if self.recorder is not None:
            self.recorder.stop()


def out_of_order(numbers):
    """Where it goes back for the first time."""
    at = next((i for i in range(1, len(numbers)) if numbers[i] < numbers[i - 1]), 0)
    return numbers[max(0, at - 3):at + 3]


# ---- the tests ---------------------------------------------------------------------------------

Fleet = collections.namedtuple("Fleet", "state devices")


@pytest.fixture(scope="module")
def fleet(pki):
    """The devices, enrolled once."""
    gw = Gateway(pki, start_broker=False, start=False)
    yield Fleet(gw.state, [gw.enroll() for _ in range(DEVICES)])
    gw.close()


@pytest.fixture
def trial(gateway, fleet):
    made = []

    def make(**kw):
        print("OUTAGE_SEED=%d OUTAGE_SECONDS=%g" % (SEED, SECONDS / SCALE))
        made.append(Trial(gateway, fleet, **kw))
        return made[0]

    yield make
    for one in made:
        print(one.did)
        one.close()


LONG = pytest.mark.timeout(10 * PATIENCE + 2 * SECONDS)


@LONG
def test_the_broker_is_stopped_and_frozen(trial):
    t = trial()
    t.run(t.stop_broker, t.stop_behind_door, t.freeze_briefly, t.freeze_long)
    t.verify()


@LONG
def test_gatewayd_is_killed_too(trial):
    t = trial(kills_gateway=True)
    t.run(t.stop_broker, t.kill_gateway, t.kill_gateway_alone, t.freeze_long)
    t.verify()


@LONG
def test_the_broker_is_killed(trial):
    t = trial(sessions_last=False)
    t.run(t.kill_broker, t.kill_broker, t.freeze_long)
    t.verify()
