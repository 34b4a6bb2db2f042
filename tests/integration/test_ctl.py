# SPDX-License-Identifier: BSD-2-Clause
"""gatewayctl and the command line of gatewayd against the real daemon; control socket, metrics."""
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import time
import urllib.request

import pytest
import yaml

from lib import wire
from lib.broker import free_port
from lib.gateway import GATEWAYD, SANITIZER_ENV
from lib.wait import PATIENCE, until
from lib.wire import V5, VERSIONS, Will

NOT_RUNNING, USAGE = 3, 2


def gatewayd(*args):
    """A gatewayd that is to end by itself."""
    return subprocess.run([GATEWAYD] + list(args), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=2 * PATIENCE,
                          env=dict(os.environ, **SANITIZER_ENV))


# ---- devices ---------------------------------------------------------------------

def test_devices(gateway):
    gw = gateway()
    names = [gw.enroll(None, "--group", "g", "--label", "site=cellar") for _ in range(3)]
    on, gone, never = names
    before = int(time.time())
    gw.client(gone).disconnect()
    with gw.client(on, V5, tls="1.3", client_id="sketch") as c:
        c.subscribe(("sub/#", 1))
        c.publish("Home", "x" * 100, 1)
        with gw.broker.client() as other:
            other.publish("dev/%s/down/x" % on.name, "y" * 50)
        c.message("sub/x")
        c.publish("elsewhere", "z", 1, code=0x87)
        gone_row = until(lambda: [r for r in gw.sessions(gone.name) if r["last_seen"]],
                         "the sighting to be written")[0]
        rows = {r["identity"]: r for r in gw.sessions()}
        assert sorted(rows) == sorted(d.name for d in names)
        assert {n: r["state"] for n, r in rows.items()} == {
            on.name: "live", gone.name: "enrolled", never.name: "enrolled"}
        assert before <= gone_row["last_seen"] <= time.time() + 1
        assert rows[never.name]["last_seen"] == 0
        (session,) = rows[on.name]["sessions"]
        port = c.sock.getsockname()[1]
        assert (session["address"], session["port"]) == ("127.0.0.1", port)
        assert (session["protocol"], session["tls"]) == ("5.0", "TLSv1.3")
        assert session["cipher"] == c.sock.cipher()[0]
        assert (session["publish_up"], session["publish_down"]) == (1, 1)
        assert session["bytes_up"] > 100 and session["bytes_down"] > 50
        assert (session["denied"], session["last_denied"]) == (1, "elsewhere")
        assert (session["client_id"], session["device_client_id"]) == (on.name, "sketch")
        assert before <= session["since"] <= time.time() + 1
        # The other forms say the same.
        as_yaml = {r["identity"]: r for r in yaml.safe_load(
            gw.ctl("-o", "yaml", "devices").out)["devices"]}
        assert as_yaml[never.name] == rows[never.name]
        table = gw.ctl("devices").out.splitlines()
        for column in ("DEVICE", "STATE", "ADDRESS", "SINCE", "MQTT", "TLS", "CIPHER", "MSG UP",
                       "MSG DOWN", "UP", "DOWN", "EXPIRES", "LAST SEEN"):
            assert column in table[0]
        (line,) = [l for l in table if l.startswith(on.name)]
        for word in ("live", "127.0.0.1", "5.0", "TLSv1.3", session["cipher"]):
            assert word in line
        assert len(table) == 4
        live = gw.ctl("devices", "--live", output="json")["devices"]
        assert [r["identity"] for r in live] == [on.name]
        shown = gw.ctl("devices", "show", on.name, output="json")
        assert shown["labels"] == {"site": "cellar"} and shown["group"] == "g"
        assert shown["sessions"][0]["map"] == "test"
        assert "cellar" in gw.ctl("devices", "show", on.name).out
    until(lambda: gw.sessions(on.name)[0]["state"] == "enrolled", "the session to be gone")
    missing = gw.ctl("devices", "show", "nobody", status=1)
    assert "there is no device nobody" in missing.err and missing.out == ""


def test_hostile_text_is_escaped(shared):
    """What a device supplies cannot drive the terminal."""
    with shared.client(shared.enroll(), V5, client_id="a\u009bb") as c:
        c.publish("else\u202ewhere", "x", 1, code=0x87)
        for args in (("devices",), ("devices", "show", "dev1")):
            out = shared.ctl(*args).out
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out)


def test_disconnect(shared):
    devices = {v: shared.enroll() for v in VERSIONS}
    live = {v: shared.client(d, v) for v, d in devices.items()}
    for v in VERSIONS:
        assert shared.ctl("disconnect", devices[v].name).out == "1 session closed\n"
        live[v].expect_closed(0x98)
        again = shared.ctl("disconnect", devices[v].name, status=1)
        assert "is not connected" in again.err
        with shared.client(devices[v], v):  # it may come back
            pass


def test_disconnect_publishes_the_will(shared):
    device = shared.enroll()
    with shared.broker.client("dev/%s/#" % device.name) as watch:
        with shared.client(device, V5, will=Will("pub/will", "dead", 1)) as c:
            shared.ctl("disconnect", device.name)
            c.expect_closed(0x98)
        watch.message("dev/%s/up/will" % device.name, "dead")


def test_status(shared):
    status = shared.status()
    assert status["pid"] == shared.process.pid and status["workers"] == 2
    assert status["listeners"] == [{"address": "127.0.0.1", "port": shared.port}]
    assert (status["gateway"], status["admission"]) == ("gw", "enrolled")
    assert status["configuration"] == shared.conf_file
    assert status["started"] <= time.time()
    with shared.client(shared.enroll()) as c:
        before = shared.metrics()
        assert before["sessions"] >= 1
        c.publish("Home", "x", 1)
        c.publish("elsewhere", "x", 1)
        c.subscribe(("elsewhere", 1), codes=[0x80])
        after = shared.metrics()
    for name in ("publish_up", "publish_denied", "subscribe_denied"):
        assert after[name] == before[name] + 1, name
    assert after["bytes_up"] > before["bytes_up"]
    status = shared.status()
    assert status["broker"]["state"] == "up"
    assert status["broker"]["address"] == shared.broker.socket
    table = shared.ctl("status").out
    assert str(shared.port) in table and str(shared.process.pid) in table


# ---- topics: what is said is what happens -----------------------------------------

def test_topics_publish_agrees(shared):
    device = shared.enroll()
    with shared.broker.client("#") as watch, shared.client(device, V5) as c:
        watch.fence()
        for topic in ("Home", "log/a", "log", "log/a/b", "pub", "pub/a/b", "pub/", "elsewhere",
                      "home/%s/telemetry" % device.name, "inTopic", "/Home", "Home/", "$SYS/x",
                      "pub/\u00e9", "small", "clear/x"):
            said = shared.ctl("topics", device.name, "--publish", topic, output="json")
            c.publish(topic, "x", 1, code=0 if said["allowed"] else 0x87)
            if said["allowed"]:
                watch.message(said["broker"], "x")
            else:
                assert watch.fence() == []


def test_topics_subscribe_agrees(shared):
    device = shared.enroll()
    with shared.client(device, V5) as c:
        for wanted in ("inTopic", "#", "+", "all/+", "sub/a/#", "own/#", "elsewhere", "+/#",
                       "jobs/+", "jobs/#", "$SYS/#", "$share/g/all/#", "all/"):
            start = len(shared.broker.text())
            said = shared.ctl("topics", device.name, "--subscribe", wanted, output="json")
            c.subscribe((wanted, 1), codes=[1 if said["allowed"] else 0x87])
            heard = re.findall(r"^\t(.*) \(QoS 1\)$", shared.broker.text()[start:], re.M)
            listed = [f["broker"] for f in said.get("filters", [])]
            assert sorted(heard) == sorted(listed), wanted
            if said["allowed"]:
                c.unsubscribe(wanted)


# ---- without the daemon ----------------------------------------------------------

def test_works_while_gatewayd_is_down(gateway):
    gw = gateway(start=False)
    device = gw.enroll()
    for args in (("status",), ("reload",), ("disconnect", device.name)):
        result = gw.ctl(*args, status=NOT_RUNNING)
        assert "gatewayd is not running" in result.err and "systemctl start" in result.err
        assert result.out == ""
    result = gw.ctl("-o", "json", "devices")
    assert json.loads(result.out)["devices"][0]["identity"] == device.name
    assert "gatewayd is not running" in result.err
    assert "Home" in gw.ctl("topics", device.name).out
    gw.ctl("group", device.name, "g")
    gw.ctl("revoke", device.name)
    assert gw.sessions(device.name)[0]["state"] == "revoked"
    gw.ctl("reinstate", device.name)
    gw.ctl("config", "check")
    gw.start()
    with gw.client(device) as c:
        assert c.fence() == []


@pytest.mark.parametrize("args", (
    (), ("nonsense",), ("devices", "show"), ("devices", "show", "a", "b"), ("disconnect",),
    ("--nonsense",), ("-o", "xml", "devices"), ("topics",), ("label", "a"), ("status", "extra"),
    ("topics", "a", "--publish"), ("enroll",), ("-o",)))
def test_wrong_usage(shared, args):
    result = shared.ctl(*args, status=USAGE)
    assert result.out == "" and result.err


# ---- the control socket ----------------------------------------------------------

def control(gw):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(gw.path("control.sock"))
    return s


def frame(body, version=1, kind=1, magic=b"GW"):
    return magic + bytes([version, kind]) + struct.pack("!I", len(body)) + body


def everything(s):
    """All that comes until the end."""
    out = b""
    try:
        while True:
            chunk = s.recv(65536)
            if not chunk:
                return out
            out += chunk
    except ConnectionError:
        return out


@pytest.mark.parametrize("sent,answer", (
    (b"GET / HTTP/1.1\r\n\r\n", b""), (bytes(64), b""), (b"\xff" * 100000, b""),
    (frame(b"", kind=4), b""), (frame(b"command: status", kind=2), b""),
    (frame(b"command: status", version=2), b"not supported"),
    (frame(b"command: status", magic=b"WG"), b""),
    (b"GW\1\1\xff\xff\xff\xff", b""), (b"GW\1\1\0\1\0\1", b""),
    (frame(b""), b"there is no document"), (frame(b"[1, 2]"), b"names no command"),
    (frame(b"command: [status]"), b"names no command"),
    (frame(b"a: &x 1\nb: *x"), b"error"), (frame(b"{" * 1000), b"error"),
    (frame(b"command: \xff\xfe"), b"error"),
    (frame(b"command: status\ncommand: reload"), b"error")))
def test_garbage_ends_that_client_only(shared, sent, answer):
    with control(shared) as s, control(shared) as other:
        try:
            s.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = everything(s)
        assert answer in got and (answer or not got)
        other.sendall(frame(b"command: nonsense"))
        assert b"does not know this command" in other.recv(65536)
        other.sendall(frame(b"command: status"))
        assert b"result" in other.recv(65536)


@pytest.mark.parametrize("args", (b"", b"identity: ''", b"identity: [a]", b"identity: 5",
                                  b"identity: " + b"a" * 1000))
def test_bad_arguments(shared, args):
    with control(shared) as s:
        s.sendall(frame(b"command: disconnect\n" + args))
        assert b"missing or too long" in s.recv(65536)


def test_half_frames(shared):
    whole = frame(b"command: status")
    for at in range(1, len(whole)):
        with control(shared) as s:
            s.sendall(whole[:at])
    with control(shared) as s:
        for i in range(len(whole)):
            s.sendall(whole[i:i + 1])
        assert b"result" in s.recv(65536)
        s.sendall(whole + whole)  # two at once are answered one behind the other
        got = b""
        while got.count(b"GW\1\4") < 2:
            got += s.recv(65536)
    shared.status()


def test_too_many_clients(gateway):
    gw = gateway()
    with gw.client(gw.enroll()) as device:
        held = [control(gw) for _ in range(32)]
        with control(gw) as s:
            assert b"too many control clients" in everything(s)
        result = gw.ctl("status", status=1)
        assert "too many control clients" in result.err
        assert device.fence() == []
        for s in held:
            s.close()
        until(lambda: gw.ctl("status", status=None).status == 0, "a place to be free")


def test_client_that_does_not_read(shared):
    """Requests without end, and no answer taken: this one waits, nobody else does."""
    with control(shared) as s:
        s.settimeout(0.5)
        with pytest.raises((socket.timeout, BrokenPipeError, ConnectionResetError)):
            while True:
                s.sendall(frame(b"command: status") * 100)
        shared.status()


def test_permissions(shared):
    mode = os.stat(shared.path("control.sock")).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    assert stat.S_IMODE(os.stat(os.path.join(shared.state, "pki", "ca.key")).st_mode) == 0o600


# ---- gatewayd's command line -----------------------------------------------------

def test_check(gateway):
    gw = gateway(start=False, start_broker=False)
    good = gatewayd("--check", gw.conf_file)
    assert (good.returncode, good.stdout) == (0, gw.conf_file + ": no faults\n")
    bad = gw.path("bad.conf")
    with open(gw.conf_file) as f, open(bad, "w") as out:
        out.write('limits = {\n\tpacket_size = "x";\n\tunknown = 1;\n\tconnections = -1;\n};\n'
                  'nonsense = { };\nadmission = "everybody";\n' + f.read())
    result = gatewayd("--check", bad)
    assert result.returncode == 1 and result.stdout == ""
    for line, key in ((2, "limits.packet_size"), (3, "limits.unknown"), (4, "limits.connections"),
                      (6, "nonsense"), (7, "admission")):
        assert "%s:%d: %s: " % (bad, line, key) in result.stderr, result.stderr
    assert result.stderr.endswith("gatewayd: %s is not valid\n" % bad)
    started = gatewayd("-c", bad)
    assert started.returncode == 1 and bad + ":2:" in started.stderr


def test_file_that_cannot_be_read(gateway):
    gw = gateway(start=False, start_broker=False)
    for path in ("/nonexistent/gateway.conf", gw.folder):
        for args in (("--check", path), ("-c", path)):
            result = gatewayd(*args)
            assert result.returncode == 1 and path in result.stderr


@pytest.mark.parametrize("args", (("--nonsense",), ("extra",), ("--check", "a", "b"), ("-c",)))
def test_wrong_usage_of_gatewayd(args):
    result = gatewayd(*args)
    assert result.returncode == 2 and result.stdout == "" and result.stderr


def fails_to_start(gw, words):
    """gatewayd must end by itself, with a status and a sentence."""
    result = gatewayd("-c", gw.conf_file)
    assert result.returncode == 1, result.stderr
    assert re.search(words, result.stderr), result.stderr
    assert "Sanitizer" not in result.stderr


def test_port_is_taken(gateway):
    gw = gateway(start=False, start_broker=False)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        gw.write_conf(listeners=({"address": "127.0.0.1", "port": port},))
        fails_to_start(gw, "127.0.0.1.*%d.*in use" % port)
        assert not os.path.exists(gw.path("control.sock"))


def test_port_of_another_gatewayd(gateway):
    """SO_REUSEPORT must not make two daemons share the devices."""
    first = gateway()
    second = gateway(start=False, start_broker=False)
    second.write_conf(listeners=({"address": "127.0.0.1", "port": first.port},))
    fails_to_start(second, "127.0.0.1.*%d.*in use" % first.port)


def test_second_gatewayd_on_the_same_socket(gateway):
    gw = gateway()
    with gw.client(gw.enroll()) as c:
        fails_to_start(gw, "another gatewayd is running")
        assert c.fence() == []
    gw.status()


def test_stale_socket_is_replaced(gateway):
    gw = gateway()
    gw.kill()
    assert os.path.exists(gw.path("control.sock"))
    assert "not running" in gw.ctl("status", status=NOT_RUNNING).err
    gw.start()
    gw.status()


def test_no_certificates_yet(gateway):
    gw = gateway(start=False, start_broker=False)
    os.remove(os.path.join(gw.state, "pki", "gateway.key"))
    fails_to_start(gw, r"gateway\.key")


@pytest.mark.parametrize("signum", (signal.SIGTERM, signal.SIGINT))
def test_end(gateway, signum):
    """5.0 clients are told, wills are published, and nobody who is silent holds it up."""
    gw = gateway()
    devices = {v: gw.enroll() for v in VERSIONS}
    live = {v: gw.client(d, v, will=Will("pub/will", "dead", 1)) for v, d in devices.items()}
    silent = socket.create_connection(("127.0.0.1", gw.port), PATIENCE)
    early = gw.dial(gw.enroll(), V5)
    with gw.broker.client("dev/+/up/will") as watch, control(gw) as half, silent, early:
        half.sendall(b"GW\1")
        until(lambda: gw.metrics()["connections"] == 5, "all to be there")
        gw.process.send(signum)
        for v in VERSIONS:
            live[v].expect_closed(0x8b)
            live[v].cut()
        early.expect_closed()
        assert gw.process.wait() == 0
        for _ in VERSIONS:
            watch.message(payload="dead")
    assert not os.path.exists(gw.path("control.sock"))
    gw.stop()


# ---- metrics ---------------------------------------------------------------------

SAMPLE = re.compile(r'^([a-z_]+)(?:\{([a-z_]+)="((?:[^"\\\n]|\\.)*)"\})? (-?\d+(?:\.\d+)?)$')


def parse(text):
    """Prometheus text, strictly: HELP, TYPE, then the sample of that name."""
    values, helped, typed = {}, set(), {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert words and name not in helped
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert kind in ("counter", "gauge") and name not in typed
            typed[name] = kind
        else:
            name, _, _, value = SAMPLE.match(line).groups()
            sample = line.rsplit(" ", 1)[0] if "{cause=" in line else name
            assert name in helped and name in typed and sample not in values
            assert name.startswith("gateway_")
            assert (typed[name] == "counter") == name.endswith("_total"), line
            values[sample] = float(value)
    return values


def test_metrics(gateway):
    port = free_port()
    gw = gateway(conf={"metrics": {"address": "127.0.0.1", "port": port}})
    url = "http://127.0.0.1:%d" % port

    def read():
        with urllib.request.urlopen(url + "/metrics", timeout=PATIENCE) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return parse(answer.read().decode())

    before = read()
    with gw.client(gw.enroll(), V5) as c:
        c.publish("Home", "x", 1)
        c.publish("elsewhere", "x", 1, code=0x87)
        with gw.dial(gw.enroll()) as bad:
            bad.send(wire.PING)
            bad.expect_closed()
        now = read()
        assert now["gateway_sessions"] == 1 and now["gateway_broker_up"] == 1
    for name in ("publish_up", "publish_denied", "malformed_from_device", "upstream_connects"):
        assert now["gateway_%s_total" % name] == before["gateway_%s_total" % name] + 1, name
    assert now["gateway_handshakes_total"] == before["gateway_handshakes_total"] + 2
    assert all(now[n] >= before[n] for n in before if n.endswith("_total"))
    for cause in ("publish-denied", "connect-not-first"):
        assert now['gateway_diagnosed_total{cause="%s"}' % cause] == 1, cause
    status = gw.metrics()
    for name in status:
        assert ("gateway_" + name in now) != ("gateway_%s_total" % name in now), name
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url + "/other", timeout=PATIENCE)
    until(lambda: read()["gateway_sessions"] == 0, "the gauge to go down")


def test_metrics_port_is_taken(gateway):
    gw = gateway(start=False, start_broker=False)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        gw.write_conf(metrics={"address": "127.0.0.1", "port": s.getsockname()[1]})
        fails_to_start(gw, "is it taken")
