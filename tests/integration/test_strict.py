# SPDX-License-Identifier: BSD-2-Clause
"""
Every malformed packet of the MQTT specifications, byte for byte. Each one ends
its connection with the right reason code, is counted, reaches neither the
broker nor anybody who listens there, and does not disturb the next device.
"""
import re

import pytest

from lib import wire
from lib.client import Closed
from lib.wait import until
from lib.wire import V31, V311, V5, VERSIONS, data, packet, u16, varint

MALFORMED, PROTOCOL, VERSION, ALIAS = 0x81, 0x82, 0x84, 0x94
FILTER = data("own/a")
CLIENT_PACKETS = {  # name: (type, flags wanted, body by version)
    "CONNECT": (wire.CONNECT, 0, lambda v: wire.connect(v, "x")[2:]),
    "PUBACK": (wire.PUBACK, 0, lambda v: u16(1)),
    "PUBREC": (wire.PUBREC, 0, lambda v: u16(1)),
    "PUBREL": (wire.PUBREL, 2, lambda v: u16(1)),
    "PUBCOMP": (wire.PUBCOMP, 0, lambda v: u16(1)),
    "SUBSCRIBE": (wire.SUBSCRIBE, 2, lambda v: wire.subscribe(v, 1, ["own/a"])[2:]),
    "UNSUBSCRIBE": (wire.UNSUBSCRIBE, 2, lambda v: wire.unsubscribe(v, 1, ["own/a"])[2:]),
    "PINGREQ": (wire.PINGREQ, 0, lambda v: b""),
    "DISCONNECT": (wire.DISCONNECT, 0, lambda v: b""),
}


class Strict:
    """The gateway, a device that misbehaves, one that does not, and a look at the broker."""

    def __init__(self, gw):
        self.gw, self.device = gw, gw.enroll("strict")
        self.good = gw.client(gw.enroll("good"), V5)
        self.watch = gw.broker.client("#")
        self.watch.fence()

    def log(self):
        with open(self.gw.broker.log, errors="replace") as f:
            return f.read()

    def counts(self):
        metrics = self.gw.metrics()
        return metrics["malformed_from_device"], metrics["connect_refused"]

    def unharmed(self):
        assert self.good.fence() == []
        assert self.watch.fence() == [], "something reached the broker"

    def live(self, version, bad, code):
        """A session whose first packet behind CONNACK is the bad one."""
        start, counts = len(self.log()), self.counts()
        with self.gw.client(self.device, version, client_id="x") as c:
            c.send(bad)
            c.expect_closed(code)
        until(lambda: re.search(r"Client strict (closed|disconn)", self.log()[start:]),
              "the broker to see the end")
        assert "from strict" not in self.log()[start:], \
            "the broker was sent something"
        assert self.counts() == (counts[0] + 1, counts[1])
        self.unharmed()

    def early(self, version, bad, connack=None, malformed=True):
        """The bad packet comes first; connack: the code wanted, None: no answer."""
        start, counts = len(self.log()), self.counts()
        with self.gw.dial(self.device, version) as c:
            c.send(bad)
            if connack is not None:
                c.expect(wire.CONNACK, code=connack, session_present=False)
            c.expect_closed()
        refused = connack is not None
        assert self.counts() == (counts[0] + malformed, counts[1] + refused)
        assert " strict" not in self.log()[start:], "the broker was dialled"
        self.unharmed()


@pytest.fixture(scope="module")
def strict(shared):
    one = Strict(shared)
    yield one
    one.good.disconnect()
    one.watch.cut()


def table(*rows):
    """Rows of (name, versions, code, bytes by version) as parameters."""
    return [pytest.param(v, make(v), code, id="%s-%s" % (name, {3: "3.1", 4: "3.1.1", 5: "5.0"}[v]))
            for name, versions, code, make in rows for v in versions]


def prop(number, value):
    return varint(number) + value


def block(*props):
    """A property block of raw properties."""
    raw = b"".join(props)
    return varint(len(raw)) + raw


def no_props(v):
    return b"\0" if v == V5 else b""


# ---- the fixed header ------------------------------------------------------------

def bad_flags():
    for name, (kind, wanted, body) in CLIENT_PACKETS.items():
        if kind == wire.CONNECT:
            continue
        for flags in (0, 1, 2, 3, 4, 6, 8, 15):
            if flags != wanted:
                yield ("%s-flags-%d" % (name, flags), VERSIONS, MALFORMED,
                       lambda v, k=kind, f=flags, b=body: packet(k, f, b(v)))
        if wanted:
            yield ("%s-dup" % name, (V311, V5), MALFORMED,
                   lambda v, k=kind, b=body: packet(k, 10, b(v)))


def server_only():
    bodies = {wire.CONNACK: b"\0\0", wire.SUBACK: u16(1) + b"\0", wire.UNSUBACK: u16(1),
              wire.PINGRESP: b""}
    for kind, body in bodies.items():
        yield (wire.NAMES[kind], VERSIONS, PROTOCOL, lambda v, k=kind, b=body: packet(k, 0, b))


def long_length(count):
    """PINGREQ, SUBSCRIBE and PUBLISH with a length of more bytes than it needs."""
    def stretched(body):
        size = varint(len(body))
        return size[:-1] + bytes([size[-1] | 128]) + b"\x80" * (count - len(size) - 1) + b"\0" + body
    return stretched


HEADER = table(
    *bad_flags(), *server_only(),
    ("type-0", VERSIONS, MALFORMED, lambda v: b"\0\0"),
    ("type-15", (V31, V311), MALFORMED, lambda v: b"\xf0\0"),
    ("type-15-flags", VERSIONS, MALFORMED, lambda v: b"\xf1\0"),
    ("second-CONNECT", VERSIONS, PROTOCOL, lambda v: wire.connect(v, "x")),
    ("five-length-bytes", VERSIONS, MALFORMED, lambda v: b"\x30\xff\xff\xff\xff\x01"),
    ("five-length-bytes-of-nothing", VERSIONS, MALFORMED, lambda v: b"\xc0\x80\x80\x80\x80\x00"),
    ("fourth-length-byte-goes-on", VERSIONS, MALFORMED, lambda v: b"\x30\xff\xff\xff\xff"),
    *(("length-in-%d-bytes-%s" % (n, name), VERSIONS, MALFORMED,
       lambda v, n=n, head=head, body=body: head + long_length(n)(body(v)))
      for n in (2, 3, 4) for name, head, body in (
          ("PINGREQ", b"\xc0", lambda v: b""),
          ("PUBLISH", b"\x30", lambda v: wire.publish(v, "pub/x", b"1")[2:]),
          ("SUBSCRIBE", b"\x82", lambda v: wire.subscribe(v, 1, ["own/a"])[2:]))),
    ("PINGREQ-with-body", VERSIONS, MALFORMED, lambda v: b"\xc0\x01\0"),
    ("DISCONNECT-with-body", (V31, V311), MALFORMED, lambda v: b"\xe0\x01\0"),
)


@pytest.mark.parametrize("version,bad,code", HEADER)
def test_header(strict, version, bad, code):
    strict.live(version, bad, code)


# ---- PUBLISH ---------------------------------------------------------------------

BAD_TEXT = {  # what no UTF-8 string of MQTT may hold (1.5.4)
    "NUL": b"a\0b", "surrogate": b"a\xed\xa0\x80", "surrogate-pair": b"\xed\xa0\x81\xed\xb0\x80",
    "overlong": b"a\xc0\xaf", "overlong-NUL": b"a\xc0\x80", "overlong-3": b"\xe0\x80\xaf",
    "overlong-4": b"\xf0\x80\x80\xaf", "latin-1": b"caf\xe9", "cut": b"a\xe2\x82",
    "continuation": b"\x80a", "above-10FFFF": b"\xf4\x90\x80\x80", "five-bytes": b"\xf8\x88\x80\x80\x80",
    "FE": b"a\xfe", "FF": b"\xff",
}


# What it should not hold either: Mosquitto closes the connection without a word.
UNWISE_TEXT = {"U+0001": b"a\x01", "tab": b"a\tb", "DEL": b"a\x7f", "U+0085": b"\xc2\x85",
               "U+FDD0": b"\xef\xb7\x90", "U+FFFF": b"a\xef\xbf\xbf", "U+1FFFE": b"\xf0\x9f\xbf\xbe"}


def publish(v, topic=b"pub/x", mid=b"", props=None, payload=b"1", flags=0):
    return packet(wire.PUBLISH, flags,
                  data(topic) + mid + (props or no_props(v) if v == V5 else b"") + payload)


PUBLISH = table(
    *(("QoS-3-flags-%d" % flags, VERSIONS, MALFORMED,
       lambda v, f=flags: publish(v, mid=u16(1), flags=f)) for flags in (6, 7, 14, 15)),
    *(("DUP-with-QoS-0-%d" % flags, VERSIONS, MALFORMED, lambda v, f=flags: publish(v, flags=f))
      for flags in (8, 9)),
    *(("packet-id-0-QoS-%d" % qos, VERSIONS, PROTOCOL,
       lambda v, q=qos: publish(v, mid=u16(0), flags=q << 1)) for qos in (1, 2)),
    *(("topic-%s" % name, VERSIONS, MALFORMED, lambda v, t=text: publish(v, b"pub/" + t))
      for name, text in {**BAD_TEXT, **UNWISE_TEXT}.items()),
    *(("topic-with-%s" % name, VERSIONS, MALFORMED, lambda v, t=text: publish(v, t))
      for name, text in (("plus", b"pub/+"), ("hash", b"pub/#"), ("plus-inside", b"pub/a+b"),
                         ("hash-inside", b"pub/a#b"), ("hash-alone", b"#"), ("plus-alone", b"+"))),
    ("topic-empty", (V31, V311), MALFORMED, lambda v: publish(v, b"")),
    ("topic-empty-without-alias", (V5,), PROTOCOL, lambda v: publish(v, b"")),
    ("no-body", VERSIONS, MALFORMED, lambda v: b"\x30\0"),
    ("half-a-topic-length", VERSIONS, MALFORMED, lambda v: b"\x30\1\0"),
    ("topic-longer-than-the-packet", VERSIONS, MALFORMED, lambda v: b"\x30\4\0\5pu"),
    ("topic-length-65535", VERSIONS, MALFORMED, lambda v: b"\x30\4\xff\xffpu"),
    ("no-packet-id", VERSIONS, MALFORMED, lambda v: packet(wire.PUBLISH, 2, data("pub/x"))),
    ("half-a-packet-id", VERSIONS, MALFORMED,
     lambda v: packet(wire.PUBLISH, 2, data("pub/x") + b"\1")),
    ("no-property-length", (V5,), MALFORMED, lambda v: packet(wire.PUBLISH, 0, data("pub/x"))),
    ("property-length-beyond", (V5,), MALFORMED, lambda v: publish(v, props=b"\2")),
    ("property-length-far-beyond", (V5,), MALFORMED, lambda v: publish(v, props=b"\xff\xff\xff\x7f")),
    ("property-length-five-bytes", (V5,), MALFORMED,
     lambda v: publish(v, props=b"\x80\x80\x80\x80\0")),
    ("property-length-cut", (V5,), MALFORMED, lambda v: publish(v, props=b"\x80", payload=b"")),
    ("property-length-not-minimal", (V5,), MALFORMED, lambda v: publish(v, props=b"\x80\0")),
    ("property-cut-by-the-length", (V5,), MALFORMED, lambda v: publish(v, props=b"\2\2\0\0\0\1")),
    ("unknown-property", (V5,), MALFORMED, lambda v: publish(v, props=block(prop(99, b"\0")))),
    ("property-0", (V5,), MALFORMED, lambda v: publish(v, props=block(prop(0, b"\0")))),
    ("property-id-two-bytes", (V5,), MALFORMED,
     lambda v: publish(v, props=block(prop(300, b"\0")))),
    ("property-id-not-minimal", (V5,), MALFORMED,
     lambda v: publish(v, props=block(b"\x81\0\0"))),
    ("foreign-property-session-expiry", (V5,), MALFORMED,
     lambda v: publish(v, props=block(prop(17, bytes(4))))),
    ("foreign-property-reason-string", (V5,), MALFORMED,
     lambda v: publish(v, props=block(prop(31, data("x"))))),
    ("payload-format-2", (V5,), PROTOCOL, lambda v: publish(v, props=block(prop(1, b"\2")))),
    *(("property-%d-twice" % number, (V5,), PROTOCOL,
       lambda v, n=number, b=value: publish(v, props=block(prop(n, b), prop(n, b))))
      for number, value in ((1, b"\0"), (2, bytes(4)), (3, data("a")), (8, data("sub/a")),
                            (9, data("a")), (35, u16(1)))),
    ("subscription-identifier-of-a-client", (V5,), PROTOCOL,
     lambda v: publish(v, props=block(prop(11, b"\1")))),
    ("topic-alias-0", (V5,), ALIAS, lambda v: publish(v, props=block(prop(35, u16(0))))),
    ("topic-alias-11-of-10", (V5,), ALIAS, lambda v: publish(v, props=block(prop(35, u16(11))))),
    ("topic-alias-65535", (V5,), ALIAS, lambda v: publish(v, props=block(prop(35, u16(65535))))),
    ("topic-alias-not-defined", (V5,), PROTOCOL,
     lambda v: publish(v, b"", props=block(prop(35, u16(1))))),
    ("response-topic-with-wildcard", (V5,), PROTOCOL,
     lambda v: publish(v, props=block(prop(8, data("sub/#"))))),
    ("response-topic-empty", (V5,), PROTOCOL, lambda v: publish(v, props=block(prop(8, data(""))))),
    *(("content-type-%s" % name, (V5,), MALFORMED,
       lambda v, t=text: publish(v, props=block(prop(3, data(t)))))
      for name, text in {**BAD_TEXT, **UNWISE_TEXT}.items()),
    ("user-property-half", (V5,), MALFORMED, lambda v: publish(v, props=block(prop(38, data("a"))))),
    ("user-property-U+0001", (V5,), MALFORMED,
     lambda v: publish(v, props=block(prop(38, data("a") + data(b"\1"))))),
    ("user-property-NUL", (V5,), MALFORMED,
     lambda v: publish(v, props=block(prop(38, data("a") + data(b"\0"))))),
)


@pytest.mark.parametrize("version,bad,code", PUBLISH)
def test_publish(strict, version, bad, code):
    strict.live(version, bad, code)


def test_alias_is_forgotten_with_the_connection(strict):
    """Topic aliases last as long as the network connection (3.3.2.3.4)."""
    alias = {"topic_alias": 1}
    with strict.gw.client(strict.device, V5, props={"session_expiry": 60}) as c:
        c.publish("pub/alias", "1", 1, props=alias)
        c.publish("", "2", 1, props=alias)
    for payload in ("1", "2"):
        strict.watch.message("dev/strict/up/alias", payload)
    strict.live(V5, publish(V5, b"", props=block(prop(35, u16(1)))), PROTOCOL)


# ---- acknowledgements ------------------------------------------------------------

def bad_acks():
    for name in ("PUBACK", "PUBREC", "PUBREL", "PUBCOMP"):
        kind, flags, _ = CLIENT_PACKETS[name]

        def row(what, versions, code, body, k=kind, f=flags, n=name):
            return "%s-%s" % (n, what), versions, code, lambda v: packet(k, f, body)

        yield row("empty", VERSIONS, MALFORMED, b"")
        yield row("half-an-id", VERSIONS, MALFORMED, b"\1")
        yield row("id-0", VERSIONS, PROTOCOL, u16(0))
        yield row("trailing-byte", (V31, V311), MALFORMED, u16(1) + b"\0")
        yield row("trailing-after-properties", (V5,), MALFORMED, u16(1) + b"\0\0\0")
        yield row("properties-beyond", (V5,), MALFORMED, u16(1) + b"\0\5")
        yield row("unknown-reason", (V5,), PROTOCOL, u16(1) + b"\1")
        yield row("reason-of-others", (V5,), PROTOCOL,
                  u16(1) + (b"\x92" if name in ("PUBACK", "PUBREC") else b"\x10"))
        yield row("foreign-property", (V5,), MALFORMED, u16(1) + b"\0" + block(prop(35, u16(1))))
        yield row("reason-string-twice", (V5,), PROTOCOL,
                  u16(1) + b"\0" + block(prop(31, data("a")), prop(31, data("a"))))
        yield row("reason-string-bad", (V5,), MALFORMED,
                  u16(1) + b"\0" + block(prop(31, data(b"\xff"))))


@pytest.mark.parametrize("version,bad,code", table(*bad_acks()))
def test_acknowledgements(strict, version, bad, code):
    strict.live(version, bad, code)


# ---- SUBSCRIBE and UNSUBSCRIBE ---------------------------------------------------

def subscribe(v, rest, props=None, mid=1):
    return packet(wire.SUBSCRIBE, 2, u16(mid) + (props or b"\0" if v == V5 else b"") + rest)


def unsubscribe(v, rest, props=None, mid=1):
    return packet(wire.UNSUBSCRIBE, 2, u16(mid) + (props or b"\0" if v == V5 else b"") + rest)


BAD_FILTERS = {
    "empty": b"", "hash-not-last": b"own/#/a", "hash-in-a-level": b"own/a#", "plus-in-a-level": b"own/a+",
    "plus-in-front": b"own/+a", "double-hash": b"##", "share-without-name": b"$share//a",
    "share-without-filter": b"$share/g", "share-empty-filter": b"$share/g/",
    "share-name-plus": b"$share/g+/own/a", "share-name-hash": b"$share/#/own/a",
    **{"text-" + name: b"own/" + text for name, text in {**BAD_TEXT, **UNWISE_TEXT}.items()},
    "share-name-U+0001": b"$share/g\1/own/a",
}

SUBSCRIBE = table(
    ("SUBSCRIBE-no-filter", VERSIONS, PROTOCOL, lambda v: subscribe(v, b"")),
    ("UNSUBSCRIBE-no-filter", VERSIONS, PROTOCOL, lambda v: unsubscribe(v, b"")),
    ("SUBSCRIBE-id-0", VERSIONS, PROTOCOL, lambda v: subscribe(v, FILTER + b"\0", mid=0)),
    ("UNSUBSCRIBE-id-0", VERSIONS, PROTOCOL, lambda v: unsubscribe(v, FILTER, mid=0)),
    ("SUBSCRIBE-empty", VERSIONS, MALFORMED, lambda v: packet(wire.SUBSCRIBE, 2, b"")),
    ("UNSUBSCRIBE-empty", VERSIONS, MALFORMED, lambda v: packet(wire.UNSUBSCRIBE, 2, b"")),
    ("SUBSCRIBE-without-options", VERSIONS, MALFORMED, lambda v: subscribe(v, FILTER)),
    ("SUBSCRIBE-filter-beyond", VERSIONS, MALFORMED, lambda v: subscribe(v, b"\0\7own/a\0")),
    ("UNSUBSCRIBE-filter-beyond", VERSIONS, MALFORMED, lambda v: unsubscribe(v, b"\0\7own/a")),
    ("UNSUBSCRIBE-trailing", VERSIONS, MALFORMED, lambda v: unsubscribe(v, FILTER + b"\0")),
    ("SUBSCRIBE-trailing", VERSIONS, MALFORMED, lambda v: subscribe(v, FILTER + b"\0\0")),
    *(("SUBSCRIBE-second-filter-%s" % name, VERSIONS, MALFORMED,
       lambda v, t=text: subscribe(v, FILTER + b"\0" + data(t) + b"\0"))
      for name, text in (("empty", b""), ("hash-in-a-level", b"a#"))),
    *(("SUBSCRIBE-%s" % name, VERSIONS, MALFORMED, lambda v, t=text: subscribe(v, data(t) + b"\0"))
      for name, text in BAD_FILTERS.items()),
    *(("UNSUBSCRIBE-%s" % name, VERSIONS, MALFORMED, lambda v, t=text: unsubscribe(v, data(t)))
      for name, text in BAD_FILTERS.items()),
    *(("options-%02x" % options, (V31, V311), MALFORMED,
       lambda v, o=options: subscribe(v, FILTER + bytes([o])))
      for options in (3, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff)),
    *(("options-%02x" % options, (V5,), code,
       lambda v, o=options: subscribe(v, FILTER + bytes([o])))
      for options, code in ((3, PROTOCOL), (0x30, PROTOCOL), (0x40, MALFORMED), (0x80, MALFORMED))),
    ("shared-with-no-local", (V5,), PROTOCOL, lambda v: subscribe(v, data("$share/g/own/a") + b"\4")),
    ("subscription-identifier-0", (V5,), PROTOCOL,
     lambda v: subscribe(v, FILTER + b"\0", block(prop(11, b"\0")))),
    ("subscription-identifier-twice", (V5,), PROTOCOL,
     lambda v: subscribe(v, FILTER + b"\0", block(prop(11, b"\1"), prop(11, b"\2")))),
    ("subscription-identifier-five-bytes", (V5,), MALFORMED,
     lambda v: subscribe(v, FILTER + b"\0", block(prop(11, b"\xff\xff\xff\xff\1")))),
    ("subscription-identifier-not-minimal", (V5,), MALFORMED,
     lambda v: subscribe(v, FILTER + b"\0", block(prop(11, b"\x81\0")))),
    ("UNSUBSCRIBE-subscription-identifier", (V5,), MALFORMED,
     lambda v: unsubscribe(v, FILTER, block(prop(11, b"\1")))),
    ("SUBSCRIBE-foreign-property", (V5,), MALFORMED,
     lambda v: subscribe(v, FILTER + b"\0", block(prop(35, u16(1))))),
    ("SUBSCRIBE-properties-beyond", (V5,), MALFORMED, lambda v: subscribe(v, FILTER + b"\0", b"\x20")),
    ("UNSUBSCRIBE-properties-beyond", (V5,), MALFORMED, lambda v: unsubscribe(v, FILTER, b"\x20")),
)


@pytest.mark.parametrize("version,bad,code", SUBSCRIBE)
def test_subscribe(strict, version, bad, code):
    strict.live(version, bad, code)


# ---- DISCONNECT and AUTH ---------------------------------------------------------

ENDING = table(
    ("DISCONNECT-trailing", (V5,), MALFORMED, lambda v: packet(wire.DISCONNECT, 0, b"\0\0\0")),
    ("DISCONNECT-properties-beyond", (V5,), MALFORMED, lambda v: packet(wire.DISCONNECT, 0, b"\0\5")),
    *(("DISCONNECT-reason-%02x" % code, (V5,), PROTOCOL,
       lambda v, c=code: packet(wire.DISCONNECT, 0, bytes([c])))
      for code in (0x01, 0x10, 0x87, 0x8b, 0x8d, 0x9c, 0xff)),
    ("DISCONNECT-server-reference", (V5,), PROTOCOL,
     lambda v: packet(wire.DISCONNECT, 0, b"\0" + block(prop(28, data("x"))))),
    ("DISCONNECT-foreign-property", (V5,), MALFORMED,
     lambda v: packet(wire.DISCONNECT, 0, b"\0" + block(prop(35, u16(1))))),
    ("DISCONNECT-session-expiry-twice", (V5,), PROTOCOL,
     lambda v: packet(wire.DISCONNECT, 0, b"\0" + block(prop(17, bytes(4)), prop(17, bytes(4))))),
    ("DISCONNECT-session-expiry-out-of-nothing", (V5,), PROTOCOL,
     lambda v: packet(wire.DISCONNECT, 0, b"\0" + block(prop(17, b"\0\0\0\1")))),
    ("AUTH-without-method", (V5,), PROTOCOL, lambda v: packet(wire.AUTH, 0, b"\x19\0")),
    ("AUTH-reason-0", (V5,), PROTOCOL,
     lambda v: packet(wire.AUTH, 0, b"\0" + block(prop(21, data("m"))))),
    ("AUTH-unknown-reason", (V5,), PROTOCOL,
     lambda v: packet(wire.AUTH, 0, b"\x80" + block(prop(21, data("m"))))),
    ("AUTH-empty", (V5,), PROTOCOL, lambda v: packet(wire.AUTH, 0, b"")),
    ("AUTH-reason-alone", (V5,), MALFORMED, lambda v: packet(wire.AUTH, 0, b"\x19")),
    ("AUTH-method-twice", (V5,), PROTOCOL,
     lambda v: packet(wire.AUTH, 0, b"\x18" + block(prop(21, data("m")), prop(21, data("m"))))),
    ("AUTH-not-asked-for", (V5,), PROTOCOL,
     lambda v: packet(wire.AUTH, 0, b"\x19" + block(prop(21, data("m"))))),
)


@pytest.mark.parametrize("version,bad,code", ENDING)
def test_ending(strict, version, bad, code):
    strict.live(version, bad, code)


# ---- CONNECT ---------------------------------------------------------------------

def connect(version, flags=2, payload=data("x"), name=None, level=None, props=b"\0", keepalive=60):
    name = name if name is not None else "MQIsdp" if version == V31 else "MQTT"
    level = version if level is None else level
    return packet(wire.CONNECT, 0, data(name) + bytes([level, flags]) + u16(keepalive) +
                  (props if version == V5 else b"") + payload)


WILL = data("pub/w") + data("x")


def will(v, topic=b"pub/w", props=b"\0", flags=6, rest=b""):
    return connect(v, flags, data("x") + (props if v == V5 else b"") + data(topic) + data("x") + rest)


CONNECT = table(
    ("reserved-flag", VERSIONS, MALFORMED, lambda v: connect(v, 3)),
    ("will-QoS-3", VERSIONS, MALFORMED, lambda v: will(v, flags=2 | 4 | 24)),
    ("will-QoS-without-will", VERSIONS, MALFORMED, lambda v: connect(v, 2 | 8)),
    ("will-retain-without-will", VERSIONS, MALFORMED, lambda v: connect(v, 2 | 32)),
    ("password-without-user-name", (V31, V311), MALFORMED,
     lambda v: connect(v, 2 | 64, data("x") + data("secret"))),
    ("no-client-id", VERSIONS, MALFORMED, lambda v: connect(v, 2, b"")),
    ("no-flags", VERSIONS, MALFORMED,
     lambda v: packet(wire.CONNECT, 0, data("MQIsdp" if v == V31 else "MQTT") + bytes([v]))),
    ("no-keepalive", VERSIONS, MALFORMED,
     lambda v: packet(wire.CONNECT, 0, data("MQIsdp" if v == V31 else "MQTT") + bytes([v, 2, 0]))),
    ("trailing-byte", VERSIONS, MALFORMED, lambda v: connect(v, 2, data("x") + b"\0")),
    ("trailing-user-name", VERSIONS, MALFORMED, lambda v: connect(v, 2, data("x") + data("user"))),
    ("will-missing", VERSIONS, MALFORMED, lambda v: connect(v, 6)),
    ("will-payload-missing", VERSIONS, MALFORMED,
     lambda v: connect(v, 6, data("x") + no_props(v) + data("pub/w"))),
    ("will-payload-beyond", VERSIONS, MALFORMED,
     lambda v: connect(v, 6, data("x") + no_props(v) + data("pub/w") + b"\0\5x")),
    ("user-name-missing", VERSIONS, MALFORMED, lambda v: connect(v, 2 | 128)),
    ("password-missing", VERSIONS, MALFORMED, lambda v: connect(v, 2 | 128 | 64, data("x") + data("u"))),
    ("will-topic-empty", VERSIONS, MALFORMED, lambda v: will(v, b"")),
    *(("will-topic-%s" % name, VERSIONS, MALFORMED, lambda v, t=text: will(v, t))
      for name, text in (("plus", b"pub/+"), ("hash", b"#"), ("NUL", b"pub/\0"), ("bad", b"pub/\xff"),
                         ("U+0001", b"pub/\1"))),
    *(("client-id-%s" % name, VERSIONS, MALFORMED, lambda v, t=text: connect(v, 2, data(t)))
      for name, text in BAD_TEXT.items()),
    *(("user-name-%s" % name, VERSIONS, MALFORMED,
       lambda v, t=text: connect(v, 2 | 128, data("x") + data(t)))
      for name, text in (("NUL", b"a\0"), ("bad", b"\xff"))),
    ("properties-beyond", (V5,), MALFORMED, lambda v: connect(v, props=b"\x7f")),
    ("properties-length-not-minimal", (V5,), MALFORMED, lambda v: connect(v, props=b"\x80\0")),
    ("unknown-property", (V5,), MALFORMED, lambda v: connect(v, props=block(prop(99, b"\0")))),
    ("foreign-property", (V5,), MALFORMED, lambda v: connect(v, props=block(prop(35, u16(1))))),
    *(("property-%d-twice" % number, (V5,), PROTOCOL,
       lambda v, n=number, b=value: connect(v, props=block(prop(n, b), prop(n, b))))
      for number, value in ((17, bytes(4)), (21, data("m")), (23, b"\0"), (25, b"\0"),
                            (33, u16(1)), (34, u16(1)), (39, b"\0\0\1\0"))),
    ("receive-maximum-0", (V5,), PROTOCOL, lambda v: connect(v, props=block(prop(33, u16(0))))),
    ("maximum-packet-size-0", (V5,), PROTOCOL, lambda v: connect(v, props=block(prop(39, bytes(4))))),
    ("request-problem-2", (V5,), PROTOCOL, lambda v: connect(v, props=block(prop(23, b"\2")))),
    ("request-response-2", (V5,), PROTOCOL, lambda v: connect(v, props=block(prop(25, b"\2")))),
    ("authentication-data-alone", (V5,), PROTOCOL,
     lambda v: connect(v, props=block(prop(22, data("x"))))),
    ("will-properties-beyond", (V5,), MALFORMED, lambda v: will(v, props=b"\x7f")),
    ("will-payload-format-2", (V5,), PROTOCOL, lambda v: will(v, props=block(prop(1, b"\2")))),
    ("will-topic-alias", (V5,), MALFORMED, lambda v: will(v, props=block(prop(35, u16(1))))),
    ("will-delay-twice", (V5,), PROTOCOL,
     lambda v: will(v, props=block(prop(24, bytes(4)), prop(24, bytes(4))))),
)


@pytest.mark.parametrize("version,bad,code", CONNECT)
def test_connect(strict, version, bad, code):
    strict.early(version, bad, code if version == V5 else None)


FIRST = table(
    *((name, VERSIONS, None, lambda v, k=kind, f=flags, b=body: packet(k, f, b(v)))
      for name, (kind, flags, body) in CLIENT_PACKETS.items() if kind != wire.CONNECT),
    ("PUBLISH", VERSIONS, None, lambda v: publish(v)),
    ("AUTH", (V5,), None, lambda v: packet(wire.AUTH, 0, b"\x18" + block(prop(21, data("m"))))),
    *((name, VERSIONS, None, make) for name, _, _, make in server_only()),
    ("CONNECT-flags", (V311,), None, lambda v: b"\x11" + wire.connect(v, "x")[1:]),
    ("CONNECT-five-length-bytes", (V311,), None, lambda v: b"\x10\xff\xff\xff\xff\x01"),
    ("CONNECT-length-not-minimal", (V311,), None,
     lambda v: b"\x10" + long_length(2)(wire.connect(v, "x")[2:])),
    ("CONNECT-empty", (V311,), None, lambda v: b"\x10\0"),
    ("CONNECT-half-a-name", (V311,), None, lambda v: b"\x10\4\0\4MQ"),
    ("CONNECT-no-level", (V311,), None, lambda v: b"\x10\6\0\4MQTT"),
    ("HTTP", (V311,), None, lambda v: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("zeros", (V311,), None, lambda v: bytes(100)),
)


@pytest.mark.parametrize("version,bad,code", FIRST)
def test_first_packet(strict, version, bad, code):
    """No version is agreed yet, so there is nothing to answer with."""
    strict.early(version, bad)


@pytest.mark.parametrize("name,level,answer", (
    ("MQTT", 0, V311), ("MQTT", 1, V311), ("MQTT", 3, V311), ("MQTT", 6, V5), ("MQTT", 127, V5),
    ("MQTT", 0x83, V311), ("MQTT", 0x84, V311), ("MQTT", 0x85, V5), ("MQTT", 0xff, V5),
    ("MQIsdp", 0x83, V31), ("MQIsdp", 4, V31), ("MQIsdp", 5, V31), ("MQTX", 4, V311),
    ("", 4, V311), ("mqtt", 5, V311), ("MQTT\0", 4, V311), ("MQTTX", 5, V311)))
def test_version(strict, name, level, answer):
    """Bit 7 of the level would make the device a bridge at Mosquitto."""
    bad = connect(answer, name=name, level=level)
    strict.early(answer, bad, VERSION if answer == V5 else 1, malformed=False)


@pytest.mark.parametrize("version,kw", ((V31, {"clean": True}), (V31, {"clean": False}),
                                        (V311, {"clean": False})))
def test_empty_client_identifier(strict, version, kw):
    """3.1 wants a name, 3.1.1 for a session that is kept (3.1.3.1)."""
    strict.early(version, wire.connect(version, "", **kw), 2, malformed=False)


# ---- what is behind a bad packet -------------------------------------------------

@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_behind_a_bad_packet_counts(strict, version):
    """What stands before it in the same record counts, what stands behind does not."""
    with strict.gw.client(strict.device, version, client_id="x") as c:
        c.send(wire.publish(version, "pub/x", "before", 1, mid=1) + b"\xc1\0" +
               wire.publish(version, "pub/x", "behind", 1, mid=2))
        got = []
        with pytest.raises(Closed):
            while True:
                got.append(c.recv())
        assert all(p.mid == 1 for p in got if p.type == wire.PUBACK)
        assert version != V5 or (got[-1].type, got[-1].code) == (wire.DISCONNECT, MALFORMED)
    strict.watch.message("dev/strict/up/x", "before")
    strict.unharmed()


@pytest.mark.parametrize("version", VERSIONS)
def test_will_of_one_that_misbehaves(strict, version):
    """To the broker it is a connection that broke off, so the will is published."""
    with strict.gw.client(strict.device, version, client_id="x",
                          will=wire.Will("pub/will", "dead", 1)) as c:
        c.send(b"\xc1\0")
        c.expect_closed(MALFORMED)
    strict.watch.message("dev/strict/up/will", "dead", 1)


def test_reason_string(strict):
    """In 5.0 a sentence goes along, unless the device wants none."""
    for props, said in (({}, True), ({"request_problem": 0}, False)):
        with strict.gw.client(strict.device, V5, props=props) as c:
            c.send(b"\xc1\0")
            got = c.expect(wire.DISCONNECT, code=MALFORMED)
            assert ("reason_string" in got.props) == said
            c.expect_closed()
