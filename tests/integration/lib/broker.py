# SPDX-License-Identifier: BSD-2-Clause
"""A private Mosquitto: a unix socket for the gateway and for looking in, TCP when asked."""
import os
import random
import shutil
import signal
import socket

from lib import client, process
from lib.wait import until

MOSQUITTO = os.environ.get("MOSQUITTO") or shutil.which(
    "mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_port():
    """
    One that nobody has now, and that the kernel gives to no outgoing connection
    before it is used: those of the tests beside us are many.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        low, high = map(int, f.read().split())
    below, above = range(10000, low), range(high + 1, 65536)
    candidates = below if len(below) > len(above) else above
    for _ in range(100):
        port = random.SystemRandom().choice(candidates) if candidates else 0
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
            except OSError:
                pass  # taken: another one
    raise AssertionError("no port is free")


class Broker:
    """options: more lines of configuration; acl: text of the ACL file."""

    def __init__(self, folder, tcp=False, persistence=False, options=(), acl=None):
        self.folder, self.tcp, self.persistence = str(folder), tcp, persistence
        self.options, self.acl = list(options), acl
        self.socket = os.path.join(self.folder, "broker.sock")
        self.log = os.path.join(self.folder, "mosquitto.log")
        self.port, self.process = None, None

    def _write(self):
        lines = ["per_listener_settings false", "user root", "allow_anonymous true",
                 "log_dest file " + self.log, "log_type all", "log_timestamp false",
                 "sys_interval 1", "max_queued_messages 0", "set_tcp_nodelay false",
                 "listener 0 " + self.socket]
        if self.tcp:
            self.port = self.port or free_port()
            lines.append("listener %d 127.0.0.1" % self.port)
        if self.persistence:
            lines += ["persistence true", "persistence_location %s/" % self.folder]
        if self.acl is not None:
            path = os.path.join(self.folder, "acl")
            with open(path, "w") as f:
                f.write(self.acl)
            os.chmod(path, 0o600)
            lines.append("acl_file " + path)
        path = os.path.join(self.folder, "mosquitto.conf")
        with open(path, "w") as f:
            f.write("\n".join(lines + self.options) + "\n")
        return path

    def start(self):
        """Start it; a free port that somebody else took meanwhile is chosen again."""
        for _ in range(5):
            self.process = process.Process("mosquitto", [MOSQUITTO, "-c", self._write()],
                                           os.path.join(self.folder, "mosquitto.out"))
            if until(self._started, "mosquitto to listen") == "up":
                return self
            self.port = None
        raise AssertionError("mosquitto does not start:\n" + self.text())

    def _started(self):
        if not self.process.running():
            return "gone"
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.socket)
            return "up"
        except OSError:
            return None

    def stop(self, signum=signal.SIGTERM):
        if self.process is not None:
            if signum == signal.SIGKILL:
                self.process.kill()
            else:
                self.process.stop(signum)
            self.process = None

    def text(self):
        return process.tail(self.log, 100000)

    def client(self, *subscriptions, version=4, **kw):
        """A raw client at the broker itself, for looking in; connected and subscribed, QoS 2."""
        if "client_id" not in kw and version < 5:
            kw["client_id"] = "watch-%d" % next(client.COUNTER)
        # Who looks in may wait long for something else, and must not be closed for his silence.
        kw.setdefault("keepalive", 600)
        c = client.Client(client.unix_socket(self.socket), version)
        c.connect(**kw)
        for i, topic in enumerate(subscriptions):
            c.subscribe((topic, 2), mid=60000 + i)
        return c
