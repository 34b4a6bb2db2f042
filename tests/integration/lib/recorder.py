# SPDX-License-Identifier: BSD-2-Clause
"""
Who was told what: a subscriber at the broker itself, in a process of its own,
that writes down every message and never dies. It knows nothing of the gateway.

    recorder.py SOCKET FILE persistent|clean

A line of FILE is "TOPIC PAYLOAD", or "+" when it has subscribed at a broker.
persistent: one session for good, and what the broker says again (DUP, with the
identifier, topic and payload of before) is written once. That is no more than
MQTT 4.3.3 asks for a broker that keeps its promise; Mosquitto 2.0.11 also says
a QoS 2 message again after a restart that it had sent PUBREL for. A message that
somebody published twice has two identifiers and is written twice. clean: every
PUBLISH that reaches the socket is written, since a broker that was killed knows
nothing of before.
"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import process, wire  # noqa: E402
from lib.wait import until  # noqa: E402


class Connection:
    """One connection to the broker; what was sent before its end is still read."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(None)
        self.buffer = bytearray()
        self.sock.connect(path)

    def send(self, packet):
        try:
            self.sock.sendall(packet)
        except OSError:
            pass  # reading tells when everything was read

    def packets(self):
        """All packets until the end."""
        while True:
            found = wire.split(self.buffer)
            if found:
                del self.buffer[:found[2]]
                yield wire.Packet(wire.V311, found[0], found[1])
                continue
            try:
                chunk = self.sock.recv(1 << 20)
            except OSError:
                return
            if not chunk:
                return
            self.buffer += chunk


def take(out, conn, packet, seen):
    """Write the packet down and answer; seen: the messages so far, None for a clean session."""
    if packet.type == wire.PUBLISH:
        line = packet.topic.encode() + b" " + packet.payload + b"\n"
        again = packet.dup and seen is not None and seen.get(packet.mid) == line
        if not again:
            os.write(out, line)
        if seen is not None:
            seen[packet.mid] = line
        if packet.qos:
            conn.send(wire.ack(wire.PUBACK if packet.qos == 1 else wire.PUBREC, packet.mid))
    elif packet.type == wire.PUBREL:
        conn.send(wire.ack(wire.PUBCOMP, packet.mid))
    elif packet.type == wire.SUBACK:
        os.write(out, b"+\n")


def enter(out, conn, connack, seen):
    """Subscribe once: a second time would bring what is retained again."""
    if connack.session_present:
        os.write(out, b"+\n")
    elif seen:
        raise SystemExit("the broker has lost the recorder's session")
    else:
        conn.send(wire.subscribe(wire.V311, 65000, (("home/+/telemetry", 2),
                                                    ("home/+/stored", 2))))


def record(path, out, persistent):
    seen = {} if persistent else None
    while True:
        try:
            conn = Connection(path)
        except OSError:
            time.sleep(0.005)
            continue
        conn.send(wire.connect(wire.V311, "recorder", not persistent, 0))
        for packet in conn.packets():
            if packet.type == wire.CONNACK:
                enter(out, conn, packet, seen)
            take(out, conn, packet, seen)
        conn.sock.close()


class Recorder:
    """The process, as a test sees it."""

    def __init__(self, folder, path, persistent=True):
        self.file = os.path.join(folder, "recorded")
        open(self.file, "w").close()
        self.process = process.Process("recorder", [
            sys.executable, os.path.abspath(__file__), path, self.file,
            "persistent" if persistent else "clean"], os.path.join(folder, "recorder.out"))

    def lines(self):
        """What is written, whole lines only."""
        with open(self.file) as f:
            return f.read().rpartition("\n")[0].split("\n")

    def subscribed(self):
        """How often so far."""
        return self.lines().count("+")

    def await_subscribed(self, times):
        until(lambda: self.subscribed() >= times or not self.process.running(),
              "the recorder to be subscribed")
        self.check()

    def check(self):
        assert self.process.running(), self.process.text()

    def recorded(self):
        """{topic: [number, ...]} in the order of coming."""
        found = {}
        for line in self.lines():
            topic, space, number = line.partition(" ")
            if space:
                found.setdefault(topic, []).append(int(number))
        return found

    def stop(self):
        self.process.kill()


if __name__ == "__main__":
    FILE = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)
    record(sys.argv[1], FILE, sys.argv[3] == "persistent")
