/* SPDX-License-Identifier: BSD-2-Clause */
/* What is measured. Each mode prints one line of JSON per result. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND 1000000000ull

/* ---- reports -------------------------------------------------------------------------- */

static void
report_open(const char *what)
{
	printf("{\"what\": \"%s\"", what);
}

static void
report(const char *name, double value)
{
	printf(", \"%s\": %.6g", name, value);
}

static void
report_sample(const char *name, struct sample *sample)
{
	printf(", \"%s_p50_ms\": %.4g, \"%s_p99_ms\": %.4g, \"%s_max_ms\": %.4g", name,
	       sample_ms(sample, 0.5), name, sample_ms(sample, 0.99), name, sample_ms(sample, 1));
}

static void
report_close(void)
{
	puts("}");
	fflush(stdout);
}

/* CPU seconds of each server since `before`, times `scale`. */
static void
report_cpu(const struct options *o, const struct server *before, const char *unit, double scale)
{
	struct server now[SERVERS_MAX];

	memcpy(now, o->server, sizeof now);
	servers_look(now, o->servers);
	for (unsigned i = 0; i < o->servers; i++) {
		printf(", \"cpu_%s_%s\": %.4g", now[i].name, unit,
		       (now[i].cpu - before[i].cpu) * scale);
	}
}

static void
look(const struct options *o, struct server *server)
{
	memcpy(server, o->server, sizeof o->server);
	servers_look(server, o->servers);
}

static void
open_fleet(struct fleet *fleet, const struct options *o, unsigned count)
{
	fleet_init(fleet, o, count);
	fleet->deadline = now_ns() + o->seconds * SECOND;
}

static void
ignore_client(struct client *client)
{
	(void)client;
}

static void
ignore_packet(struct client *client, uint8_t first, const uint8_t *body, size_t len)
{
	(void)client;
	(void)first;
	(void)body;
	(void)len;
}

static const struct client_calls quiet_calls = {
	.live = ignore_client,
	.packet = ignore_packet,
	.writable = ignore_client,
};

/* Connect them all, at most `flight` at once. */
static void
connect_all(struct fleet *fleet, unsigned flight, const struct client_calls *calls)
{
	unsigned started = 0;

	while (fleet->live < fleet->count) {
		while (started < fleet->count && started - fleet->live < flight) {
			client_start(&fleet->client[started++], calls);
		}
		fleet_turn(fleet, 1000);
	}
}

static void
stop_all(struct fleet *fleet)
{
	for (unsigned i = 0; i < fleet->count; i++) {
		client_stop(&fleet->client[i]);
	}
}

/* The server has seen all closes when its CPU time stands still; a second does. */
static void
settle(void)
{
	usleep(1000000);
}

/* ---- storm: connects per second, full and resumed --------------------------------------- */

static void
storm_once(struct options *o, struct fleet *fleet, const char *what)
{
	struct server before[SERVERS_MAX];
	struct sample took = { 0 };
	uint64_t began;
	double seconds;

	look(o, before);
	began = now_ns();
	connect_all(fleet, o->flight, &quiet_calls);
	seconds = (double)(now_ns() - began) / 1e9;
	for (unsigned i = 0; i < fleet->count; i++) {
		sample_add(&took, fleet->client[i].took);
	}
	report_open(what);
	report("count", fleet->count);
	report("resumed", fleet->resumed);
	report("per_second", fleet->count / seconds);
	report_sample("connect", &took);
	report_cpu(o, before, "ms_each", 1e3 / fleet->count);
	report_close();
	sample_free(&took);
}

static void
run_storm(struct options *o)
{
	struct fleet fleet;

	open_fleet(&fleet, o, o->count);
	storm_once(o, &fleet, "storm_full");
	stop_all(&fleet);
	settle();
	storm_once(o, &fleet, "storm_resumed");
	fleet_free(&fleet);
	settle();
}

/* ---- throughput ------------------------------------------------------------------------- */

/* One run at a time: these belong to it. */
static struct {
	const struct options *o;
	unsigned qos, finished;
	bool echo;
} flow;

static void
finished(struct client *client)
{
	static const uint8_t ping[] = { MQTT_PINGREQ, 0 };

	if (!client_send(client, ping, sizeof ping)) {
		die("client %u: no room for PINGREQ", client->index);
	}
	client->sent++;
}

/*
 * QoS 0 has no acknowledgement, so PINGREQ behind the last message asks
 * whether all were taken: servers work in order.
 */
static void
push(struct client *client)
{
	const struct options *o = flow.o;
	bool windowed = flow.qos > 0 || flow.echo;
	uint8_t packet[1024];

	while (client->out_len == 0 && client->sent < client->limit &&
	       (!windowed || client->sent - client->done < o->window)) {
		unsigned id = client->sent % 65535 + 1;

		client_send(client, packet,
		            client_publish(client, packet, flow.qos, id, o->payload));
		client->sent++;
	}
	if (!windowed && client->limit > 0 && client->out_len == 0 &&
	    client->sent == client->limit) {
		finished(client);
	}
}

static void
flow_packet(struct client *client, uint8_t first, const uint8_t *body, size_t len)
{
	(void)body;
	(void)len;
	if (first == MQTT_PINGRESP) {
		flow.finished++;
	} else if (first == MQTT_PUBACK || (first & 0xf0) == MQTT_PUBLISH) {
		client->done++;
		if (client->done == client->limit) {
			flow.finished++;
		} else {
			push(client);
		}
	}
}

static const struct client_calls flow_calls = {
	.live = ignore_client,
	.packet = flow_packet,
	.writable = push,
};

/* Subscribe each client to its own topic. */
static void
subscribe_all(struct fleet *fleet)
{
	uint8_t packet[64];

	for (unsigned i = 0; i < fleet->count; i++) {
		client_send(&fleet->client[i], packet, client_subscribe(&fleet->client[i], packet));
	}
	settle();
	fleet_turn(fleet, 0);
}

static void
run_flow(struct options *o, const char *what, unsigned qos, bool echo)
{
	struct server before[SERVERS_MAX];
	struct fleet fleet;
	unsigned each = o->messages / o->count;
	double total = (double)each * o->count, seconds;
	uint64_t began;

	open_fleet(&fleet, o, o->count);
	flow.o = o;
	flow.qos = qos;
	flow.echo = echo;
	flow.finished = 0;
	connect_all(&fleet, o->flight, &flow_calls);
	if (echo) {
		subscribe_all(&fleet);
	}
	settle();
	look(o, before);
	began = now_ns();
	for (unsigned i = 0; i < o->count; i++) {
		fleet.client[i].limit = each;
		push(&fleet.client[i]);
	}
	while (flow.finished < o->count) {
		fleet_turn(&fleet, 1000);
	}
	seconds = (double)(now_ns() - began) / 1e9;
	report_open(what);
	report("connections", o->count);
	report("messages", total);
	report("per_second", total / seconds);
	report_cpu(o, before, "s_per_million", 1e6 / total);
	report_close();
	fleet_free(&fleet);
	settle();
}

static void
run_qos0(struct options *o)
{
	run_flow(o, "qos0", 0, false);
}

static void
run_qos1(struct options *o)
{
	run_flow(o, "qos1", 1, false);
}

static void
run_echo(struct options *o)
{
	run_flow(o, "echo", 0, true);
}

/* ---- idle: memory per connection ---------------------------------------------------------- */

static void
run_idle(struct options *o)
{
	struct server before[SERVERS_MAX], after[SERVERS_MAX];
	struct fleet fleet;

	look(o, before);
	open_fleet(&fleet, o, o->count);
	connect_all(&fleet, o->flight, &quiet_calls);
	settle();
	settle();
	look(o, after);
	report_open("idle");
	report("connections", o->count);
	for (unsigned i = 0; i < o->servers; i++) {
		printf(", \"kib_each_%s\": %.3g, \"rss_mib_%s\": %.4g", after[i].name,
		       ((double)after[i].memory - (double)before[i].memory) / 1024 / o->count,
		       after[i].name, (double)after[i].memory / 1048576);
	}
	report_close();
	fleet_free(&fleet);
	settle();
}

/* ---- quiet: what connected clients notice of a storm ---------------------------------------- */

#define PING_EVERY 20000000ull /* ns, per client */

static struct sample pings;

static void
ping_packet(struct client *client, uint8_t first, const uint8_t *body, size_t len)
{
	(void)body;
	(void)len;
	if (first == MQTT_PINGRESP && client->sent > client->done) {
		sample_add(&pings, now_ns() - client->due);
		client->done++;
		client->due += PING_EVERY;
	}
}

static const struct client_calls ping_calls = {
	.live = ignore_client,
	.packet = ping_packet,
	.writable = ignore_client,
};

/*
 * Ping by a fixed schedule. A ping that could not start in time, because the
 * one before was still out, counts from when it was due.
 */
static void
ping_due(struct fleet *fleet)
{
	static const uint8_t ping[] = { MQTT_PINGREQ, 0 };
	uint64_t now = now_ns();

	for (unsigned i = 0; i < fleet->count; i++) {
		struct client *client = &fleet->client[i];

		if (client->sent == client->done && now >= client->due) {
			client_send(client, ping, sizeof ping);
			client->sent++;
		}
	}
}

static void
ping_begin(struct fleet *fleet)
{
	uint64_t now = now_ns();

	sample_free(&pings);
	for (unsigned i = 0; i < fleet->count; i++) {
		fleet->client[i].due = now + PING_EVERY * i / fleet->count;
	}
}

/* In a process of its own, so that its arithmetic does not delay the pings. */
static pid_t
storm_beside(struct options *o)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct fleet fleet;

		o->servers = 0;
		open_fleet(&fleet, o, o->count);
		storm_once(o, &fleet, "quiet_storm");
		fleet_free(&fleet);
		exit(0);
	}
	if (child < 0) {
		die("no second process");
	}
	return child;
}

static bool
storm_over(pid_t child)
{
	int status;

	if (waitpid(child, &status, WNOHANG) == 0) {
		return false;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		die("the storm failed");
	}
	return true;
}

static void
run_quiet(struct options *o)
{
	struct fleet fleet;
	uint64_t end;
	pid_t child;

	open_fleet(&fleet, o, o->quiet);
	connect_all(&fleet, o->flight, &ping_calls);
	settle();
	ping_begin(&fleet);
	for (end = now_ns() + SECOND; now_ns() < end;) {
		ping_due(&fleet);
		fleet_turn(&fleet, 1);
	}
	report_open("quiet_before");
	report_sample("ping", &pings);
	report_close();
	child = storm_beside(o);
	ping_begin(&fleet);
	while (!storm_over(child)) {
		ping_due(&fleet);
		fleet_turn(&fleet, 1);
	}
	report_open("quiet_during");
	report("pings", (double)pings.count);
	report_sample("ping", &pings);
	report_close();
	fleet_free(&fleet);
	settle();
}

/* ---- large: one PUBLISH of many megabytes --------------------------------------------------- */

static bool large_done;

static void
large_packet(struct client *client, uint8_t first, const uint8_t *body, size_t len)
{
	(void)client;
	(void)body;
	(void)len;
	large_done = large_done || first == MQTT_PUBACK;
}

static const struct client_calls large_calls = {
	.live = ignore_client,
	.packet = large_packet,
	.writable = ignore_client,
};

static void
run_large(struct options *o)
{
	struct server before[SERVERS_MAX], after[SERVERS_MAX];
	size_t payload = (size_t)64 << 20, head;
	uint8_t *packet = malloc(payload + 64);
	struct fleet fleet;
	double seconds;
	uint64_t began;

	if (packet == NULL) {
		die("no memory");
	}
	memset(packet, 'x', payload + 64);
	open_fleet(&fleet, o, 1);
	connect_all(&fleet, 1, &large_calls);
	head = client_publish_head(&fleet.client[0], packet, 1, 1, payload);
	settle();
	look(o, before);
	began = now_ns();
	client_send_large(&fleet.client[0], packet, head + payload);
	while (!large_done) {
		fleet_turn(&fleet, 1000);
	}
	seconds = (double)(now_ns() - began) / 1e9;
	look(o, after);
	report_open("large");
	report("mib_per_second", 64 / seconds);
	for (unsigned i = 0; i < o->servers; i++) {
		printf(", \"cpu_%s_s\": %.4g, \"grown_mib_%s\": %.4g", after[i].name,
		       after[i].cpu - before[i].cpu, after[i].name,
		       ((double)after[i].memory - (double)before[i].memory) / 1048576);
	}
	report_close();
	fleet_free(&fleet);
	free(packet);
	settle();
}

const struct mode modes[] = {
	{ "storm", "connect --count clients, then again with their sessions", run_storm },
	{ "qos0", "--messages over --count connections, QoS 0", run_qos0 },
	{ "qos1", "the same with QoS 1, --window unacknowledged each", run_qos1 },
	{ "echo", "the same with QoS 0, each client also receives its own", run_echo },
	{ "idle", "memory of --count connections that do nothing", run_idle },
	{ "quiet", "PINGREQ round trips of --quiet clients while --count connect", run_quiet },
	{ "large", "one PUBLISH of 64 MiB", run_large },
	{ NULL, NULL, NULL },
};
