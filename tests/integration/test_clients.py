# SPDX-License-Identifier: BSD-2-Clause
"""Clients that nobody here wrote: mosquitto_pub and _sub, Paho for Python, Paho for C."""
import os
import queue
import shutil
import ssl
import subprocess

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from lib.process import Process
from lib.wait import PATIENCE, until

PAHO_C_CLIENT = os.environ.get("PAHO_C_CLIENT", "")
VERSIONS = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5.0": "mqttv5"}


@pytest.fixture(params=("1.2", "1.3"))
def tls(request):
    return request.param


@pytest.fixture(params=list(VERSIONS))
def version(request):
    return request.param


# ---- mosquitto_pub, mosquitto_sub ------------------------------------------------

needs_tools = pytest.mark.skipif(shutil.which("mosquitto_pub") is None,
                                 reason="mosquitto_pub is missing")


def tool(name, gw, device, version, tls, *args):
    return [name, "-h", "localhost", "-p", str(gw.port), "--cafile", gw.ca, "--cert", device.cert,
            "--key", device.key, "--tls-version", "tlsv" + tls, "-V", VERSIONS[version],
            "-i", "tool"] + list(args)


@needs_tools
@pytest.mark.parametrize("qos", ("0", "1", "2"))
def test_mosquitto_pub(shared, version, tls, qos):
    device = shared.enroll()
    with shared.broker.client("home/%s/#" % device.name) as watch:
        subprocess.run(tool("mosquitto_pub", shared, device, version, tls, "-t", "Home", "-m",
                            "21.5", "-q", qos), check=True, timeout=PATIENCE)
        watch.message("home/%s/telemetry" % device.name, "21.5", int(qos))


@needs_tools
def test_mosquitto_sub(shared, version, tls):
    device = shared.enroll()
    log = shared.path("sub-%s.log" % device.name)
    sub = Process("mosquitto_sub", tool("mosquitto_sub", shared, device, version, tls, "-v", "-d",
                                        "-t", "inTopic", "-t", "all/#", "-q", "2", "-C", "2"), log)
    try:
        until(lambda: "Sending SUBACK to " + device.name in shared.broker.text(),
              "mosquitto_sub to be subscribed")
        with shared.broker.client() as other:
            other.publish("home/%s/command" % device.name, "on", 2)
            other.publish("broadcast/a/b", "hello", 1)
        assert sub.wait() == 0
    finally:
        sub.stop()
    lines = sub.text().splitlines()
    assert "inTopic on" in lines and "all/a/b hello" in lines


# ---- Paho for Python -------------------------------------------------------------

PAHO_VERSIONS = {"3.1": paho.MQTTv31, "3.1.1": paho.MQTTv311, "5.0": paho.MQTTv5}


def paho_client(gw, device, version, tls):
    """A client with its events in queues."""
    context = ssl.create_default_context(cafile=gw.ca)
    context.load_cert_chain(device.cert, device.key)
    context.minimum_version = context.maximum_version = {
        "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[tls]
    client = paho.Client("paho", protocol=PAHO_VERSIONS[version])
    client.tls_set_context(context)
    client.connected, client.subscribed, client.messages = (queue.Queue() for _ in range(3))
    client.on_connect = lambda c, user, flags, rc, *props: client.connected.put(rc)
    client.on_subscribe = lambda c, user, mid, codes, *props: client.subscribed.put(codes)
    client.on_message = lambda c, user, message: client.messages.put(message)
    return client


def test_paho_python(shared, version, tls):
    device = shared.enroll()
    client = paho_client(shared, device, version, tls)
    client.will_set("pub/will", "dead")
    client.connect("localhost", shared.port)
    client.loop_start()
    try:
        assert client.connected.get(timeout=PATIENCE) == 0
        client.subscribe("own/#", 2)
        client.subscribed.get(timeout=PATIENCE)
        for qos in (0, 1, 2):
            client.publish("pub/%d" % qos, b"x" * 10000, qos).wait_for_publish(PATIENCE)
        got = [client.messages.get(timeout=PATIENCE) for _ in range(3)]
        assert [(m.topic, m.qos, m.payload) for m in got] == [
            ("own/%d" % qos, qos, b"x" * 10000) for qos in (0, 1, 2)]
    finally:
        client.disconnect()
        client.loop_stop()


def test_paho_python_properties(shared, tls):
    device = shared.enroll()
    client = paho_client(shared, device, "5.0", tls)
    client.connect("localhost", shared.port)
    client.loop_start()
    try:
        assert client.connected.get(timeout=PATIENCE) == 0
        client.subscribe("own/#", 1)
        client.subscribed.get(timeout=PATIENCE)
        props = Properties(PacketTypes.PUBLISH)
        props.UserProperty = ("key", "value")
        props.ContentType = "text"
        props.ResponseTopic = "sub/answer"
        client.publish("pub/p", "x", 1, properties=props)
        got = client.messages.get(timeout=PATIENCE)
        assert got.properties.UserProperty == [("key", "value")]
        assert got.properties.ContentType == "text"
    finally:
        client.disconnect()
        client.loop_stop()


# ---- Paho for C ------------------------------------------------------------------

@pytest.mark.skipif(not os.access(PAHO_C_CLIENT, os.X_OK), reason="the Paho C client is not built")
@pytest.mark.parametrize("tls_wanted", ("1.2", "any"))
def test_paho_c(shared, version, tls_wanted):
    device = shared.enroll()
    level = {"3.1": "3", "3.1.1": "4", "5.0": "5"}[version]
    done = subprocess.run([PAHO_C_CLIENT, "ssl://localhost:%d" % shared.port, shared.ca,
                           device.cert, device.key, level, tls_wanted, "pub/c", "own/#", "3"],
                          capture_output=True, text=True, timeout=2 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["subscribed", "own/c qos 0", "own/c qos 1", "own/c qos 2"]
