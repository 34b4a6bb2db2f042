# SPDX-License-Identifier: BSD-2-Clause
"""Reload: by SIGHUP and by gatewayctl, of good files and bad ones, with and without traffic."""
import copy
import os
import signal
import socket
import ssl
import threading

import pytest

from lib import client, config, wire
from lib.client import Closed
from lib.config import rule
from lib.wait import PATIENCE, until
from lib.wire import V311, V5

GROUPS = (
    {"name": "red", "match": {"group": "red"},
     "publish": (rule("Home", "red/${identity}"),),
     "subscribe": (rule("in", "red/${identity}/in"),)},
    {"name": "blue", "match": {"group": "blue"},
     "publish": (rule("Home", "blue/${identity}"),),
     "subscribe": (rule("in", "blue/${identity}/in"),)},
)


def reload(gw, **changes):
    """Write the changes and reload; what was reported, by key."""
    gw.write_conf(**changes)
    said = gw.ctl("reload", output="json")
    return {c["key"]: (c["before"], c["after"], c["needs_restart"]) for c in said["changed"]}, \
        said["sessions_closed"]


def hangup(gw):
    """SIGHUP, and wait until it is done or refused."""
    start = os.path.getsize(gw.log)
    gw.process.send(signal.SIGHUP)

    def done():
        with open(gw.log, errors="replace") as f:
            f.seek(start)
            text = f.read()
        return text if "reloaded" in text or "reload refused" in text else None
    return until(done, "the reload to be over")


# ---- what is reported ------------------------------------------------------------

def test_difference_is_reported(gateway):
    gw = gateway()
    assert reload(gw) == ({}, 0)
    assert "nothing in the configuration has changed" in gw.ctl("reload").out
    changed, closed = reload(gw, limits={"topic_aliases": 3, "keepalive_max": 100})
    assert changed == {"limits.topic_aliases": ("10", "3", False),
                       "limits.keepalive_max": ("0", "100s", False)} and closed == 0
    changed, _ = reload(gw, gateway={"workers": 1})
    assert changed == {"gateway.workers": ("2", "1", True)}
    gw.write_conf(limits={"topic_aliases": 4})
    text = hangup(gw)
    assert "key=limits.topic_aliases" in text and "before=3" in text and "after=4" in text
    assert gw.status()["workers"] == 2


def test_limits_count_for_new_sessions(gateway):
    gw = gateway()
    device, old = gw.enroll(), gw.client(gw.enroll(), V5)
    assert old.connack.props.get("topic_alias_maximum", 0) == 10
    reload(gw, limits={"topic_aliases": 2, "packet_size": 5000})
    with gw.client(device, V5) as c:
        assert c.connack.props["topic_alias_maximum"] == 2
        assert c.connack.props["maximum_packet_size"] == 5000
    old.publish("pub/x", bytes(6000), 1)  # it keeps what it was promised
    old.publish("pub/x", b"1", 1, props={"topic_alias": 10})
    old.disconnect()


def test_connection_limits(gateway):
    gw = gateway()
    first, second = gw.enroll(), gw.enroll()
    with gw.client(first) as c:
        reload(gw, limits={"connections": 1})
        with pytest.raises((OSError, ssl.SSLError)):
            gw.dial(second)
        assert c.fence() == []
        reload(gw, limits={"connections": 10})
        with gw.client(second) as other:
            assert other.fence() == []


def test_many_sessions_are_looked_at(gateway):
    """More than a worker looks at in one turn: the answer comes after the last of them."""
    gw = gateway(conf={"gateway": {"workers": 1}, "maps": GROUPS,
                       "limits": {"connections_per_address": 200},
                       "upstream": {"client_id": "${identity}/${client_id}"}})
    device = gw.enroll(None, "--group", "red")
    clients = [gw.client(device, V5, client_id="c%d" % i) for i in range(70)]
    maps = copy.deepcopy(GROUPS)
    maps[0]["publish"] = (rule("Home", "other/${identity}"),)
    assert reload(gw, maps=maps)[1] == 70
    for c in clients:
        c.expect_closed(0x98)


def test_log_level(gateway):
    gw = gateway(conf={"log": {"level": "notice"}})
    device = gw.enroll()

    def lines():
        with gw.client(device) as c:
            c.disconnect()
        until(lambda: gw.metrics()["connections"] == 0, "the session to be gone")
        return gw.text().count("device connected"), gw.text().count(" debug ")

    assert lines() == (0, 0)
    reload(gw, log={"level": "info"})
    assert lines() == (1, 0)
    reload(gw, log={"level": "debug"})
    connected, debug = lines()
    assert connected == 2 and debug > 0
    reload(gw, log={"level": "notice"})
    assert lines()[0] == 2


# ---- bad files -------------------------------------------------------------------

def bad_file(gw, text):
    with open(gw.conf_file, "w") as f:
        f.write(text)


def test_bad_file_changes_nothing(gateway):
    gw = gateway()
    device = gw.enroll()
    before = config.settings(gw.conf)
    with gw.client(device, V5) as c:
        for line, text, words in (
                (1, "gateway = { workers = ;\n" + before, "syntax error"),
                (1, 'limits = { packet_size = "big"; };\n' + before, "limits.packet_size"),
                (2, "\nnonsense = 1;\n" + before, "nonsense"),
                (1, 'tls = { certificate = "/nowhere.crt"; };\n' + before, "/nowhere.crt"),
                (1, 'maps = ( { name = "m"; publish = ( { device = "a/+"; broker = "b"; } ); } );\n',
                 "maps"),):
            bad_file(gw, text)
            refused = gw.ctl("-s", gw.path("control.sock"), "reload", status=1)
            assert "%s:%d:" % (gw.conf_file, line) in refused.err, refused.err
            assert words in refused.err and "nothing was changed" in refused.err
            assert refused.out == ""
            log = hangup(gw)
            assert "reload refused, nothing was changed" in log
            assert "line=%d " % line in log and "file=" + gw.conf_file in log
        bad_file(gw, before)
        assert reload(gw) == ({}, 0)
        c.publish("Home", "still here", 1)
        assert c.fence() == []
    with gw.client(device):
        pass


def test_several_faults_in_one_report(gateway):
    gw = gateway()
    good = config.settings(gw.conf)
    bad_file(gw, 'limits = {\n\tpacket_size = "x";\n\tunknown = 1;\n\thigh_water = -5;\n};\n' + good)
    err = gw.ctl("-s", gw.path("control.sock"), "reload", status=1).err
    for line in (2, 3, 4):
        assert "%s:%d:" % (gw.conf_file, line) in err, err


def test_missing_file(gateway):
    gw = gateway()
    os.rename(gw.conf_file, gw.conf_file + ".away")
    assert "reload refused" in hangup(gw)
    os.rename(gw.conf_file + ".away", gw.conf_file)
    assert reload(gw) == ({}, 0)


def test_broken_certificate_changes_nothing(gateway):
    gw = gateway()
    device, cert = gw.enroll(), os.path.join(gw.state, "pki", "gateway.crt")
    with open(cert) as f:
        good = f.read()
    with open(cert, "w") as f:
        f.write("not a certificate\n")
    assert "gateway.crt" in gw.ctl("reload", status=1).err
    with gw.client(device):
        pass
    with open(cert, "w") as f:
        f.write(good)
    assert reload(gw) == ({}, 0)


# ---- sessions --------------------------------------------------------------------

@pytest.mark.parametrize("by", ("reload", "SIGHUP"))
def test_only_sessions_whose_rights_changed_end(gateway, by):
    gw = gateway(conf={"maps": GROUPS})
    sessions = {(group, version): gw.client(gw.enroll(None, "--group", group), version)
                for group in ("red", "blue") for version in (V311, V5)}
    for c in sessions.values():
        c.subscribe(("in", 1))
    maps = copy.deepcopy(GROUPS)
    maps[0]["publish"] = (rule("Home", "crimson/${identity}"),)
    if by == "reload":
        changed, closed = reload(gw, maps=maps)
        assert closed == 2 and [k for k in changed if k.startswith("maps")]
    else:
        gw.write_conf(maps=maps)
        assert "sessions_closed=2" in hangup(gw)
    for version in (V311, V5):
        sessions["red", version].expect_closed(0x98)
        assert sessions["blue", version].fence() == []
    with gw.broker.client("#") as watch, gw.client(gw.enroll(None, "--group", "red")) as c:
        c.publish("Home", "1", 1)
        assert watch.message(payload="1").topic.startswith("crimson/")
        sessions["blue", V5].publish("Home", "2", 1)
        assert watch.message(payload="2").topic.startswith("blue/")


def test_group_of_one_device_changes(gateway):
    """The same without a reload: by the register, within a second or so."""
    gw = gateway(conf={"maps": GROUPS})
    devices = [gw.enroll(None, "--group", "red") for _ in range(2)]
    moved, stays = [gw.client(d, V5) for d in devices]
    gw.ctl("group", devices[0].name, "blue")
    moved.expect_closed(0x98)
    assert stays.fence() == []
    with gw.broker.client("#") as watch, gw.client(devices[0], V5) as c:
        c.publish("Home", "x", 1)
        watch.message("blue/" + devices[0].name, "x")


def test_map_that_is_left_out(gateway):
    gw = gateway(conf={"maps": GROUPS})
    devices = {g: gw.enroll(None, "--group", g) for g in ("red", "blue")}
    red, blue = gw.client(devices["red"], V5), gw.client(devices["blue"], V5)
    _, closed = reload(gw, maps=GROUPS[1:])
    assert closed == 1
    red.expect_closed(0x98)
    assert blue.fence() == []
    with pytest.raises((ssl.SSLError, Closed)):
        gw.client(devices["red"])


# ---- certificates ----------------------------------------------------------------

def serial_of(gw, device):
    with gw.dial(device) as c:
        return c.sock.getpeercert()["serialNumber"]


def test_new_certificate_for_new_connections(gateway):
    gw = gateway()
    device = gw.enroll()
    with gw.client(gw.enroll(), V5) as c:
        old = serial_of(gw, device)
        gw.ctl("init", "--name", "renewed.example")
        assert serial_of(gw, device) == old  # not before it is told
        assert reload(gw)[1] == 0
        assert serial_of(gw, device) != old
        context = client.tls_context(gw.ca, device)
        with client.tls_socket(gw.port, context, "renewed.example"):
            pass
        assert c.fence() == []


# ---- load ------------------------------------------------------------------------

class Talker:
    """QoS 1 both ways without a pause: the device to the broker, and the broker to it."""

    def __init__(self, gw, version):
        self.gw, self.device = gw, gw.enroll()
        self.c = gw.client(self.device, version)
        self.c.subscribe(("sub/#", 1))
        self.other = gw.broker.client("dev/%s/up/#" % self.device.name)
        self.stop, self.count, self.error = threading.Event(), 0, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stop.is_set():
                self.exchange()
        except BaseException as e:
            self.error = e

    def exchange(self):
        n, c, other = self.count, self.c, self.other
        mid = n % 65535 + 1
        c.send(wire.publish(c.version, "pub/n", "%d" % n, 1, mid=mid))
        other.send(wire.publish(other.version, "dev/%s/down/n" % self.device.name, "%d" % n, 1,
                                mid=mid))
        for one, topic in ((c, "sub/n"), (other, "dev/%s/up/n" % self.device.name)):
            kinds = {}
            for _ in range(2):
                got = one.recv()
                kinds[got.type] = got
            assert kinds[wire.PUBACK].mid == mid
            message = kinds[wire.PUBLISH]
            assert (message.topic, message.payload) == (topic, b"%d" % n), message
            one.answer(message)
        self.count += 1

    def finish(self):
        self.stop.set()
        self.thread.join(PATIENCE)
        assert self.error is None, repr(self.error)
        assert self.c.fence() == [] and self.other.fence() == []
        self.c.cut()
        self.other.cut()


def test_reload_under_load(gateway):
    """20 reloads that change something, with nothing lost, doubled or out of order."""
    gw = gateway()
    talkers = [Talker(gw, version) for version in (V311, V5, V5)]
    for i in range(20):
        seen = [t.count for t in talkers]
        if i % 2:
            gw.write_conf(limits={"keepalive_max": 60 + i})
            assert "reloaded" in hangup(gw)
        else:
            changed, closed = reload(gw, limits={"keepalive_max": 60 + i})
            assert closed == 0 and "limits.keepalive_max" in changed
        until(lambda: all(t.error or t.count > n + 5 for t, n in zip(talkers, seen)),
              "messages to flow")
    for t in talkers:
        t.finish()
        assert t.count > 100


# ---- who is on the way in while something changes ----------------------------------

NARROW = ({
    "name": "test",
    "publish": (rule("Home", "home/${identity}/telemetry"),),
    "subscribe": (rule("inTopic", "home/${identity}/command"),),
},)


@pytest.mark.parametrize("version", [V311, V5])
def test_a_device_before_connect_gets_no_old_rights(gateway, version):
    """It was admitted under the old maps, and says CONNECT after the reload."""
    gw = gateway()
    conn = gw.dial(gw.enroll(), version)
    reload(gw, maps=NARROW)
    conn.connect(code=0x87 if version == V5 else 5)
    conn.expect_closed()


def test_a_device_before_connect_that_keeps_its_rights_stays(gateway):
    gw = gateway()
    conn = gw.dial(gw.enroll(), V311)
    reload(gw, limits={"keepalive_max": 100})
    conn.connect(keepalive=60)
    conn.publish("Home", b"1", 1)


def held_handshake(gw, device):
    """A TLS 1.3 client that keeps the last bytes of its last flight: (socket, TLS, them)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.tls_context(gw.ca, device, "1.3").wrap_bio(incoming, outgoing,
                                                            server_hostname="localhost")
    sock = socket.create_connection(("127.0.0.1", gw.port), PATIENCE)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
    flight = outgoing.read()
    sock.sendall(flight[:-10])
    return sock, (tls, incoming, outgoing), flight[-10:]


def test_an_empty_file_is_not_taken(gateway):
    """An editor that empties the file before it writes: nothing changes."""
    gw = gateway()
    device = gw.enroll()
    with gw.client(device) as c:
        with open(gw.conf_file) as f:
            text = f.read()
        open(gw.conf_file, "w").close()
        assert "the file is empty" in hangup(gw)
        with open(gw.conf_file, "w") as f:
            f.write(text)
        gw.ctl("reload")
        assert c.fence() == []


def test_a_revocation_meets_half_a_handshake(gateway):
    """The certificate was admitted; the handshake ends after the revocation."""
    gw = gateway()
    device = gw.enroll()
    sock, (tls, incoming, outgoing), rest = held_handshake(gw, device)
    before = gw.metrics()["handshakes"]
    gw.ctl("revoke", device.name)
    tls.write(wire.connect(V311, "x"))
    try:
        sock.sendall(rest + outgoing.read())
        while True:
            chunk = sock.recv(65536)
            if not chunk:
                break
            incoming.write(chunk)
    except ConnectionError:
        pass
    sock.close()
    assert gw.metrics()["handshakes"] == before and gw.metrics()["upstream_connects"] == 0


def test_news_of_others_leave_half_a_handshake_alone(gateway):
    """One device is revoked while another is on its way in: that one gets in."""
    gw = gateway(conf={"gateway": {"workers": 1}})
    device, other = gw.enroll(), gw.enroll()
    sock, (tls, incoming, outgoing), rest = held_handshake(gw, device)
    with gw.client(other, V5) as c:
        gw.ctl("revoke", other.name)
        c.expect_closed(0x98)  # so the worker has looked at everybody
    tls.write(wire.connect(V311, "x"))
    sock.sendall(rest + outgoing.read())
    answer = b""
    while len(answer) < 4:
        try:
            answer += tls.read(4 - len(answer))
        except ssl.SSLWantReadError:
            chunk = sock.recv(65536)
            assert chunk, "closed without CONNACK"
            incoming.write(chunk)
    assert answer == bytes([0x20, 2, 0, 0])
    sock.close()
