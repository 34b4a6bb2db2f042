/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker: does it answer, does it take the identity, what is it. */
#include "doctor_int.h"

#include <errno.h>
#include <unistd.h>

#include "mqtt/mqtt.h"

static void
where(const struct conf *conf, char *text, size_t size)
{
	if (conf->upstream.path != NULL) {
		snprintf(text, size, "%s", conf->upstream.path);
	} else {
		snprintf(text, size, "%s port %u", conf->upstream.address, conf->upstream.port);
	}
}

/* Once for all checks. */
static const struct doctor_probe *
ask_broker(struct doctor *d)
{
	char identity[48];

	if (!d->broker.made) {
		snprintf(identity, sizeof identity, "doctor-%d", (int)getpid());
		doctor_probe(d->conf, identity, &d->broker);
	}
	return &d->broker;
}

/* ---- connection ----------------------------------------------------------------- */

static void
say_unreachable(struct doctor *d, const char *place, int code)
{
	const char *broker = doc_get_text(doc_get(d->status, "broker"), "state", "");

	if (code == -EACCES || code == -EPERM) {
		if (strcmp(broker, "up") == 0) {
			doctor_ok(d, "gatewayd reaches %s; you may not.", place);
		} else {
			doctor_skip(d, "Not checked: you may not open %s.", place);
			doctor_remedy(
				d,
				"Run the doctor as root. The user of gatewayd must be in the group "
				"of that socket, normally mosquitto.");
		}
	} else if (code == -ENOENT) {
		doctor_fault(
			d,
			"There is no socket %s: Mosquitto does not run, or has no listener there.",
			place);
		doctor_remedy(
			d,
			"Copy the two files of " GATEWAY_DATADIR "/mosquitto to "
			"/etc/mosquitto/conf.d: \"per_listener_settings true\" first, \"listener "
			"0 %s\" and its \"allow_anonymous true\" last; then systemctl "
			"daemon-reload and systemctl restart mosquitto",
			place);
	} else if (code == -ECONNREFUSED) {
		doctor_fault(d, "Nobody listens at %s%s.", place,
			     d->conf->upstream.path != NULL ? ": a broker that was killed left it"
							    : "");
		doctor_remedy(d, "systemctl start mosquitto");
	} else if (code == ERR_TIMEOUT) {
		doctor_fault(d, "%s is open, but no answer to CONNECT came in time: is it MQTT?",
			     place);
		doctor_remedy(d, "Look at upstream.path or upstream.address and port.");
	} else if (code == ERR_CLOSED || code == -ECONNRESET) {
		doctor_fault(d, "The broker at %s closed the connection without an answer.", place);
		doctor_remedy(
			d, "Its log says why: journalctl -u mosquitto; a TLS listener is not for "
			   "the gateway.");
	} else if (code == ERR_MALFORMED || code == ERR_PROTOCOL || code == ERR_LIMIT) {
		doctor_fault(d, "What answers at %s does not speak MQTT.", place);
		doctor_remedy(d, "Look at upstream.path or upstream.address and port.");
	} else {
		doctor_fault(d, "The broker at %s cannot be reached: %s.", place, err_text(code));
		doctor_remedy(d, "Look at upstream.path or upstream.address and port.");
	}
}

static void
say_refused(struct doctor *d, const char *place, unsigned code)
{
	static const char *const words[] = { "",
					     "it does not speak MQTT 3.1.1",
					     "it does not like the client identifier",
					     "it is not available",
					     "bad user name or password",
					     "not authorized" };

	doctor_fault(
		d, "The broker at %s refuses a device's identity as user name%s: %s (CONNACK %u).",
		place, d->conf->upstream.password == NULL ? " without password" : "",
		code < sizeof words / sizeof words[0] ? words[code] : "unknown code", code);
	if (code == MQTT_RETURN_CREDENTIALS || code == MQTT_RETURN_NOT_AUTHORIZED) {
		doctor_remedy(d, "The gateway's listener needs \"allow_anonymous true\" and no "
				 "password_file; for other listeners to keep theirs, "
				 "\"per_listener_settings true\" must be Mosquitto's first line.");
	} else {
		doctor_remedy(d, "journalctl -u mosquitto says more.");
	}
}

void
doctor_broker_connection(struct doctor *d)
{
	const struct doc *seen = doc_get(d->status, "broker");
	const struct doctor_probe *probe = ask_broker(d);
	char place[160];

	where(d->conf, place, sizeof place);
	if (probe->code != 0) {
		say_unreachable(d, place, probe->code);
	} else if (probe->connack != MQTT_RETURN_ACCEPTED) {
		say_refused(d, place, probe->connack);
	} else if (strcmp(doc_get_text(seen, "state", ""), "away") == 0) {
		doctor_fault(d, "The doctor reaches the broker at %s, gatewayd does not: %s.",
			     place, doc_get_text(seen, "last_error", ""));
		doctor_remedy(d,
			      "The user of gatewayd must be in the group of that socket: see the "
			      "unit's SupplementaryGroups.");
	} else {
		doctor_ok(d, "%s accepts a device's identity as user name.", place);
	}
}

/* ---- version -------------------------------------------------------------------- */

void
doctor_broker_version(struct doctor *d)
{
	unsigned major, minor, patch, number;
	struct doctor_mosquitto files;
	const char *version = ask_broker(d)->version;

	if (version[0] == '\0') {
		doctor_skip(d, "Not checked: the broker does not tell its version in "
			       "$SYS/broker/version.");
		return;
	}
	if (sscanf(version, "mosquitto version %3u.%3u.%3u", &major, &minor, &patch) != 3) {
		doctor_ok(d, "%s; the gateway is tested with Mosquitto.", version);
		return;
	}
	number = major * 1000000 + minor * 1000 + patch;
	doctor_mosquitto_read(d, &files);
	if (number < 2000000) {
		doctor_warn(
			d, "%s: unix sockets and other things that the gateway uses came with 2.0.",
			version);
		doctor_remedy(d, "Install Mosquitto 2.0.16 or later.");
	} else if (number < 2000016) {
		doctor_warn(d, "%s loses retained $SYS values after a minute (repaired in 2.0.16).",
			    version);
		doctor_remedy(d, "Harmless for devices; for monitoring, install 2.0.16 or later.");
	}
	if (number >= 2000000 && number < 2000019 && files.bridge_remap) {
		doctor_warn(d,
			    "%s has a bridge that remaps topics: the remote broker can crash it "
			    "(CVE-2024-3935, repaired in 2.0.19 and perhaps in your distribution's "
			    "package).",
			    version);
		doctor_remedy(d, "Update Mosquitto, or take remapping out of the bridge.");
	}
	if (!d->said) {
		doctor_ok(d, "%s.", version);
	}
}

/* ---- settings ------------------------------------------------------------------- */

void
doctor_broker_settings(struct doctor *d)
{
	struct doctor_mosquitto files;
	bool tcp = d->conf->upstream.path == NULL;

	doctor_mosquitto_read(d, &files);
	if (!files.readable || !files.ours) {
		doctor_skip(d, "Not checked: /etc/mosquitto %s.",
			    files.readable ? "does not configure the listener that the gateway uses"
					   : "cannot be read whole");
		if (tcp) {
			doctor_remedy(
				d,
				"With TCP upstream, \"set_tcp_nodelay true\" saves 40 ms now and "
				"then.");
		}
		return;
	}
	if (!files.persistence) {
		doctor_warn(d, "Mosquitto has no \"persistence true\": sessions and messages with "
			       "QoS 1 and "
			       "2 are lost when it restarts.");
		doctor_remedy(
			d, "\"persistence true\" and \"persistence_location\" in mosquitto.conf");
	}
	if (tcp && !files.nodelay) {
		doctor_warn(
			d,
			"Mosquitto has no \"set_tcp_nodelay true\": over TCP, answers wait up to "
			"40 ms.");
		doctor_remedy(d, "Set it, or use a unix socket (upstream.path).");
	}
	if (!d->said) {
		doctor_ok(d, "persistence is on.");
	}
}
