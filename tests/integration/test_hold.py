# SPDX-License-Identifier: BSD-2-Clause
"""Devices that stay connected while the broker is away, and what becomes of what they send."""
import contextlib
import os
import select
import signal
import socket
import threading

import pytest

from lib import config, wire
from lib.config import rule
from lib.fake_broker import FakeBroker
from lib.recorder import Recorder
from lib.wait import PATIENCE, until
from lib.wire import V311, V5, VERSIONS


def state_of(gw, device):
    """The states of the device's connections."""
    return [row["state"] for row in gw.sessions(device.name)]


def await_state(gw, device, state):
    until(lambda: state_of(gw, device) == [state], "%s to be %s" % (device.name, state))


def away(gw, signum=signal.SIGTERM):
    gw.broker.stop(signum)
    until(lambda: gw.status()["broker"]["state"] == "away", "the loss to be seen")


def back(gw, *filters):
    """Start the broker and watch it before the gateway sees it."""
    gw.process.send(signal.SIGSTOP)
    try:
        gw.broker.start()
        return gw.broker.client(*filters)
    finally:
        gw.process.send(signal.SIGCONT)


def maps(**outage):
    return ({**config.MAPS[0], "outage": outage},)


def arrives(watch, first, last):
    """Messages with these numbers, in order; those of QoS 1 may come again."""
    expected = first
    while expected <= last:
        number = int(watch.message().payload)
        assert number <= expected, "%d came before %d" % (number, expected)
        expected += number == expected


def test_somebody_else_uses_the_client_identifier(shared):
    """At the broker itself. It is taken back, but not for ever: that would stay unseen."""
    device = shared.enroll()
    with contextlib.ExitStack() as stack:
        c = stack.enter_context(shared.client(device, V311))
        for taken_back in range(20):  # two on a machine that needs no 10 s for it
            rival = stack.enter_context(shared.broker.client(client_id=device.name))
            if c.sock in select.select([c.sock, rival.sock], [], [], PATIENCE)[0]:
                break
            rival.expect_closed()
            await_state(shared, device, "live")
        c.expect_closed()
        assert taken_back >= 2
        until(lambda: "same client identifier" in shared.ctl("diagnose", device.name, status=None).out,
              "the reason to be told")
        rival.publish("nobody", "x", 1)


@pytest.mark.parametrize("signum", (signal.SIGTERM, signal.SIGKILL))
@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_stays_through_a_restart(gateway, version, signum):
    gw = gateway()
    device = gw.enroll()
    with gw.client(device, version) as c:
        c.subscribe(("inTopic", 1))
        c.publish("Home", "1", 1)
        away(gw, signum)
        await_state(gw, device, "held")
        for number in range(2, 12):
            c.publish("Home", str(number), 1)
        c.publish("Home", "12")
        c.fence()
        shown = gw.ctl("devices", "show", device.name, output="json")
        assert shown["sessions"][0]["stored"] == 11
        with back(gw, "home/+/telemetry") as watch:
            arrives(watch, 2, 12)
            await_state(gw, device, "live")
            c.publish("Home", "13", 1)
            arrives(watch, 13, 13)
            watch.publish("home/%s/command" % device.name, "on", 1)
            c.message("inTopic", "on", 1)
            c.publish("Home", "14", 2)
        metrics = gw.metrics()
        assert metrics["outage_held"] == metrics["outage_restored"] == 1
        assert metrics["sessions_held"] == 0


def test_what_waited_for_the_broker(gateway):
    """SUBSCRIBE and UNSUBSCRIBE are done when it is back, PINGREQ is answered at once."""
    gw = gateway()
    device = gw.enroll()
    with gw.client(device, V5) as c:
        c.subscribe(("inTopic", 1), ("all/#", 1))
        away(gw)
        await_state(gw, device, "held")
        c.send(wire.unsubscribe(V5, 7, ("all/#",)), wire.subscribe(V5, 8, (("sub/#", 1),)))
        assert c.fence() == []
        gw.broker.start()
        c.expect(wire.UNSUBACK, mid=7, codes=[0])
        c.expect(wire.SUBACK, mid=8, codes=[1])
        with gw.broker.client() as other:
            other.publish("broadcast/x", "no", 1)
            other.publish("dev/%s/down/x" % device.name, "yes", 1)
            c.message("sub/x", "yes", 1)
            other.publish("home/%s/command" % device.name, "too", 1)
            c.message("inTopic", "too", 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_who_cannot_be_held_is_told(gateway, version):
    """A will, a session that is to last, a QoS 2 exchange."""
    gw = gateway()
    kinds = {"will": {"will": wire.Will("Home", b"off")},
             "session": {"clean": False, "client_id": "x"} if version != V5 else
                        {"props": {"session_expiry": 60}}, "plain": {}}
    devices = {name: gw.enroll() for name in kinds}
    clients = {name: gw.client(devices[name], version, **kw) for name, kw in kinds.items()}
    clients["plain"].send(wire.publish(version, "Home", "x", 2, mid=9))
    clients["plain"].expect(wire.PUBREC, mid=9)
    away(gw)
    for c in clients.values():
        c.expect_closed(0x8b)
    metrics = gw.metrics()
    assert metrics["outage_closed"] == 3 and metrics["outage_held"] == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_device_that_comes_meanwhile(gateway, version):
    gw = gateway(start_broker=False)
    device = gw.enroll()
    with gw.client(device, version) as c:
        assert not c.connack.session_present
        c.send(wire.subscribe(version, 5, (("inTopic", 1),)))
        for number in range(1, 6):
            c.publish("Home", str(number), 1, retain=number == 5)
        assert state_of(gw, device) == ["held"]
        with back(gw, "home/#") as watch:
            c.expect(wire.SUBACK, mid=5, codes=[1])
            arrives(watch, 1, 5)
            await_state(gw, device, "live")
            c.publish("Home", "6", 1)
            arrives(watch, 6, 6)
        with gw.broker.client("home/#") as watch:
            watch.message(payload="5", retain=True)


@pytest.mark.parametrize("stored", (False, True))
def test_persistent_sessions_are_refused(gateway, stored):
    gw = gateway(start_broker=False)
    device = gw.enroll()
    if stored:
        with gw.client(device, V311) as c:
            c.publish("Home", "1", 1)
    for version in (V311, V5):
        c = gw.dial(device, version)
        kw = {"clean": False, "client_id": "x"}
        if version == V5:
            kw = {"props": {"session_expiry": 60}}
        c.send(wire.connect(version, **kw))
        assert c.expect(wire.CONNACK).code == (0x88 if version == V5 else 3)
        c.expect_closed()


@pytest.mark.parametrize("version", (V311, V5))
def test_publish_only(gateway, version):
    gw = gateway(conf={"maps": maps(persistent="publish-only")}, start_broker=False)
    device = gw.enroll()
    kw = {"clean": False, "client_id": "x"}
    if version == V5:
        kw = {"props": {"session_expiry": 60}}
    with gw.client(device, version, **kw) as c:
        c.subscribe(("inTopic", 1), codes=[0x83 if version == V5 else 0x80])
        c.publish("Home", "1", 1)
        gw.broker.start()
        c.expect_closed(0x8b)
    with gw.client(device, version, **kw) as c:
        c.subscribe(("inTopic", 1))


def test_a_map_that_refuses(gateway):
    gw = gateway(conf={"maps": maps(devices="refuse")})
    device = gw.enroll()
    with gw.client(device, V5) as c:
        away(gw)
        c.expect_closed(0x8b)


@pytest.mark.parametrize("lost", (True, False))
def test_a_will_is_kept(gateway, lost):
    gw = gateway(start_broker=False)
    device = gw.enroll()
    c = gw.client(device, V311, will=wire.Will("Home", b"off", 1, True))
    c.publish("Home", "on", 1, retain=True)
    if lost:
        c.cut()
    else:
        c.disconnect()
    until(lambda: "held" not in state_of(gw, device), "the session to end")
    gw.broker.start()
    with gw.broker.client() as watch:
        def value():
            watch.subscribe(("home/#", 1))
            return [p.payload for p in watch.fence()]
        until(lambda: value() == [b"off" if lost else b"on"], "the value to be there")


def test_a_will_that_is_not_kept_is_counted(gateway):
    gw = gateway(conf={"maps": maps(store_messages=1)}, start_broker=False)
    with gw.client(version=V311, will=wire.Will("Home", b"off", 1)) as c:
        c.publish("Home", "on", 1)
    until(lambda: gw.metrics()["store_refused"] == 1, "the loss to be counted")


def test_a_will_is_not_the_last_word_on_a_device_that_is_back(gateway):
    """A board that restarted is here again long before its old connection is found dead."""
    gw = gateway(start_broker=False)
    device = gw.enroll()
    will = wire.Will("Home", b"off", 1, True)
    old = gw.client(device, V311, will=will)
    with gw.client(device, V311, will=will) as new:
        new.publish("Home", "on", 1, retain=True)
        old.cut()
        until(lambda: state_of(gw, device) == ["held"], "the old session to end")
        gw.broker.start()
        await_state(gw, device, "live")
        with gw.broker.client("home/#") as watch:
            watch.message(payload="on", retain=True)


def test_a_frozen_broker(gateway):
    gw = gateway(conf={"upstream": {"response_timeout": "2s", "connect_timeout": "1s"}})
    device = gw.enroll()
    with gw.client(device, V311) as c:
        c.publish("Home", "0", 1)
        with gw.broker.client("home/#") as watch:
            gw.broker.process.send(signal.SIGSTOP)
            try:
                for number in range(1, 5):
                    c.publish("Home", str(number), 1)
            finally:
                gw.broker.process.send(signal.SIGCONT)
            arrives(watch, 1, 4)
        await_state(gw, device, "live")


def test_killed_while_storing(gateway):
    """Nothing that was acknowledged is lost with the gateway."""
    gw = gateway(start_broker=False)
    gw.keep_port()
    device = gw.enroll()
    c = gw.client(device, V311)
    for number in range(1, 40):
        c.publish("Home", str(number), 1)
    gw.kill()
    gw.broker.start()
    with gw.broker.client("home/#") as watch:
        gw.start()
        arrives(watch, 1, 39)


class Returning(threading.Thread):
    """A device that connects, publishes the next number with QoS 1 and goes, again and again."""

    def __init__(self, gw, device, over):
        super().__init__()
        self.gw, self.device, self.over = gw, device, over
        self.acknowledged, self.error = 0, None

    def run(self):
        try:
            while not self.over.is_set():
                with self.gw.dial(self.device, V311) as c:
                    c.send(wire.connect(V311), wire.publish(
                        V311, "Home", str(self.acknowledged + 1), 1, mid=1))
                    c.expect(wire.CONNACK, code=0)
                    c.expect(wire.PUBACK, mid=1)
                    self.acknowledged += 1
        except BaseException as e:
            self.error = e


def test_coming_in_the_moment_of_the_return(gateway):
    """Stored before live, also for those who connect before all of the gateway knows."""
    gw = gateway(start_broker=False, start=False, broker={"options": ["max_inflight_messages 0"]})
    door, over = gw.path("door.sock"), threading.Event()
    gw.write_conf(upstream={"path": door})
    gw.start()
    threads = [Returning(gw, gw.enroll(), over) for _ in range(16)]
    for t in threads:
        t.start()
    try:
        until(lambda: all(t.acknowledged >= 10 or t.error for t in threads), "some to be stored")
        recorder = Recorder(gw.folder, gw.broker.socket, persistent=False)
        gw.broker.start()
        recorder.await_subscribed(1)
        os.symlink(gw.broker.socket, door)
        until(lambda: gw.status()["broker"]["state"] == "up", "the broker to be found")
        at = [t.acknowledged for t in threads]
        until(lambda: all(t.acknowledged >= n + 5 or t.error for t, n in zip(threads, at)),
              "all to be live")
    finally:
        over.set()
        for t in threads:
            t.join(2 * PATIENCE)
    assert [t.error for t in threads if t.error] == []
    topics = {"home/%s/telemetry" % t.device.name: t.acknowledged for t in threads}
    try:
        until(lambda: all(n in recorder.recorded().get(topic, ()) for topic, n in topics.items()),
              "the last of each to come")
        for topic, numbers in recorder.recorded().items():
            first = list(dict.fromkeys(numbers))
            assert first == sorted(first), "%s: %r" % (topic, first)
            assert first == list(range(1, topics[topic] + 1))
    finally:
        recorder.stop()


def test_a_rule_that_stores(gateway):
    stored = rule("Home", "home/${identity}/telemetry", qos=1, delivery="store")
    changed = {**config.MAPS[0], "publish": (stored,) + config.MAPS[0]["publish"][1:]}
    gw = gateway(conf={"maps": (changed,)})
    device = gw.enroll()
    with gw.broker.client("home/#", "log/#") as watch, gw.client(device, V311) as c:
        c.publish("Home", "1")
        arrives(watch, 1, 1)
        c.send(wire.publish(V311, "Home", "2", 1, mid=1), wire.publish(V311, "log/x", "3", 1, mid=2))
        c.expect(wire.PUBACK, mid=1)
        c.expect(wire.PUBACK, mid=2)
        assert sorted(int(watch.message().payload) for _ in range(2)) == [2, 3]
    assert gw.metrics()["publish_stored"] == 2


class Numbered(threading.Thread):
    """A device that publishes numbers with QoS 1, each acknowledged before the next."""

    def __init__(self, gw, device, last):
        super().__init__()
        self.gw, self.device, self.last = gw, device, last
        self.acknowledged, self.error = 0, None

    def run(self):
        try:
            with self.gw.client(self.device, V5) as c:
                c.subscribe(("inTopic", 1))
                for number in range(1, self.last + 1):
                    c.publish("Home", str(number), 1)
                    self.acknowledged = number
                c.fence()
        except BaseException as e:
            self.error = e


def test_many_devices_and_restarts(gateway):
    """Nobody loses the connection, nothing is lost, every device's order is kept."""
    gw = gateway(broker={"persistence": True}, conf={"upstream": {"retry_max": "100ms"}})
    devices = [gw.enroll() for _ in range(12)]
    watch_name = {"client_id": "watch", "clean": False}
    gw.broker.client("home/+/telemetry", **watch_name).cut()
    threads = [Numbered(gw, device, 400) for device in devices]
    for t in threads:
        t.start()
    for stop in (100, 200, 300):
        until(lambda: all(t.acknowledged >= stop or t.error for t in threads), "%d to be through" % stop)
        gw.broker.stop(signal.SIGTERM)
        at = [t.acknowledged for t in threads]
        until(lambda: any(t.acknowledged > a + 5 for t, a in zip(threads, at))
              or all(t.acknowledged == 400 for t in threads), "some to be stored")
        gw.broker.start()
    for t in threads:
        t.join(4 * PATIENCE)
        assert t.error is None and t.acknowledged == 400
    until(lambda: gw.ctl("spool", output="json")["messages"] == 0, "the spool to be empty")
    seen = {device.name: 0 for device in devices}
    with gw.broker.client(**watch_name) as watch:
        while min(seen.values()) < 400:
            got = watch.message()
            name, number = got.topic.split("/")[1], int(got.payload)
            assert number <= seen[name] + 1, "%s: %d after %d" % (name, number, seen[name])
            seen[name] = max(seen[name], number)


def test_the_newer_connection_stays(gateway):
    """Two of one client identifier while nobody can take over: the broker's rule, later."""
    gw = gateway()
    device = gw.enroll()
    with gw.client(device, V5) as old:
        away(gw)
        await_state(gw, device, "held")
        with gw.client(device, V5) as new:
            gw.broker.start()
            old.expect_closed(0x8e)
            await_state(gw, device, "live")
            new.publish("Home", "x", 1)


def test_the_older_connection_goes_at_once(gateway):
    """Nobody waits for the broker to close it, and no will of it comes behind the newer one."""
    gw = gateway(start_broker=False)
    device = gw.enroll()
    old = gw.client(device, V5, will=wire.Will("Home", b"off", 1))
    for _ in range(6):  # on the same worker and on another
        new = gw.client(device, V5, will=wire.Will("Home", b"off", 1))
        old.expect_closed(0x8e)
        old = new
    await_state(gw, device, "held")
    metrics = gw.metrics()
    assert metrics["sessions_taken_over"] == metrics["outage_ended"] == 6
    assert metrics["sessions_held"] == metrics["sessions"] == 1
    assert metrics["publish_stored"] == 0


class Keeping(FakeBroker):
    """Acknowledges the first message of the gateway's own client when told, the second never."""

    def __init__(self, path):
        self.stored, self.go_on, self.sockets = [], threading.Event(), []
        super().__init__(path, None)

    def _serve(self, s):
        self.sockets.append(s)
        super()._serve(s)

    def reply(self, count, first, body):
        kind = first >> 4
        if kind == wire.CONNECT:
            return wire.packet(wire.CONNACK, 0, b"\0\0\0")
        if kind == wire.UNSUBSCRIBE:  # the question for a sign of life
            return wire.packet(wire.UNSUBACK, 0, body[:2] + b"\0\x11")
        if kind == wire.PINGREQ:
            return wire.packet(wire.PINGRESP, 0, b"")
        if kind != wire.PUBLISH:
            return b""
        self.stored.append(body)
        if len(self.stored) > 1 or not self.go_on.wait(PATIENCE):
            return b""
        mid = 2 + int.from_bytes(body[:2], "big")
        return wire.ack(wire.PUBACK, int.from_bytes(body[mid:mid + 2], "big"))

    def die(self):
        self.close()
        for s in self.sockets:
            with contextlib.suppress(OSError):  # one that only asked whether we are here
                s.shutdown(socket.SHUT_RDWR)


def stored_and_gone(gw, device):
    """What a device published while there was no broker is on its way to one."""
    with gw.client(device, V5) as c:
        c.publish("Home", "1", 1)
    until(lambda: "held" not in state_of(gw, device), "the device to be gone")
    broker = Keeping(gw.broker.socket)
    until(lambda: broker.stored, "the message to be sent")
    return broker


def test_coming_while_the_store_is_emptied(gateway):
    """A device that comes meanwhile gets what the broker grants, not what an outage leaves."""
    gw = gateway(conf={"upstream": {"connect_timeout": "5min", "response_timeout": "5min"}},
                 start_broker=False)
    device = gw.enroll()
    broker = stored_and_gone(gw, device)
    with gw.dial(device, V5) as c:
        c.send(wire.connect(V5))
        await_state(gw, device, "dial")
        broker.go_on.set()
        assert "maximum_qos" not in c.expect(wire.CONNACK, code=0).props
        await_state(gw, device, "live")


def test_coming_while_the_store_is_not_emptied(gateway):
    """It does not wait for ever: it is let in as during an outage, one that may not is refused."""
    gw = gateway(conf={"upstream": {"connect_timeout": "100ms", "response_timeout": "5min"}},
                 start_broker=False)
    device = gw.enroll()
    stored_and_gone(gw, device)
    with gw.client(device, V5) as c:
        assert c.connack.props["maximum_qos"] == 1
        c.publish("Home", "2", 1)
    with gw.client(device, V5, code=0x88, props={"session_expiry": 60}) as c:
        c.expect_closed()


def test_lost_again_while_the_last_of_the_store_goes(gateway):
    """A device that is read no more, since its turn has come, is read again when the broker goes."""
    gw = gateway(conf={"upstream": {"connect_timeout": "5min", "response_timeout": "5min"}},
                 start_broker=False)
    device = gw.enroll()
    with gw.client(device, V311) as c:
        c.publish("Home", "1", 1)
        broker = Keeping(gw.broker.socket)
        until(lambda: broker.stored, "the first to be sent")
        await_state(gw, device, "draining")
        c.publish("Home", "2", 1)
        broker.go_on.set()
        await_state(gw, device, "restoring")
        broker.die()
        c.fence()
        await_state(gw, device, "held")


ENDINGS = {"revoke": 0x98, "disconnect": 0x98, "stop": 0x8b, "cut": None}


def end(gw, device, c, how):
    """End a connection in one of the ways from outside."""
    if how == "cut":
        c.cut()
    elif how == "stop":
        gw.stop()
    else:
        gw.ctl(how, device.name)


@pytest.mark.parametrize("how", ("revoke", "disconnect", "stop"))
def test_ended_while_it_waits_for_the_store(gateway, how):
    gw = gateway(conf={"upstream": {"connect_timeout": "5min", "response_timeout": "5min"}},
                 start_broker=False)
    device = gw.enroll()
    stored_and_gone(gw, device)
    with gw.dial(device, V5) as c:
        c.send(wire.connect(V5))
        await_state(gw, device, "dial")
        end(gw, device, c, how)
        c.expect(wire.CONNACK, code=0x88 if how == "stop" else 0x87)
        c.expect_closed()


@pytest.mark.parametrize("state,how", [("draining", how) for how in ENDINGS] +
                         [("restoring", how) for how in ENDINGS if how != "cut"])
def test_ended_on_its_way_back(gateway, state, how):
    """Whatever ends a device between the broker's return and its own, the counts are right."""
    gw = gateway(conf={"upstream": {"connect_timeout": "5min", "response_timeout": "5min"}},
                 start_broker=False)
    device = gw.enroll()
    c = gw.client(device, V5)
    c.publish("Home", "1", 1)
    broker = Keeping(gw.broker.socket)
    until(lambda: broker.stored, "the first to be sent")
    await_state(gw, device, "draining")
    if state == "restoring":
        c.publish("Home", "2", 1)
        broker.go_on.set()
        await_state(gw, device, state)
    end(gw, device, c, how)
    if how != "cut":
        c.expect_closed(ENDINGS[how])
    if how != "stop":
        until(lambda: gw.metrics()["sessions"] == 0, "the session to end")
        metrics = gw.metrics()
        assert metrics["outage_ended"] == 1 and metrics["sessions_held"] == 0


def test_revoked_while_held(gateway):
    gw = gateway(start_broker=False)
    device = gw.enroll()
    with gw.client(device, V5) as c:
        gw.ctl("revoke", device.name)
        c.expect_closed(0x98)


def test_a_full_store(gateway):
    """What is not kept is not acknowledged, nor what follows; the device has to connect again."""
    gw = gateway(conf={"maps": maps(store_messages=5)}, start_broker=False)
    device = gw.enroll()
    with gw.client(device, V5) as c:
        for number in range(1, 6):
            c.publish("Home", str(number), 1)
        c.send(wire.publish(V5, "Home", "6", 1, mid=6), wire.publish(V5, "Home", "7", 1, mid=7))
        assert c.fence() == []
        with back(gw, "home/#") as watch:
            arrives(watch, 1, 5)
            c.expect_closed(0x97)
            with gw.client(device, V5) as again:
                again.publish("Home", "6", 1)
                arrives(watch, 6, 6)
    assert gw.metrics()["store_refused"] == 2


def test_a_store_that_has_room_again(gateway):
    """A device that was refused is not left alone with its message until the broker is back."""
    gw = gateway(conf={"maps": maps(store_messages=1), "upstream": {"retry_max": "1s"}},
                 start_broker=False)
    device = gw.enroll()
    with gw.client(device, V5) as c:
        c.publish("Home", "1", 1)
        c.send(wire.publish(V5, "Home", "2", 1, mid=2))
        c.expect_closed(0x97)
    gw.ctl("spool", "purge", device.name, "-y")
    with gw.client(device, V5) as c:
        c.publish("Home", "2", 1)


def test_gateway_stops_while_devices_are_held(gateway):
    gw = gateway(start_broker=False)
    device = gw.enroll()
    with gw.client(device, V5, will=wire.Will("Home", b"off", 1)) as c:
        c.publish("Home", "1", 1)
        gw.stop()
        c.expect_closed(0x8b)
    gw.broker.start()
    with gw.broker.client("home/#") as watch:
        gw.start()
        watch.message(payload="1")
        watch.message(payload="off")


def test_told_to_stop_again_and_again(gateway):
    """One signal is enough; more do not make it end before it is through."""
    gw = gateway(start_broker=False)
    with gw.client(version=V5, will=wire.Will("Home", b"off", 1)) as c:
        gw.process.send(signal.SIGTERM)
        c.expect(wire.DISCONNECT, code=0x8b)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            gw.process.send(signum)
        gw.stop()
    gw.broker.start()
    with gw.broker.client("home/#") as watch:
        gw.start()
        watch.message(payload="off")


@pytest.mark.parametrize("after", (0, 1, 25))
def test_gateway_stops_while_it_stores(gateway, after):
    """What was acknowledged arrives; what was on its way to the disk does no harm."""
    gw = gateway(start_broker=False)
    device = gw.enroll()
    with gw.client(device, V5, will=wire.Will("Home", b"0", 1)) as c:
        for number in range(1, 30):
            c.send(wire.publish(V5, "Home", str(number), 1, mid=number))
        for number in range(1, after + 1):
            c.expect(wire.PUBACK, mid=number)
        acknowledged = after
        gw.stop()
        packet = c.recv()
        while packet.type == wire.PUBACK:
            acknowledged, packet = packet.mid, c.recv()
        assert packet.type == wire.DISCONNECT and packet.code == 0x8b
    gw.broker.start()
    with gw.broker.client("home/#") as watch:
        gw.start()
        last = 0
        while True:
            number = int(watch.message().payload)
            if number == 0:
                break  # the will is behind all of them
            assert number == last + 1
            last = number
        assert last >= acknowledged


def test_killed_with_a_persistent_session(gateway):
    """What a rule stored arrives although gatewayd was killed, and the session is there."""
    stored = rule("Home", "home/${identity}/telemetry", qos=1, delivery="store")
    changed = {**config.MAPS[0], "publish": (stored,) + config.MAPS[0]["publish"][1:]}
    gw = gateway(conf={"maps": (changed,), "upstream": {"response_timeout": "5min"}})
    gw.keep_port()
    device = gw.enroll()
    c = gw.client(device, V311, client_id="x", clean=False)
    c.subscribe(("inTopic", 1))
    with gw.broker.client("home/+/telemetry") as watch:
        gw.broker.process.send(signal.SIGSTOP)
        for number in range(1, 10):
            c.publish("Home", str(number), 1)
        gw.kill()
        gw.broker.process.send(signal.SIGCONT)
        with gw.broker.client() as other:
            other.publish("home/%s/command" % device.name, "on", 1)
        gw.start()
        with gw.client(device, V311, client_id="x", clean=False) as again:
            assert again.connack.session_present
            again.message("inTopic", "on", 1)
            arrives(watch, 1, 9)
