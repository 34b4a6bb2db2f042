/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters: one list with name and help text, one array per worker, summed
 * when somebody reads. Each array has one writer, so adding is a relaxed load
 * and store, not a locked instruction. Everything refused, dropped or cut has
 * a counter here. Gauges go up and down through metric_add(-1).
 */
#ifndef GATEWAY_BASE_METRIC_H
#define GATEWAY_BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

#define METRIC_LIST(X)                                                                             \
	X(ACCEPTED, counter, "connections_accepted", "TCP connections accepted")                   \
	X(REFUSED_TOTAL, counter, "connections_refused_total_limit", "connections over limits.connections") \
	X(REFUSED_ADDRESS, counter, "connections_refused_address_limit", "connections over limits.connections_per_address") \
	X(CONNECTIONS, gauge, "connections", "connections open now")                               \
	X(SESSIONS, gauge, "sessions", "devices connected now")                                    \
	X(HANDSHAKES, counter, "handshakes", "TLS handshakes completed")                           \
	X(HANDSHAKES_RESUMED, counter, "handshakes_resumed", "TLS handshakes completed by resumption") \
	X(HANDSHAKES_FAILED, counter, "handshakes_failed", "TLS handshakes that failed")           \
	X(HANDSHAKES_TIMED_OUT, counter, "handshakes_timed_out", "TLS handshakes that met limits.handshake_timeout") \
	X(ADMISSION_REFUSED, counter, "admission_refused", "certificates refused by the register") \
	X(STRANGERS_DROPPED, counter, "strangers_dropped", "visits of unknown devices that were not noted, over a limit") \
	X(GRACE, counter, "admitted_by_grace", "devices let in although their certificate has expired") \
	X(CONNECT_TIMED_OUT, counter, "connect_timed_out", "connections without CONNECT in limits.connect_timeout") \
	X(CONNECT_REFUSED, counter, "connect_refused", "CONNECT packets refused")                  \
	X(KEEPALIVE_TIMED_OUT, counter, "keepalive_timed_out", "devices silent for 1.5 times their keepalive") \
	X(MALFORMED_DEVICE, counter, "malformed_from_device", "connections closed for a malformed or forbidden packet") \
	X(MALFORMED_BROKER, counter, "malformed_from_broker", "upstream connections closed for a malformed packet") \
	X(BROKER_UNAVAILABLE, counter, "broker_unavailable", "devices told that the broker is away") \
	X(UPSTREAM_LOST, counter, "upstream_lost", "upstream connections that the broker closed")   \
	X(UPSTREAM_CONNECTS, counter, "upstream_connects", "upstream connections made")            \
	X(TAKEN_OVER, counter, "sessions_taken_over", "sessions replaced by a newer one of the same client") \
	X(PUBLISH_UP, counter, "publish_up", "PUBLISH packets relayed to the broker")              \
	X(PUBLISH_DOWN, counter, "publish_down", "PUBLISH packets relayed to devices")             \
	X(PUBLISH_DENIED, counter, "publish_denied", "PUBLISH packets denied by the topic map")    \
	X(PUBLISH_UNMAPPED, counter, "publish_unmapped", "PUBLISH packets from the broker that no rule covers") \
	X(PUBLISH_TOO_LARGE, counter, "publish_too_large", "PUBLISH packets over the size limit of their receiver") \
	X(SUBSCRIBE_DENIED, counter, "subscribe_denied", "topic filters denied by the topic map")  \
	X(BYTES_UP, counter, "bytes_up", "MQTT bytes received from devices")                       \
	X(BYTES_DOWN, counter, "bytes_down", "MQTT bytes sent to devices")                         \
	X(PAUSED, counter, "backpressure_pauses", "times a side was paused because the other was slow") \
	X(HANDSHAKES_DEFERRED, counter, "handshakes_deferred", "handshake steps put off for connected devices") \
	X(PUBLISH_STORED, counter, "publish_stored", "PUBLISH packets handed to the spool")         \
	X(STORE_REFUSED, counter, "store_refused", "PUBLISH packets that the spool did not keep")   \
	X(SESSIONS_HELD, gauge, "sessions_held", "devices connected now without a broker")         \
	X(OUTAGE_HELD, counter, "outage_held", "devices held when the broker was lost")            \
	X(OUTAGE_ADMITTED, counter, "outage_admitted", "devices let in while the broker was away") \
	X(OUTAGE_CLOSED, counter, "outage_closed", "devices closed because the broker was lost")   \
	X(OUTAGE_RESTORED, counter, "outage_restored", "held devices that the broker has again")   \
	X(OUTAGE_TERMS, counter, "outage_not_restored_limits", "held devices closed since the broker had other limits or a session") \
	X(OUTAGE_SUBSCRIPTIONS, counter, "outage_not_restored_subscription", "held devices closed since a subscription was not granted again") \
	X(OUTAGE_REFUSED, counter, "outage_not_restored_refused", "held devices closed since the broker refused their CONNECT") \
	X(OUTAGE_ENDED, counter, "outage_ended", "held devices whose connection ended before the broker had them again")

enum metric {
#define X(name, kind, word, help) METRIC_##name,
	METRIC_LIST(X)
#undef X
	METRIC_COUNT
};

struct metrics {
	_Atomic int64_t value[METRIC_COUNT];
};

struct metric_info {
	const char *name; /* without prefix or suffix */
	const char *help;
	const char *kind; /* "counter" or "gauge" */
};

extern const struct metric_info metric_info[METRIC_COUNT];

/* Only from the thread that owns m. */
static inline void
metric_add(struct metrics *m, enum metric which, int64_t n)
{
	int64_t now = atomic_load_explicit(&m->value[which], memory_order_relaxed);

	atomic_store_explicit(&m->value[which], now + n, memory_order_relaxed);
}

/* Any thread. */
static inline int64_t
metric_read(const struct metrics *m, enum metric which)
{
	return atomic_load_explicit(&m->value[which], memory_order_relaxed);
}

#endif
