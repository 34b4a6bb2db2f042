/* SPDX-License-Identifier: BSD-2-Clause */
#include "session/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

/* The first of the configured sources that the certificate has. */
static struct span
name_of(const struct conf *conf, const struct pki_cert *cert)
{
	for (unsigned i = 0; i < conf->identity.source_count; i++) {
		struct span s = { 0 };

		switch (conf->identity.source[i]) {
		case CONF_SOURCE_SAN_URI:
			s = cert->san_uri;
			break;
		case CONF_SOURCE_SAN_DNS:
			s = cert->san_dns;
			break;
		case CONF_SOURCE_CN:
			s = cert->cn;
			break;
		case CONF_SOURCE_SERIAL:
			s = cert->serial;
			break;
		case CONF_SOURCE_FINGERPRINT:
			s = span_str(cert->fingerprint);
			break;
		}
		if (s.len > 0) {
			return s;
		}
	}
	return span_of(NULL, 0);
}

/* Write the identity, NUL-terminated; false with a sentence when it has none. */
static bool
identify(const struct conf *conf, const struct pki_cert *cert, char *identity, char *why)
{
	struct span name = name_of(conf, cert);
	int len;

	identity[0] = '\0';
	if (name.len == 0) {
		snprintf(why, DEVICE_WHY_SIZE,
		         "the certificate has none of the names that identity.sources lists");
		return false;
	}
	/* A NUL would cut the text below and give somebody else's name. */
	if (!topic_value_safe(name) || (conf->identity.issuer && !topic_value_safe(cert->issuer_cn))) {
		snprintf(why, DEVICE_WHY_SIZE,
		         "the name in the certificate may not be used as an identity: it must be 1 to "
		         "512 bytes of UTF-8 without + # / $ and control characters");
		return false;
	}
	len = conf->identity.issuer ?
	              snprintf(identity, REG_NAME_MAX + 1, "%.*s:%.*s", SPAN_ARG(cert->issuer_cn),
	                       SPAN_ARG(name)) :
	              snprintf(identity, REG_NAME_MAX + 1, "%.*s", SPAN_ARG(name));
	if (len > REG_NAME_MAX) {
		identity[0] = '\0';
		snprintf(why, DEVICE_WHY_SIZE, "the identity is longer than %d bytes", REG_NAME_MAX);
		return false;
	}
	return true;
}

/* What the register says, under the admission in force. */
static enum tls_admit
ask_register(const struct conf *conf, struct reg *reg, const struct pki_cert *cert,
             const char *identity, struct reg_device *row, char *why)
{
	int rc = reg_find(reg, span_str(identity), row);

	if (rc == ERR_NOT_FOUND) {
		*row = (struct reg_device){ 0 };
		if (conf->admission == CONF_ADMIT_CA) {
			return TLS_ADMIT_YES;
		}
		snprintf(why, DEVICE_WHY_SIZE,
		         "the device is not in the register; enrol it with `gatewayctl enroll`");
		return TLS_ADMIT_UNKNOWN;
	}
	if (rc != 0) {
		snprintf(why, DEVICE_WHY_SIZE, "the register cannot be read: %s", reg_error(reg));
		return TLS_ADMIT_ERROR;
	}
	if (row->state == REG_REVOKED) {
		snprintf(why, DEVICE_WHY_SIZE,
		         "the device is revoked; `gatewayctl reinstate` lets it in again");
		return TLS_ADMIT_REVOKED;
	}
	if (conf->admission == CONF_ADMIT_CA) {
		return TLS_ADMIT_YES;
	}
	if (row->state == REG_PENDING) {
		snprintf(why, DEVICE_WHY_SIZE,
		         "the device is known but not enrolled; enrol it with `gatewayctl enroll`");
		return TLS_ADMIT_UNKNOWN;
	}
	if (row->fingerprint[0] != '\0' && strcmp(row->fingerprint, cert->fingerprint) != 0) {
		snprintf(why, DEVICE_WHY_SIZE,
		         "the certificate has another key than the one enrolled under this name; if "
		         "the board made a new key, enrol it again with --replace");
		return TLS_ADMIT_UNKNOWN;
	}
	return TLS_ADMIT_YES;
}

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

enum tls_admit
device_admit(struct conf *conf, struct reg *reg, const struct pki_cert *cert, struct device **out,
             char *identity, char *why)
{
	struct conf_device facts;
	struct reg_device row;
	struct device *d;
	enum tls_admit verdict;

	if (!identify(conf, cert, identity, why)) {
		return TLS_ADMIT_BAD;
	}
	verdict = ask_register(conf, reg, cert, identity, &row, why);
	if (verdict != TLS_ADMIT_YES) {
		return verdict;
	}
	d = make(reg, identity, &row, why);
	if (d == NULL) {
		return TLS_ADMIT_ERROR;
	}
	d->conf = conf_ref(conf);
	facts = (struct conf_device){ .identity = d->identity, .group = d->group,
		.issuer_cn = cert->issuer_cn, .label = label_of, .label_owner = d };
	d->map = conf_map_find(conf, &facts);
	if (d->map == NULL) {
		snprintf(why, DEVICE_WHY_SIZE, "no map of the configuration matches the device");
		device_free(d);
		return TLS_ADMIT_BAD;
	}
	*out = d;
	return TLS_ADMIT_YES;
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
