/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/identity.h"

#include <stdio.h>

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
	len = conf->identity.issuer ?
	              snprintf(identity, IDENTITY_MAX + 1, "%.*s:%.*s",
	                       SPAN_ARG(cert->issuer_cn), SPAN_ARG(name)) :
	              snprintf(identity, IDENTITY_MAX + 1, "%.*s", SPAN_ARG(name));
	if (len > IDENTITY_MAX) {
		identity[0] = '\0';
		*why = "the identity is longer than 512 bytes";
		return ERR_UNSAFE;
	}
	return 0;
}
