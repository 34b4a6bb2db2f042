# SPDX-License-Identifier: BSD-2-Clause
"""
The broker is away, and the map says that devices are to be refused then: what
they are told, and that they get in when it is back. (test_hold.py: the others.)
"""
import signal

import pytest

from lib import config, wire
from lib.client import Closed
from lib.wait import until
from lib.wire import V31, V5, VERSIONS


REFUSE = {"maps": ({**config.MAPS[0], "outage": {"devices": "refuse"}},)}


def broker_state(gw):
    return gw.status()["broker"]["state"]


def refused(gw, device, version):
    """What a CONNECT is answered with while the broker is away; the connection must end."""
    c = gw.dial(device, version)
    c.send(wire.connect(version, "x"))
    got = c.expect(wire.CONNACK)
    assert not got.session_present
    c.expect_closed()
    return got.code


def let_in(gw, device, version):
    """True once a CONNECT is accepted."""
    c = gw.dial(device, version)
    c.send(wire.connect(version, "x"))
    got = c.expect(wire.CONNACK)
    if got.code == 0:
        c.publish("Home", "back", 1)
        c.disconnect()
    else:
        c.expect_closed()
    return got.code == 0


def test_gateway_starts_before_the_broker(gateway):
    gw = gateway(conf=REFUSE, start_broker=False)
    device = gw.enroll()
    for version in VERSIONS:
        assert refused(gw, device, version) == (0x88 if version == V5 else 3)
    assert broker_state(gw) == "away"
    gw.broker.start()
    for version in VERSIONS:
        until(lambda: let_in(gw, device, version), "the broker to be found")
    assert broker_state(gw) == "up"


@pytest.mark.parametrize("signum", (signal.SIGTERM, signal.SIGKILL))
def test_broker_goes_and_returns(gateway, signum):
    """After SIGKILL the socket file is left behind and refuses; after SIGTERM it is gone."""
    gw = gateway(conf=REFUSE)
    devices = {version: gw.enroll() for version in VERSIONS}
    live = {version: gw.client(devices[version], version) for version in VERSIONS}
    assert broker_state(gw) == "up"
    gw.broker.stop(signum)
    for version in VERSIONS:
        live[version].expect_closed(0x8b)
    until(lambda: broker_state(gw) == "away", "the loss to be seen")
    for version in VERSIONS:
        assert refused(gw, devices[version], version) == (0x88 if version == V5 else 3)
    gw.broker.start()
    for version in VERSIONS:
        until(lambda: let_in(gw, devices[version], version), "the broker to be found again")
    assert broker_state(gw) == "up"
    assert gw.status()["metrics"] != {}


def test_broker_that_never_answers(gateway):
    """A stopped broker takes the connection and says nothing: the deadline ends it."""
    gw = gateway(conf={"upstream": {"connect_timeout": "500ms"}, **REFUSE})
    device = gw.enroll()
    with gw.client(device):
        pass
    gw.broker.process.send(signal.SIGSTOP)
    try:
        for version in VERSIONS:
            assert refused(gw, device, version) == (0x88 if version == V5 else 3)
    finally:
        gw.broker.process.send(signal.SIGCONT)
    until(lambda: let_in(gw, device, V5), "the broker to answer again")


def test_broker_over_tcp(gateway):
    gw = gateway(conf=REFUSE, broker={"tcp": True}, start=False)
    gw.write_conf(upstream={"path": None, "address": "127.0.0.1", "port": gw.broker.port})
    gw.start()
    device = gw.enroll()
    with gw.broker.client("home/#") as watch, gw.client(device, V5) as c:
        c.publish("Home", "x", 2)
        watch.message(payload="x")
        gw.broker.stop()
        c.expect_closed(0x8b)
    assert refused(gw, device, V5) == 0x88
    gw.broker.start()
    until(lambda: let_in(gw, device, V5), "the broker to be found again")


def test_more_devices_at_once_than_the_broker_takes(gateway):
    """Mosquitto's unix socket takes 11 waiting connects; the gateway must pace them."""
    gw = gateway()
    devices = [gw.enroll() for _ in range(6)]
    gw.write_conf(upstream={"client_id": "${identity}/${client_id}"})
    gw.stop()
    gw.start()
    clients = [gw.dial(devices[i % 6], V31 if i % 2 else V5) for i in range(40)]
    gw.broker.process.send(signal.SIGSTOP)
    for i, c in enumerate(clients):
        c.send(wire.connect(c.version, "c%d" % i))
    gw.broker.process.send(signal.SIGCONT)
    for c in clients:
        c.expect(wire.CONNACK, code=0)
        c.cut()


def test_half_a_connect_holds_nothing_up(gateway):
    """The broker is dialled for a whole CONNECT only."""
    gw = gateway()
    device = gw.enroll()
    before = gw.broker.text().count("New connection")
    with gw.dial(device, V5) as c:
        c.send(wire.connect(V5, "x")[:-1])
        with gw.client(gw.enroll()) as other:
            other.fence()
        assert gw.broker.text().count("New connection") == before + 1
    with pytest.raises((Closed, OSError, ValueError)):
        c.recv(1)
