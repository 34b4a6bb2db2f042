/* SPDX-License-Identifier: BSD-2-Clause */
/* The certificate authorities that devices are accepted from, and their lists. */
#include "doctor_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "text.h"

void
doctor_ca_file(struct doctor *d)
{
	if (d->ca_code == -EACCES) {
		doctor_skip(d, "%s", d->ca_why);
		doctor_remedy(d, "Run the doctor as root.");
	} else if (d->ca == NULL) {
		doctor_fault(d, "%s", d->ca_why);
		doctor_remedy(d, "Make a CA with gatewayctl init, or set tls.ca.");
	} else if (d->ca_count > 1) {
		doctor_ok(d, "%s holds %zu CAs; gatewayctl enroll uses pki/ca.crt.",
			  d->conf->tls.ca, d->ca_count);
	} else {
		doctor_ok(d, "%s is %.*s.", d->conf->tls.ca, SPAN_ARG(d->ca->cert->subject));
	}
}

static void
check_dates(struct doctor *d, const struct pki_cert *cert, int64_t now)
{
	char date[TEXT_SIZE];

	if (cert->not_after < now) {
		doctor_fault(d, "The CA %.*s expired on %s: no device is accepted.",
			     SPAN_ARG(cert->subject), text_date(cert->not_after, date));
		doctor_remedy(d, "gatewayctl ca renew keeps its key and name, so that devices need "
				 "nothing new; one from elsewhere is renewed so by its owner.");
	} else if (cert->not_before > now) {
		doctor_fault(d,
			     "The CA %.*s is not valid before %s: is the clock of this host right?",
			     SPAN_ARG(cert->subject), text_date(cert->not_before, date));
		doctor_remedy(d, "Set the clock.");
	} else if (cert->not_after < now + DOCTOR_SOON) {
		doctor_warn(d, "The CA %.*s expires on %s, and every device with it.",
			    SPAN_ARG(cert->subject), text_date(cert->not_after, date));
		doctor_remedy(d, "gatewayctl ca renew keeps its key and name, so that devices need "
				 "nothing new; one from elsewhere is renewed so by its owner.");
	}
}

void
doctor_ca_dates(struct doctor *d)
{
	int64_t now = clock_wall();
	char date[TEXT_SIZE];

	for (size_t i = 0; i < d->ca_count; i++) {
		check_dates(d, d->ca[i].cert, now);
	}
	if (!d->said) {
		doctor_ok(d, "Valid until %s.", text_date(d->ca->cert->not_after, date));
	}
}

static void
check_type(struct doctor *d, const struct pki_profile *p)
{
	if (p->cert->version != 3) {
		doctor_fault(d,
			     "The CA certificate %.*s has version %d: tools for boards take it for "
			     "no CA (BearSSL error 58 or 62).",
			     SPAN_ARG(p->cert->subject), p->cert->version);
		doctor_remedy(d, "Make the CA with gatewayctl init, or with extensions v3_ca.");
	} else if (!p->has_basic || !p->ca) {
		doctor_fault(
			d, "The certificate %.*s in tls.ca is not that of a CA (basicConstraints).",
			SPAN_ARG(p->cert->subject));
		doctor_remedy(d, "Put the CA's certificate there, not one that it has issued.");
	} else if (!p->cert_sign) {
		doctor_fault(d,
			     "keyUsage of the CA %.*s lacks keyCertSign: what it signs is refused.",
			     SPAN_ARG(p->cert->subject));
		doctor_remedy(d, "Make the CA anew: gatewayctl init in an empty pki folder.");
	} else if (p->key_rsa) {
		doctor_warn(d,
			    "The CA %.*s has an RSA key: boards verify what it signs in software, "
			    "which takes them long.",
			    SPAN_ARG(p->cert->subject));
		doctor_remedy(d, "A CA by gatewayctl init has an EC P-256 key.");
	} else if (!p->key_p256) {
		doctor_fault(
			d,
			"The CA %.*s has a key %.*s; boards with a crypto chip verify EC P-256 "
			"only.",
			SPAN_ARG(p->cert->subject), SPAN_ARG(p->cert->key_type));
		doctor_remedy(d, "Make the CA with gatewayctl init.");
	}
}

void
doctor_ca_type(struct doctor *d)
{
	for (size_t i = 0; i < d->ca_count; i++) {
		check_type(d, &d->ca[i]);
	}
	if (!d->said) {
		doctor_ok(d, "Version 3, %.*s, may sign certificates.",
			  SPAN_ARG(d->ca->cert->key_type));
	}
}

void
doctor_ca_key(struct doctor *d)
{
	char file[4096], mode[64];
	struct stat st;

	doctor_state_path(d, "pki/ca.key", file, sizeof file);
	if (stat(file, &st) < 0) {
		if (errno == ENOENT) {
			doctor_ok(d, "%s is not on this host: devices are enrolled elsewhere.",
				  file);
		} else {
			doctor_skip(d, "Not checked: %s: %s.", file, err_text(-errno));
			doctor_remedy(d, "Run the doctor as root.");
		}
		return;
	}
	doctor_mode_text(&st, mode);
	if ((st.st_mode & 077) != 0) {
		doctor_fault(
			d,
			"Others than its owner can reach the CA's key %s (%s): whoever reads it "
			"can make devices.",
			file, mode);
		doctor_remedy(d, "chmod 0600 %s", file);
	} else if (d->user_known && d->user.uid != 0 && doctor_user_may(&d->user, &st, 4)) {
		doctor_warn(d,
			    "The user %s of gatewayd can read the CA's key %s (%s); only enrolment "
			    "needs it.",
			    d->user.name, file, mode);
		doctor_remedy(d, "chown root: %s", file);
	} else {
		doctor_ok(d, "%s (%s).", file, mode);
	}
}

/* ---- revocation lists ----------------------------------------------------------- */

struct lists {
	struct doctor *d;
	bool *has; /* by CA */
	int64_t now;
};

static void
take_list(void *arg, const struct pki_crl_info *info)
{
	struct lists *lists = arg;
	struct doctor *d = lists->d;
	char date[TEXT_SIZE];

	for (size_t i = 0; i < d->ca_count; i++) {
		/* The list's issuer may be cut. */
		if (span_eq(span_head(d->ca[i].cert->subject, sizeof info->issuer - 1),
			    span_str(info->issuer))) {
			lists->has[i] = true;
		}
	}
	if (info->stale) {
		doctor_fault(d, "The revocation list of %s was to be replaced by %s.", info->issuer,
			     text_time(info->next_update, date));
		doctor_remedy(d, "Fetch or make a new list for tls.crl (%s).", d->conf->tls.crl);
	} else if (info->next_update > 0 && info->next_update < lists->now + 2 * DOCTOR_DAY) {
		doctor_warn(d, "The revocation list of %s is good until %s only.", info->issuer,
			    text_time(info->next_update, date));
		doctor_remedy(d, "Renew it by a timer, well before that.");
	}
}

void
doctor_ca_crl(struct doctor *d)
{
	struct lists lists = { .d = d, .now = clock_wall() };
	char why[PKI_WHY_SIZE];
	int r;

	if (d->conf->tls.crl == NULL) {
		doctor_ok(d, "None (tls.crl): devices are revoked in the register.");
		return;
	}
	lists.has = calloc(d->ca_count, sizeof *lists.has);
	if (lists.has == NULL) {
		doctor_skip(d, "Out of memory.");
		return;
	}
	r = pki_crl_check_bundle(d->conf->tls.crl, d->conf->tls.ca, take_list, &lists, why);
	if (r == -EACCES) {
		doctor_skip(d, "%s", why);
	} else if (r != 0) {
		doctor_fault(d, "%s", why);
		doctor_remedy(d, "Every list in tls.crl must be signed by a CA of tls.ca.");
	}
	for (size_t i = 0; i < d->ca_count && r == 0; i++) {
		if (!lists.has[i]) {
			doctor_fault(d,
				     "There is no revocation list of the CA %.*s in %s: with "
				     "tls.crl set, "
				     "its devices cannot be checked.",
				     SPAN_ARG(d->ca[i].cert->subject), d->conf->tls.crl);
			doctor_remedy(d, "Add the list of that CA.");
		}
	}
	free(lists.has);
	if (!d->said) {
		doctor_ok(d, "%s is current.", d->conf->tls.crl);
	}
}
