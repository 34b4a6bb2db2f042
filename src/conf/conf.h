/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration: a libconfig file, checked against one schema table
 * (schema.c) that names every key with type, unit, range, default, whether a
 * reload may change it, and a line of help. The parser, the checks, the
 * difference shown by a reload, `gatewayctl config show` and the test that
 * sample file and manual page name every key all run off that table.
 *
 * conf_load() gives an immutable snapshot, counted: workers hold a reference
 * each. Only this folder knows libconfig.
 */
#ifndef GATEWAY_CONF_CONF_H
#define GATEWAY_CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "topic/topic.h"

#define CONF_DEFAULT_FILE GATEWAY_SYSCONFDIR "/gateway.conf"

enum conf_admission {
	CONF_ADMIT_ENROLLED, /* in the register, state enrolled, key as enrolled */
	CONF_ADMIT_CA,       /* any valid certificate of a trusted CA, unless revoked */
};

enum conf_crl_policy { /* of a revocation list whose nextUpdate has passed */
	CONF_CRL_REFUSE,
	CONF_CRL_WARN,
};

enum conf_random_policy { /* of a board whose random numbers repeat */
	CONF_RANDOM_WARN,
	CONF_RANDOM_REFUSE,
};

enum conf_source { /* where the identity comes from */
	CONF_SOURCE_SAN_URI,
	CONF_SOURCE_SAN_DNS,
	CONF_SOURCE_CN,
	CONF_SOURCE_SERIAL,
	CONF_SOURCE_FINGERPRINT,
};
#define CONF_SOURCES 5

struct conf_listener {
	char *address; /* literal IPv4 or IPv6 address; "::" takes both */
	uint16_t port; /* 0: any free one, told by `gatewayctl status` (tests) */
	int line;
};

/* Which devices a map is for; every criterion given must hold. NULL: any. */
struct conf_match {
	char *identity; /* shell pattern, fnmatch(3) without FNM_PATHNAME */
	char *group;
	char *issuer; /* common name of the issuing CA */
	struct conf_label {
		char *name, *value;
	} *label;
	size_t label_count;
};

/* What becomes of a map's devices while the broker is away. */
struct conf_outage {
	bool hold;            /* keep them connected, admit new ones, store; false: refuse */
	bool publish_only;    /* persistent sessions that arrive: session present 0, no subscriptions */
	uint64_t store_bytes; /* largest store per device; 0: no bound of that kind */
	uint32_t store_messages;
	uint32_t store_age;   /* seconds */
};

struct conf_map {
	char *name;
	struct conf_match match;
	struct topic_rules rules;
	struct conf_outage outage;
	unsigned grace_days; /* after its certificate's end a device may still connect */
	int line;
};

struct conf {
	char *file;

	struct {
		char *name;       /* ${gateway}; default: the host's name */
		unsigned workers; /* 0: one per core */
		char *state_directory; /* register.db, pki/ ; default GATEWAY_STATEDIR */
		char *control_socket;  /* default GATEWAY_RUNDIR/control.sock */
	} gateway;

	struct conf_listener *listener;
	size_t listener_count;

	struct {
		char *certificate; /* PEM, the leaf; default STATE/pki/gateway.crt */
		char *key;         /* PEM; default STATE/pki/gateway.key */
		char *ca;          /* PEM, one or more trusted CAs; default STATE/pki/ca.crt */
		char *crl;         /* PEM, may be NULL */
		enum conf_crl_policy crl_policy;
		unsigned min_version; /* 12 or 13 (for 1.2, 1.3) */
		enum conf_random_policy repeated_random;
		unsigned session_cache;    /* sessions kept for resumption, all workers; 0: none */
		unsigned session_lifetime; /* seconds */
	} tls;

	struct {
		enum conf_source source[CONF_SOURCES]; /* first that the certificate has */
		unsigned source_count;
		bool issuer; /* prefix "issuer_cn:" when several CAs are trusted */
	} identity;

	enum conf_admission admission;

	struct {
		char *path;     /* unix socket; NULL: TCP */
		char *address;  /* literal IP address when path is NULL */
		uint16_t port;
		char *password; /* sent with every CONNECT; NULL: none */
		char *client_id; /* template; default "${identity}" */
		unsigned connect_timeout; /* ms, connect and CONNACK each */
		unsigned retry_min, retry_max; /* ms, backoff while the broker is away */
		unsigned pending; /* connects under way at once, all workers; default 8 unix, 64 TCP */
		unsigned response_timeout; /* ms; a broker that owes an answer for so long is frozen */
	} upstream;

	struct { /* the gateway's own session with the broker */
		char *client_id;      /* template; default "gateway-${gateway}" */
		char *username;       /* default "mqtt-gateway"; no device may have that identity */
		char *status_topic;   /* template; default "gateway/${gateway}/status"; NULL none */
		char *presence_topic; /* template; default "gateway/${gateway}/devices/${identity}/presence"; NULL none */
		unsigned inflight;    /* stored messages sent and not acknowledged; default 20 */
	} uplink;

	struct {
		uint64_t bytes; /* of all devices together; default 256 MiB */
	} spool;

	struct {
		unsigned connections;             /* in total */
		unsigned connections_per_address; /* per IPv4 address or IPv6 /64 */
		unsigned handshake_timeout; /* ms; default 20000, at least 10000 */
		unsigned connect_timeout;   /* ms, from the handshake's end to a whole CONNECT */
		unsigned idle_timeout;      /* ms for devices with keepalive 0; 0: none */
		unsigned keepalive_max;     /* seconds; 0: no limit. Longer: MQTT 5 gets Server Keep Alive, 3.x is refused with CONNACK 2 */
		uint32_t packet_size;       /* largest packet of a device, bytes */
		uint32_t packet_memory;     /* largest packet that must be held whole, and largest PUBLISH head */
		unsigned denied_inflight;   /* denied QoS 1 and 2 publishes answered locally and not finished */
		unsigned subscriptions;     /* device filters per session */
		unsigned topic_aliases;     /* per direction; 0 forbids */
		uint32_t hold_memory;       /* bytes of forwarded, unacknowledged QoS 1 publishes kept per device */
		uint32_t high_water, low_water; /* bytes queued towards a slow side: pause, resume */
	} limits;

	struct conf_map *map;
	size_t map_count;

	struct {
		char *address; /* NULL: no metrics */
		uint16_t port;
	} metrics;

	int log_level; /* enum log_level */
};

/* One fault or warning: file, line (0: none), key (may be ""), sentence. */
typedef void conf_report(void *owner, const char *file, int line, const char *key,
                         const char *sentence, bool warning);

/*
 * Read and check a file. Every fault found in one run is reported; 0 and a
 * snapshot with one reference only when there is none (warnings are not
 * faults), else ERR_CONF or -ENOMEM. Files that the configuration names are
 * checked for existence and readability when `files` is true (the daemon and
 * --check: true). Any thread; may block on the disk.
 */
int conf_load(const char *file, bool files, conf_report *report, void *owner,
              struct conf **out) MUST_CHECK;
/* All defaults, as if an empty file were read: for tests and for init. */
int conf_default(struct conf **out) MUST_CHECK;
struct conf *conf_ref(struct conf *conf);   /* any thread */
void conf_unref(struct conf **conf);        /* any thread; clears the pointer; NULL is fine */

/* A report that prints "file:line: key: sentence" to the FILE in owner. */
conf_report conf_report_print;

/*
 * What a reload changes: each() gets key path, old and new text, and whether
 * only a restart can change it. Returns the number of differences.
 */
int conf_diff(const struct conf *old, const struct conf *new_conf,
              void (*each)(void *owner, const char *key, const char *before, const char *after,
                           bool needs_restart),
              void *owner);
/* Every key with its value in force, default or not (gatewayctl config show). */
void conf_each(const struct conf *conf,
               void (*each)(void *owner, const char *key, const char *value, bool is_default),
               void *owner);

/* The facts of a device that decide its map. */
struct conf_device {
	struct span identity, group, issuer_cn;
	struct span (*label)(void *owner, struct span name); /* NULL: none */
	void *label_owner;
};

/* The first map that matches, or NULL. */
const struct conf_map *conf_map_find(const struct conf *conf, const struct conf_device *device);

#endif
