/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the control thread does by the clock: carry what workers saw to the
 * register, notice what others changed there, and say in time what ends.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gatewayd/daemon.h"

#define HOUR_MS 3600000u
#define DAY_MS (24 * HOUR_MS)
#define DAY 86400
#define NAMES_SHOWN 5

/* ---- the register ---------------------------------------------------------------------- */

static void
recheck(struct worker *worker, struct worker_call *call)
{
	(void)call;
	worker_recheck(worker);
}

static void
nothing(struct gather *g)
{
	(void)g;
}

/* False when memory is short. */
static bool
recheck_sessions(struct daemon *d)
{
	struct gather *g = gather_new(d, NULL);

	if (g != NULL) {
		gather_start(g, recheck, nothing);
	}
	return g != NULL;
}

static int
forget_key(void *owner, const char *fingerprint)
{
	struct daemon *d = owner;

	tls_shared_forget(d->shared.tls, fingerprint);
	log_notice(LOG_REGISTER, "a key was revoked, its TLS sessions are void",
	           log_str("fingerprint", fingerprint));
	return 0;
}

static void
look_at_register(struct daemon *d)
{
	uint64_t generation = reg_generation(d->reg);

	if (generation == d->generation) {
		return;
	}
	if (reg_revoked_since(d->reg, d->generation, forget_key, d) != 0) {
		/* Rather too many full handshakes than one session too many. */
		tls_shared_forget_all(d->shared.tls);
		log_warning(LOG_REGISTER, "revocations could not be read, all TLS sessions are void",
		            log_str("reason", reg_error(d->reg)));
	}
	if (recheck_sessions(d)) { /* else the next tick tries again */
		d->generation = generation;
	}
}

static void
write_sightings(struct daemon *d)
{
	if (sightings_write(d->shared.sightings, d->reg) != 0) {
		log_warning(LOG_REGISTER, "sightings of devices could not be written",
		            log_str("reason", reg_error(d->reg)));
	}
	if (strangers_write(d->shared.strangers, d->reg) != 0) {
		log_warning(LOG_REGISTER, "visits of unknown devices could not be written",
		            log_str("reason", reg_error(d->reg)));
	}
}

/* ---- dates ----------------------------------------------------------------------------- */

struct expiring {
	int64_t count;
	int64_t first; /* end of the first */
	size_t shown, len;
	char names[256];
};

static int
note_expiring(void *owner, const char *name, int64_t not_after)
{
	struct expiring *e = owner;
	size_t room = sizeof e->names - e->len;
	int n;

	e->first = e->count++ == 0 ? not_after : e->first;
	if (e->shown < NAMES_SHOWN) {
		n = snprintf(e->names + e->len, room, "%s%s", e->shown > 0 ? ", " : "", name);
		if (n > 0 && (size_t)n < room) {
			e->len += (size_t)n;
			e->shown++;
		} else {
			e->names[e->len] = '\0'; /* too long to be shown whole */
		}
	}
	return 0;
}

static void
look_at_expiring(struct daemon *d, bool say)
{
	int64_t now = clock_wall();
	struct expiring e = { .count = 0 };
	char date[CLOCK_TEXT_SIZE];

	if (reg_expiring_each(d->reg, now, now + (int64_t)UPKEEP_EXPIRING_DAYS * DAY, note_expiring,
	                      &e) != 0) {
		log_warning(LOG_REGISTER, "the end of certificates could not be read",
		            log_str("reason", reg_error(d->reg)));
		return;
	}
	atomic_store(&d->expiring, e.count);
	if (say && e.count > 0) {
		log_warning(LOG_REGISTER, "certificates of devices expire within 30 days; renew them",
		            log_int("count", e.count), log_str("devices", e.names),
		            log_str("first", clock_text(e.first, date)));
	}
}

static void
look_at_certificate(const char *what, const char *file)
{
	char why[PKI_WHY_SIZE], date[CLOCK_TEXT_SIZE];
	struct pki_cert *cert;

	/* What cannot be read the configuration's check has complained about. */
	if (pki_cert_read_file(file, &cert, why) != 0) {
		return;
	}
	if (cert->not_after < clock_wall() + (int64_t)UPKEEP_EXPIRING_DAYS * DAY) {
		log_warning(LOG_TLS, what, log_str("file", file),
		            log_str("until", clock_text(cert->not_after, date)));
	}
	pki_cert_free(cert);
}

static void
look_at_list(void *owner, const struct pki_crl_info *info)
{
	struct daemon *d = owner;
	bool warn = d->conf->tls.crl_policy == CONF_CRL_WARN;
	int64_t first = atomic_load(&d->crl_next_update);
	char date[CLOCK_TEXT_SIZE];

	if (info->next_update == 0) {
		return;
	}
	if (first == 0 || info->next_update < first) {
		atomic_store(&d->crl_next_update, info->next_update);
	}
	if (info->stale) {
		log_warning(LOG_TLS, warn ? "a revocation list is out of date, and still used" :
		                            "a revocation list is out of date: the devices of its "
		                            "authority are refused",
		            log_str("issuer", info->issuer),
		            log_str("since", clock_text(info->next_update, date)));
	} else if (info->next_update < clock_wall() + (int64_t)UPKEEP_CRL_DAYS * DAY) {
		log_warning(LOG_TLS, "a revocation list is soon out of date; fetch the next one",
		            log_str("issuer", info->issuer),
		            log_str("until", clock_text(info->next_update, date)));
	}
}

static void
look_at_dates(struct daemon *d)
{
	const struct conf *c = d->conf;
	char why[PKI_WHY_SIZE];

	look_at_certificate("the gateway's certificate expires within 30 days; renew it",
	                    c->tls.certificate);
	look_at_certificate("the CA's certificate expires within 30 days; gatewayctl ca renew", c->tls.ca);
	atomic_store(&d->crl_next_update, 0);
	if (c->tls.crl != NULL &&
	    pki_crl_check_bundle(c->tls.crl, c->tls.ca, look_at_list, d, why) != 0) {
		log_warning(LOG_TLS, "a revocation list is not good", log_str("reason", why));
	}
}

/* ---- permissions ----------------------------------------------------------------------- */

static void
look_at_files(const struct daemon *d)
{
	const char *state = d->boot->gateway.state_directory;
	char file[4096];
	struct stat st;

	if (stat(d->conf->tls.key, &st) == 0 && (st.st_mode & S_IRWXO) != 0) {
		log_warning(LOG_MAIN, "every user of this host can read the gateway's key; chmod 0640",
		            log_str("file", d->conf->tls.key));
	}
	snprintf(file, sizeof file, "%s/pki/ca.key", state);
	if (geteuid() != 0 && access(file, R_OK) == 0) {
		log_warning(LOG_MAIN,
		            "the CA's key can be read by gatewayd, which never needs it; make root "
		            "its owner, mode 0600",
		            log_str("file", file));
	}
	snprintf(file, sizeof file, "%s/register.db", state);
	if (stat(file, &st) == 0 && (st.st_mode & S_IRWXO) != 0) {
		log_warning(LOG_MAIN, "every user of this host can use the register; chmod 0660",
		            log_str("file", file));
	}
}

/* ---- by the clock ---------------------------------------------------------------------- */

void
upkeep_begin(struct daemon *d)
{
	uint64_t now = clock_ms();

	look_at_files(d);
	look_at_dates(d);
	look_at_expiring(d, true);
	d->hourly_at = now + HOUR_MS;
	d->daily_at = now + DAY_MS;
}

void
upkeep_tick(struct daemon *d)
{
	uint64_t now = clock_ms();

	look_at_register(d); /* first: the writes may have to wait for somebody */
	write_sightings(d);
	if (now >= d->hourly_at && recheck_sessions(d)) {
		/* Certificates, and the grace after them, end without a change. */
		d->hourly_at = now + HOUR_MS;
		look_at_expiring(d, now >= d->daily_at);
		if (now >= d->daily_at) {
			d->daily_at = now + DAY_MS;
			look_at_dates(d);
		}
	}
}
