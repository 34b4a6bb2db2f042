/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the checks of gatewayctl doctor. */
#ifndef GATEWAYCTL_DOCTOR_INT_H
#define GATEWAYCTL_DOCTOR_INT_H

#include <sys/stat.h>

#include "doctor.h"
#include "names.h"
#include "pki/pki_inspect.h"

#define DOCTOR_DAY 86400
#define DOCTOR_SOON (30 * DOCTOR_DAY)

enum doctor_status { DOCTOR_OK, DOCTOR_SKIPPED, DOCTOR_WARNING, DOCTOR_FAULT };
#define DOCTOR_STATUSES 4

/* What a check needs to make sense; without it it is skipped, with the reason. */
enum doctor_need {
	DOCTOR_CONF = 1,        /* a configuration without faults */
	DOCTOR_CERTIFICATE = 2, /* the gateway's certificate could be read */
	DOCTOR_CA = 4,          /* tls.ca could be read */
	DOCTOR_DAEMON = 8,      /* gatewayd answers */
	DOCTOR_REGISTER = 16,   /* the register opens */
};

struct doctor;

struct doctor_check {
	const char *id, *title;
	unsigned needs; /* enum doctor_need */
	void (*run)(struct doctor *d);
};

/* A process or an account, as the kernel sees it. */
struct doctor_user {
	char name[64];
	uid_t uid;
	gid_t group[64];
	int groups;
};

/* One conversation with the broker. */
struct doctor_probe {
	bool made;        /* the rest is valid */
	int code;         /* 0: there was a CONNACK; else why not */
	uint8_t connack;  /* its return code */
	char version[64]; /* "mosquitto version 2.0.11", "" unknown */
};

struct doctor {
	struct cli *cli;
	const char *root;
	const struct conf *conf; /* NULL: it has faults */
	struct doc *status;      /* of the daemon; NULL: it does not answer */
	int daemon_code;         /* then why */
	char daemon_why[CLI_WHY_SIZE];
	struct pki_profile *gateway; /* the first of tls.certificate; NULL: not readable */
	size_t gateway_count;
	int gateway_code;
	char gateway_why[PKI_WHY_SIZE];
	struct pki_profile *ca; /* of tls.ca */
	size_t ca_count;
	int ca_code;
	char ca_why[PKI_WHY_SIZE];
	struct reg *reg;
	int reg_code;
	char reg_why[REG_WHY_SIZE];
	struct doctor_user user; /* who gatewayd is, or will be */
	bool user_known;
	struct doctor_probe broker; /* see doctor_broker.c */

	const struct doctor_check *check; /* under way */
	bool said;                        /* it has spoken */
	struct doc *list;
	struct doc *last; /* in the list */
	unsigned count[DOCTOR_STATUSES];
};

/* One finding of the check under way. */
void doctor_say(struct doctor *d, enum doctor_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What to do about the last one. */
void doctor_remedy(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define doctor_ok(d, ...) doctor_say(d, DOCTOR_OK, __VA_ARGS__)
#define doctor_skip(d, ...) doctor_say(d, DOCTOR_SKIPPED, __VA_ARGS__)
#define doctor_warn(d, ...) doctor_say(d, DOCTOR_WARNING, __VA_ARGS__)
#define doctor_fault(d, ...) doctor_say(d, DOCTOR_FAULT, __VA_ARGS__)

/* doctor_user.c */
void doctor_find_user(struct doctor *d);
/* May that user do what the mode bits say (4 read, 2 write, 1 search)? */
bool doctor_user_may(const struct doctor_user *user, const struct stat *st, unsigned bits);
/* "0640", the owner's name and the like, into text[64]. */
char *doctor_mode_text(const struct stat *st, char *text);

/* doctor_text.c */
/* root + path, cut to fit: for files of the host. */
void doctor_path(const struct doctor *d, const char *path, char *out, size_t size);
/* STATE/pki/name or STATE/name. */
void doctor_state_path(const struct doctor *d, const char *name, char *out, size_t size);
/* The whole of a small file, NUL-terminated, malloc'd; NULL: errno says why. */
char *doctor_read_text(const char *file, size_t most);
/* "a, b and 3 more" out of many names. */
struct doctor_names {
	char text[320];
	unsigned count, shown;
};
void doctor_names_add(struct doctor_names *names, const char *name);
const char *doctor_names_text(struct doctor_names *names);

/* doctor_mosquitto.c: the broker's configuration, when it can be read. */
struct doctor_mosquitto {
	bool readable;
	bool ours; /* it has the listener that we connect to */
	bool persistence, nodelay, bridge_remap;
};
void doctor_mosquitto_read(const struct doctor *d, struct doctor_mosquitto *out);

/* doctor_probe.c: some seconds at most. */
void doctor_probe(const struct conf *conf, const char *identity, struct doctor_probe *out);

/* The checks, by file. */
void doctor_configuration(struct doctor *d);
void doctor_certificate_file(struct doctor *d);
void doctor_certificate_key(struct doctor *d);
void doctor_certificate_dates(struct doctor *d);
void doctor_certificate_type(struct doctor *d);
void doctor_certificate_signature(struct doctor *d);
void doctor_certificate_usage(struct doctor *d);
void doctor_certificate_extensions(struct doctor *d);
void doctor_certificate_names(struct doctor *d);
void doctor_certificate_addresses(struct doctor *d);
void doctor_certificate_issuer(struct doctor *d);
void doctor_ca_file(struct doctor *d);
void doctor_ca_dates(struct doctor *d);
void doctor_ca_type(struct doctor *d);
void doctor_ca_key(struct doctor *d);
void doctor_ca_crl(struct doctor *d);
void doctor_clock_time(struct doctor *d);
void doctor_clock_sync(struct doctor *d);
void doctor_files_state(struct doctor *d);
void doctor_files_pki(struct doctor *d);
void doctor_files_register(struct doctor *d);
void doctor_files_spool(struct doctor *d);
void doctor_spool_space(struct doctor *d);
void doctor_spool_damaged(struct doctor *d);
void doctor_spool_depth(struct doctor *d);
void doctor_daemon_running(struct doctor *d);
void doctor_daemon_configuration(struct doctor *d);
void doctor_daemon_socket(struct doctor *d);
void doctor_daemon_limits(struct doctor *d);
void doctor_network_ports(struct doctor *d);
void doctor_network_reuseport(struct doctor *d);
void doctor_network_firewall(struct doctor *d);
void doctor_broker_connection(struct doctor *d);
void doctor_broker_session(struct doctor *d);
void doctor_broker_version(struct doctor *d);
void doctor_broker_settings(struct doctor *d);
void doctor_devices_admission(struct doctor *d);
void doctor_devices_dates(struct doctor *d);

#endif
