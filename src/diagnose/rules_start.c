/* SPDX-License-Identifier: BSD-2-Clause */
/* Before any certificate: what arrived first, and what the hello says. */
#include "diagnose/diagnose_int.h"

#define TLS_1_1 0x0302

static bool
tls_on_plain(const struct diagnose_evidence *e)
{
	enum first_bytes kind = first_kind(e);

	return e->plain_port && (kind == FIRST_TLS || kind == FIRST_TLS_TOO_LONG);
}

static bool
on_tls(const struct diagnose_evidence *e, enum first_bytes kind)
{
	return !e->plain_port && first_kind(e) == kind;
}

static bool
plain_mqtt(const struct diagnose_evidence *e)
{
	return on_tls(e, FIRST_MQTT);
}

static bool
proxy(const struct diagnose_evidence *e)
{
	return first_kind(e) == FIRST_PROXY || has_reason(e, N_SSL_R_HTTPS_PROXY_REQUEST);
}

static bool
http(const struct diagnose_evidence *e)
{
	return first_kind(e) == FIRST_HTTP || has_reason(e, N_SSL_R_HTTP_REQUEST);
}

static bool
ssl2(const struct diagnose_evidence *e)
{
	return first_kind(e) == FIRST_SSL2 || has_reason(e, N_SSL_R_VERSION_TOO_LOW) ||
	       has_reason(e, N_SSL_R_UNKNOWN_PROTOCOL);
}

static bool
other_protocol(const struct diagnose_evidence *e)
{
	return first_kind(e) == FIRST_SSH || first_kind(e) == FIRST_OTHER;
}

static bool
no_word(const struct diagnose_evidence *e)
{
	return e->first_len == 0 && e->hello_state == HELLO_NONE && peer_left(e);
}

static bool
silent(const struct diagnose_evidence *e)
{
	return e->first_len == 0 && e->hello_state == HELLO_NONE && e->end == END_TIMEOUT;
}

static bool
too_long(const struct diagnose_evidence *e)
{
	return on_tls(e, FIRST_TLS_TOO_LONG) || has_reason(e, N_SSL_R_PACKET_LENGTH_TOO_LONG);
}

static bool
too_much(const struct diagnose_evidence *e)
{
	return e->flooded || has_reason(e, N_SSL_R_EXCESSIVE_MESSAGE_SIZE);
}

static bool
out_of_place(const struct diagnose_evidence *e)
{
	return on_tls(e, FIRST_TLS_ALERT) || on_tls(e, FIRST_TLS_DATA) ||
	       on_tls(e, FIRST_TLS_CIPHER) ||
	       (has_reason(e, N_SSL_R_UNEXPECTED_MESSAGE) && e->hello_state != HELLO_READ);
}

static bool
hello_broken(const struct diagnose_evidence *e)
{
	return e->hello_state == HELLO_BAD && !has_reason(e, N_SSL_R_UNSUPPORTED_PROTOCOL);
}

static bool
hello_cut(const struct diagnose_evidence *e)
{
	return e->first_len > 0 && e->end != END_OPEN && e->end != END_CLOSED &&
	       on_tls(e, FIRST_TLS) &&
	       (e->hello_state == HELLO_PART || e->hello_state == HELLO_NONE);
}

/* ---- hello ------------------------------------------------------------------------- */

static bool
too_old(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_UNSUPPORTED_PROTOCOL);
}

static bool
no_suite(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_NO_SHARED_CIPHER) && e->hello_state == HELLO_READ;
}

/* TLS 1.1 with RSA suites is an old client first. */
static bool
wifi_module(const struct diagnose_evidence *e)
{
	return no_suite(e) && hello_client(&e->hello) == HELLO_WIFI_MODULE;
}

static bool
old_client(const struct diagnose_evidence *e)
{
	return no_suite(e) && hello_newest(&e->hello) <= TLS_1_1;
}

static bool
no_signature(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM);
}

/* It could not talk to the best of gateways either. */
static bool
client_suites(const struct diagnose_evidence *e)
{
	return (no_suite(e) && !hello_fits_p256(&e->hello)) ||
	       has_reason(e, N_SSL_R_NO_SUITABLE_KEY_SHARE);
}

static bool
gateway_key(const struct diagnose_evidence *e)
{
	return no_suite(e);
}

static bool
bad_fragment(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_SSL3_EXT_INVALID_MAX_FRAGMENT_LENGTH);
}

static const struct rule list[] = {
	{ CAUSE_TLS_ON_PLAIN, tls_on_plain, BY_FIRST_BYTES },
	{ CAUSE_PLAIN_MQTT, plain_mqtt, BY_FIRST_BYTES },
	{ CAUSE_PROXY, proxy, BY_FIRST_BYTES | BY_REASON },
	{ CAUSE_HTTP, http, BY_FIRST_BYTES | BY_REASON },
	{ CAUSE_SSL2, ssl2, BY_FIRST_BYTES | BY_REASON },
	{ CAUSE_OTHER_PROTOCOL, other_protocol, BY_FIRST_BYTES },
	{ CAUSE_NO_WORD, no_word, BY_FIRST_BYTES | BY_END },
	{ CAUSE_SILENT, silent, BY_FIRST_BYTES | BY_END },
	{ CAUSE_BAD_FRAGMENT, bad_fragment, BY_HELLO | BY_REASON },
	{ CAUSE_TOO_MUCH, too_much, BY_MESSAGES | BY_REASON },
	{ CAUSE_RECORD_TOO_LONG, too_long, BY_FIRST_BYTES | BY_REASON },
	{ CAUSE_OUT_OF_PLACE, out_of_place, BY_FIRST_BYTES | BY_REASON },
	{ CAUSE_HELLO_BROKEN, hello_broken, BY_HELLO },
	{ CAUSE_HELLO_CUT, hello_cut, BY_HELLO | BY_END },
	{ CAUSE_TLS_TOO_OLD, too_old, BY_HELLO | BY_REASON },
	{ CAUSE_WIFI_MODULE, wifi_module, BY_HELLO | BY_REASON },
	{ CAUSE_OLD_CLIENT, old_client, BY_HELLO | BY_REASON },
	{ CAUSE_NO_SIGNATURE, no_signature, BY_HELLO | BY_REASON },
	{ CAUSE_CLIENT_SUITES, client_suites, BY_HELLO | BY_REASON },
	{ CAUSE_GATEWAY_KEY, gateway_key, BY_HELLO | BY_REASON | BY_PRESENTED },
};

const struct rules rules_start = { list, sizeof list / sizeof list[0] };
