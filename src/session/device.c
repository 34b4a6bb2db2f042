/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "identity/identity.h"

/* ---- the register ---------------------------------------------------------------------- */

static enum tls_admit
say(char *why, enum tls_admit verdict, const char *sentence)
{
	snprintf(why, DEVICE_WHY_SIZE, "%s", sentence);
	return verdict;
}

/* ERR_NOT_FOUND leaves an empty row. */
static int
find_name(struct reg *reg, const char *identity, struct reg_device *row)
{
	int rc = reg_find(reg, span_str(identity), row);

	if (rc == ERR_NOT_FOUND) {
		*row = (struct reg_device){ 0 };
	}
	return rc;
}

/*
 * The row of a certificate: that of its name if it has its key, else that of
 * its key, else that of its name. A self-signed one has no name.
 */
static int
find_row(struct reg *reg, const struct pki_cert *cert, const char *identity,
         struct reg_device *row)
{
	struct reg_device by_key;
	int rc = find_name(reg, identity, row);

	if ((rc != 0 && rc != ERR_NOT_FOUND) || strcmp(row->fingerprint, cert->fingerprint) == 0) {
		return rc;
	}
	switch (reg_find_fingerprint(reg, cert->fingerprint, &by_key)) {
	case 0:
		*row = by_key;
		return 0;
	case ERR_NOT_FOUND:
		return rc;
	default:
		return ERR_DATABASE;
	}
}

/* Of a row that was found and is not revoked. */
static enum tls_admit
check_key(const struct conf *conf, const struct pki_cert *cert, enum tls_trust trust,
          const struct reg_device *row, char *why)
{
	bool same = strcmp(row->fingerprint, cert->fingerprint) == 0;

	if (trust == TLS_TRUST_SELF_SIGNED) {
		return row->approved && same ? TLS_ADMIT_YES :
		                               say(why, TLS_ADMIT_UNKNOWN,
		                                   "the certificate is self-signed, and its key "
		                                   "is enrolled with one of a CA; to let it in, "
		                                   "use `gatewayctl approve`");
	}
	if (conf->admission == CONF_ADMIT_CA || same || row->fingerprint[0] == '\0') {
		return TLS_ADMIT_YES;
	}
	return say(why, TLS_ADMIT_UNKNOWN,
	           "the certificate has another key than the one enrolled under this name; if "
	           "the board made a new key, enrol it again with --replace");
}

/* What the register says, under the admission in force. */
static enum tls_admit
ask_register(const struct conf *conf, struct reg *reg, const struct pki_cert *cert,
             enum tls_trust trust, const char *identity, struct reg_device *row, char *why)
{
	int rc = find_row(reg, cert, identity, row);

	if (rc == ERR_NOT_FOUND && trust == TLS_TRUST_SELF_SIGNED) {
		/* Its name may be anybody's, but tells the operator which board it is. */
		snprintf(why, DEVICE_WHY_SIZE,
		         "the certificate of %.*s is self-signed and its key is not known; enrol "
		         "the device, or use `gatewayctl approve`",
		         SPAN_ARG(span_head(cert->cn, 64)));
		return TLS_ADMIT_UNKNOWN;
	}
	if (rc == ERR_NOT_FOUND) {
		return conf->admission == CONF_ADMIT_CA ?
		               TLS_ADMIT_YES :
		               say(why, TLS_ADMIT_UNKNOWN,
		                   "the device is not in the register; enrol it with `gatewayctl "
		                   "enroll`, or let it in with `gatewayctl approve`");
	}
	if (rc != 0) {
		snprintf(why, DEVICE_WHY_SIZE, "the register cannot be read: %s", reg_error(reg));
		return TLS_ADMIT_ERROR;
	}
	if (row->state == REG_REVOKED) {
		return say(why, TLS_ADMIT_REVOKED,
		           "the device is revoked; `gatewayctl reinstate` lets it in again");
	}
	return check_key(conf, cert, trust, row, why);
}

/* ---- the device ------------------------------------------------------------------------ */

/* The texts of a device while they are collected; the spans hold offsets. */
struct draft {
	struct span identity, group;
	struct device_label label[DEVICE_LABELS];
	unsigned label_count;
	struct buf text;
};

static int
keep(struct draft *draft, struct span text, struct span *out)
{
	int rc;

	*out = span_of((const uint8_t *)(uintptr_t)draft->text.end, text.len);
	rc = buf_append(&draft->text, text);
	return rc != 0 ? rc : buf_append(&draft->text, span_of("", 1));
}

static int
keep_label(void *owner, struct span name, struct span value)
{
	struct draft *draft = owner;
	struct device_label *l = &draft->label[draft->label_count];
	int rc;

	if (draft->label_count == DEVICE_LABELS) {
		return ERR_LIMIT;
	}
	rc = keep(draft, name, &l->name);
	if (rc == 0) {
		rc = keep(draft, value, &l->value);
	}
	draft->label_count += rc == 0;
	return rc;
}

static int
gather(struct draft *draft, struct reg *reg, const char *identity, const struct reg_device *row)
{
	int rc = keep(draft, span_str(identity), &draft->identity);

	if (rc == 0) {
		rc = keep(draft, span_str(row->group), &draft->group);
	}
	if (rc == 0 && row->name[0] != '\0') {
		rc = reg_label_each(reg, span_str(identity), keep_label, draft);
	}
	return rc;
}

static struct span
settle(const uint8_t *text, struct span offset)
{
	return span_of(text + (uintptr_t)offset.ptr, offset.len);
}

/* One block of just the size it takes: each connection keeps its own. */
static struct device *
pack(const struct draft *draft)
{
	size_t labels = draft->label_count * sizeof draft->label[0];
	struct span text = buf_span(&draft->text);
	struct device *d = malloc(sizeof *d + labels + text.len);
	uint8_t *to;

	if (d == NULL) {
		return NULL;
	}
	to = (uint8_t *)(d + 1) + labels;
	memcpy(to, text.ptr, text.len);
	*d = (struct device){ .identity = settle(to, draft->identity),
		.group = settle(to, draft->group), .label_count = draft->label_count };
	for (unsigned i = 0; i < draft->label_count; i++) {
		d->label[i].name = settle(to, draft->label[i].name);
		d->label[i].value = settle(to, draft->label[i].value);
	}
	return d;
}

static struct span
label_of(void *owner, struct span name)
{
	const struct device *d = owner;

	for (unsigned i = 0; i < d->label_count; i++) {
		if (span_eq(d->label[i].name, name)) {
			return d->label[i].value;
		}
	}
	return span_of(NULL, 0);
}

/* A device from the register; its map is still to be found. */
static struct device *
make(struct reg *reg, const char *identity, const struct reg_device *row, char *why)
{
	struct draft draft = { 0 };
	int rc = gather(&draft, reg, identity, row);
	struct device *d = rc == 0 ? pack(&draft) : NULL;

	buf_release(&draft.text);
	if (rc != 0) {
		snprintf(why, DEVICE_WHY_SIZE, "the labels cannot be read: %s", err_text(rc));
	} else if (d == NULL) {
		snprintf(why, DEVICE_WHY_SIZE, "no memory");
	}
	return d;
}

/* The map, and what it says of a certificate that has ended. */
static enum tls_admit
find_map(struct device *d, const struct pki_cert *cert, char *why)
{
	struct conf_device facts = { .identity = d->identity, .group = d->group,
		.issuer_cn = cert->issuer_cn, .label = label_of, .label_owner = d };
	int64_t over = clock_wall() - cert->not_after;
	char date[CLOCK_TEXT_SIZE];

	d->map = conf_map_find(d->conf, &facts);
	if (d->map == NULL) {
		return say(why, TLS_ADMIT_BAD, "no map of the configuration matches the device");
	}
	if (over <= 0) {
		return TLS_ADMIT_YES;
	}
	if (over < (int64_t)d->map->grace_days * 86400) {
		return TLS_ADMIT_GRACE;
	}
	snprintf(why, DEVICE_WHY_SIZE,
	         "the certificate has expired on %s; renew it with `gatewayctl renew`",
	         clock_text(cert->not_after, date));
	return TLS_ADMIT_EXPIRED;
}

enum tls_admit
device_admit(struct conf *conf, struct reg *reg, const struct pki_cert *cert, enum tls_trust trust,
             struct device **out, char *identity, char *why)
{
	bool vouched = trust == TLS_TRUST_CA;
	const char *unnamed = "", *taken;
	bool named = vouched && identity_of(conf, cert, identity, &unnamed) == 0;
	struct reg_device row = { .name = "" };
	enum tls_admit verdict;
	struct device *d;

	if (!vouched) {
		identity[0] = '\0'; /* what it says of itself does not count */
	}
	verdict = ask_register(conf, reg, cert, trust, identity, &row, why);
	if (row.name[0] != '\0' && verdict != TLS_ADMIT_ERROR) {
		memcpy(identity, row.name, sizeof row.name);
	} else if (vouched && !named && verdict != TLS_ADMIT_ERROR) {
		/* Neither its key nor a name of it is known. */
		return say(why, TLS_ADMIT_BAD, unnamed);
	}
	if (verdict != TLS_ADMIT_YES) {
		return verdict;
	}
	taken = identity_taken(conf, identity); /* also as a name that the register gave it */
	if (taken != NULL) {
		return say(why, TLS_ADMIT_BAD, taken);
	}
	d = make(reg, identity, &row, why);
	if (d == NULL) {
		return TLS_ADMIT_ERROR;
	}
	d->conf = conf_ref(conf);
	d->known = row.name[0] != '\0';
	verdict = find_map(d, cert, why);
	if (verdict != TLS_ADMIT_YES && verdict != TLS_ADMIT_GRACE) {
		device_free(d);
		return verdict;
	}
	why[0] = '\0'; /* perhaps of the name, when the key was enough */
	*out = d;
	return verdict;
}

static void
copy_cut(char *out, size_t size, struct span text)
{
	bool cut = text.len > size - 1;

	text = span_head(text, size - 1);
	while (cut && text.len > 0 && text.ptr[text.len - 1] >= 0x80) {
		text.len--; /* no half characters */
	}
	for (size_t i = 0; i < text.len; i++) {
		/* Subjects are RFC 2253 text, with the odd bytes escaped already. */
		out[i] = text.ptr[i] >= 0x20 && text.ptr[i] != 0x7f ? (char)text.ptr[i] : '?';
	}
	out[text.len] = '\0';
}

void
device_stranger(const struct conf *conf, const struct pki_cert *cert, enum tls_trust trust,
                struct reg_stranger *out)
{
	const char *unnamed;

	*out = (struct reg_stranger){ .self_signed = trust == TLS_TRUST_SELF_SIGNED,
		.not_after = cert->not_after };
	if (identity_of(conf, cert, out->name, &unnamed) != 0) {
		out->name[0] = '\0'; /* it can be approved under a name that is given to it */
	}
	memcpy(out->fingerprint, cert->fingerprint, sizeof out->fingerprint);
	copy_cut(out->subject, sizeof out->subject, cert->subject);
	copy_cut(out->issuer, sizeof out->issuer, cert->issuer);
}

void
device_free(struct device *d)
{
	if (d != NULL) {
		conf_unref(&d->conf);
		free(d);
	}
}

void
device_vars(const struct device *d, const struct pki_cert *cert, struct topic_vars *vars)
{
	*vars = (struct topic_vars){
		.identity = d->identity,
		.cn = cert->cn,
		.san_dns = cert->san_dns,
		.san_uri = cert->san_uri,
		.serial = cert->serial,
		.fingerprint = span_str(cert->fingerprint),
		.issuer_cn = cert->issuer_cn,
		.group = d->group,
		.gateway = span_str(d->conf->gateway.name),
		.label = label_of,
		.label_owner = (void *)(uintptr_t)d,
	};
}
