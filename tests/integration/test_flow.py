# SPDX-License-Identifier: BSD-2-Clause
"""Who is slow or silent: nobody else waits, memory stays bounded, and silence has an end."""
import signal
import socket
import threading
import time

import pytest

from lib import wire
from lib.process import SANITIZER
from lib.gateway import SANITIZED
from lib.wait import PATIENCE, SCALE, until
from lib.wire import V31, V311, V5, VERSIONS

MIB = 1 << 20
# For each device: both queues at their high marks and a read under way on each
# side, twice, since buffers double while they grow. And a little for all.
PER_DEVICE = 2 * (2 * 256 + 2 * 64) * 1024


class Memory:
    """Growth of gatewayd from here on; a sanitizer keeps freed memory, so its says nothing."""

    def __init__(self, gw, devices=1):
        self.process, self.limit = gw.process, MIB + devices * PER_DEVICE
        with open("/proc/%d/clear_refs" % self.process.pid, "w") as f:
            f.write("5")  # resets VmHWM
        self.before = self.process.memory("VmHWM")

    def check(self):
        growth = self.process.memory("VmHWM") - self.before
        assert SANITIZED or growth < self.limit, "gatewayd grew by %d KiB" % (growth // 1024)


def warm(gw, *devices):
    """What the first connections bring in for good."""
    for device in devices:
        with gw.client(device) as c, gw.broker.client() as other:
            c.subscribe(("sub/#", 0))
            other.publish("dev/%s/down/x" % device.name, bytes(MIB))
            c.message("sub/x")
            c.publish("pub/x", bytes(MIB), 1)
            c.disconnect()


def test_100_mb_to_a_device_that_does_not_read(gateway):
    """QoS 0: Mosquitto drops what the gateway does not take; the gateway keeps next to nothing."""
    gw = gateway()
    deaf, good = gw.enroll(), gw.enroll()
    warm(gw, deaf, good)
    memory = Memory(gw)
    with gw.client(deaf, buffer=4096) as c, gw.client(good) as g, gw.broker.client() as other:
        c.subscribe(("sub/#", 0))
        packet = wire.publish(V311, "dev/%s/down/x" % deaf.name, bytes(64 * 1024))
        for i in range(100 * MIB // (64 * 1024)):
            other.send(packet)
            if i % 50 == 0:
                assert g.fence() == []
        other.fence()
        memory.check()
        assert gw.metrics()["backpressure_pauses"] > 0
        # The device wakes up: whole packets, then the answer to its ping.
        got = [p for p in c.fence() if p.type == wire.PUBLISH]
        assert got and all(len(p.payload) == 64 * 1024 for p in got)
        other.publish("dev/%s/down/x" % deaf.name, "last")
        c.message("sub/x", "last")
    memory.check()


def test_device_that_does_not_read_answers_to_itself(gateway):
    """Refused publishes are answered locally: even these stop when nobody takes the answers."""
    gw = gateway()
    device, good = gw.enroll(), gw.enroll()
    warm(gw, device, good)
    memory = Memory(gw)
    with gw.client(device, V5, buffer=4096) as c, gw.client(good) as g:
        packets = b"".join(wire.publish(V5, "elsewhere", b"", 1, mid=i % 65535 + 1)
                           for i in range(4000))
        c.sock.settimeout(0.5 * SCALE)
        sent = 0
        with pytest.raises(socket.timeout):
            while sent < 64 * MIB:
                sent += c.sock.send(packets)
        assert g.fence() == []
        memory.check()


def stopped(gw):
    class Stopped:
        def __enter__(self):
            gw.broker.process.send(signal.SIGSTOP)

        def __exit__(self, *_):
            gw.broker.process.send(signal.SIGCONT)
    return Stopped()


@pytest.mark.parametrize("version", (V311, V5))
def test_broker_that_is_stopped(gateway, version):
    """The device is paused, not buffered; everything arrives afterwards, in order."""
    gw = gateway()
    devices = [gw.enroll() for _ in range(3)]
    warm(gw, *devices)
    clients = [gw.client(d, version) for d in devices]
    memory, counts = Memory(gw, 3), []
    with gw.broker.client("dev/+/up/n") as watch:
        with stopped(gw):
            for c in clients:
                c.sock.settimeout(0.5 * SCALE)
                n = 0
                with pytest.raises(socket.timeout):
                    while n < 2000:
                        packet = wire.publish(version, "pub/n", b"%06d" % n + bytes(32 * 1024))
                        c.sock.send(packet)
                        n += 1
                counts.append((n, packet))
            memory.check()
        for c, (_, packet) in zip(clients, counts):
            c.send(packet)  # the one that was under way
        left = {d.name: iter(range(n + 1)) for d, (n, _) in zip(devices, counts)}
        for _ in range(sum(n + 1 for n, _ in counts)):
            got = watch.message()
            assert got.payload[:6] == b"%06d" % next(left[got.topic.split("/")[1]])
    for c in clients:
        assert c.fence() == []
        c.disconnect()
    memory.check()


def test_paused_device_is_not_silent(gateway):
    """Its keepalive passes while the broker does not read: that is not the device's fault."""
    gw = gateway()
    with gw.client(gw.enroll(), V5, keepalive=1) as c:
        with stopped(gw):
            c.sock.settimeout(0.3 * SCALE)
            packet = wire.publish(V5, "pub/x", bytes(64 * 1024))
            with pytest.raises(socket.timeout):
                for _ in range(1000):
                    c.sock.send(packet)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                assert gw.metrics()["sessions"] == 1
        assert gw.metrics()["keepalive_timed_out"] == 0
        c.send(packet)  # the one that was under way
        assert c.fence() == []


# ---- keepalive -------------------------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_silent_device_is_closed(shared, version):
    """After its keepalive, with the reason in 5.0, and its will is published."""
    device = shared.enroll()
    before = shared.metrics()["keepalive_timed_out"]
    will = wire.Will("pub/will", "dead", 1)
    start = time.monotonic()  # before its CONNECT: a loaded machine only adds to it
    with shared.broker.client("dev/%s/up/will" % device.name) as watch, \
            shared.client(device, version, keepalive=1, will=will) as c:
        c.expect_closed(0x8d)
        assert time.monotonic() - start > .9  # the broker may be first: it counts whole seconds
        watch.message(payload="dead")
    assert shared.metrics()["keepalive_timed_out"] == before + 1


def test_device_that_pings_is_kept(shared):
    """Longer than 1.5 times its keepalive, which is long so that a slow machine keeps it, too."""
    with shared.client(shared.enroll(), V5, keepalive=3) as c:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            assert c.fence() == []
            with pytest.raises(AssertionError, match="nothing came"):
                c.recv(0.5)


def test_messages_to_a_device_do_not_keep_it(shared):
    """Only what the device sends counts (3.1.2.10)."""
    device = shared.enroll()
    stop = threading.Event()

    def talk():
        with shared.broker.client() as other:
            while not stop.wait(0.2):
                other.publish("dev/%s/down/x" % device.name, "x")

    thread = threading.Thread(target=talk)
    with shared.client(device, V5, keepalive=1) as c:
        c.subscribe(("sub/#", 0))
        thread.start()
        try:
            got = c.recv()
            while got.type == wire.PUBLISH:
                got = c.recv()
            assert (got.type, got.code) == (wire.DISCONNECT, 0x8d)
        finally:
            stop.set()
            thread.join()


def test_keepalive_limit(gateway):
    gw = gateway(conf={"limits": {"keepalive_max": 5}})
    device = gw.enroll()
    for asked in (0, 6, 65535):
        with gw.client(device, V5, keepalive=asked) as c:
            assert c.connack.props["server_keep_alive"] == 5
        with gw.client(device, V311, code=2, keepalive=asked) as c:
            c.expect_closed()
    for asked in (1, 5):
        with gw.client(device, V5, keepalive=asked) as c:
            assert "server_keep_alive" not in c.connack.props
        with gw.client(device, V31, keepalive=asked) as c:
            assert c.fence() == []


# ---- a flood ---------------------------------------------------------------------

@pytest.mark.parametrize("qos", (0, 1))
def test_flood_of_one_device(gateway, qos):
    """One worker, one device that sends as fast as it can: the other's ping is answered."""
    gw = gateway(conf={"gateway": {"workers": 1}})
    loud, good = gw.enroll(), gw.enroll()
    warm(gw, loud, good)
    memory, stop = Memory(gw), threading.Event()
    with gw.client(loud) as c, gw.client(good, V5) as g:
        packets = b"".join(wire.publish(V311, "pub/x", bytes(100), qos, mid=i + 1 if qos else None)
                           for i in range(1000))

        def shout():
            while not stop.is_set():
                c.send(packets)
                for _ in range(1000 if qos else 0):
                    c.expect(wire.PUBACK)

        thread = threading.Thread(target=shout)
        thread.start()
        try:
            until(lambda: gw.metrics()["publish_up"] > 5000, "the flood")
            for _ in range(100):
                g.publish("Home", "x", 1)
                assert g.fence() == []
            assert thread.is_alive()
        finally:
            stop.set()
            thread.join(PATIENCE)
        assert c.fence() == []
    memory.check()


def test_flood_of_handshakes(gateway):
    """Connections that begin and never end their handshake do not hold up a connected device."""
    gw = gateway(conf={"gateway": {"workers": 1}})
    start = time.monotonic()
    with gw.client(gw.enroll(), V5) as g:
        for i in range(200):
            s = socket.create_connection(("127.0.0.1", gw.port), PATIENCE)
            s.sendall(b"\x16\x03\x01\x01\x00" if i % 2 else b"GET / HTTP/1.1\r\n\r\n")
            assert g.fence() == []
            s.close()
    # Ten lines a second and worker; the rest is counted.
    assert gw.text().count("device refused") <= 10 * (time.monotonic() - start + 2)
    assert not SANITIZER.search(gw.text())
