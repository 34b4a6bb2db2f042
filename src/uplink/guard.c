/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmosquitto 2.0 trusts the broker: an unknown property in any packet ends
 * the process by an assertion in its log function, and a SUBACK without codes
 * makes it read what is not there (CVE-2024-10525). So each packet is looked
 * at in the socket's queue, with our own strict codec, before the library may
 * read it; what we never asked for ends the connection.
 *
 * That needs to know where packets begin. The library of 2.0 reads packet by
 * packet and not ahead, and goes on to the next one only if errno is not
 * EAGAIN after the callback (lib/loop.c:mosquitto_loop_read), so callbacks end
 * with guard_stop(), and whatever has no callback is refused here. 2.1 reads
 * ahead, and is not guarded.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "uplink/uplink_int.h"

#include "mqtt/mqtt.h"

#define GUARDED_BELOW 2001000 /* as LIBMOSQUITTO_VERSION_NUMBER */
#define FIRST_LOOK 512        /* bytes; most packets are smaller */

static bool
is_wanted(void)
{
	int major, minor, revision;

	return mosquitto_lib_version(&major, &minor, &revision) < GUARDED_BELOW;
}

void
guard_stop(void)
{
	errno = EAGAIN;
}

static bool
is_sent(const struct uplink *u, int mid)
{
	struct list *at, *after;

	list_each(at, after, &u->sent) {
		if (list_entry(at, struct sent, node)->mid == mid) {
			return true;
		}
	}
	return false;
}

/* A whole packet, or the head of a PUBLISH: is it one that may come now? */
static bool
is_good(const struct session_link *l, const struct mqtt_fixed *fixed, struct span body)
{
	enum mqtt_reason reason;
	union {
		struct mqtt_connack connack;
		struct mqtt_publish publish;
		struct mqtt_ack ack;
		struct mqtt_codes codes;
	} p;

	if ((fixed->type == MQTT_CONNACK) == l->connected) {
		return false;
	}
	switch (fixed->type) {
	case MQTT_CONNACK:
		return mqtt_decode_connack(body, MQTT_5, &p.connack, &reason) == 0;
	case MQTT_PUBLISH:
		return MQTT_FLAG_QOS(fixed->flags) < 2 &&
		       mqtt_decode_publish(body, fixed, MQTT_FROM_SERVER, MQTT_5, &p.publish,
		                           &reason) == 0 &&
		       p.publish.topic.len > 0;
	case MQTT_PUBACK:
		return mqtt_decode_ack(fixed->type, body, MQTT_FROM_SERVER, MQTT_5, &p.ack,
		                       &reason) == 0 &&
		       is_sent(l->uplink, p.ack.packet_id);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return mqtt_decode_codes(fixed->type, body, MQTT_5, &p.codes, &reason) == 0 &&
		       p.codes.codes.len > 0;
	default:
		return false;
	}
}

/*
 * DISCONNECT is not for the library: it would unlock a mutex that it does not
 * hold. The connection ends in any case.
 */
static void
on_disconnect(struct session_link *l, struct span body)
{
	struct mqtt_disconnect d;
	enum mqtt_reason reason;

	if (mqtt_decode_disconnect(MQTT_DISCONNECT, body, MQTT_FROM_SERVER, MQTT_5, &d,
	                           &reason) == 0) {
		life_heard(l->uplink);
		l->reason = d.reason;
		l->error = MOSQ_ERR_CONN_LOST;
	}
}

/* Look at what is in the queue. */
static enum guard
look(struct session_link *l, struct span in, size_t most)
{
	struct mqtt_fixed fixed;
	enum mqtt_reason reason;
	int rc = mqtt_decode_fixed(in, MQTT_FROM_SERVER, MQTT_5, &fixed, &reason);
	struct span body;
	int64_t head;

	if (rc == ERR_MORE) {
		return GUARD_WAIT;
	}
	if (rc != 0) {
		return GUARD_BAD;
	}
	body = span_head(span_skip(in, fixed.size), fixed.remaining);
	if (body.len < fixed.remaining && (size_t)fixed.size + fixed.remaining <= most) {
		return GUARD_WAIT;
	}
	if (fixed.type == MQTT_DISCONNECT && body.len == fixed.remaining) {
		on_disconnect(l, body);
		return GUARD_BAD;
	}
	if (fixed.type != MQTT_PUBLISH) {
		return body.len == fixed.remaining && is_good(l, &fixed, body) ? GUARD_GOOD :
		                                                                 GUARD_BAD;
	}
	head = mqtt_publish_head(body, &fixed, MQTT_5);
	if (head <= 0 || (size_t)head > body.len) {
		/* A head that does not fit into all that we look at is none of ours. */
		return head < 0 && head != ERR_MORE ? GUARD_BAD :
		       in.len < most ? GUARD_WAIT : GUARD_BAD;
	}
	if (!is_good(l, &fixed, span_head(body, (size_t)head))) {
		return GUARD_BAD;
	}
	/* A long one is read in pieces; its callback tells when it is over. */
	l->inside = body.len < fixed.remaining;
	return GUARD_GOOD;
}

static bool
has_ended(int fd)
{
	struct pollfd at = { .fd = fd, .events = POLLRDHUP };

	return poll(&at, 1, 0) > 0;
}

enum guard
guard_next(struct session_link *l)
{
	uint8_t *window = l->uplink->window;
	enum guard verdict = GUARD_WAIT;
	ssize_t n;

	if (l->inside || !is_wanted()) {
		return GUARD_GOOD;
	}
	for (size_t most = FIRST_LOOK; verdict == GUARD_WAIT; most = GUARD_WINDOW) {
		n = recv(l->fd, window, most, MSG_PEEK | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			return GUARD_NONE;
		}
		if (n < 0) {
			/* Looking took the error: the library would not see it any more. */
			l->error = MOSQ_ERR_ERRNO;
			l->system = errno;
			return GUARD_BAD;
		}
		if (n == 0) {
			return GUARD_GOOD; /* the end, for the library to find */
		}
		verdict = look(l, span_of(window, (size_t)n), GUARD_WINDOW);
		if (most == GUARD_WINDOW || (size_t)n < most) {
			break;
		}
	}
	/* Half a packet and the end behind it. */
	return verdict == GUARD_WAIT && has_ended(l->fd) ? GUARD_BAD : verdict;
}
