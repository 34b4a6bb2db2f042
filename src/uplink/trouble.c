/* SPDX-License-Identifier: BSD-2-Clause */
/* Why there is no session with the broker, and what to do: said once. */
#include "uplink/uplink_int.h"

#include "base/log.h"
#include "mqtt/mqtt.h"

#define BRIEF_MOST 3 /* brief connections in a row: somebody else has our name */

static bool
is_said(const struct uplink *u, const char *text, const char *remedy)
{
	for (unsigned i = 0; i < u->troubles; i++) {
		if (strcmp(u->said[i].text, text) == 0 &&
		    strcmp(u->said[i].remedy, remedy) == 0) {
			return true;
		}
	}
	return u->troubles == TROUBLES;
}

/*
 * The same trouble is logged once until it is over, which is when a connection
 * has lasted: a broker that comes and goes must not fill the log.
 */
static void
tell(struct uplink *u, const char *text, const char *remedy)
{
	bool said = is_said(u, text, remedy);

	u->info.last_error = text;
	if (said && !u->up_said) {
		return;
	}
	if (!said) {
		u->said[u->troubles++] = (struct trouble){ text, remedy };
	}
	u->up_said = false;
	log_warning(LOG_UPSTREAM, "the gateway's own session with the broker is away",
	            log_str("reason", text), log_str("remedy", remedy));
}

void
trouble_tell_up(struct uplink *u)
{
	u->up_said = true;
	log_notice(LOG_UPSTREAM, "the gateway's own session with the broker is up",
	           log_str("client_id", u->settings.client_id));
}

void
trouble_note(struct uplink *u, const char *text)
{
	tell(u, text, "none needed: it is tried again");
}

static const char *
end_text(const struct session_link *l)
{
	if (l->reason != 0) {
		return mqtt_reason_text((uint8_t)l->reason);
	}
	switch (l->error) {
	case MOSQ_ERR_SUCCESS:
	case MOSQ_ERR_CONN_LOST:
	case MOSQ_ERR_NO_CONN:
		return "the broker closed the connection";
	case MOSQ_ERR_ERRNO:
		return l->system != 0 ? err_text(-l->system) : "the broker cannot be reached";
	default:
		return mosquitto_strerror(l->error);
	}
}

void
trouble_end(struct uplink *u, const struct session_link *link)
{
	if (link->reason == MQTT_NOT_AUTHORIZED || link->reason == MQTT_BAD_USER_NAME_OR_PASSWORD) {
		tell(u, end_text(link),
		     "let the user of uplink.username in, with upstream.password if there is "
		     "one, and let it write to uplink.status_topic, since that is its will");
	} else if (link->reason == MQTT_SESSION_TAKEN_OVER || u->info.brief >= BRIEF_MOST) {
		tell(u, end_text(link),
		     "is another gateway running with the same uplink.client_id? give each its "
		     "own gateway.name; else look into the broker's log");
	} else {
		trouble_note(u, end_text(link));
	}
}
