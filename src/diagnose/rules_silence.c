/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client hung up in the middle of the handshake without saying why:
 * BearSSL always does that when it refuses us. What is left is to exclude.
 */
#include <strings.h>

#include "diagnose/diagnose_int.h"

#define SURELY_SENT 433 /* a certificate this long leaves the board before it signs */
#define A_DAY 86400

/* Our flight went out and nothing came back. */
static bool
after_our_flight(const struct diagnose_evidence *e)
{
	return e->hello_state == HELLO_READ &&
	       (e->sent & (HANDSHAKE(MESSAGE_HELLO_DONE) | HANDSHAKE(MESSAGE_FINISHED))) != 0 &&
	       (e->received & ~HANDSHAKE(MESSAGE_CLIENT_HELLO)) == 0;
}

static bool
ended(const struct diagnose_evidence *e)
{
	return peer_left(e) || e->end == END_TIMEOUT;
}

static bool
network_lost(const struct diagnose_evidence *e)
{
	return e->unacknowledged > 0 && e->hello_state == HELLO_READ &&
	       (e->end == END_TIMEOUT || e->end == END_RESET);
}

/* The signature S of a BearSSL client that refuses us. */
static bool
refused_silently(const struct diagnose_evidence *e)
{
	return after_our_flight(e) && ended(e) && hello_is_bearssl(&e->hello);
}

static bool
name_fits(const char *name, const char *wanted)
{
	const char *dot = strchr(wanted, '.');

	/* BearSSL takes a wildcard for the whole first label. */
	if (name[0] == '*' && name[1] == '.') {
		return dot != NULL && strcasecmp(name + 1, dot) == 0;
	}
	return strcasecmp(name, wanted) == 0;
}

static bool
name_mismatch(const struct diagnose_evidence *e)
{
	if (!refused_silently(e) || !e->hello.has_sni) {
		return false;
	}
	for (unsigned i = 0; i < e->presented.name_count && i < DIAGNOSE_NAMES; i++) {
		if (name_fits(e->presented.names[i], e->hello.sni)) {
			return false;
		}
	}
	/* More names than were kept: then it cannot be told. */
	return e->presented.name_count > 0 && e->presented.name_count <= DIAGNOSE_NAMES;
}

static bool
our_certificate(const struct diagnose_evidence *e)
{
	return refused_silently(e) && e->presented.fault[0] != '\0';
}

static bool
our_expired(const struct diagnose_evidence *e)
{
	return refused_silently(e) && e->presented.not_after != 0 &&
	       e->now > e->presented.not_after;
}

static bool
short_signature(const struct diagnose_evidence *e)
{
	return refused_silently(e) && e->presented.short_signature;
}

static bool
knew_us(const struct diagnose_evidence *e)
{
	return refused_silently(e) && e->before.last_success != 0;
}

static bool
ca_replaced(const struct diagnose_evidence *e)
{
	return knew_us(e) && e->before.ca_fingerprint[0] != '\0' &&
	       e->presented.ca_fingerprint[0] != '\0' &&
	       strcasecmp(e->before.ca_fingerprint, e->presented.ca_fingerprint) != 0;
}

/* A leaf that is valid for a board without a clock too; unless nothing is known of it. */
static bool
from_1970(const struct diagnose_evidence *e)
{
	return e->presented.not_after != 0 && e->presented.not_before < A_DAY;
}

static bool
lost_time(const struct diagnose_evidence *e)
{
	return knew_us(e) && !from_1970(e);
}

static bool
again(const struct diagnose_evidence *e)
{
	return knew_us(e) && e->before.failures > 0;
}

static bool
perhaps_no_signature(const struct diagnose_evidence *e)
{
	return again(e) && e->before.known_length > 0 && e->before.known_length < SURELY_SENT;
}

static bool
lacks_ca(const struct diagnose_evidence *e)
{
	return refused_silently(e) && from_1970(e);
}

/* It sent its certificate, so it had accepted ours; ours accepted it too. */
static bool
cannot_sign(const struct diagnose_evidence *e)
{
	return received(e, MESSAGE_CERTIFICATE) && !received(e, MESSAGE_CERTIFICATE_VERIFY) &&
	       e->certificate.present && e->verify_error == 0 && e->error_count <= 1 &&
	       (e->admit == ADMIT_YES || e->admit == ADMIT_NOT_ASKED) && ended(e) &&
	       hello_is_bearssl(&e->hello);
}

/* Also with a goodbye: then it is we who close. */
static bool
left(const struct diagnose_evidence *e)
{
	return e->hello_state == HELLO_READ &&
	       (peer_left(e) || (e->alert_in.seen && e->alert_in.number == 0));
}

static bool
stalled(const struct diagnose_evidence *e)
{
	return e->hello_state == HELLO_READ && e->end == END_TIMEOUT;
}

#define SEEN (BY_HELLO | BY_MESSAGES | BY_END)

static const struct rule list[] = {
	{ CAUSE_NETWORK_LOST, network_lost, BY_UNACKNOWLEDGED | BY_END },
	{ CAUSE_CANNOT_SIGN, cannot_sign, SEEN | BY_CERTIFICATE },
	{ CAUSE_NAME_MISMATCH, name_mismatch, SEEN | BY_PRESENTED },
	{ CAUSE_OUR_CERTIFICATE, our_certificate, SEEN | BY_PRESENTED },
	{ CAUSE_OUR_EXPIRED, our_expired, SEEN | BY_PRESENTED },
	{ CAUSE_SHORT_SIGNATURE, short_signature, SEEN | BY_PRESENTED },
	{ CAUSE_CA_REPLACED, ca_replaced, SEEN | BY_PRESENTED | BY_HISTORY },
	{ CAUSE_LOST_TIME, lost_time, SEEN | BY_PRESENTED | BY_HISTORY },
	{ CAUSE_PERHAPS_NO_SIGNATURE, perhaps_no_signature, SEEN | BY_HISTORY },
	{ CAUSE_SKETCH_CHANGED, again, SEEN | BY_HISTORY },
	{ CAUSE_CHANCE, knew_us, SEEN | BY_HISTORY },
	{ CAUSE_LACKS_CA, lacks_ca, SEEN | BY_PRESENTED | BY_HISTORY },
	{ CAUSE_LACKS_CA_OR_TIME, refused_silently, SEEN | BY_PRESENTED | BY_HISTORY },
	{ CAUSE_STALLED, stalled, SEEN },
	{ CAUSE_CLIENT_LEFT, left, SEEN },
};

const struct rules rules_silence = { list, sizeof list / sizeof list[0] };
