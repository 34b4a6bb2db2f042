# SPDX-License-Identifier: BSD-2-Clause
"""One board that fails: every client that a test can send from an address of its own."""
import os
import socket
import ssl
import struct
import subprocess

from lib import client, wire
from lib.client import Client
from lib.wait import PATIENCE

CLIENT_HELLO, SERVER_HELLO_DONE = 1, 14
HANDSHAKE, ALERT = 22, 21


def vector(size, body):
    """Bytes with their length, in that many bytes, in front."""
    return len(body).to_bytes(size, "big") + body


def record(kind, body, version=0x0303):
    return struct.pack("!BHH", kind, version, len(body)) + body


def hello(suites, version=0x0303, random=None, extensions=()):
    """A record with a ClientHello; extensions: of (number, bytes)."""
    body = struct.pack("!H", version) + (random or os.urandom(32)) + vector(1, b"")
    body += vector(2, b"".join(struct.pack("!H", s) for s in suites)) + vector(1, b"\0")
    listed = b"".join(struct.pack("!H", n) + vector(2, e) for n, e in extensions)
    if extensions:
        body += vector(2, listed)
    return record(HANDSHAKE, bytes([CLIENT_HELLO]) + vector(3, body), 0x0301)


def p256_extensions(*more):
    """What a client needs that is to get as far as our certificate."""
    return ((10, vector(2, b"\0\x17")), (11, vector(1, b"\0")),
            (13, vector(2, b"\x04\x03"))) + more


ECDSA_SUITES = (0xC02B, 0xCCA9)
RSA_ONLY_SUITES = (0x002F, 0x003C, 0x009C, 0x0035, 0x003D)


class Attempt:
    """Clients of one gateway that all come from the same loopback address."""

    def __init__(self, gateway, address, bear=None):
        self.gw, self.address, self.bear = gateway, address, bear

    # ---- bytes -------------------------------------------------------------------

    def raw(self, *sent):
        s = socket.socket()
        s.settimeout(2 * PATIENCE)
        s.bind((self.address, 0))
        s.connect(("127.0.0.1", self.gw.port))
        s.sendall(b"".join(sent))
        return s

    def send(self, *sent):
        """Send, and take what comes until the gateway closes."""
        with self.raw(*sent) as s:
            return drain(s)

    def send_and_leave(self, *sent):
        with self.raw(*sent) as s:
            s.shutdown(socket.SHUT_WR)
            return drain(s)

    def openssl_hello(self, tls="1.2"):
        """The first flight of a client with OpenSSL."""
        context = client.tls_context(self.gw.ca, None, tls)
        outgoing = ssl.MemoryBIO()
        talk = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
        try:
            talk.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()

    def after_flight(self, answer, tls="1.2"):
        """Take the gateway's whole flight of TLS 1.2, answer with these bytes, and leave."""
        with self.raw(self.openssl_hello(tls)) as s:
            got = b""
            while bytes([SERVER_HELLO_DONE, 0, 0, 0]) not in got:
                chunk = s.recv(4096)
                assert chunk, "the gateway closed before the end of its flight"
                got += chunk
            s.sendall(answer)
            if answer:
                s.shutdown(socket.SHUT_WR)
            return drain(s)

    # ---- OpenSSL -----------------------------------------------------------------

    def context(self, device=None, tls="1.2"):
        return client.tls_context(self.gw.ca, device, tls)

    def tls(self, device=None, tls="1.2", context=None):
        """A finished handshake, as a socket; with 1.3 a refusal shows only later."""
        context = context or self.context(device, tls)
        s = self.raw()
        try:
            return context.wrap_socket(s, server_hostname="localhost")
        except BaseException:
            s.close()
            raise

    def refused(self, device=None, tls="1.2", context=None):
        """An attempt that the gateway ends inside the handshake."""
        try:
            with self.tls(device, tls, context) as s:
                s.recv(1)
        except (ssl.SSLError, ConnectionError) as e:
            return e
        raise AssertionError("the gateway let it in")

    def mqtt(self, device, version=wire.V311, tls="1.2"):
        """A raw MQTT client behind the handshake."""
        return Client(self.tls(device, tls), version)

    def s_client(self, *options, device=None, ca=None, sent="", seconds=PATIENCE):
        argv = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.gw.port, "-bind",
                self.address + ":0", "-CAfile", ca or self.gw.ca, "-servername", "localhost"]
        if device is not None:
            argv += ["-cert", device.cert, "-key", device.key]
        done = subprocess.run(argv + list(options), input=sent, capture_output=True, text=True,
                              timeout=seconds)
        return done.stdout + done.stderr

    def mosquitto(self, *options, device=None, host="localhost", ca=None, program="mosquitto_pub",
                  topic="Home"):
        argv = [program, "-h", host, "-p", str(self.gw.port), "-A", self.address, "-t", topic]
        argv += ["-m", "x", "-q", "1"] if program == "mosquitto_pub" else ["-W", "5"]
        if device is not None:
            argv += ["--cafile", ca or self.gw.ca, "--cert", device.cert, "--key", device.key]
        done = subprocess.run(argv + list(options), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=2 * PATIENCE)
        return done.returncode, done.stdout + done.stderr

    # ---- a board -----------------------------------------------------------------

    def board(self, *options, device, name="localhost", key=None, ending="fin", cert=None,
              seconds=2 * PATIENCE):
        """What the BearSSL client says, as a dict; it ends the socket as told."""
        done = subprocess.run(
            [self.bear, "-b", self.address, "-c", cert or device.cert, "-e", ending, "-d",
             str(int(seconds)), *options, "127.0.0.1", str(self.gw.port), name,
             key or device.key], capture_output=True, text=True, timeout=2 * seconds)
        assert done.returncode in (0, 1), done.stderr
        said = dict(line.split("=", 1) for line in done.stdout.splitlines())
        return {k: int(v) if v.lstrip("-").isdigit() else v for k, v in said.items()}

    def board_fails(self, error, *options, **kw):
        said = self.board(*options, **kw)
        assert (said["mqtt_state"], said["tls_error"]) == (-2, error), said

    def board_works(self, *options, **kw):
        said = self.board(*options, **kw)
        assert (said["mqtt_state"], said["tls_error"]) == (0, 0), said


def drain(s):
    got = b""
    try:
        while True:
            chunk = s.recv(4096)
            if not chunk:
                return got
            got += chunk
    except (ssl.SSLError, ConnectionError):
        return got


def closed(c):
    """Wait until the gateway has closed, whatever it says before."""
    c.sock.settimeout(2 * PATIENCE)
    drain(c.sock)
    c.cut()


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
