# SPDX-License-Identifier: BSD-2-Clause
"""gateway.conf out of Python values, and the maps that most tests use."""


def _value(value, indent):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
    if isinstance(value, dict):
        return "{\n%s%s}" % (settings(value, indent + "\t"), indent)
    if value and not isinstance(value[0], dict):
        return "[ %s ]" % ", ".join(_value(v, indent) for v in value)
    return "( %s )" % ", ".join(_value(v, indent) for v in value)


def settings(values, indent=""):
    """None leaves a key out."""
    return "".join("%s%s = %s;\n" % (indent, key, _value(value, indent))
                   for key, value in values.items() if value is not None)


def merge(base, changes):
    """changes over base, map by map."""
    out = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else value
    return out


def rule(device, broker, **options):
    return dict(device=device, broker=broker, **options)


# What a device calls X is home/IDENTITY/... and so on at the broker.
MAPS = ({
    "name": "test",
    "publish": (
        rule("Home", "home/${identity}/telemetry"),
        rule("log/+", "log/${identity}/+"),
        rule("clear/#", "dev/${identity}/cleared/#", retain="clear"),
        rule("low", "dev/${identity}/low", qos=1),
        rule("small", "dev/${identity}/small", max_payload=10),
        rule("pub/#", "dev/${identity}/up/#"),
    ),
    "subscribe": (
        rule("inTopic", "home/${identity}/command"),
        rule("all/#", "broadcast/#"),
        rule("sub/#", "dev/${identity}/down/#"),
        rule("own/#", "dev/${identity}/up/#"),
        rule("jobs/+", "jobs/+"),
    ),
},)
