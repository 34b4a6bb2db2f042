/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters for Prometheus, as text over HTTP (GET /metrics), on the address
 * of the configuration. Served by a thread of libmicrohttpd that only reads
 * the workers' counters.
 */
#ifndef GATEWAY_GATEWAYD_METRICS_HTTP_H
#define GATEWAY_GATEWAYD_METRICS_HTTP_H

#include "base/err.h"
#include "base/metric.h"

struct daemon;
struct metrics_http;

/* why: 256 bytes. ERR_UNAVAILABLE when built without libmicrohttpd. */
int metrics_http_open(const struct daemon *d, struct metrics_http **out, char *why) MUST_CHECK;
void metrics_http_close(struct metrics_http *http); /* NULL is fine */
/* The sum over the workers. Any thread while they live. */
int64_t daemon_metric(const struct daemon *d, enum metric which);

#endif
