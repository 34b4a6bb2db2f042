/* SPDX-License-Identifier: BSD-2-Clause */
/* The {words} of the templates, and how the evidence fills them in. */
#include "diagnose/diagnose_int.h"
#include "diagnose/out.h"

/* ---- who --------------------------------------------------------------------------- */

static void
put_device(struct out *o, const struct diagnose_evidence *e, const char *article)
{
	out_text(o, article);
	if (e->certificate.identity[0] != '\0') {
		out_text(o, "evice \"");
		out_foreign(o, e->certificate.identity, "");
		out_text(o, "\"");
	} else {
		out_text(o, "evice at ");
		out_foreign(o, e->address, "an unknown address");
	}
}

static void
word_device(struct out *o, const struct diagnose_evidence *e)
{
	put_device(o, e, e->certificate.identity[0] != '\0' ? "D" : "The d");
}

static void
word_device_in_sentence(struct out *o, const struct diagnose_evidence *e)
{
	put_device(o, e, e->certificate.identity[0] != '\0' ? "d" : "the d");
}

static void
word_address(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->address, "an unknown address");
}

/* ---- hello ------------------------------------------------------------------------- */

static void
word_protocol(struct out *o, const struct diagnose_evidence *e)
{
	out_text(o, first_bytes_text(first_kind(e)));
}

static void
word_client_version(struct out *o, const struct diagnose_evidence *e)
{
	static const char *const text[] = { "SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3" };
	unsigned minor = hello_newest(&e->hello) & 0xff;

	out_text(o, e->hello_state != HELLO_READ || hello_newest(&e->hello) >> 8 != 3 || minor > 4 ?
	               "an old version" :
	               text[minor]);
}

static void
word_fragment_code(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->hello.fragment_code);
}

static void
word_sni(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->hello.sni, "no name");
}

static void
word_client_note(struct out *o, const struct diagnose_evidence *e)
{
	if (e->hello_state == HELLO_READ && hello_client(&e->hello) != HELLO_UNKNOWN) {
		out_format(o, " It is %s.", hello_client_text(hello_client(&e->hello)));
	}
}

/* Not a board of ours: then the words for boards are of no use. */
static void
word_tool_note(struct out *o, const struct diagnose_evidence *e)
{
	if (e->hello_state == HELLO_READ && !hello_is_bearssl(&e->hello)) {
		out_text(o, " Another client needs a certificate and its key, too (mosquitto_pub: --cert "
		            "and --key). A browser or a test of TLS looks like this and needs nothing.");
	}
}

/* Nobody from there ever got in. */
static void
word_stranger_note(struct out *o, const struct diagnose_evidence *e)
{
	if (e->before.last_success == 0 && e->certificate.identity[0] == '\0') {
		out_text(o, " If no board of yours is at ");
		out_foreign(o, e->address, "this address");
		out_text(o, ", it is a scan or a test of the port: nothing to do.");
	}
}

static void
word_insecure_note(struct out *o, const struct diagnose_evidence *e)
{
	enum hello_client client = hello_client(&e->hello);

	if (e->hello_state == HELLO_READ && !e->hello.has_sni &&
	    (client == HELLO_ARDUINO_NEW || client == HELLO_ARDUINO_OLD)) {
		out_text(o, " The sketch calls setInsecure or connects to an IPAddress: neither is a "
		       "way round, the CA is needed all the same.");
	}
}

static void
word_library_note(struct out *o, const struct diagnose_evidence *e)
{
	if (e->hello_state == HELLO_READ && hello_client(&e->hello) == HELLO_ARDUINO_OLD) {
		out_text(o, " Its ArduinoBearSSL is 1.4.0 or older; before 1.4.0 it cannot take a CA of "
		       "yours: update the library.");
	}
}

/* ---- certificates ------------------------------------------------------------------ */

static void
word_subject(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->certificate.subject, "no subject");
}

static void
word_issuer(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->certificate.issuer, "an unnamed issuer");
}

static void
word_start(struct out *o, const struct diagnose_evidence *e)
{
	out_time(o, e->certificate.not_before);
}

static void
word_end(struct out *o, const struct diagnose_evidence *e)
{
	out_time(o, e->certificate.not_after);
}

static void
word_key(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->certificate.key, "of an unknown kind");
}

static void
word_chain_length(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->certificate.chain_length);
}

static void
word_verify_error(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%d", e->verify_error);
}

static void
word_our_names(struct out *o, const struct diagnose_evidence *e)
{
	for (unsigned i = 0; i < e->presented.name_count && i < DIAGNOSE_NAMES; i++) {
		out_text(o, i > 0 ? ", \"" : "\"");
		out_foreign(o, e->presented.names[i], "");
		out_text(o, "\"");
	}
	if (e->presented.name_count == 0) {
		out_text(o, "no name at all");
	}
}

static void
word_our_subject(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->presented.subject, "no subject");
}

static void
word_our_ca(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->presented.ca_subject, "unnamed");
	if (e->presented.ca_fingerprint[0] != '\0') {
		out_text(o, ", fingerprint ");
		out_span(o, span_head(span_str(e->presented.ca_fingerprint), 16));
	}
}

static void
word_our_key(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->presented.key, "of an unknown kind");
}

static void
word_our_start(struct out *o, const struct diagnose_evidence *e)
{
	out_time(o, e->presented.not_before);
}

static void
word_our_end(struct out *o, const struct diagnose_evidence *e)
{
	out_time(o, e->presented.not_after);
}

static void
word_our_fault(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->presented.fault, "none");
}

/* ---- times, endings, history ------------------------------------------------------- */

static void
word_now(struct out *o, const struct diagnose_evidence *e)
{
	out_time(o, e->now);
}

static void
word_seconds(struct out *o, const struct diagnose_evidence *e)
{
	uint32_t ms = e->handshake_done ? e->open_ms : e->duration_ms;

	out_format(o, "%u", ms / 1000 + (ms % 1000 >= 500));
}

static void
word_unacknowledged(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->unacknowledged);
}

static void
word_last_success(struct out *o, const struct diagnose_evidence *e)
{
	out_time(o, e->before.last_success);
}

static void
word_known_length(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->before.known_length);
}

static void
word_retry(struct out *o, const struct diagnose_evidence *e)
{
	out_ms(o, e->before.retry_ms);
}

static void
word_retry_note(struct out *o, const struct diagnose_evidence *e)
{
	if (e->before.retry_ms > 0) {
		out_text(o, " It retries every ");
		out_ms(o, e->before.retry_ms);
		out_text(o, ".");
	}
}

static void
word_alert_in(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->alert_in.number);
}

static void
word_errors_note(struct out *o, const struct diagnose_evidence *e)
{
	for (unsigned i = 0; i < e->error_count && i < DIAGNOSE_ERRORS; i++) {
		out_format(o, "%s%d:%d", i == 0 ? " (errors of OpenSSL: " : ", ",
		           e->errors[i].library, e->errors[i].reason);
	}
	out_text(o, e->error_count > 0 ? ")" : "");
}

/* ---- MQTT -------------------------------------------------------------------------- */

static const char *
why(const struct diagnose_evidence *e)
{
	return e->mqtt.why[0] != '\0' ? e->mqtt.why : e->admit_why;
}

static void
word_why(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, why(e), "no reason was given");
}

static void
word_why_note(struct out *o, const struct diagnose_evidence *e)
{
	if (why(e)[0] != '\0') {
		out_text(o, " The reason: ");
		out_foreign(o, why(e), "");
		out_text(o, o->text[o->len - 1] == '.' ? "" : ".");
	}
}

static void
word_topic(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->mqtt.topic, "");
}

/* A rule as the configuration spells it; where it leads is the owner's choice. */
static void
word_rule(struct out *o, const struct diagnose_evidence *e)
{
	out_text(o, "{ device = \"");
	out_foreign(o, e->mqtt.topic, "");
	out_text(o, "\"; broker = \"devices/${identity}/");
	out_foreign(o, e->mqtt.topic, "");
	out_text(o, "\"; }");
}

static void
word_map(struct out *o, const struct diagnose_evidence *e)
{
	out_text(o, "the map");
	if (e->mqtt.map[0] != '\0') {
		out_text(o, " \"");
		out_foreign(o, e->mqtt.map, "");
		out_text(o, "\"");
	}
}

static void
word_client_id(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->mqtt.client_id, "");
}

static void
word_level(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->mqtt.level);
}

static void
word_keepalive(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->mqtt.keepalive);
}

static void
word_takeovers(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->mqtt.takeovers);
}

static void
word_limit(struct out *o, const struct diagnose_evidence *e)
{
	out_foreign(o, e->mqtt.limit, "of the gateway");
}

static void
word_reason(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u", e->mqtt.reason);
}

static void
word_broker_note(struct out *o, const struct diagnose_evidence *e)
{
	if (e->mqtt.broker[0] != '\0') {
		out_text(o, " The connection to it: ");
		out_foreign(o, e->mqtt.broker, "");
		out_text(o, ".");
	}
}

/* ---- filling in -------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*put)(struct out *o, const struct diagnose_evidence *e);
} words[] = {
	{ "address", word_address },
	{ "alert in", word_alert_in },
	{ "broker note", word_broker_note },
	{ "chain length", word_chain_length },
	{ "client id", word_client_id },
	{ "client note", word_client_note },
	{ "client version", word_client_version },
	{ "device", word_device },
	{ "device in sentence", word_device_in_sentence },
	{ "end", word_end },
	{ "errors note", word_errors_note },
	{ "fragment code", word_fragment_code },
	{ "insecure note", word_insecure_note },
	{ "issuer", word_issuer },
	{ "keepalive", word_keepalive },
	{ "key", word_key },
	{ "known length", word_known_length },
	{ "last success", word_last_success },
	{ "level", word_level },
	{ "library note", word_library_note },
	{ "limit", word_limit },
	{ "now", word_now },
	{ "our ca", word_our_ca },
	{ "our end", word_our_end },
	{ "our fault", word_our_fault },
	{ "our key", word_our_key },
	{ "our names", word_our_names },
	{ "our start", word_our_start },
	{ "our subject", word_our_subject },
	{ "protocol", word_protocol },
	{ "reason", word_reason },
	{ "retry", word_retry },
	{ "retry note", word_retry_note },
	{ "rule", word_rule },
	{ "map", word_map },
	{ "seconds", word_seconds },
	{ "sni", word_sni },
	{ "start", word_start },
	{ "stranger note", word_stranger_note },
	{ "subject", word_subject },
	{ "takeovers", word_takeovers },
	{ "tool note", word_tool_note },
	{ "topic", word_topic },
	{ "unacknowledged", word_unacknowledged },
	{ "verify error", word_verify_error },
	{ "why", word_why },
	{ "why note", word_why_note },
};

static size_t
word_find(struct span name)
{
	size_t i = 0;

	while (i < sizeof words / sizeof words[0] && !span_eq_str(name, words[i].name)) {
		i++;
	}
	return i;
}

bool
words_known(struct span name)
{
	return word_find(name) < sizeof words / sizeof words[0];
}

void
words_fill(const char *template, const struct diagnose_evidence *e, char *text, size_t size)
{
	struct out o = out_of(text, size);
	const char *at = template;

	while (*at != '\0') {
		size_t plain = strcspn(at, "{");
		const char *end;
		struct span name;

		out_span(&o, span_of(at, plain));
		at += plain;
		end = strchr(at, '}');
		if (*at == '\0' || end == NULL) {
			break;
		}
		name = span_of(at + 1, (size_t)(end - at) - 1);
		if (words_known(name)) {
			words[word_find(name)].put(&o, e);
		}
		at = end + 1;
	}
}
