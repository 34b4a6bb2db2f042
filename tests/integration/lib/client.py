# SPDX-License-Identifier: BSD-2-Clause
"""A strict raw MQTT client: sends exact bytes, takes packets, acknowledges only when told.

fence() is how a test learns that nothing came: PINGREQ goes through the
gateway to the broker, so whatever was under way arrives before its answer.
"""
import collections
import itertools
import socket
import ssl
import time

from lib import wire
from lib.wait import PATIENCE

COUNTER = itertools.count(1)


def unix_socket(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(path)
    return s


def tls_context(ca, device=None, tls=None, ciphers=None):
    """device: something with .cert and .key, or None; tls: "1.2", "1.3" or None for either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if device is not None:
        context.load_cert_chain(device.cert, device.key)
    if tls is not None:
        version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[tls]
        context.minimum_version = context.maximum_version = version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    return context


def tls_socket(port, context, name="localhost", session=None, buffer=None):
    raw = socket.socket()
    try:
        raw.settimeout(PATIENCE)
        if buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        raw.connect(("127.0.0.1", port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(raw, server_hostname=name, session=session)
    except BaseException:
        raw.close()
        raise


class Closed(Exception):
    """The other side closed."""


class Client:
    def __init__(self, sock, version=wire.V311):
        self.sock, self.version = sock, version
        self.buffer = bytearray()
        self.aside = collections.deque()  # packets that came while another was waited for
        self.mids = itertools.count(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    # ---- bytes -------------------------------------------------------------------

    def send(self, *packets):
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(b"".join(packets))

    def recv(self, seconds=PATIENCE):
        """The next packet, decoded strictly; Closed at the end, AssertionError too late."""
        return self.aside.popleft() if self.aside else self._recv(seconds)

    def _recv(self, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while True:
            found = wire.split(self.buffer)
            if found:
                del self.buffer[:found[2]]
                return wire.Packet(self.version, found[0], found[1])
            self._fill(end)

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise AssertionError("nothing came (have %r)" % bytes(self.buffer[:100]))
        self.sock.settimeout(left)
        try:
            chunk = self.sock.recv(262144)
        except socket.timeout:
            raise AssertionError("nothing came (have %r)" % bytes(self.buffer[:100]))
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError, BrokenPipeError) as e:
            raise Closed(str(e))
        if not chunk:
            if self.buffer:
                raise AssertionError("closed inside a packet: %r" % bytes(self.buffer[:100]))
            raise Closed("end of file")
        self.buffer += chunk

    def expect(self, kind, seconds=PATIENCE, **fields):
        got = self.recv(seconds)
        assert got.type == kind, "wanted %s, got %r" % (wire.NAMES[kind], got)
        for name, value in fields.items():
            assert getattr(got, name) == value, "wanted %s=%r in %r" % (name, value, got)
        return got

    def expect_closed(self, code=None, seconds=PATIENCE):
        """The end, in 5.0 behind a DISCONNECT with that code when one is given."""
        if code is not None and self.version == wire.V5:
            self.expect(wire.DISCONNECT, seconds, code=code)
        try:
            got = self.recv(seconds)
        except Closed:
            return
        raise AssertionError("wanted the end, got %r" % got)

    def fence(self, ack=True):
        """Every packet but PUBREL that came before the answer to a PINGREQ sent now."""
        self.send(wire.PING)
        got = []
        while True:
            packet = self.recv()
            if packet.type == wire.PINGRESP:
                return got
            if packet.type != wire.PUBREL:
                got.append(packet)
            if ack:
                self.answer(packet)

    def await_type(self, kind):
        """The next packet of that type; messages that overtake it are put aside."""
        while True:
            got = self._recv()
            if got.type == kind:
                return got
            assert got.type == wire.PUBLISH, "wanted %s, got %r" % (wire.NAMES[kind], got)
            self.aside.append(got)

    def answer(self, packet):
        """Acknowledge as a client does; PUBCOMP is sent when PUBREL comes."""
        if packet.type == wire.PUBLISH and packet.qos == 1:
            self.send(wire.ack(wire.PUBACK, packet.mid))
        elif packet.type == wire.PUBLISH and packet.qos == 2:
            self.send(wire.ack(wire.PUBREC, packet.mid))
        elif packet.type == wire.PUBREL:
            self.send(wire.ack(wire.PUBCOMP, packet.mid))

    def cut(self):
        """Close without DISCONNECT."""
        self.sock.close()

    # ---- exchanges ---------------------------------------------------------------

    def connect(self, code=0, **kw):
        """CONNECT and the CONNACK with that code."""
        self.send(wire.connect(self.version, **kw))
        return self.expect(wire.CONNACK, code=code)

    def subscribe(self, *filters, mid=None, codes=None, props=None):
        """SUBSCRIBE and its SUBACK; codes: what must be granted (default: what was asked)."""
        mid = mid or next(self.mids)
        self.send(wire.subscribe(self.version, mid, filters, props))
        if codes is None:
            codes = [f[1] & 3 if isinstance(f, tuple) else 0 for f in filters]
        got = self.await_type(wire.SUBACK)
        assert (got.mid, got.codes) == (mid, codes), "wanted %d %r, got %r" % (mid, codes, got)
        return got

    def unsubscribe(self, *filters, mid=None, codes=None):
        mid = mid or next(self.mids)
        self.send(wire.unsubscribe(self.version, mid, filters))
        if codes is None:
            codes = [0] * len(filters) if self.version == wire.V5 else []
        return self.expect(wire.UNSUBACK, mid=mid, codes=codes)

    def publish(self, topic, payload=b"", qos=0, code=0, **kw):
        """PUBLISH and its whole handshake; code: the reason wanted in 5.0."""
        mid = kw.pop("mid", None) or (next(self.mids) if qos else None)
        self.send(wire.publish(self.version, topic, payload, qos, mid=mid, **kw))
        if not qos:
            return None
        got = self.expect(wire.PUBACK if qos == 1 else wire.PUBREC, mid=mid)
        # 0x10, nobody has subscribed, is success too.
        assert got.code in ((0, 0x10) if code == 0 else (code,)), repr(got)
        if qos == 2 and got.code < 0x80:
            self.send(wire.ack(wire.PUBREL, mid))
            self.expect(wire.PUBCOMP, mid=mid)
        return got

    def message(self, topic=None, payload=None, qos=None, retain=None, seconds=PATIENCE):
        """The next PUBLISH, with its handshake finished."""
        got = self.expect(wire.PUBLISH, seconds)
        payload = payload.encode() if isinstance(payload, str) else payload
        for name, value in (("topic", topic), ("payload", payload), ("qos", qos),
                            ("retain", retain)):
            assert value is None or getattr(got, name) == value, \
                "wanted %s=%r in %r" % (name, value, got)
        self.answer(got)
        if got.qos == 2:
            released = self.await_type(wire.PUBREL)
            assert released.mid == got.mid, "wanted mid %d in %r" % (got.mid, released)
            self.send(wire.ack(wire.PUBCOMP, got.mid))
        return got

    def disconnect(self, reason=None, props=None):
        self.send(wire.disconnect(reason, props))
        self.expect_closed()
        self.cut()
