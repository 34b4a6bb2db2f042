# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of gatewayd under numbered traffic: nothing acknowledged is lost, QoS 2 is never doubled."""
import pytest

from lib import wire
from lib.flow import Receiver, Sender, check
from lib.wait import until
from lib.wire import V311, V5

COUNT = 6000
KILLS = 8


def persistent(version):
    return {"clean": False, "client_id": "s",
            "props": {"session_expiry": 3600} if version == V5 else None}


class Direct:
    """A persistent client at the broker itself: that end is never killed."""

    def __init__(self, gw, name, *filters):
        self.gw, self.name, self.filters = gw, name, filters

    def __call__(self):
        return self.gw.broker.client(*self.filters, clean=False, client_id=self.name)


class Through:
    """A persistent client through the gateway, whose port stays over restarts."""

    def __init__(self, gw, device, version, *filters):
        self.gw, self.device, self.version, self.filters = gw, device, version, filters
        self.subscribed = False

    def __call__(self):
        client = self.gw.dial(self.device, self.version)
        try:
            client.send(wire.connect(self.version, **persistent(self.version)))
            connack = client.expect(wire.CONNACK, code=0)
            # Once subscribed it relies on the session.
            assert connack.session_present or not self.subscribed or self.version == wire.V31
            if self.filters and not self.subscribed:
                client.subscribe(*self.filters)
                self.subscribed = True
            return client
        except BaseException:
            client.cut()
            raise


def kill_while(gw, *flows):
    """
    Kill gatewayd whenever another part of the messages has come through: in
    turn of the fastest flow and of the slowest, so that each is hit.
    """
    for i in range(1, KILLS + 1):
        mark = COUNT * i // (KILLS + 1)
        pick = max if i % 2 else min
        until(lambda: pick(f.done for f in flows) >= mark or any(f.error for f in flows),
              "messages to come through", seconds=90)
        gw.kill()
        gw.start()


@pytest.fixture
def gw(gateway):
    # No limit of the broker's own may lose a message.
    one = gateway(broker={"options": ["max_inflight_messages 20", "max_queued_bytes 0"]},
                  conf={"log": {"level": "info"}})
    one.keep_port()
    return one


def check_numbers(receiver, qos):
    """QoS 1: each at least once, first times in order. QoS 2: each exactly once, in order."""
    first = list(dict.fromkeys(receiver.got))
    assert sorted(first) == list(range(COUNT))
    assert first == list(range(COUNT)), "the order has changed"
    if qos == 2:
        assert receiver.got == first, "doubled: %r" % [
            n for n in first if receiver.got.count(n) > 1][:10]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("version", (V311, V5))
@pytest.mark.parametrize("qos", (1, 2))
def test_kill_both_ways(gw, qos, version):
    """Up and down at once, through two devices, with several kills."""
    up, down = gw.enroll(), gw.enroll()
    watch = Direct(gw, "watch", "dev/%s/up/n" % up.name)
    watch().disconnect()  # the session is there before the first message
    through = Through(gw, down, version, ("sub/#", qos))
    through().disconnect()
    received_up = Receiver(watch, qos, COUNT)
    received_down = Receiver(through, qos, COUNT)
    sent_up = Sender(Through(gw, up, version), version, "pub/n", qos, COUNT)
    sent_down = Sender(Direct(gw, "source"), V311, "dev/%s/down/n" % down.name, qos, COUNT)
    flows = (received_up, received_down, sent_up, sent_down)
    for flow in flows:
        flow.start()
    kill_while(gw, received_up, received_down)
    check(*flows)
    assert sent_up.connections > 1 and received_down.connections > 1
    check_numbers(received_up, qos)
    check_numbers(received_down, qos)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("qos", (1, 2))
def test_kill_with_denied_messages_between(gw, qos):
    """Local answers to denied messages must not unsettle those of the broker."""
    device = gw.enroll()
    watch = Direct(gw, "watch", "dev/%s/up/n" % device.name)
    watch().disconnect()
    received = Receiver(watch, qos, COUNT)
    sender = DenyingSender(Through(gw, device, V311), V311, "pub/n", qos, COUNT)
    received.start()
    sender.start()
    kill_while(gw, received)
    check(received, sender)
    check_numbers(received, qos)


class DenyingSender(Sender):
    """Each message is followed by one to a topic that is denied, with its own identifier."""

    def _packet(self, mid, payload, dup):
        sent = super()._packet(mid, payload, dup)
        if not dup:
            sent += wire.publish(self.version, "elsewhere", payload, self.qos, mid=mid + 10000)
        return sent

    def _take(self, client, packet):
        if packet.mid <= 10000:
            super()._take(client, packet)
        elif packet.type == wire.PUBREC:
            client.send(wire.ack(wire.PUBREL, packet.mid))
