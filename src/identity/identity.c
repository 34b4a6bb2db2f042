/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/identity.h"

#include <stdio.h>
#include <string.h>

static struct span
source_of(const struct pki_cert *cert, enum conf_source source)
{
	switch (source) {
	case CONF_SOURCE_SAN_URI:
		return cert->san_uri;
	case CONF_SOURCE_SAN_DNS:
		return cert->san_dns;
	case CONF_SOURCE_CN:
		return cert->cn;
	case CONF_SOURCE_SERIAL:
		return cert->serial;
	case CONF_SOURCE_FINGERPRINT:
		return span_str(cert->fingerprint);
	}
	return span_of(NULL, 0);
}

static struct span
name_of(const struct conf *conf, const struct pki_cert *cert)
{
	struct span name = { 0 };

	for (unsigned i = 0; i < conf->identity.source_count && name.len == 0; i++) {
		name = source_of(cert, conf->identity.source[i]);
	}
	return name;
}

/* Is it the expanded uplink.client_id? */
static bool
is_uplink_client(const struct conf *conf, const char *identity)
{
	const struct topic_vars vars = { .gateway = span_str(conf->gateway.name) };
	uint8_t text[IDENTITY_MAX];
	struct span which;
	int len = topic_template_expand(span_str(conf->uplink.client_id), &vars, text,
	                                sizeof text, &which);

	return len > 0 && span_eq_str(span_of(text, (size_t)len), identity);
}

/*
 * The broker knows the gateway's own session by these names, and gives it
 * rights that no device has: the user name by its access lists, the client
 * identifier because a second one takes the session over.
 */
const char *
identity_taken(const struct conf *conf, const char *identity)
{
	if (strcmp(identity, conf->uplink.username) == 0) {
		return "the name of the device is uplink.username, by which the broker knows "
		       "the gateway itself: give the device another name, or change that key";
	}
	if (is_uplink_client(conf, identity)) {
		return "the name of the device is uplink.client_id, by which the broker knows "
		       "the gateway itself: give the device another name, or change that key";
	}
	return NULL;
}

int
identity_of(const struct conf *conf, const struct pki_cert *cert, char *identity,
            const char **why)
{
	struct span name = name_of(conf, cert);
	int len;

	identity[0] = '\0';
	if (name.len == 0) {
		*why = "the certificate has none of the names that identity.sources lists";
		return ERR_UNSAFE;
	}
	/* A NUL would cut the text below and give somebody else's name. */
	if (!topic_value_safe(name) ||
	    (conf->identity.issuer && !topic_value_safe(cert->issuer_cn))) {
		*why = "the name in the certificate may not be used as an identity: it must be 1 "
		       "to 512 bytes of UTF-8 without + # / $ and control characters";
		return ERR_UNSAFE;
	}
	if (conf->identity.issuer && memchr(cert->issuer_cn.ptr, ':', cert->issuer_cn.len) != NULL) {
		*why = "the name of the issuing CA has a colon, which identity.issuer uses to part "
		       "it from the device's name: two CAs could give the same identity";
		return ERR_UNSAFE;
	}
	len = conf->identity.issuer ?
	              snprintf(identity, IDENTITY_MAX + 1, "%.*s:%.*s",
	                       SPAN_ARG(cert->issuer_cn), SPAN_ARG(name)) :
	              snprintf(identity, IDENTITY_MAX + 1, "%.*s", SPAN_ARG(name));
	if (len > IDENTITY_MAX) {
		identity[0] = '\0';
		*why = "the identity is longer than 512 bytes";
		return ERR_UNSAFE;
	}
	*why = identity_taken(conf, identity);
	if (*why != NULL) {
		identity[0] = '\0';
		return ERR_UNSAFE;
	}
	return 0;
}
