# SPDX-License-Identifier: BSD-2-Clause
"""The gateway's own session with the broker: status, presence, $SYS, signs of life, watching."""
import json
import os
import resource
import signal
import socket
import subprocess

import pytest

from lib import process, wire
from lib.gateway import GATEWAYCTL, SANITIZER_ENV
from lib.wait import until
from lib.wire import V5

# The shortest that the configuration takes; a slow machine must not look frozen in it.
RESPONSE = "2s"
STATUS = "gateway/gw/status"
ON = {"uplink": {"status_topic": None, "presence_topic": None}}  # as by default


def presence_of(device):
    return "gateway/gw/devices/%s/presence" % device.name


def session(gw):
    return gw.status()["broker"]["session"]


def connected(gw):
    return until(lambda: session(gw)["connected"], "the gateway's own session")


def broker_is(gw, state, frozen=False):
    broker = gw.status()["broker"]
    return broker["state"] == state and broker["frozen"] == frozen


def retained(gw, *filters):
    """What the broker has retained on the filters, by topic."""
    with gw.broker.client(*filters) as c:
        got = c.fence()
    return {p.topic: p.payload.decode() for p in got if p.type == wire.PUBLISH and p.retain}


def says(gw, topic, text):
    return until(lambda: retained(gw, topic).get(topic) == text, "%s to be %s" % (topic, text))


def up(gateway, **kw):
    conf = dict(ON, **kw.pop("conf", {}))
    gw = gateway(conf=conf, **kw)
    connected(gw)
    return gw


# ---- status and presence -------------------------------------------------------------


def test_status_and_its_will(gateway):
    """Online while it runs; offline after a good end, and by the will after a bad one."""
    gw = up(gateway)
    gw.keep_port()
    says(gw, STATUS, "online")
    gw.stop()
    assert retained(gw, STATUS) == {STATUS: "offline"}
    gw.start()
    says(gw, STATUS, "online")
    gw.kill()
    says(gw, STATUS, "offline")
    gw.start()
    says(gw, STATUS, "online")


def test_presence_of_a_device(gateway):
    gw = up(gateway)
    device = gw.enroll()
    topic = presence_of(device)
    assert retained(gw, topic) == {}
    with gw.broker.client(topic) as watch:
        with gw.client(device) as c:
            watch.message(topic, "online", retain=False)
            c.disconnect()
        watch.message(topic, "offline")
    assert retained(gw, topic) == {topic: "offline"}


def test_a_takeover_does_not_flap(gateway):
    """The newer connection is there before the older one goes: nothing changes for others."""
    gw = up(gateway)
    device = gw.enroll()
    topic = presence_of(device)
    first = gw.client(device)
    says(gw, topic, "online")
    with gw.broker.client(topic) as watch:
        watch.message(topic, "online", retain=True)
        with gw.client(device) as second:
            first.expect_closed()
            second.fence()
            until(lambda: len(gw.sessions(device.name)) == 1, "the older one to be gone")
            assert watch.fence() == []


def test_a_refused_device_is_not_present(gateway):
    """CONNACK tells: a device whose CONNECT the broker refuses was never here."""
    gw = up(gateway)
    device = gw.enroll()
    with gw.dial(device) as c:
        c.send(wire.connect(c.version, "", clean=False))
        c.expect(wire.CONNACK, code=2)
        c.expect_closed()
    assert retained(gw, presence_of(device)) == {}


def test_orderly_stop_tells_all(gateway):
    """Devices that are connected when the gateway stops are offline before it is."""
    gw = up(gateway)
    devices = [gw.enroll() for _ in range(3)]
    clients = [gw.client(d) for d in devices]
    for d in devices:
        says(gw, presence_of(d), "online")
    with gw.broker.client("gateway/#") as watch:
        watch.fence()
        gw.stop()
        heard = [watch.message() for _ in range(4)]
    assert {p.topic for p in heard[:3]} == {presence_of(d) for d in devices}
    assert heard[3].topic == STATUS
    assert {p.payload for p in heard} == {b"offline"}
    for c in clients:
        c.cut()


def test_stale_presence_is_corrected(gateway):
    """After a crash nobody said offline; the next start finds who is not there."""
    gw = up(gateway)
    gw.keep_port()
    devices = [gw.enroll() for _ in range(3)]
    clients = [gw.client(d) for d in devices]
    for d in devices:
        says(gw, presence_of(d), "online")
    gw.kill()
    for c in clients:
        c.cut()
    assert set(retained(gw, "gateway/gw/devices/+/presence").values()) == {"online"}
    gw.start()
    with gw.client(devices[0]):
        for d in devices[1:]:
            says(gw, presence_of(d), "offline")
        says(gw, presence_of(devices[0]), "online")


def test_stale_presence_of_many(gateway):
    """More than are corrected in one round."""
    gw = gateway(conf=dict(ON, upstream={"response_timeout": RESPONSE}), start=False)
    # The broker queues a thousand, and what the socket takes.
    topics = ["gateway/gw/devices/old%d/presence" % i for i in range(1060)]
    with gw.broker.client(version=V5) as c:
        for topic in topics:
            c.publish(topic, "online", 1, retain=True)
        c.publish("gateway/gw/devices/a/b/presence", "online", 1, retain=True)
    gw.start()

    def online():
        with gw.broker.client() as c:
            for i, topic in enumerate(topics):
                c.subscribe((topic, 0), mid=1 + i)
                if c.message(topic, retain=True).payload != b"offline":
                    return True
        return False

    until(lambda: not online(), "all to be offline")
    assert retained(gw, "gateway/gw/devices/a/b/presence").popitem()[1] == "online"


def test_reload_moves_the_topics(gateway):
    """What was said on the old topics is taken back there."""
    gw = up(gateway)
    device = gw.enroll()
    with gw.client(device) as c:
        says(gw, presence_of(device), "online")
        gw.write_conf(uplink={"status_topic": "site/${gateway}",
                              "presence_topic": "site/${gateway}/${identity}"})
        gw.ctl("reload")
        says(gw, STATUS, "offline")
        says(gw, presence_of(device), "offline")
        says(gw, "site/gw", "online")
        says(gw, "site/gw/%s" % device.name, "online")
        c.fence()
        c.disconnect()
    says(gw, "site/gw/%s" % device.name, "offline")


# ---- the broker's figures ---------------------------------------------------------------


def test_figures_of_the_broker(gateway):
    gw = up(gateway, conf={"upstream": {"response_timeout": RESPONSE}})

    def complete():
        broker = gw.status()["broker"]
        figures = broker["figures"]
        if all(figures.values()) and broker["session"]["round_trip_us"]:
            # The broker counts once a second.
            return int(figures["clients_connected"]) >= 1 and broker

    broker = until(complete, "the figures")
    assert "mosquitto" in broker["figures"]["version"]
    assert broker["session"]["connects"] == 1
    text = gw.ctl("status").out
    assert broker["figures"]["version"] in text
    assert "round trip" in text


def test_metrics(gateway):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    gw = up(gateway, conf={"metrics": {"address": "127.0.0.1", "port": port},
                           "upstream": {"response_timeout": RESPONSE}})

    def page():
        with socket.create_connection(("127.0.0.1", port)) as c:
            c.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while True:
                more = c.recv(65536)
                if not more:
                    return text.decode()
                text += more

    until(lambda: all(name in page() for name in (
        "\ngateway_uplink_connected 1\n", "\ngateway_uplink_drained_total 0\n",
        "\ngateway_uplink_round_trip_seconds 0.0", "\ngateway_broker_messages_dropped_total ")),
        "the uplink in the metrics")


# ---- the broker goes ------------------------------------------------------------------------


@pytest.mark.parametrize("signum", (signal.SIGTERM, signal.SIGKILL))
def test_broker_restarts(gateway, signum):
    gw = up(gateway)
    device = gw.enroll()
    says(gw, STATUS, "online")
    gw.broker.stop(signum)
    until(lambda: not session(gw)["connected"] and broker_is(gw, "away"), "the loss to be seen")
    assert session(gw)["last_error"]
    gw.broker.start()
    connected(gw)
    assert session(gw)["connects"] >= 2
    # Without persistence the broker forgot; it is told again.
    says(gw, STATUS, "online")
    with gw.client(device):
        says(gw, presence_of(device), "online")


def test_frozen_broker_is_found(gateway):
    """A stopped broker accepts connections; only its answer ends it."""
    gw = up(gateway, conf={"upstream": {"response_timeout": RESPONSE}})
    device = gw.enroll()
    with gw.client(device) as c:
        c.fence()
    gw.broker.process.send(signal.SIGSTOP)
    try:
        until(lambda: broker_is(gw, "away", frozen=True), "the freeze to be found")
        assert not session(gw)["connected"]
        with gw.dial(device) as c:
            c.send(wire.connect(c.version, "x"))
            c.expect(wire.CONNACK, code=0)  # let in, and held
            c.publish("Home", "x", 1)
        assert broker_is(gw, "away", frozen=True)
    finally:
        gw.broker.process.send(signal.SIGCONT)
    until(lambda: broker_is(gw, "up"), "the answer")
    connected(gw)
    with gw.client(device) as c:
        c.publish("Home", "x", 1)


def test_frozen_before_the_first_answer(gateway):
    """A CONNECT that is never answered counts too."""
    gw = gateway(conf=dict(ON, upstream={"response_timeout": RESPONSE}), start=False)
    gw.broker.process.send(signal.SIGSTOP)
    try:
        gw.start()
        until(lambda: broker_is(gw, "away", frozen=True), "the freeze to be found")
    finally:
        gw.broker.process.send(signal.SIGCONT)
    until(lambda: broker_is(gw, "up"), "the answer")
    connected(gw)


def test_frozen_and_killed(gateway):
    """A frozen broker that dies is away like any other, and found when it is back."""
    gw = up(gateway, conf={"upstream": {"response_timeout": RESPONSE}})
    device = gw.enroll()
    gw.broker.process.send(signal.SIGSTOP)
    until(lambda: broker_is(gw, "away", frozen=True), "the freeze to be found")
    gw.broker.stop(signal.SIGKILL)
    until(lambda: broker_is(gw, "away"), "its end to be seen")
    gw.broker.start()
    until(lambda: broker_is(gw, "up"), "the broker to be found")
    connected(gw)
    with gw.client(device) as c:
        c.publish("Home", "x", 1)


# ---- who may ------------------------------------------------------------------------------------


def password_file(folder):
    """mosquitto_passwd makes it; a test without that program is none."""
    path = os.path.join(folder, "passwords")
    try:
        subprocess.run(["mosquitto_passwd", "-c", "-b", path, "mqtt-gateway", "secret"],
                       check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("mosquitto_passwd is missing")
    os.chmod(path, 0o644)
    return path


def test_password(gateway):
    gw = gateway(conf=ON, start_broker=False, start=False)
    gw.broker.options += ["password_file " + password_file(gw.folder)]
    gw.write_conf(upstream={"password": "wrong"})
    gw.broker.start()
    gw.start()
    until(lambda: "not authorized" in session(gw)["last_error"], "the refusal")
    assert not session(gw)["connected"]
    assert broker_is(gw, "up")  # for devices: it answers
    gw.write_conf(upstream={"password": "secret"})
    gw.ctl("reload")
    connected(gw)
    assert session(gw)["last_error"] == ""


def test_without_the_right_to_write(gateway):
    """Denied by the ACL: said in the log, once, and nothing else suffers."""
    # Without the option mosquitto 2.0.11 ends the connection of who is denied.
    gw = up(gateway, broker={"acl": "pattern readwrite home/%u/#\n"
                                    "user mqtt-gateway\ntopic write gateway/+/status\n",
                             "options": ["max_queued_messages 1000"]})
    devices = [gw.enroll() for _ in range(2)]
    for device in devices:
        with gw.client(device) as c:
            c.publish("Home", "x", 1)
    until(lambda: "refused the presence of a device" in gw.text(), "the log")
    assert session(gw)["connected"]


def test_without_the_right_to_its_will(gateway):
    """Newer brokers do not let it in then; in any case the log says what to do."""
    gw = gateway(conf=ON, broker={"acl": "pattern readwrite home/%u/#\n",
                                  "options": ["max_queued_messages 1000"]})
    until(lambda: "uplink.username write to that topic" in gw.text()
          or "let it write to uplink.status_topic" in gw.text(), "the refusal")
    with gw.client() as c:
        c.publish("Home", "x", 1)


def test_over_tcp(gateway):
    gw = gateway(conf=ON, broker={"tcp": True}, start=False)
    gw.write_conf(upstream={"path": None, "address": "127.0.0.1", "port": gw.broker.port})
    gw.start()
    connected(gw)
    says(gw, STATUS, "online")
    gw.broker.stop()
    until(lambda: "refused" in session(gw)["last_error"].lower(), "the reason to be seen")
    gw.broker.start()
    connected(gw)


def test_more_than_1024_descriptors(gateway):
    """select() is what libmosquitto's own loop uses, and it ends there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("only %d descriptors are allowed" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    try:
        gw = up(gateway, conf={"limits": {"connections": 3000, "connections_per_address": 3000}})
        idle = [socket.create_connection(("127.0.0.1", gw.port)) for _ in range(1200)]
        until(lambda: len(os.listdir("/proc/%d/fd" % gw.process.pid)) > 1200,
              "the descriptors to be open")
        gw.broker.stop()
        until(lambda: not session(gw)["connected"], "the loss to be seen")
        gw.broker.start()
        # Its new socket has a number over 1024.
        connected(gw)
        says(gw, STATUS, "online")
        device = gw.enroll()
        with gw.client(device):
            says(gw, presence_of(device), "online")
        for s in idle:
            s.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- watching -----------------------------------------------------------------------------------------


class Watch:
    """gatewayctl watch ID -o json, as a process of its own."""

    def __init__(self, gw, *args):
        self.log = gw.path("watch-%d" % next(gw.numbers))
        self.process = process.Process(
            "watch", [GATEWAYCTL, "-c", gw.conf_file, "watch", *args], self.log,
            env=SANITIZER_ENV)
        self.taken = 0

    def lines(self):
        return self.process.text().splitlines()

    def next(self):
        until(lambda: len(self.lines()) > self.taken, "a line of the watch")
        self.taken += 1
        return self.lines()[self.taken - 1]

    def event(self):
        return json.loads(self.next())


def subscribed(gw, topic):
    """A filter of the watch has reached the broker."""
    until(lambda: topic in gw.broker.text(), "the watch to be subscribed")


def test_watch_a_device(gateway):
    gw = up(gateway)
    device = gw.enroll()
    name = device.name
    watch = Watch(gw, name, "-o", "json")
    subscribed(gw, "broadcast/#")
    with gw.client(device, V5) as c, gw.broker.client(version=V5) as back:
        c.publish("Home", "21.5", 1, retain=True)
        got = watch.event()
        assert got["at"] > 0
        del got["at"]
        assert got == {"identity": name, "direction": "up", "device_topic": "Home",
                       "broker_topic": "home/%s/telemetry" % name, "qos": 1, "retain": True,
                       "size": 4, "encoding": "text", "payload": "21.5", "cut": False}
        back.publish("home/%s/command" % name, b"\x00\xff\x10", 2)
        got = watch.event()
        assert (got["direction"], got["device_topic"], got["qos"], got["encoding"],
                got["payload"]) == ("down", "inTopic", 1, "hex", "00ff10")
        c.publish("pub/a/b", "é" * 5000, 1)
        got = watch.event()
        # Published to and subscribed to by this device: own/# is the same topic.
        assert (got["direction"], got["device_topic"]) == ("both", "pub/a/b")
        assert (got["size"], got["cut"], got["encoding"]) == (10000, True, "text")
        assert got["payload"] == "é" * 512
    watch.process.send(signal.SIGINT)
    assert watch.process.wait() == 0
    assert watch.lines()[watch.taken:] == []


def test_watch_for_people(gateway):
    """One line each, safe for the terminal; two watchers share the subscriptions."""
    gw = up(gateway)
    device = gw.enroll()
    one, two = Watch(gw, device.name), Watch(gw, device.name, "-o", "json")
    subscribed(gw, "broadcast/#")
    with gw.broker.client(version=V5) as back:
        def both():
            back.publish("broadcast/x", "hello\x1b[2J\n", 1)
            return one.lines() and two.lines()
        until(both, "both watchers to see a message")
        line = one.next()
        assert "down  all/x = broadcast/x  qos 1  10 B" in line
        assert "\x1b" not in line
        one.process.send(signal.SIGTERM)
        assert one.process.wait() == 0
        seen = len(two.lines())
        back.publish("broadcast/x", "more", 1)
        until(lambda: len(two.lines()) > seen, "the other one to go on")
    gw.broker.stop()
    until(lambda: not session(gw)["connected"], "the loss to be seen")
    gw.broker.start()
    connected(gw)
    with gw.broker.client(version=V5) as back:
        def again():
            back.publish("broadcast/y", "again", 1)
            return "broadcast/y" in "".join(two.lines())
        until(again, "the watch to be subscribed again")
    two.process.send(signal.SIGINT)
    assert two.process.wait() == 0


def test_watch_that_cannot_be(gateway):
    gw = up(gateway)
    result = gw.ctl("watch", "nobody", status=None)
    assert result.status != 0 and "nobody" in result.err
    assert gw.ctl("watch", status=2).err
    device = gw.enroll()
    gw.broker.stop()
    until(lambda: not session(gw)["connected"], "the loss to be seen")
    result = gw.ctl("watch", device.name, status=None)
    assert result.status != 0 and "no session with the broker" in result.err


def test_watchers_end_with_the_gateway(gateway):
    gw = up(gateway)
    device = gw.enroll()
    watch = Watch(gw, device.name)
    subscribed(gw, "broadcast/#")
    gw.stop()
    assert watch.process.wait() == 3
