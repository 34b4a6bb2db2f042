/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's certificate and key, seen with the eyes of a board: BearSSL
 * with the crypto chip tells nobody why it hangs up, so its reasons are looked
 * for here.
 */
#include "doctor_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "text.h"

#define RENEW "Renew it: gatewayctl init."
#define MAKE_ANEW "Let gatewayctl make it: move it away, then gatewayctl init."

void
doctor_certificate_file(struct doctor *d)
{
	const char *file = d->conf->tls.certificate;

	if (d->gateway_code == -EACCES) {
		doctor_skip(d, "%s", d->gateway_why);
		doctor_remedy(d, "Run the doctor as root.");
		return;
	}
	if (d->gateway == NULL) {
		doctor_fault(d, "%s", d->gateway_why);
		doctor_remedy(d, "Make one with gatewayctl init, or set tls.certificate.");
		return;
	}
	doctor_ok(d, "%s is for %.*s.", file, SPAN_ARG(d->gateway->cert->subject));
	if (d->gateway_count > 1) {
		doctor_warn(d, "%s holds %zu certificates; boards are sent the first only.", file,
			    d->gateway_count);
		doctor_remedy(d,
			      "Issue the gateway's certificate directly from the CA that devices "
			      "know.");
	}
}

/* Who may read the key, by its mode. */
static void
check_key_mode(struct doctor *d, const char *file, const struct stat *st)
{
	char mode[64];

	doctor_mode_text(st, mode);
	if ((st->st_mode & 07) != 0) {
		doctor_fault(d, "Everybody on this host can use the key %s (%s).", file, mode);
		doctor_remedy(d, "chmod o= %s, and make a new key if others may have read it.",
			      file);
	} else if ((st->st_mode & 020) != 0) {
		doctor_warn(d, "A whole group can replace the key %s (%s).", file, mode);
		doctor_remedy(d, "chmod 0640 %s", file);
	} else if (d->user_known && !doctor_user_may(&d->user, st, 4)) {
		doctor_fault(d, "The user %s of gatewayd cannot read the key %s (%s).",
			     d->user.name, file, mode);
		doctor_remedy(d, "chgrp gateway %s && chmod 0640 %s", file, file);
	}
}

void
doctor_certificate_key(struct doctor *d)
{
	const char *file = d->conf->tls.key;
	char why[PKI_WHY_SIZE];
	struct stat st;
	int r;

	if (stat(file, &st) < 0) {
		if (errno == EACCES) {
			doctor_skip(d, "Not checked: you may not look at %s.", file);
			doctor_remedy(d, "Run the doctor as root.");
		} else {
			doctor_fault(d, "The key %s cannot be read: %s.", file, err_text(-errno));
			doctor_remedy(d, "Make one with gatewayctl init, or set tls.key.");
		}
		return;
	}
	check_key_mode(d, file, &st);
	r = d->gateway != NULL ? pki_check_pair(d->conf->tls.certificate, file, why) : 0;
	if (r == -EACCES || r == -EPERM) {
		doctor_skip(d, "Whether key and certificate match was not checked: %s", why);
		doctor_remedy(d, "Run the doctor as root.");
	} else if (r != 0 && r != ERR_DENIED) { /* expired: see the dates */
		doctor_fault(d, "%s", why);
		doctor_remedy(d,
			      "Put the key that belongs to the certificate at %s, or move both "
			      "away and run gatewayctl init.",
			      file);
	} else if (!d->said && d->gateway != NULL) {
		doctor_ok(d, "%s belongs to the certificate.", file);
	} else if (!d->said) {
		doctor_skip(d, "Not compared: the gateway's certificate cannot be read.");
	}
}

void
doctor_certificate_dates(struct doctor *d)
{
	const struct pki_cert *cert = d->gateway->cert;
	const char *file = d->conf->tls.certificate;
	int64_t now = clock_wall();
	char from[TEXT_SIZE], until[TEXT_SIZE], today[TEXT_SIZE];

	text_date(cert->not_before > 0 ? cert->not_before : 1, from);
	text_date(cert->not_after, until);
	text_date(now, today);
	if (cert->not_after < now) {
		doctor_fault(d, "%s expired on %s; it is %s now. Every device refuses it.", file,
			     until, today);
		doctor_remedy(d, RENEW);
	} else if (cert->not_before > now) {
		doctor_fault(d, "%s is not valid before %s; it is %s now.", file, from, today);
		doctor_remedy(d, "Set the clock of this host, or issue the certificate again.");
	} else if (cert->not_after < now + DOCTOR_SOON) {
		doctor_warn(d, "%s expires on %s, in %" PRId64 " days.", file, until,
			    (cert->not_after - now) / DOCTOR_DAY);
		doctor_remedy(d, RENEW);
	} else if (cert->not_before > 0) {
		doctor_warn(d,
			    "%s begins on %s: a board that has no time yet believes in 1970 and "
			    "refuses it.",
			    file, from);
		doctor_remedy(d, "Harmless when every board waits for its time; a certificate by "
				 "gatewayctl init begins in 1970.");
	} else {
		doctor_ok(d, "Valid until %s, from 1970 on: boards without a clock accept it.",
			  until);
	}
}

void
doctor_certificate_type(struct doctor *d)
{
	const struct pki_profile *p = d->gateway;

	if (p->key_rsa) {
		doctor_warn(
			d,
			"The gateway's key is %.*s: boards verify with it in software, which takes "
			"them long, and clients made for EC only refuse it.",
			SPAN_ARG(p->cert->key_type));
		doctor_remedy(d, "Move %s and its certificate away, then gatewayctl init.",
			      d->conf->tls.key);
	} else if (!p->key_p256) {
		doctor_fault(d,
			     "The gateway's key is %.*s; boards with a crypto chip verify EC P-256 "
			     "only.",
			     SPAN_ARG(p->cert->key_type));
		doctor_remedy(d, "Move %s and its certificate away, then gatewayctl init.",
			      d->conf->tls.key);
	}
	if (p->cert->version != 3) {
		doctor_warn(d,
			    "The gateway's certificate has version %d, without extensions: openssl "
			    "x509 -req makes such ones when no extension file is given.",
			    p->cert->version);
		doctor_remedy(d, MAKE_ANEW);
	}
	if (p->ca) {
		doctor_warn(d,
			    "The gateway's certificate is marked as a CA: whoever gets its key can "
			    "issue others.");
		doctor_remedy(d, MAKE_ANEW);
	}
	if (!d->said) {
		doctor_ok(d, "Version 3, %.*s.", SPAN_ARG(p->cert->key_type));
	}
}

void
doctor_certificate_signature(struct doctor *d)
{
	const struct pki_profile *p = d->gateway;

	bool weak = p->signature_bits < 256;

	if (weak || (!p->signature_rsa && p->signature_bits != 256)) {
		doctor_fault(d, "The gateway's certificate is signed with %s; %s.", p->signature,
			     weak ? "most clients refuse that as too weak"
				  : "boards with a crypto chip verify SHA-256 only");
		doctor_remedy(d, "Have it signed with SHA-256 (openssl: -sha256).");
	} else if (p->signature_short) {
		doctor_fault(d, "Both halves of the certificate's signature are short: the crypto "
				"chip's verifier fails on that (1 certificate in 65536).");
		doctor_remedy(d, "Have it signed once more: gatewayctl init --name NAME.");
	} else if (p->signature_rsa) {
		doctor_warn(d,
			    "The gateway's certificate is signed with %s: boards verify that in "
			    "software, which takes them long.",
			    p->signature);
		doctor_remedy(d, "Use a CA with an EC P-256 key, as gatewayctl init makes it.");
	} else {
		doctor_ok(d, "%s.", p->signature);
	}
}

void
doctor_certificate_usage(struct doctor *d)
{
	const struct pki_profile *p = d->gateway;

	if (p->has_key_usage && !p->digital_signature) {
		doctor_fault(
			d,
			"keyUsage of the gateway's certificate lacks digitalSignature: no device "
			"can agree on a cipher with it.");
		doctor_remedy(d, MAKE_ANEW);
	}
	if (!p->server_auth) {
		doctor_fault(
			d,
			"extendedKeyUsage of the gateway's certificate lacks serverAuth: it looks "
			"like a device's certificate.");
		doctor_remedy(d, MAKE_ANEW);
	}
	if (!d->said) {
		doctor_ok(d, p->has_extended_usage ? "For servers." : "Not restricted.");
	}
}

void
doctor_certificate_extensions(struct doctor *d)
{
	const struct pki_profile *p = d->gateway;

	if (p->extended_critical) {
		doctor_fault(d, "extendedKeyUsage of the gateway's certificate is marked critical: "
				"boards refuse that (BearSSL error 57).");
		doctor_remedy(d,
			      "Issue it with extendedKeyUsage not critical; gatewayctl init does.");
	}
	if (p->critical[0] != '\0') {
		doctor_fault(d,
			     "The extension %s of the gateway's certificate is marked critical: "
			     "boards do not know it and refuse (BearSSL error 57).",
			     p->critical);
		doctor_remedy(d, "Issue the certificate without it.");
	}
	if (!d->said) {
		doctor_ok(d, "None that boards stumble over.");
	}
}

/* ---- names ---------------------------------------------------------------------- */

static bool
has_text(const struct pki_texts *texts, const char *name)
{
	struct names one = { .count = 0 };
	bool found = false;

	/* Addresses by value, host names without regard to case. */
	if (names_add(&one, name) == 1) {
		for (size_t i = 0; i < texts->count && !found; i++) {
			found = names_contain(&one, texts->list[i]);
		}
	}
	names_clear(&one);
	return found;
}

/* "*.example" stands for one label. */
static bool
covered(const struct pki_texts *texts, const char *name)
{
	const char *dot = strchr(name, '.');

	if (has_text(texts, name)) {
		return true;
	}
	for (size_t i = 0; i < texts->count && dot != NULL; i++) {
		if (strncmp(texts->list[i], "*.", 2) == 0 &&
		    strcasecmp(texts->list[i] + 1, dot) == 0) {
			return true;
		}
	}
	return false;
}

static bool
is_loopback(const char *name)
{
	return strcmp(name, "localhost") == 0 || strncmp(name, "127.", 4) == 0 ||
	       strcmp(name, "::1") == 0;
}

void
doctor_certificate_names(struct doctor *d)
{
	const struct pki_profile *p = d->gateway;
	struct names here = { .count = 0 };
	struct doctor_names lost = { .count = 0 };

	if (!p->has_names) {
		doctor_warn(d,
			    "The gateway's certificate has no subjectAltName, only the common name "
			    "%.*s: boards that connect to exactly that accept it, most other "
			    "clients do not.",
			    SPAN_ARG(p->cert->cn));
		doctor_remedy(d, MAKE_ANEW);
		return;
	}
	if (names_discover(&here) < 0) {
		doctor_skip(d, "The names of this host could not be found out.");
		names_clear(&here);
		return;
	}
	for (unsigned i = 0; i < here.count; i++) {
		if (!is_loopback(here.list[i]) && !covered(&p->dns, here.list[i]) &&
		    !has_text(&p->ip, here.list[i])) {
			doctor_names_add(&lost, here.list[i]);
		}
	}
	names_clear(&here);
	if (lost.count > 0) {
		doctor_warn(
			d,
			"This host is also called %s, which its certificate does not say: devices "
			"that connect to it by that refuse it.",
			doctor_names_text(&lost));
		doctor_remedy(d, "Add what devices use: gatewayctl certificate names add NAME...");
	} else {
		doctor_ok(d, "It has every name and address of this host.");
	}
}

void
doctor_certificate_addresses(struct doctor *d)
{
	const struct pki_profile *p = d->gateway;
	struct doctor_names no_dns = { .count = 0 }, no_ip = { .count = 0 };

	for (size_t i = 0; i < p->ip.count; i++) {
		if (!has_text(&p->dns, p->ip.list[i])) {
			doctor_names_add(&no_dns, p->ip.list[i]);
		}
	}
	for (size_t i = 0; i < p->dns.count; i++) {
		if (names_is_address(p->dns.list[i]) && !has_text(&p->ip, p->dns.list[i])) {
			doctor_names_add(&no_ip, p->dns.list[i]);
		}
	}
	if (no_dns.count > 0) {
		doctor_fault(d,
			     "%s stands in the certificate as iPAddress only: boards compare an "
			     "address as a host name and refuse it (BearSSL error 56).",
			     doctor_names_text(&no_dns));
		doctor_remedy(d, "Have it as dNSName too; gatewayctl init does.");
	}
	if (no_ip.count > 0) {
		doctor_warn(
			d,
			"%s stands in the certificate as dNSName only: boards accept that, other "
			"clients look for an iPAddress.",
			doctor_names_text(&no_ip));
		doctor_remedy(d, "Have it as iPAddress too; gatewayctl init does.");
	}
	if (!d->said && p->ip.count == 0) {
		doctor_ok(d, "No IP addresses in the certificate: devices must connect by name.");
	} else if (!d->said) {
		doctor_ok(d, "Addresses are there in both forms.");
	}
}

void
doctor_certificate_issuer(struct doctor *d)
{
	const struct pki_cert *cert = d->gateway->cert;
	char why[PKI_WHY_SIZE];
	size_t place;
	int r = pki_find_issuer(d->conf->tls.certificate, d->conf->tls.ca, &place, why);

	for (size_t i = 0; i < d->ca_count; i++) {
		if (span_eq(cert->subject, d->ca[i].cert->subject)) {
			doctor_fault(
				d,
				"The gateway's certificate and its CA have the same subject, %.*s: "
				"clients take it for self-signed.",
				SPAN_ARG(cert->subject));
			doctor_remedy(
				d,
				"Give the CA a name of its own, such as \"Home CA\", and issue the "
				"certificate again.");
			return;
		}
	}
	if (r == ERR_CRYPTO) {
		doctor_fault(d, "%s The CA was made anew.", why);
		doctor_remedy(
			d, "Issue the gateway's certificate again: move it away, then gatewayctl "
			   "init.");
	} else if (r == ERR_NOT_FOUND && cert->self_signed) {
		doctor_fault(d, "The gateway's certificate is self-signed: no board can trust it.");
		doctor_remedy(d, MAKE_ANEW);
	} else if (r == ERR_NOT_FOUND) {
		doctor_warn(
			d,
			"%s Its issuer is %.*s: boards with our gateway_trust_anchors.h refuse it.",
			why, SPAN_ARG(cert->issuer));
		doctor_remedy(d,
			      "Right only for a public certificate that boards trust without that "
			      "file.");
	} else if (r != 0) {
		doctor_fault(d, "%s", why);
	} else {
		doctor_ok(d, "Issued by %.*s.", SPAN_ARG(d->ca[place].cert->subject));
	}
}
