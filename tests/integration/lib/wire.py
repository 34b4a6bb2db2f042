# SPDX-License-Identifier: BSD-2-Clause
"""MQTT 3.1, 3.1.1 and 5.0 on the wire: a small encoder, and a decoder that repairs nothing.

The encoder writes what it is told, also what is wrong: strictness is the
decoder's part. Versions are named by their protocol level: 3, 4, 5.
"""
import struct

V31, V311, V5 = 3, 4, 5
VERSIONS = (V31, V311, V5)

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)

NAMES = ("0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
         "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP",
         "DISCONNECT", "AUTH")

# name: (identifier, kind)
PROPERTIES = {
    "payload_format": (1, "u8"), "message_expiry": (2, "u32"), "content_type": (3, "text"),
    "response_topic": (8, "text"), "correlation_data": (9, "data"),
    "subscription_id": (11, "varint"), "session_expiry": (17, "u32"),
    "assigned_client_id": (18, "text"), "server_keep_alive": (19, "u16"),
    "auth_method": (21, "text"), "auth_data": (22, "data"), "request_problem": (23, "u8"),
    "will_delay": (24, "u32"), "request_response": (25, "u8"), "response_info": (26, "text"),
    "server_reference": (28, "text"), "reason_string": (31, "text"),
    "receive_maximum": (33, "u16"), "topic_alias_maximum": (34, "u16"),
    "topic_alias": (35, "u16"), "maximum_qos": (36, "u8"), "retain_available": (37, "u8"),
    "user_property": (38, "pair"), "maximum_packet_size": (39, "u32"),
    "wildcard_available": (40, "u8"), "subscription_ids_available": (41, "u8"),
    "shared_available": (42, "u8"),
}
PROPERTY_BY_ID = {number: (name, kind) for name, (number, kind) in PROPERTIES.items()}
REPEATED = ("user_property", "subscription_id")


class Malformed(Exception):
    """What the other side sent is not MQTT."""


# ---- encoding --------------------------------------------------------------------

def varint(n):
    out = bytearray()
    while True:
        byte, n = n % 128, n // 128
        out.append(byte | (128 if n else 0))
        if not n:
            return bytes(out)


def u16(n):
    return struct.pack("!H", n)


def data(value):
    """A string or bytes with its length in front."""
    value = value.encode() if isinstance(value, str) else value
    return u16(len(value)) + value


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def _property(name, value):
    number, kind = PROPERTIES[name]
    head = bytes([number])
    if kind == "u8":
        return head + bytes([value])
    if kind == "u16":
        return head + u16(value)
    if kind == "u32":
        return head + struct.pack("!I", value)
    if kind == "varint":
        return head + varint(value)
    if kind == "pair":
        return head + data(value[0]) + data(value[1])
    return head + data(value)


def properties(values):
    """A property block of {name: value}; a list as value repeats the property."""
    body = b""
    for name, value in (values or {}).items():
        for one in value if isinstance(value, list) else [value]:
            body += _property(name, one)
    return varint(len(body)) + body


def _block(version, values):
    return properties(values) if version == V5 else b""


class Will:
    def __init__(self, topic, payload=b"", qos=0, retain=False, props=None):
        self.topic, self.payload, self.qos = topic, payload, qos
        self.retain, self.props = retain, props


def connect(version=V311, client_id="", clean=True, keepalive=60, will=None, username=None,
            password=None, props=None):
    flags = 2 if clean else 0
    payload = data(client_id)
    if will is not None:
        flags |= 4 | will.qos << 3 | (32 if will.retain else 0)
        payload += _block(version, will.props) + data(will.topic) + data(will.payload)
    if username is not None:
        flags |= 128
        payload += data(username)
    if password is not None:
        flags |= 64
        payload += data(password)
    name = "MQIsdp" if version == V31 else "MQTT"
    head = data(name) + bytes([version, flags]) + u16(keepalive)
    return packet(CONNECT, 0, head + _block(version, props) + payload)


def publish(version, topic, payload=b"", qos=0, retain=False, dup=False, mid=None, props=None):
    payload = payload.encode() if isinstance(payload, str) else payload
    body = data(topic) + (u16(mid) if mid is not None else b"") + _block(version, props)
    flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return packet(PUBLISH, flags, body + payload)


def ack(kind, mid, reason=None, props=None):
    """PUBACK, PUBREC, PUBREL, PUBCOMP; short form without a reason."""
    body = u16(mid)
    if reason is not None:
        body += bytes([reason]) + (properties(props) if props is not None else b"")
    return packet(kind, 2 if kind == PUBREL else 0, body)


def subscribe(version, mid, filters, props=None):
    """filters: of (filter, options), or filters alone for QoS 0."""
    body = u16(mid) + _block(version, props)
    for one in filters:
        topic, options = one if isinstance(one, tuple) else (one, 0)
        body += data(topic) + bytes([options])
    return packet(SUBSCRIBE, 2, body)


def unsubscribe(version, mid, filters, props=None):
    body = u16(mid) + _block(version, props) + b"".join(data(f) for f in filters)
    return packet(UNSUBSCRIBE, 2, body)


def disconnect(reason=None, props=None):
    body = b""
    if reason is not None:
        body = bytes([reason]) + (properties(props) if props is not None else b"")
    return packet(DISCONNECT, 0, body)


PING = packet(PINGREQ, 0, b"")
PONG = packet(PINGRESP, 0, b"")


# ---- decoding --------------------------------------------------------------------

class Reader:
    """A bounded look at the body of a packet."""

    def __init__(self, body):
        self.body, self.at = body, 0

    def left(self):
        return len(self.body) - self.at

    def take(self, n):
        if self.left() < n:
            raise Malformed("the packet ends too early: %r" % (self.body,))
        self.at += n
        return self.body[self.at - n:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value = 0
        for shift in range(0, 28, 7):
            byte = self.number(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Malformed("a length of more than four bytes")

    def data(self):
        return bytes(self.take(self.number(2)))

    def text(self):
        return self.data().decode()

    def _value(self, kind):
        if kind == "pair":
            return self.text(), self.text()
        sizes = {"u8": 1, "u16": 2, "u32": 4}
        if kind in sizes:
            return self.number(sizes[kind])
        return {"varint": self.varint, "data": self.data, "text": self.text}[kind]()

    def properties(self):
        inner = Reader(self.take(self.varint()))
        found = {}
        while inner.left():
            name, kind = PROPERTY_BY_ID[inner.varint()]
            value = inner._value(kind)
            if name in REPEATED:
                found.setdefault(name, []).append(value)
            elif name in found:
                raise Malformed("property %s twice" % name)
            else:
                found[name] = value
        return found


class Packet:
    """One packet as it came, with the fields that its type has."""

    def __init__(self, version, first, body):
        self.type, self.flags, self.body = first >> 4, first & 15, body
        self.props = {}
        reader = Reader(body)
        getattr(self, "_" + NAMES[self.type].lower(), self._other)(version, reader)
        if reader.left():
            raise Malformed("bytes after the end of %r" % self)

    def __repr__(self):
        shown = {k: v for k, v in vars(self).items() if k not in ("type", "body") and v != {}}
        if len(shown.get("payload", b"")) > 80:
            shown["payload"] = "%d bytes" % len(shown["payload"])
        return "%s(%s)" % (NAMES[self.type], ", ".join("%s=%r" % i for i in shown.items()))

    def _other(self, version, reader):
        raise Malformed("a server does not send type %d" % self.type)

    def _flags(self, wanted):
        if self.flags != wanted:
            raise Malformed("%s with flags %d" % (NAMES[self.type], self.flags))

    def _connack(self, version, reader):
        self._flags(0)
        flags = reader.number(1)
        if flags > 1:
            raise Malformed("CONNACK flags %d" % flags)
        self.session_present, self.code = bool(flags), reader.number(1)
        if version == V5:
            self.props = reader.properties()

    def _publish(self, version, reader):
        self.dup, self.qos = bool(self.flags & 8), self.flags >> 1 & 3
        self.retain = bool(self.flags & 1)
        if self.qos == 3:
            raise Malformed("QoS 3")
        self.topic = reader.text()
        self.mid = reader.number(2) if self.qos else None
        if self.qos and self.mid == 0:
            raise Malformed("packet identifier 0")
        if version == V5:
            self.props = reader.properties()
        self.payload = bytes(reader.take(reader.left()))

    def _ack(self, version, reader, flags=0):
        self._flags(flags)
        self.mid, self.code = reader.number(2), 0
        if version == V5 and reader.left():
            self.code = reader.number(1)
            if reader.left():
                self.props = reader.properties()

    _puback = _pubrec = _pubcomp = _ack

    def _pubrel(self, version, reader):
        self._ack(version, reader, 2)

    def _suback(self, version, reader):
        self._flags(0)
        self.mid = reader.number(2)
        if version == V5:
            self.props = reader.properties()
        self.codes = list(reader.take(reader.left()))

    def _unsuback(self, version, reader):
        self._suback(version, reader)
        if version != V5 and self.codes:
            raise Malformed("UNSUBACK with codes before 5.0")

    def _pingresp(self, version, reader):
        self._flags(0)

    def _disconnect(self, version, reader):
        self._flags(0)
        if version != V5:
            raise Malformed("a server that sends DISCONNECT before 5.0")
        self.code = reader.number(1) if reader.left() else 0
        if reader.left():
            self.props = reader.properties()

    def _auth(self, version, reader):
        self._disconnect(version, reader)


def split(buffer):
    """(first byte, body, length used) of the first packet, or None if it is not whole."""
    size, shift = 0, 0
    for i in range(1, 5):
        if len(buffer) <= i:
            return None
        size |= (buffer[i] & 127) << shift
        shift += 7
        if buffer[i] < 128:
            end = i + 1 + size
            return (buffer[0], bytes(buffer[i + 1:end]), end) if len(buffer) >= end else None
    raise Malformed("a remaining length of five bytes")
