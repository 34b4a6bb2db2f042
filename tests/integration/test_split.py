# SPDX-License-Identifier: BSD-2-Clause
"""
A polite conversation with every packet type, cut at every byte, and given up
at every byte. One worker: when another device's ping has been answered, what
was sent before it has been read, so a cut is one for the gateway too.
"""
import itertools
import socket
import ssl
import struct

import pytest

from lib import client, wire
from lib.client import Client
from lib.wait import PATIENCE, until
from lib.wire import V5, VERSIONS, Will


@pytest.fixture(scope="module")
def gw(module_gateway):
    return module_gateway(conf={"gateway": {"workers": 1}})


@pytest.fixture(scope="module")
def other(gw):
    with gw.client(gw.enroll()) as c:
        yield c


@pytest.fixture
def device(gw):
    return gw.enroll()


@pytest.fixture(params=VERSIONS, ids=("3.1", "3.1.1", "5.0"))
def version(request):
    return request.param


class Cutter:
    """Sends in two parts the packet in which the byte `at` of the conversation is."""

    def __init__(self, c, other, at=None):
        self.c, self.other, self.at, self.sent = c, other, at, 0

    def __call__(self, packet):
        cut = self.at - self.sent if self.at is not None else 0
        self.sent += len(packet)
        if 0 < cut < len(packet):
            self.c.send(packet[:cut])
            assert self.other.fence() == []
            self.c.send(packet[cut:])
        else:
            self.c.send(packet)


class Bytewise(Cutter):
    """Every byte in a record of its own."""

    def __call__(self, packet):
        for i in range(len(packet)):
            self.c.send(packet[i:i + 1])


def told(*packets):
    """What is to be compared, whatever the order and the broker's identifiers."""
    return sorted((p.type, getattr(p, "topic", ""), getattr(p, "payload", b""),
                   getattr(p, "qos", 0), tuple(getattr(p, "codes", ())),
                   sorted(p.props.items()), getattr(p, "code", 0)) for p in packets)


def take(c, *kinds):
    got = [c.recv() for _ in kinds]
    assert sorted(p.type for p in got) == sorted(kinds), got
    return got, next((p for p in got if p.type == wire.PUBLISH), None)


def converse(c, send):
    """Every packet type of a client but CONNECT and DISCONNECT; what came back."""
    v, story = c.version, []
    props = {"user_property": [("k", "v")], "content_type": "t"} if v == V5 else None

    def step(packet, *kinds):
        send(packet)
        got, message = take(c, *kinds)
        story.append(told(*got))
        return message

    step(wire.PING, wire.PINGRESP)
    step(wire.subscribe(v, 7, [("own/+", 2), ("nothing/here", 0)],
                        {"subscription_id": 5} if v == V5 else None), wire.SUBACK)
    step(wire.publish(v, "pub/a", "zero", 0, props=props), wire.PUBLISH)
    one = step(wire.publish(v, "pub/a", "one", 1, mid=300, props=props), wire.PUBACK, wire.PUBLISH)
    send(wire.ack(wire.PUBACK, one.mid))
    step(wire.publish(v, "pub/a", "two", 2, mid=301, props=props), wire.PUBREC)
    two = step(wire.ack(wire.PUBREL, 301), wire.PUBCOMP, wire.PUBLISH)
    step(wire.ack(wire.PUBREC, two.mid), wire.PUBREL)
    send(wire.ack(wire.PUBCOMP, two.mid))
    step(wire.publish(v, "elsewhere", "denied", 1, mid=302), wire.PUBACK)
    step(wire.unsubscribe(v, 8, ["own/+", "nothing/here"]), wire.UNSUBACK)
    return story


def test_cut_at_every_byte(gw, other, device, version):
    with gw.client(device, version) as c:
        whole = Cutter(c, other)
        wanted = converse(c, whole)
        assert len(wanted) == 9
        for at in range(1, whole.sent):
            assert converse(c, Cutter(c, other, at)) == wanted, "cut at byte %d" % at
        assert c.fence() == []
        c.disconnect()


def test_every_byte_in_its_record(gw, other, device, version):
    with gw.client(device, version) as c:
        assert converse(c, Bytewise(c, other)) == converse(c, c.send)
        Bytewise(c, other)(wire.disconnect())
        c.expect_closed()


class DripSocket:
    """TLS whose every byte is a segment of its own, from the first of the handshake."""

    def __init__(self, gw, device, tls):
        self.raw = socket.create_connection(("127.0.0.1", gw.port), PATIENCE)
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.tls_context(gw.ca, device, tls).wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost")
        self._do(self.tls.do_handshake)

    def _do(self, call, *args):
        while True:
            try:
                return call(*args)
            except ssl.SSLWantReadError:
                self._drip()
                chunk = self.raw.recv(65536)
                if not chunk:
                    return b""
                self.incoming.write(chunk)
            finally:
                self._drip()

    def _drip(self):
        out = self.outgoing.read()
        for i in range(len(out)):
            self.raw.sendall(out[i:i + 1])

    def sendall(self, packet):
        self._do(self.tls.write, packet)

    def recv(self, size):
        return self._do(self.tls.read, size)

    def settimeout(self, seconds):
        self.raw.settimeout(seconds)

    def close(self):
        self.raw.close()


@pytest.mark.parametrize("tls", ("1.2", "1.3"))
def test_every_byte_in_its_segment(gw, device, version, tls):
    with gw.client(device, version) as c:
        wanted = converse(c, c.send)
        c.disconnect()
    with Client(DripSocket(gw, device, tls), version) as c:
        c.connect(client_id="x")
        assert converse(c, c.send) == wanted
        c.send(wire.disconnect())
        c.expect_closed()


def connect_of(version):
    props = {"session_expiry": 0, "user_property": [("k", "v")]} if version == V5 else None
    will = Will("pub/will", "dead", 1, props={"will_delay": 0} if version == V5 else None)
    return wire.connect(version, "an-id", will=will, username="u", password="p", props=props)


def test_connect_cut_at_every_byte(gw, other, device, version):
    connect = connect_of(version)
    for at in range(1, len(connect)):
        with gw.dial(device, version) as c:
            Cutter(c, other, at)(connect)
            c.expect(wire.CONNACK, code=0)
            c.disconnect()


# ---- given up --------------------------------------------------------------------

def give_up(c, how):
    if how == "reset":
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.sock.close()


@pytest.mark.parametrize("how", ("fin", "reset"))
def test_given_up_inside_connect(gw, other, device, version, how):
    """No byte of it reaches the broker, and nothing is left behind."""
    connect = connect_of(version)
    before = gw.metrics()["upstream_connects"]
    for at in range(len(connect)):
        c = gw.dial(device, version)
        c.send(connect[:at])
        assert other.fence() == []
        give_up(c, how)
    until(lambda: gw.metrics()["connections"] == 1, "the connections to be gone")
    assert gw.metrics()["upstream_connects"] == before
    assert gw.sessions(device.name)[0]["sessions"] == []
    assert "as " + device.name not in gw.broker.text()


@pytest.mark.parametrize("how", ("fin", "reset"))
def test_given_up_inside_a_packet(gw, other, device, version, how):
    """The session ends, its will is published, and what was cut reaches nobody."""
    connect, rest = connect_of(version), [
        wire.publish(version, "pub/cut", "payload", 1, mid=1),
        wire.subscribe(version, 2, [("own/cut", 1)]),
        wire.unsubscribe(version, 3, ["own/cut"]),
        wire.ack(wire.PUBREL, 4), wire.ack(wire.PUBACK, 5), wire.PING, wire.disconnect()]
    with gw.broker.client("dev/%s/#" % device.name) as watch:
        for packet, kept in itertools.product(rest, range(100)):
            if kept >= len(packet):
                continue
            c = gw.dial(device, version)
            c.send(connect)
            c.expect(wire.CONNACK, code=0)
            c.send(packet[:kept])
            assert other.fence() == []
            give_up(c, how)
            watch.message("dev/%s/up/will" % device.name, "dead", 1)
        assert watch.fence() == []
    until(lambda: gw.metrics()["connections"] == 1, "the connections to be gone")
    assert gw.sessions(device.name)[0]["sessions"] == []
    with gw.client(device, version) as c:
        assert c.fence() == []
