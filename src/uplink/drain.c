/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spool's messages on their way to the broker, QoS 1, in the order that
 * the spool gives them, as many unacknowledged as the window has room for.
 *
 * Three ends of a message: acknowledged; refused for good, which the spool
 * counts; or "later" (quota and the like): then the rest of the window is
 * waited for, all is given back, and after a pause it is offered again. One
 * that the broker keeps ending the connection for is sent alone, and refused
 * when that happens again: it must not block the others for ever.
 */
#include <stdlib.h>

#include "uplink/uplink_int.h"

#include "base/log.h"
#include "mqtt/mqtt.h"

#define ENDS_WITH_REASON 2    /* connections ended with a reason that is about the packet */
#define ENDS_WITHOUT 4        /* ended without one, right after it was sent alone */
#define RIGHT_AFTER_MS 1000
#define OTHERS_MOST 1000      /* acknowledged since: the suspect itself must have expired */
#define DELAYS_MOST 8         /* answers "later" that are no quota */
#define CLOCK_IS_SET INT64_C(1577836800000) /* 2020, ms: before, the host had no time yet */
#define WALL_MS(spec) ((int64_t)(spec).tv_sec * 1000 + (spec).tv_nsec / 1000000)

/* ---- one message --------------------------------------------------------------- */

/* Is this reason about that packet, so that it would be the same again? */
static bool
about_packet(int reason)
{
	switch (reason) {
	case MQTT_MALFORMED_PACKET:
	case MQTT_PROTOCOL_ERROR:
	case MQTT_NOT_AUTHORIZED:
	case MQTT_TOPIC_NAME_INVALID:
	case MQTT_PACKET_TOO_LARGE:
	case MQTT_PAYLOAD_FORMAT_INVALID:
	case MQTT_RETAIN_NOT_SUPPORTED:
	case MQTT_QOS_NOT_SUPPORTED:
		return true;
	default:
		return false;
	}
}

static void
refuse(struct uplink *u, const struct sent *sent, int reason, const char *text)
{
	refusal_note(u, sent->text, sent->text + strlen(sent->text) + 1, reason, text);
	spool_refused(u->spool, sent->sequence, (uint8_t)reason);
}

static struct sent *
sent_of(const struct spool_message *m)
{
	struct sent *sent = calloc(1, sizeof *sent + m->identity.len + m->topic.len + 2);

	if (sent != NULL) {
		sent->kind = SENT_SPOOL;
		sent->sequence = m->sequence;
		if (m->identity.len > 0) {
			memcpy(sent->text, m->identity.ptr, m->identity.len);
		}
		if (m->topic.len > 0) {
			memcpy(sent->text + m->identity.len + 1, m->topic.ptr, m->topic.len);
		}
	}
	return sent;
}

/* Seconds that are left of its Message Expiry Interval, at least one. */
static uint32_t
expiry_left(const struct spool_message *m)
{
	struct timespec now;
	int64_t passed;

	clock_gettime(CLOCK_REALTIME, &now);
	passed = (WALL_MS(now) - m->received) / 1000;
	if (passed <= 0 || m->received < CLOCK_IS_SET) {
		return m->expiry; /* nobody knows how old it is */
	}
	return passed < m->expiry ? m->expiry - (uint32_t)passed : 1;
}

static char *
text_of(struct span s)
{
	return strndup(s.len > 0 ? (const char *)s.ptr : "", s.len);
}

static int
add_text(mosquitto_property **to, int id, struct span s)
{
	char *text = text_of(s);
	int rc = text != NULL ? mosquitto_property_add_string(to, id, text) : MOSQ_ERR_NOMEM;

	free(text);
	return rc;
}

static int
add_pair(mosquitto_property **to, int id, struct span name, struct span value)
{
	char *n = text_of(name), *v = text_of(value);
	int rc = n != NULL && v != NULL ? mosquitto_property_add_string_pair(to, id, n, v) :
	                                  MOSQ_ERR_NOMEM;

	free(n);
	free(v);
	return rc;
}

static int
add_property(mosquitto_property **to, const struct mqtt_prop *p)
{
	switch (p->id) {
	case MQTT_PROP_PAYLOAD_FORMAT_INDICATOR:
		return mosquitto_property_add_byte(to, p->id, (uint8_t)p->number);
	case MQTT_PROP_CONTENT_TYPE:
	case MQTT_PROP_RESPONSE_TOPIC:
		return add_text(to, p->id, p->text);
	case MQTT_PROP_CORRELATION_DATA:
		return mosquitto_property_add_binary(to, p->id, p->text.ptr, (uint16_t)p->text.len);
	case MQTT_PROP_USER_PROPERTY:
		return add_pair(to, p->id, p->text, p->value);
	default:
		/* A PUBLISH of a client has no other that may be passed on. */
		return MOSQ_ERR_SUCCESS;
	}
}

static int
properties_of(const struct spool_message *m, mosquitto_property **out)
{
	struct reader at = reader_of(m->properties);
	struct mqtt_prop p;
	int rc = MOSQ_ERR_SUCCESS;

	*out = NULL;
	while (rc == MOSQ_ERR_SUCCESS && mqtt_props_next(&at, &p)) {
		rc = add_property(out, &p);
	}
	if (rc == MOSQ_ERR_SUCCESS && at.bad) {
		rc = MOSQ_ERR_MALFORMED_PACKET;
	}
	if (rc == MOSQ_ERR_SUCCESS && m->expiry != UINT32_MAX) {
		rc = mosquitto_property_add_int32(out, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
		                                  expiry_left(m));
	}
	if (rc != MOSQ_ERR_SUCCESS) {
		mosquitto_property_free_all(out);
	}
	return rc;
}

/* What the library found out by itself: the reason code, or 0 if it is no fault of the message. */
static int
reason_of(int rc)
{
	switch (rc) {
	case MOSQ_ERR_OVERSIZE_PACKET:
	case MOSQ_ERR_PAYLOAD_SIZE:
		return MQTT_PACKET_TOO_LARGE;
	case MOSQ_ERR_INVAL:
	case MOSQ_ERR_MALFORMED_UTF8:
		return MQTT_TOPIC_NAME_INVALID;
	case MOSQ_ERR_MALFORMED_PACKET:
	case MOSQ_ERR_DUPLICATE_PROPERTY:
	case MOSQ_ERR_PROTOCOL:
		return MQTT_MALFORMED_PACKET;
	case MOSQ_ERR_QOS_NOT_SUPPORTED:
		return MQTT_QOS_NOT_SUPPORTED;
	default:
		return 0;
	}
}

static void
send_one(struct uplink *u, const struct spool_message *m)
{
	struct sent *sent = sent_of(m);
	mosquitto_property *properties = NULL;
	int rc = sent != NULL ? properties_of(m, &properties) : MOSQ_ERR_NOMEM;

	if (rc == MOSQ_ERR_SUCCESS) {
		rc = sent_publish(u, sent, sent->text + m->identity.len + 1, m->payload,
		                  m->retain, properties);
	}
	mosquitto_property_free_all(&properties);
	if (rc == MOSQ_ERR_SUCCESS) {
		u->drain.waiting++;
		u->drain.sent_at = loop_now(u->loop);
	} else {
		if (reason_of(rc) != 0) {
			refuse(u, sent, reason_of(rc), mosquitto_strerror(rc));
			rc = MOSQ_ERR_SUCCESS;
		}
		free(sent);
	}
	session_settle(u, rc);
}

/* ---- taking -------------------------------------------------------------------- */

static void
untake(struct uplink *u)
{
	if (u->drain.taking) {
		/* What is on its way to us is to be given back too. */
		u->drain.untake = true;
	} else {
		spool_untake(u->spool);
	}
	u->drain.more = true;
}

static void
pause_for(struct uplink *u)
{
	struct drain *d = &u->drain;
	unsigned shift = d->pauses < 16 ? d->pauses : 16;
	uint64_t most = (uint64_t)u->settings.retry_min << shift;

	d->pauses++;
	d->paused = true;
	loop_timer_start(&d->pause,
	                 1 + (most < u->settings.retry_max ? most : u->settings.retry_max));
}

static void
pause_over(void *owner)
{
	struct uplink *u = owner;

	u->drain.paused = false;
	uplink_pump(u);
}

static void
taken(struct spool_take *take, const struct spool_message *message, size_t count, int status)
{
	struct drain *d = list_entry(take, struct drain, take);
	struct uplink *u = list_entry(d, struct uplink, drain);

	d->taking = false;
	if (u->closing && u->state == UPLINK_IDLE) {
		if (d->untake) {
			spool_untake(u->spool);
		}
		uplink_handle_gone(u);
		return;
	}
	if (status != 0) {
		log_warning(LOG_UPSTREAM, "the spool cannot be read",
		            log_str("reason", err_text(status)));
		pause_for(u);
	} else if (count == 0 && d->news == d->seen) {
		d->more = false;
	}
	for (size_t i = 0; i < count && !d->untake; i++) {
		if (!session_up(u) || u->state != UPLINK_UP) {
			d->untake = true;
			break;
		}
		send_one(u, &message[i]);
	}
	if (d->untake) {
		d->untake = false;
		spool_untake(u->spool);
	}
	uplink_pump(u);
}

void
drain_pump(struct uplink *u)
{
	struct drain *d = &u->drain;
	unsigned room = sent_room(u);

	if (u->spool == NULL || d->taking || d->paused || d->later || !d->more || room == 0) {
		return;
	}
	if (d->suspect != 0) {
		/* Alone: so that the end of the connection can only be for it. */
		if (d->waiting > 0) {
			return;
		}
		room = 1;
	}
	d->taking = true;
	d->seen = d->news;
	d->take.room = room;
	d->take.done = taken;
	d->take.back = u->loop;
	spool_take(u->spool, &d->take);
}

static void
news(void *owner)
{
	struct uplink *u = owner;

	u->drain.news++;
	u->drain.more = true;
	uplink_pump(u);
}

/* ---- answers ------------------------------------------------------------------- */

/* True: it may be offered again. */
static bool
may_wait(struct drain *d, uint64_t sequence, int reason)
{
	if (about_packet(reason)) {
		return false;
	}
	if (reason == MQTT_QUOTA_EXCEEDED) {
		return true;
	}
	d->delays = d->delayed == sequence ? d->delays + 1 : 1;
	d->delayed = sequence;
	return d->delays <= DELAYS_MOST;
}

void
drain_acked(struct uplink *u, const struct sent *sent, int reason)
{
	struct drain *d = &u->drain;

	d->waiting--;
	if (d->suspect == sent->sequence || ++d->others > OTHERS_MOST) {
		d->suspect = 0;
		d->ends = 0;
	}
	if (reason < 0x80) {
		u->info.drained++;
		d->pauses = 0;
		spool_done(u->spool, sent->sequence);
	} else if (may_wait(d, sent->sequence, reason)) {
		d->later = true;
	} else {
		refuse(u, sent, reason, NULL);
	}
	if (d->later && d->waiting == 0) {
		d->later = false;
		untake(u);
		pause_for(u);
	}
}

/* ---- the connection ------------------------------------------------------------ */

void
drain_connected(struct uplink *u)
{
	u->drain.more = true;
}

/*
 * Was it for the message that is first in flight? A reason that speaks of a
 * packet says so. Without one (2.0 gives none) a broker that crashes looks
 * the same, so it has to happen often, at once, and to that message alone.
 */
static void
look_for_poison(struct uplink *u, const struct session_link *link, const struct sent *first)
{
	struct drain *d = &u->drain;
	bool told = about_packet(link->reason) && link->reason != MQTT_NOT_AUTHORIZED;
	bool alone = u->outstanding == 1;
	bool soon = loop_now(u->loop) - d->sent_at < RIGHT_AFTER_MS;

	if (first == NULL || !link->connected || u->closing ||
	    (!told && (link->reason != 0 || !soon))) {
		return;
	}
	if (d->suspect != first->sequence) {
		d->suspect = first->sequence;
		d->others = 0;
		d->ends = 1;
	} else if (alone) {
		d->ends++;
	}
	if (alone && d->ends >= (told ? ENDS_WITH_REASON : ENDS_WITHOUT)) {
		refuse(u, first, told ? link->reason : MQTT_UNSPECIFIED_ERROR,
		       "the broker ends the connection whenever it is sent");
		d->suspect = 0;
		d->ends = 0;
	}
}

void
drain_lost(struct uplink *u, const struct session_link *link)
{
	struct drain *d = &u->drain;
	const struct sent *first = NULL;
	struct list *at, *after;

	if (u->spool == NULL) {
		return;
	}
	list_each(at, after, &u->sent) {
		const struct sent *sent = list_entry(at, struct sent, node);

		if (first == NULL && sent->kind == SENT_SPOOL) {
			first = sent;
		}
	}
	look_for_poison(u, link, first);
	d->waiting = 0;
	d->later = false;
	untake(u);
}

int
drain_init(struct uplink *u)
{
	int rc = loop_timer_init(u->loop, &u->drain.pause, pause_over, u);

	if (rc == 0 && u->spool != NULL) {
		spool_watch(u->spool, u->loop, news, u);
	}
	return rc;
}

void
drain_close(struct uplink *u)
{
	if (u->spool != NULL) {
		spool_watch(u->spool, u->loop, NULL, NULL);
	}
	if (u->drain.taking) {
		u->handles++;
	}
}
