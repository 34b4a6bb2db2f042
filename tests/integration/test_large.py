# SPDX-License-Identifier: BSD-2-Clause
"""Large packets, slow readers and floods: memory stays where the configuration puts it."""
import os
import signal
import socket
import threading

import pytest

from lib import wire
from lib.client import Closed
from lib.gateway import SANITIZED
from lib.wait import until
from lib.wire import V311, V5, VERSIONS

MIB = 1 << 20


def check_growth(gw, before, limit=MIB):
    """A sanitizer keeps freed memory, so its growth says nothing."""
    growth = gw.process.memory("VmHWM") - before
    assert SANITIZED or growth < limit, "gatewayd grew by %d KiB" % (growth // 1024)


def warm_up(gw, device, version, qos=1):
    """
    The first connection of each worker and the first packets bring in what is
    used for good; returns the memory then. The kernel chooses the worker: of
    a dozen connections each has some.
    """
    for _ in range(12):
        with gw.client(device, version) as c:
            c.publish("Home", "x", 1)
    with gw.broker.client("dev/#") as watch, gw.client(device, version) as c:
        c.subscribe(("sub/#", 1))
        c.publish("pub/big", os.urandom(2 * MIB), qos)
        watch.message()
        with gw.broker.client() as other:
            other.publish("dev/%s/down/big" % device.name, os.urandom(2 * MIB), 1)
        c.message("sub/big")
    # VmHWM is reset by writing 5: only the growth from here on counts.
    with open("/proc/%d/clear_refs" % gw.process.pid, "w") as f:
        f.write("5")
    return gw.process.memory("VmHWM")


@pytest.mark.parametrize("version", (V311, V5))
def test_64_mib_up(gateway, version):
    gw = gateway()
    device = gw.enroll()
    before = warm_up(gw, device, version)
    payload = os.urandom(64 * MIB)
    with gw.broker.client("dev/#") as watch, gw.client(device, version) as c:
        c.publish("pub/big", payload, 1)
        assert watch.message("dev/%s/up/big" % device.name).payload == payload
    check_growth(gw, before)


@pytest.mark.parametrize("version", (V311, V5))
def test_64_mib_down(gateway, version):
    gw = gateway()
    device = gw.enroll()
    before = warm_up(gw, device, version)
    payload = os.urandom(64 * MIB)
    with gw.broker.client() as other, gw.client(device, version) as c:
        c.subscribe(("sub/#", 1))
        other.publish("dev/%s/down/big" % device.name, payload, 1)
        assert c.message("sub/big").payload == payload
    check_growth(gw, before)


def test_64_mib_denied(gateway):
    """What is denied is thrown away as it comes."""
    gw = gateway()
    device = gw.enroll()
    before = warm_up(gw, device, V5)
    with gw.client(device, V5) as c:
        c.publish("elsewhere", bytes(64 * MIB), 1, code=0x87)
        c.publish("elsewhere", bytes(4 * MIB), 2, code=0x87)
        c.publish("Home", "x", 1)
    check_growth(gw, before)


def flood(other, topic, size, count, qos=0):
    """Publish from a thread of its own: nobody reads on the other side yet."""
    payload = bytes(size)

    def run():
        for i in range(count):
            mid = i + 1 if qos else None
            other.send(wire.publish(V311, topic, b"%08d" % i + payload, qos, mid=mid))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_slow_reader_costs_no_memory(gateway):
    """
    A device that does not read: 32 MB wait in the broker, and only what the water marks
    and the kernel hold is on its way.
    """
    gw = gateway(broker={"options": ["max_inflight_messages 0"]})
    device, quick = gw.enroll(), gw.enroll()
    before = warm_up(gw, device, V311)
    with gw.broker.client() as other, gw.client(device, buffer=4096) as c, \
            gw.client(quick) as busy:
        c.subscribe(("sub/#", 1))
        thread = flood(other, "dev/%s/down/x" % device.name, 64 * 1024, 500, 1)
        for i in range(50):
            busy.publish("Home", str(i), 1)  # nobody else waits
        thread.join()
        for i in range(500):
            other.expect(wire.PUBACK, mid=i + 1)
        busy.publish("Home", "last", 1)
        check_growth(gw, before, 2 * MIB)
        for i in range(500):
            got = c.expect(wire.PUBLISH, qos=1)
            assert got.payload[:8] == b"%08d" % i
            c.answer(got)
        assert c.fence() == []
    check_growth(gw, before, 2 * MIB)


def test_many_small_messages_while_the_device_does_not_read(gateway):
    gw = gateway(broker={"options": ["max_inflight_messages 0"]})
    device = gw.enroll()
    before = warm_up(gw, device, V311)
    with gw.broker.client() as other, gw.client(device, buffer=4096) as c:
        c.subscribe(("sub/#", 2))
        thread = flood(other, "dev/%s/down/n" % device.name, 10, 20000, 1)
        got = 0
        while got < 20000:
            got += other.recv().type == wire.PUBACK
        thread.join()
        check_growth(gw, before)
        for i in range(20000):
            got = c.expect(wire.PUBLISH, qos=1)
            assert got.payload[:8] == b"%08d" % i
            c.answer(got)


def test_slow_broker_stops_the_device(gateway):
    """The broker does not read: the device is no longer read either, and nothing piles up."""
    gw = gateway()
    device = gw.enroll()
    before = warm_up(gw, device, V311)
    with gw.broker.client("dev/#") as watch, gw.client(device) as c:
        gw.broker.process.send(signal.SIGSTOP)
        packet = wire.publish(V311, "pub/x", bytes(64 * 1024))
        sent = 0
        c.sock.settimeout(1)
        try:
            while sent < 1000:
                c.sock.sendall(packet)
                sent += 1
        except socket.timeout:
            pass
        finally:
            gw.broker.process.send(signal.SIGCONT)
        assert sent < 1000
        check_growth(gw, before)
        for _ in range(sent):
            watch.message()


@pytest.mark.parametrize("version", VERSIONS)
def test_packet_size_limit(gateway, version):
    gw = gateway(conf={"limits": {"packet_size": 10000}})
    device = gw.enroll()
    with gw.client(device, version) as c:
        if version == V5:
            assert c.connack.props["maximum_packet_size"] == 10000
        head = len(wire.publish(version, "pub/x", b"", 1, mid=1)) + 1
        exact = wire.publish(version, "pub/x", bytes(10000 - head), 1, mid=1)
        assert len(exact) == 10000
        c.send(exact)
        c.expect(wire.PUBACK, mid=1)
        # The head alone tells; the payload need not come.
        c.send(wire.publish(version, "pub/x", bytes(10001 - head), 1, mid=2)[:50])
        c.expect_closed(0x95)


@pytest.mark.parametrize("version", VERSIONS)
def test_connect_larger_than_the_limit(gateway, version):
    gw = gateway(conf={"limits": {"packet_size": 5000}})
    device = gw.enroll()
    with gw.dial(device, version) as c:
        c.send(wire.connect(version, "x", will=wire.Will("pub/w", bytes(6000)))[:1000])
        if version == V5:
            c.expect(wire.CONNACK, code=0x95)
        c.expect_closed()
    until(lambda: gw.client(device, version), "the next device to get in").cut()


def test_payload_cut_in_the_middle(gateway):
    """Half a PUBLISH reaches nobody, and the next connection is not disturbed."""
    gw = gateway()
    device = gw.enroll()
    with gw.broker.client("dev/#") as watch:
        with gw.client(device) as c:
            c.send(wire.publish(V311, "pub/x", bytes(8 * MIB))[:5 * MIB])
        with gw.client(device) as c:
            c.publish("pub/x", "whole", 1)
        watch.message(payload="whole")
        with pytest.raises((AssertionError, Closed)):
            watch.recv(0.2)
