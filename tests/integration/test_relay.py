# SPDX-License-Identifier: BSD-2-Clause
"""Messages through the map: QoS, retained, wills, sessions, subscriptions, denials, aliases."""
import pytest

from lib import wire
from lib.wait import until
from lib.wire import V311, V5, VERSIONS, Will

NOT_AUTHORIZED = 0x87


@pytest.fixture
def device(shared):
    return shared.enroll()


@pytest.fixture(params=VERSIONS, ids=("3.1", "3.1.1", "5.0"))
def version(request):
    return request.param


# ---- publishing and delivering ---------------------------------------------------

@pytest.mark.parametrize("qos", (0, 1, 2))
def test_publish_reaches_the_mapped_topic(shared, device, version, qos):
    with shared.broker.client("home/%s/#" % device.name) as watch, \
            shared.client(device, version) as c:
        c.publish("Home", "21.5", qos)
        watch.message("home/%s/telemetry" % device.name, "21.5", qos, retain=False)


@pytest.mark.parametrize("qos", (0, 1, 2))
def test_delivery_has_the_device_topic(shared, device, version, qos):
    with shared.broker.client() as other, shared.client(device, version) as c:
        c.subscribe(("inTopic", 2))
        other.publish("home/%s/command" % device.name, "on", qos)
        c.message("inTopic", "on", qos, retain=False)


def test_wildcards_carry_their_levels(shared, device, version):
    with shared.broker.client("log/#", "dev/#") as watch, shared.client(device, version) as c:
        c.publish("log/boot", "1", 1)
        watch.message("log/%s/boot" % device.name, "1")
        c.publish("pub/a/b/c", "2", 1)
        watch.message("dev/%s/up/a/b/c" % device.name, "2")
        c.publish("pub", "3", 1)
        watch.message("dev/%s/up" % device.name, "3")


def test_as_many_levels_as_the_broker_takes(shared, device, version):
    """200 slashes, of which the map adds two; with one more Mosquitto would close."""
    deep = "/a" * 198
    with shared.broker.client("dev/%s/up/#" % device.name) as other, \
            shared.client(device, version) as c:
        c.publish("pub" + deep, "up", 1)
        other.message("dev/%s/up%s" % (device.name, deep), "up", 1)
        c.subscribe(("sub" + deep, 1))
        other.publish("dev/%s/down%s" % (device.name, deep), "down", 1)
        c.message("sub" + deep, "down", 1)
        c.publish("pub/a" + deep, "up", 1, code=0x90 if version == V5 else 0)
        c.subscribe(("sub/a" + deep, 1), codes=[0x8f if version == V5 else 0x80])
        assert c.fence() == []


@pytest.mark.parametrize("qos", (1, 2))
def test_packet_identifiers_pass_unchanged(shared, device, version, qos):
    with shared.client(device, version) as c:
        for mid in (1, 255, 256, 65535):
            c.publish("Home", "x", qos, mid=mid)


def test_many_publishes_before_any_answer(shared, device, version):
    with shared.broker.client("dev/%s/#" % device.name) as watch, \
            shared.client(device, version) as c:
        c.send(b"".join(wire.publish(version, "pub/n", str(i), 1, mid=i + 1) for i in range(15)))
        for i in range(15):
            c.expect(wire.PUBACK, mid=i + 1, code=0)
            watch.message("dev/%s/up/n" % device.name, str(i), 1)


def test_empty_payload_and_properties_pass(shared, device):
    props = {"payload_format": 1, "message_expiry": 100, "content_type": "text/plain",
             "correlation_data": b"\0\xff", "user_property": [("a", "b"), ("a", "c"), ("", "")]}
    with shared.broker.client("home/%s/#" % device.name, version=V5) as watch, \
            shared.client(device, V5) as c:
        c.publish("Home", b"", 1, props=props)
        got = watch.message("home/%s/telemetry" % device.name, b"")
        assert got.props == props


def test_one_byte_at_a_time(shared, device, version):
    with shared.broker.client("home/%s/#" % device.name) as watch:
        with shared.dial(device, version) as c:
            stream = wire.connect(version, "x") + wire.publish(version, "Home", "slow", 1, mid=9)
            for i in range(len(stream)):
                c.send(stream[i:i + 1])
            c.expect(wire.CONNACK, code=0)
            c.expect(wire.PUBACK, mid=9)
        watch.message(payload="slow")


def test_everything_in_one_write(shared, device, version):
    with shared.dial(device, version) as c:
        c.send(wire.connect(version, "x"), wire.subscribe(version, 1, [("own/#", 1)]),
               wire.publish(version, "pub/a", "1", 1, mid=2), wire.PING)
        c.expect(wire.CONNACK, code=0)
        c.expect(wire.SUBACK, mid=1, codes=[1])
        kinds = sorted((c.recv().type for _ in range(3)))
        assert kinds == [wire.PUBLISH, wire.PUBACK, wire.PINGRESP]


# ---- retained --------------------------------------------------------------------

def test_retained_through_the_map(shared, device, version):
    with shared.client(device, version) as c:
        c.publish("pub/state", "kept", 1, retain=True)
        c.subscribe(("own/#", 1))
        c.message("own/state", "kept", 1, retain=True)
        with shared.broker.client("dev/%s/#" % device.name) as watch:
            watch.message("dev/%s/up/state" % device.name, "kept", retain=True)
        c.publish("pub/state", b"", 0, retain=True)
        c.message("own/state", b"", retain=False)
        with shared.broker.client("dev/%s/#" % device.name) as watch:
            assert watch.fence() == []


def test_retain_flag_is_cleared_by_the_rule(shared, device, version):
    with shared.client(device, version) as c:
        c.publish("clear/a", "gone", 1, retain=True)
        with shared.broker.client("dev/%s/#" % device.name) as watch:
            assert watch.fence() == []


def test_retain_handling_and_retain_as_published(shared, device):
    with shared.broker.client() as other, shared.client(device, V5) as c:
        other.publish("dev/%s/down/r" % device.name, "old", 1, retain=True)
        c.subscribe(("sub/r", 1 | 0x20))  # retain handling 2: never
        assert c.fence() == []
        c.subscribe(("sub/r", 1 | 0x10))  # 1: only if new
        assert c.fence() == []
        c.unsubscribe("sub/r")  # Mosquitto 2.0 keeps the options of an older one
        c.subscribe(("sub/r", 1 | 0x08))  # 0, retain as published
        c.message("sub/r", "old", retain=True)
        other.publish("dev/%s/down/r" % device.name, "new", 1, retain=True)
        c.message("sub/r", "new", retain=True)
        other.publish("dev/%s/down/r" % device.name, "", 1, retain=True)


# ---- wills -----------------------------------------------------------------------

def test_will_on_a_cut_connection(shared, device, version):
    with shared.broker.client("#") as watch:
        watch.fence()
        c = shared.client(device, version, will=Will("pub/will", "dead", 1))
        c.cut()
        watch.message("dev/%s/up/will" % device.name, "dead", 1)


def test_no_will_on_disconnect(shared, device, version):
    with shared.broker.client("dev/%s/#" % device.name) as watch:
        c = shared.client(device, version, will=Will("pub/will", "dead", 1))
        c.disconnect()
        until(lambda: "Received DISCONNECT from " + device.name in shared.broker.text(),
              "the broker to know")
        assert watch.fence() == []


def test_will_on_disconnect_with_will(shared, device):
    with shared.broker.client("dev/%s/#" % device.name) as watch:
        shared.client(device, V5, will=Will("pub/will", "dead")).disconnect(4)
        watch.message("dev/%s/up/will" % device.name, "dead")


def test_retained_will(shared, device, version):
    shared.client(device, version, will=Will("pub/will", "off", 1, True)).cut()
    with shared.broker.client("dev/%s/up/will" % device.name) as watch:
        watch.message(payload="off")


def test_will_delay(shared, device):
    """A device that is back in time has no will published."""
    will = Will("pub/will", "dead", 1, props={"will_delay": 300})
    with shared.broker.client("dev/%s/#" % device.name) as watch:
        shared.client(device, V5, will=will, props={"session_expiry": 600}).cut()
        with shared.client(device, V5, clean=False) as c:
            assert c.connack.session_present
            assert watch.fence() == []
            c.disconnect()


def test_will_after_its_delay(shared, device):
    will = Will("pub/will", "dead", 1, props={"will_delay": 1})
    with shared.broker.client("dev/%s/#" % device.name) as watch:
        shared.client(device, V5, will=will, props={"session_expiry": 600}).cut()
        watch.message("dev/%s/up/will" % device.name, "dead", 1)


def test_denied_will_is_refused(shared, device, version):
    """A will that can never be published is told at once."""
    c = shared.dial(device, version)
    c.send(wire.connect(version, "x", will=Will("elsewhere", "x")))
    c.expect(wire.CONNACK, code=NOT_AUTHORIZED if version == V5 else 5)
    c.expect_closed()


# ---- sessions --------------------------------------------------------------------

@pytest.mark.parametrize("qos", (1, 2))
def test_persistent_session_keeps_messages(shared, device, version, qos):
    kw = {"props": {"session_expiry": 600}} if version == V5 else {}
    c = shared.client(device, version, clean=False, client_id="s", **kw)
    assert version == wire.V31 or not c.connack.session_present
    c.subscribe(("inTopic", 2), ("all/#", 2))
    c.disconnect()
    with shared.broker.client() as other:
        for i in range(5):
            other.publish("home/%s/command" % device.name, str(i), qos)
    with shared.client(device, version, clean=False, client_id="s", **kw) as c:
        assert version == wire.V31 or c.connack.session_present
        for i in range(5):
            c.message("inTopic", str(i), qos)
    with shared.client(device, version, clean=True, client_id="s") as c:
        assert not c.connack.session_present
        with shared.broker.client() as other:
            other.publish("home/%s/command" % device.name, "late", qos)
        assert c.fence() == []


def test_unacknowledged_comes_again(shared, device, version):
    kw = {"props": {"session_expiry": 600}} if version == V5 else {}
    c = shared.client(device, version, clean=False, client_id="s", **kw)
    c.subscribe(("inTopic", 1))
    with shared.broker.client() as other:
        other.publish("home/%s/command" % device.name, "x", 1)
    first = c.expect(wire.PUBLISH, topic="inTopic", payload=b"x", dup=False)
    c.cut()
    with shared.client(device, version, clean=False, client_id="s", **kw) as c:
        c.expect(wire.PUBLISH, topic="inTopic", payload=b"x", dup=True, mid=first.mid)


def test_subscriptions_of_a_session_can_be_removed_after_a_reconnect(shared, device, version):
    """What the device filters stood for must be known in the next connection."""
    kw = {"props": {"session_expiry": 600}} if version == V5 else {}
    c = shared.client(device, version, clean=False, client_id="s", **kw)
    c.subscribe(("#", 1), ("all/+", 1))
    c.disconnect()
    with shared.client(device, version, clean=False, client_id="s", **kw) as c, \
            shared.broker.client() as other:
        c.unsubscribe("#")
        other.publish("broadcast/a", "1", 1)
        assert [p.topic for p in c.fence()] == ["all/a"]
        c.unsubscribe("all/+")
        other.publish("broadcast/a", "2", 1)
        other.publish("dev/%s/down/x" % device.name, "3", 1)
        assert c.fence() == []


def test_takeover_by_the_same_certificate(shared, device, version):
    old = shared.client(device, version)
    with shared.client(device, version) as new:
        old.expect_closed(0x8e)
        new.publish("Home", "still here", 1)


def test_client_id_of_another_device_takes_nothing_over(shared, device, version):
    victim = shared.enroll()
    with shared.client(victim, version, client_id=victim.name) as c:
        with shared.client(device, version, client_id=victim.name):
            c.publish("Home", "x", 1)


def test_empty_client_id(shared, device):
    """3.1: refused. 3.1.1: only with a clean session. 5.0: the gateway tells the name."""
    c = shared.dial(device, wire.V31)
    c.connect(code=2, client_id="")
    c.expect_closed()
    c = shared.dial(device, V311)
    c.connect(code=2, client_id="", clean=False)
    c.expect_closed()
    with shared.client(device, V311, client_id="") as c:
        c.publish("Home", "x", 1)
    c = shared.client(device, V5, client_id="", clean=False, props={"session_expiry": 600})
    given = c.connack.props["assigned_client_id"]
    assert given
    c.disconnect()
    with shared.client(device, V5, client_id=given, clean=False) as c:
        assert c.connack.session_present
        assert "assigned_client_id" not in c.connack.props


def test_identity_at_the_broker(shared, device, version):
    """The identity is user name and client identifier; nothing of the device's own is."""
    with shared.client(device, version, client_id="my-own-id", username="root",
                       password="hunter2"):
        pass
    line = "as %s (p%d, c1, k60, u'%s')." % (
        device.name, {3: 1, 4: 2, 5: 5}[version], device.name)
    log = shared.broker.text()
    assert line in log
    assert "my-own-id" not in log and "hunter2" not in log and "u'root'" not in log


def test_password_without_user_name_is_legal_in_5(shared, device):
    with shared.client(device, V5, password="x") as c:
        c.publish("Home", "x", 1)


def test_acl_of_the_broker_sees_the_identity(gateway):
    gw = gateway(broker={"acl": "pattern write home/%u/telemetry\ntopic read #\n"})
    device = gw.enroll()
    with gw.broker.client("#") as watch, gw.client(device, V5) as c:
        c.publish("Home", "granted", 1)
        c.publish("log/a", "denied by the broker", 1, code=NOT_AUTHORIZED)
        assert [p.payload for p in watch.fence()] == [b"granted"]


# ---- subscriptions ---------------------------------------------------------------

def test_wildcard_gets_exactly_the_own_world(shared, device, version):
    name = device.name
    with shared.broker.client() as other, shared.client(device, version) as c:
        c.subscribe(("#", 1))
        for topic in ("home/%s/command", "dev/%s/down", "dev/%s/down/a/b", "dev/%s/up/q"):
            other.publish(topic % name, topic, 1)
        for topic in ("broadcast/x", "broadcast", "jobs/7"):
            other.publish(topic, topic, 1)
        for topic in ("home/%s/telemetry" % name, "home/other/command", "dev/other/down/a",
                      "jobs/7/8", "log/%s/a" % name, "home/%s/command/x" % name):
            other.publish(topic, "not for the device", 1)
        got = c.fence()
        assert sorted(p.topic for p in got) == sorted((
            "inTopic", "sub", "sub/a/b", "own/q", "all/x", "all", "jobs/7"))


def test_plus_through_several_rules(shared, device, version):
    name = device.name
    with shared.broker.client() as other, shared.client(device, version) as c:
        c.subscribe(("+/a", 1))
        for topic in ("dev/%s/down/a" % name, "dev/%s/up/a" % name, "broadcast/a", "jobs/a",
                      "dev/%s/down/b" % name, "broadcast/a/b", "home/%s/command" % name):
            other.publish(topic, "x", 1)
        assert sorted(p.topic for p in c.fence()) == ["all/a", "jobs/a", "own/a", "sub/a"]


def test_shared_subscription_over_two_devices(shared, version):
    one, two = shared.enroll(), shared.enroll()
    with shared.broker.client() as other, shared.client(one, version) as a, \
            shared.client(two, version) as b:
        a.subscribe(("$share/workers/jobs/+", 1))
        b.subscribe(("$share/workers/jobs/+", 1))
        for i in range(10):
            other.publish("jobs/n", str(i), 1)
        got_a, got_b = a.fence(), b.fence()
        assert got_a and got_b
        assert sorted(int(p.payload) for p in got_a + got_b) == list(range(10))
        assert {p.topic for p in got_a + got_b} == {"jobs/n"}
        a.unsubscribe("$share/workers/jobs/+")
        other.publish("jobs/n", "last", 1)
        assert a.fence() == [] and [p.payload for p in b.fence()] == [b"last"]


def test_denied_subscription(shared, device, version):
    denied = NOT_AUTHORIZED if version == V5 else 0x80
    with shared.broker.client() as other, shared.client(device, version) as c:
        for topic in ("elsewhere/#", "Home", "inTopic/x", "$SYS/#", "$SYS/broker/uptime", "/#",
                      "$share/g/$SYS/#", "$share/g/elsewhere"):
            if version == wire.V31 and topic.startswith("$share"):
                continue
            c.subscribe((topic, 0), codes=[denied])
        c.subscribe(("elsewhere/a", 1), ("inTopic", 1), ("$SYS/#", 2), ("all/#", 2),
                    codes=[denied, 1, denied, 2])
        other.publish("elsewhere/a", "x", 1)
        other.publish("home/%s/command" % device.name, "y", 1)
        assert [p.topic for p in c.fence()] == ["inTopic"]


def test_sys_is_not_seen_by_wildcards(shared, device, version):
    with shared.client(device, version) as c, shared.broker.client("$SYS/#") as watch:
        c.subscribe(("#", 0))
        watch.message()
        assert [p for p in c.fence() if "SYS" in p.topic] == []


def test_two_filters_onto_one_broker_filter(gateway):
    """One of two device filters that need the same broker filter goes: the other must stay."""
    maps = ({"name": "m", "publish": (), "subscribe": (
        {"device": "a/b", "broker": "x/${identity}/b"},
        {"device": "all/#", "broker": "broadcast/#"})},)
    gw = gateway(conf={"maps": maps})
    device = gw.enroll()
    topic = "x/%s/b" % device.name
    for version in VERSIONS:
        with gw.broker.client() as other, gw.client(device, version) as c:
            c.subscribe(("a/b", 1), ("a/+", 1), ("+/b", 1), codes=[1, 1, 1])
            c.fence()
            other.publish(topic, "1", 1)
            assert {(p.topic, p.payload) for p in c.fence()} == {("a/b", b"1")}
            c.unsubscribe("a/+")
            other.publish(topic, "2", 1)
            assert [(p.topic, p.payload) for p in c.fence()] == [("a/b", b"2")]
            c.unsubscribe("a/b", "+/b")
            other.publish(topic, "3", 1)
            assert c.fence() == []


def test_unsubscribe_what_was_never_subscribed(shared, device, version):
    with shared.client(device, version) as c:
        c.unsubscribe("inTopic", "elsewhere", codes=[0x11, NOT_AUTHORIZED] if version == V5 else [])


def test_subscription_identifiers_and_no_local(shared, device):
    with shared.client(device, V5) as c, shared.broker.client() as other:
        c.subscribe(("all/#", 1), props={"subscription_id": 77})
        c.subscribe(("own/#", 1 | 0x04), props={"subscription_id": 268435455})
        other.publish("broadcast/a", "x", 1)
        assert c.message("all/a").props["subscription_id"] == [77]
        other.publish("dev/%s/up/z" % device.name, "x", 1)
        assert c.message("own/z").props["subscription_id"] == [268435455]
        c.publish("pub/z", "mine", 1)
        assert c.fence() == []


# ---- denials ---------------------------------------------------------------------

DENIED = ("elsewhere", "home/other/telemetry", "inTopic", "log", "log/a/b", "/Home", "Home/",
          "$SYS/broker/uptime", "$share/g/Home")


@pytest.mark.parametrize("qos", (0, 1, 2))
def test_denied_publish(shared, device, version, qos):
    with shared.broker.client("#") as watch, shared.client(device, version) as c:
        watch.fence()
        for topic in DENIED:
            c.publish(topic, "denied", qos, code=NOT_AUTHORIZED if version == V5 else 0)
        c.publish("Home", "granted", 1)
        assert [p.payload for p in watch.fence()] == [b"granted"]


def test_denied_answers_keep_their_place(shared, device, version):
    """A locally made acknowledgement stands behind those that the broker still owes."""
    with shared.client(device, version) as c:
        c.send(b"".join(wire.publish(version, "Home" if i % 2 else "elsewhere", "x", 1, mid=i + 1)
                        for i in range(20)))
        for i in range(20):
            got = c.expect(wire.PUBACK, mid=i + 1)
            assert (got.code == NOT_AUTHORIZED) == (i % 2 == 0 and version == V5)


def test_denied_publish_closes_when_the_map_says_so(gateway):
    maps = ({"name": "m", "on_denial": "close", "subscribe": (),
             "publish": ({"device": "Home", "broker": "home/${identity}"},)},)
    gw = gateway(conf={"maps": maps})
    device = gw.enroll()
    for version in VERSIONS:
        for qos in (0, 1, 2):
            with gw.client(device, version) as c:
                c.send(wire.publish(version, "elsewhere", "x", qos, mid=1 if qos else None))
                c.expect_closed(NOT_AUTHORIZED)


def test_rule_limits_qos_and_payload(shared, device, version):
    with shared.broker.client("dev/%s/#" % device.name) as watch, \
            shared.client(device, version) as c:
        c.publish("low", "1", 1)
        c.publish("small", "0123456789", 1)
        assert [p.payload for p in watch.fence()] == [b"1", b"0123456789"]
        mid = 50
        for topic, payload, qos in (("low", "2", 2), ("small", "0123456789a", 1)):
            kind = wire.PUBACK if qos == 1 else wire.PUBREC
            c.send(wire.publish(version, topic, payload, qos, mid=mid))
            got = c.expect(kind, mid=mid)
            assert (got.code >= 0x80) == (version == V5)
            if qos == 2 and version != V5:
                c.send(wire.ack(wire.PUBREL, mid))
                c.expect(wire.PUBCOMP, mid=mid)
            mid += 1
        assert watch.fence() == []


# ---- MQTT 5 ----------------------------------------------------------------------

def test_topic_alias(shared, device):
    with shared.broker.client("#") as watch, shared.client(device, V5) as c:
        watch.fence()
        assert c.connack.props["topic_alias_maximum"] == 10
        c.publish("Home", "1", 1, props={"topic_alias": 3})
        c.publish("", "2", 1, props={"topic_alias": 3})
        c.publish("log/a", "3", 1, props={"topic_alias": 3})
        c.publish("", "4", 1, props={"topic_alias": 3})
        home, log = "home/%s/telemetry" % device.name, "log/%s/a" % device.name
        assert [(p.topic, p.payload) for p in watch.fence()] == [
            (home, b"1"), (home, b"2"), (log, b"3"), (log, b"4")]


@pytest.mark.parametrize("qos", (0, 1, 2))
def test_topic_alias_of_a_denied_topic(shared, device, qos):
    """A denied definition must not leave the alias at the older topic."""
    with shared.broker.client("#") as watch, shared.client(device, V5) as c:
        watch.fence()
        c.publish("Home", "1", qos, props={"topic_alias": 1})
        c.publish("elsewhere", "2", qos, code=NOT_AUTHORIZED, props={"topic_alias": 1})
        c.publish("", "3", qos, code=NOT_AUTHORIZED, props={"topic_alias": 1})
        c.publish("log/a", "4", qos, props={"topic_alias": 1})
        c.publish("", "5", qos, props={"topic_alias": 1})
        c.fence()
        assert [p.payload for p in watch.fence()] == [b"1", b"4", b"5"]


def test_topic_alias_out_of_range(shared, device):
    for alias in (0, 11, 65535):
        with shared.client(device, V5) as c:
            c.send(wire.publish(V5, "Home", "x", props={"topic_alias": alias}))
            c.expect_closed(0x94)


def test_topic_alias_never_defined(shared, device):
    with shared.client(device, V5) as c:
        c.send(wire.publish(V5, "", "x", props={"topic_alias": 2}))
        c.expect_closed(0x82)


def test_response_topic_there_and_back(shared, device):
    name = device.name
    with shared.broker.client("home/#", version=V5) as back, shared.client(device, V5) as c:
        c.subscribe(("sub/#", 1), ("own/#", 1))
        c.publish("Home", "ask", 1, props={"response_topic": "sub/answer",
                                           "correlation_data": b"42"})
        got = back.message(payload="ask")
        assert got.props["response_topic"] == "dev/%s/down/answer" % name
        back.publish(got.props["response_topic"], "reply", 1,
                     props={"response_topic": "dev/%s/up/again" % name,
                            "correlation_data": b"42"})
        got = c.message("sub/answer", "reply")
        assert got.props["correlation_data"] == b"42"
        assert got.props["response_topic"] == "pub/again"


def test_response_topic_outside_the_map_is_denied(shared, device):
    with shared.broker.client("home/%s/#" % device.name, version=V5) as watch, \
            shared.client(device, V5) as c:
        c.publish("Home", "x", 1, code=NOT_AUTHORIZED, props={"response_topic": "elsewhere"})
        assert watch.fence() == []


def test_flow_control_limits_pass(shared, device):
    with shared.broker.client() as other, \
            shared.client(device, V5, props={"receive_maximum": 2}) as c:
        c.subscribe(("inTopic", 1))
        for i in range(5):
            other.publish("home/%s/command" % device.name, str(i), 1)
        assert [p.payload for p in c.fence(ack=False)] == [b"0", b"1"]


def test_maximum_packet_size_of_the_device(shared, device):
    """Counted on the device's own topic: what grew on the way does not count against it."""
    with shared.broker.client() as other, \
            shared.client(device, V5, props={"maximum_packet_size": 100}) as c:
        c.subscribe(("inTopic", 0))
        fits = 100 - 2 - 2 - len("inTopic") - 1
        other.publish("home/%s/command" % device.name, b"f" * fits)
        other.publish("home/%s/command" % device.name, b"t" * (fits + 1))
        other.publish("home/%s/command" % device.name, b"end", 1)
        assert [p.payload for p in c.fence()] == [b"f" * fits, b"end"]


# ---- liveness --------------------------------------------------------------------

def test_pings_go_to_the_broker(shared, device, version):
    with shared.client(device, version) as c:
        c.fence()
    assert "Received PINGREQ from %s" % device.name in shared.broker.text()


def test_silence_beyond_keepalive_closes(shared, device, version):
    with shared.broker.client("dev/%s/#" % device.name) as watch:
        with shared.client(device, version, keepalive=1, will=Will("pub/will", "silent")) as c:
            c.expect_closed(0x8d)
        watch.message(payload="silent")
