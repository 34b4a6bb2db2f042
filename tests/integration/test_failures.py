# SPDX-License-Identifier: BSD-2-Clause
"""The diagnosis on the control socket: the list, the story, and live."""
import socket
import struct

import yaml

from lib import client
from lib.certs import Authority
from lib.wait import PATIENCE, until
from lib.wire import V5
from test_tls import alert_of

HEAD = struct.Struct(">2sBBI")


class Control:
    """Requests by hand: gatewayctl comes later than the protocol."""

    def __init__(self, gw, **request):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(gw.path("control.sock"))
        body = yaml.safe_dump(request).encode()
        self.socket.sendall(HEAD.pack(b"GW", 1, 1, len(body)) + body)

    def take(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            assert more, "the server closed"
            data += more
        return data

    def document(self):
        body, kind = b"", 2
        while kind == 2:
            _, _, kind, size = HEAD.unpack(self.take(8))
            body += self.take(size)
        return kind, yaml.safe_load(body)


def ask(gw, **request):
    kind, answer = Control(gw, **request).document()
    assert kind == 4
    return answer


def failures(gw, **args):
    return ask(gw, command="failures", **args)["result"]["failures"]


def test_story_of_a_board(gateway, tmp_path):
    gw = gateway()
    assert failures(gw) == []
    watch = Control(gw, command="watch", what="failures")
    until(lambda: ask(gw, command="status"), "a round")
    foreign = client.tls_context(gw.ca, Authority().issue(str(tmp_path), "x", "pump"), "1.2")
    for _ in range(3):
        assert alert_of(gw, foreign) == 48
    # The alert is there before the gateway has seen how the connection ended.
    one = until(lambda: next((f for f in failures(gw) if f["count"] == 3), None), "all three")
    assert (one["cause"], one["open"]) == ("device-certificate-foreign-ca", True)
    assert (one["address"], one["identity"], one["name"]) == ("127.0.0.1", "", "pump")
    assert "pump" in one["sentence"] and one["remedy"] and one["decided_by"]
    kind, event = watch.document()
    assert kind == 3 and event["result"]["cause"] == one["cause"]

    device = gw.enroll()
    with gw.client(device, V5) as c:
        c.publish("elsewhere", "x", 1, code=0x87)

        def denied():
            answer = ask(gw, command="diagnose", identity=device.name)["result"]
            return answer if answer["verdict"]["cause"] == "publish-denied" else None
        # The answer to the device is there before the denial is noted.
        got = until(denied, "the denial to be noted")
        assert got["connected"]
        assert '"elsewhere"' in got["verdict"]["sentence"]
        assert [s["event"] for s in got["story"]] == ["connected", "failed"]
    counts = ask(gw, command="status")["result"]["diagnosed"]
    assert counts["causes"]["device-certificate-foreign-ca"] == 3
    assert ask(gw, command="diagnose", identity="nobody")["error"]


def test_limits_and_scans(gateway):
    gw = gateway(conf={"limits": {"connections_per_address": 1}})
    with socket.create_connection(("127.0.0.1", gw.port)):
        until(lambda: gw.metrics()["connections"] == 1, "the first")
        with socket.create_connection(("127.0.0.1", gw.port)) as second:
            second.settimeout(PATIENCE)
            assert second.recv(1) == b""
    one = failures(gw, address="127.0.0.1")[0]
    assert one["cause"] == "limit-hit" and "connections_per_address" in one["sentence"]
    until(lambda: gw.metrics()["connections"] == 0, "it to go")
    with socket.create_connection(("127.0.0.1", gw.port)) as web:
        web.sendall(b"GET / HTTP/1.1\r\n\r\n")
        web.settimeout(PATIENCE)
        while web.recv(100):
            pass
    counts = ask(gw, command="status")["result"]["diagnosed"]
    assert counts["causes"]["http-on-mqtt-port"] == 1 and counts["strangers"] == 2
    assert [f["cause"] for f in failures(gw)] == ["limit-hit"]
