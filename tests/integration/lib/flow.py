# SPDX-License-Identifier: BSD-2-Clause
"""
Clients that keep their promises: numbered messages that survive any number of
broken connections, by the rules of MQTT 4.4 (resend what is not acknowledged,
in order, with the same packet identifiers). What happens to the connection
is theirs to notice; `connect` gives a new one behind CONNACK.
"""
import collections
import socket
import threading
import time

from lib import wire
from lib.client import Closed
from lib.wait import PATIENCE

WINDOW = 20


class Sender(threading.Thread):
    """Publish 0 to count-1 with QoS 1 or 2; finished when all are acknowledged."""

    def __init__(self, connect, version, topic, qos, count):
        super().__init__(daemon=True)
        self.connect, self.version, self.topic, self.qos = connect, version, topic, qos
        self.count, self.next = count, 0
        self.open = collections.OrderedDict()  # mid: payload, or None behind PUBREC
        self.connections, self.done, self.error = 0, 0, None

    def run(self):
        try:
            run_until(self, lambda: self.next == self.count and not self.open, self._once)
        except Exception as e:  # told to the test by check()
            self.error = e

    def _resend(self, client):
        for mid, payload in self.open.items():
            if payload is None:
                client.send(wire.ack(wire.PUBREL, mid))
            else:
                client.send(self._packet(mid, payload, True))

    def _packet(self, mid, payload, dup):
        return wire.publish(self.version, self.topic, payload, self.qos, dup=dup, mid=mid)

    def _once(self, client):
        self._resend(client)
        while self.next < self.count or self.open:
            while self.next < self.count and len(self.open) < WINDOW:
                mid = self.next % 65535 + 1
                self.open[mid] = b"%d" % self.next
                self.next += 1
                client.send(self._packet(mid, self.open[mid], False))
            self._take(client, client.recv())
        client.fence(ack=False)
        client.disconnect()

    def _take(self, client, packet):
        mid = getattr(packet, "mid", None)
        assert mid in self.open, "an answer to nothing: %r" % packet
        # Success only: a broker that says otherwise has not taken the message.
        unknown = packet.type == wire.PUBCOMP and packet.code == 0x92
        assert packet.code in (0, 0x10) or unknown, repr(packet)
        if packet.type == wire.PUBREC and self.qos == 2:
            self.open[mid] = None
            client.send(wire.ack(wire.PUBREL, mid))
        elif packet.type == (wire.PUBACK if self.qos == 1 else wire.PUBCOMP):
            del self.open[mid]
            self.done += 1
        else:
            raise AssertionError("not wanted: %r" % packet)


class Receiver(threading.Thread):
    """Take numbered messages with QoS 1 or 2 until each of count was there."""

    def __init__(self, connect, qos, count):
        super().__init__(daemon=True)
        self.connect, self.qos, self.count = connect, qos, count
        self.got = []          # numbers, as handed to the application
        self.released = set()  # mids of QoS 2 behind PUBREC
        self.missing = set(range(count))
        self.connections, self.error = 0, None

    def run(self):
        try:
            run_until(self, lambda: not self.missing and not self.released, self._once)
        except Exception as e:
            self.error = e

    @property
    def done(self):
        return self.count - len(self.missing)

    def _once(self, client):
        while self.missing or self.released:
            self._take(client, client.recv())
        client.disconnect()

    def _hand_over(self, packet):
        number = int(packet.payload)
        self.got.append(number)
        self.missing.discard(number)

    def _take(self, client, packet):
        if packet.type == wire.PUBREL:
            self.released.discard(packet.mid)
            client.send(wire.ack(wire.PUBCOMP, packet.mid))
            return
        assert packet.type == wire.PUBLISH and packet.qos == self.qos, repr(packet)
        if self.qos == 1:
            self._hand_over(packet)
            client.send(wire.ack(wire.PUBACK, packet.mid))
            return
        if packet.mid not in self.released:  # method A of 4.3.3
            self._hand_over(packet)
            self.released.add(packet.mid)
        client.send(wire.ack(wire.PUBREC, packet.mid))


def run_until(flow, finished, once):
    """Connect again and again until it is finished."""
    end = time.monotonic() + 6 * PATIENCE
    while not finished():
        if time.monotonic() > end:
            raise AssertionError("not finished in time")
        try:
            client = flow.connect()
        except (Closed, OSError, AssertionError):
            time.sleep(0.02)
            continue
        flow.connections += 1
        try:
            once(client)
        except (Closed, ConnectionError, socket.timeout, OSError):
            pass
        finally:
            client.cut()


def check(*flows):
    """Wait for all of them; their error is the test's."""
    for one in flows:
        one.join(8 * PATIENCE)
        if one.error is not None:
            raise one.error
        assert not one.is_alive(), "%s has %d of %d" % (type(one).__name__, one.done, one.count)
