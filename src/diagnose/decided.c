/* SPDX-License-Identifier: BSD-2-Clause */
/* What decided, in words for people. */
#include "diagnose/diagnose_int.h"
#include "diagnose/out.h"

/* Words of the templates, appended. */
static void
put_words(struct out *o, const char *template, const struct diagnose_evidence *e)
{
	words_fill(template, e, o->text + o->len, o->size - o->len);
	o->len += strlen(o->text + o->len);
}

static void
put_first(struct out *o, const struct diagnose_evidence *e)
{
	for (unsigned i = 0; i < e->first_len && i < FIRST_BYTES_MAX; i++) {
		out_format(o, "%s%02x", i > 0 ? " " : "", e->first[i]);
	}
	out_format(o, "%s%s", e->first_len > 0 ? ", " : "", first_bytes_text(first_kind(e)));
}

static void
put_end(struct out *o, const struct diagnose_evidence *e)
{
	static const char *const text[] = {
		[END_OPEN] = "still open", [END_FIN] = "closed by the client",
		[END_RESET] = "reset by the client", [END_TIMEOUT] = "our deadline passed",
		[END_CLOSED] = "closed by us",
	};

	out_format(o, "%s after ", (unsigned)e->end <= END_CLOSED ? text[e->end] : "?");
	out_ms(o, e->duration_ms);
}

static void
put_messages(struct out *o, const struct diagnose_evidence *e)
{
	out_text(o, "received");
	for (unsigned type = 0; type < 32; type++) {
		if ((e->received & HANDSHAKE(type)) != 0) {
			out_format(o, " %u", type);
		}
	}
	out_text(o, ", sent");
	for (unsigned type = 0; type < 32; type++) {
		if ((e->sent & HANDSHAKE(type)) != 0) {
			out_format(o, " %u", type);
		}
	}
}

static void
put_reasons(struct out *o, const struct diagnose_evidence *e)
{
	out_text(o, e->error_count == 0 ? "none" : "");
	for (unsigned i = 0; i < e->error_count && i < DIAGNOSE_ERRORS; i++) {
		out_format(o, "%s%d:%d", i > 0 ? ", " : "", e->errors[i].library,
		           e->errors[i].reason);
	}
}

static void
put_history(struct out *o, const struct diagnose_evidence *e)
{
	out_format(o, "%u failures in a row", e->before.failures);
	if (e->before.last_success != 0) {
		out_text(o, ", last success ");
		out_time(o, e->before.last_success);
	}
	out_text(o, e->before.random_repeated ? ", a random number came twice" : "");
}

static void
put_value(struct out *o, const struct diagnose_evidence *e, enum diagnose_by by)
{
	switch (by) {
	case BY_FIRST_BYTES:
		put_first(o, e);
		break;
	case BY_HELLO:
		out_text(o, e->hello_state == HELLO_READ ?
		               hello_client_text(hello_client(&e->hello)) :
		               "not read");
		out_text(o, ", name ");
		put_words(o, "{sni}", e);
		break;
	case BY_MESSAGES:
		put_messages(o, e);
		break;
	case BY_ALERT_IN:
		out_format(o, "%u", e->alert_in.number);
		break;
	case BY_REASON:
		put_reasons(o, e);
		break;
	case BY_VERIFY:
		out_format(o, "error %d at depth %d", e->verify_error, e->verify_depth);
		break;
	case BY_CERTIFICATE:
		out_format(o, "%u bytes, issued by ", e->certificate.length);
		put_words(o, "{issuer}", e);
		break;
	case BY_ADMISSION:
		out_foreign(o, e->admit_why, "refused");
		break;
	case BY_PRESENTED:
		put_words(o, "{our names} from {our start}", e);
		break;
	case BY_END:
		put_end(o, e);
		break;
	case BY_UNACKNOWLEDGED:
		put_words(o, "{unacknowledged}", e);
		break;
	case BY_APPLICATION:
		out_format(o, "%llu in, %llu out", (unsigned long long)e->app_in,
		           (unsigned long long)e->app_out);
		break;
	case BY_HISTORY:
		put_history(o, e);
		break;
	case BY_MQTT:
		out_format(o, "reason %u, ", e->mqtt.reason);
		put_words(o, "{why}", e);
		break;
	case BY_BROKER:
		out_foreign(o, e->mqtt.broker, "connected");
		break;
	}
}

void
diagnose_by_text(const struct diagnose_evidence *evidence, enum diagnose_by by, char *text,
                 size_t size)
{
	static const char *const name[] = {
#define X(bit, words_) [BY_##bit##_BIT] = words_,
		DIAGNOSE_BY_LIST(X)
#undef X
	};
	struct out o = out_of(text, size);

	for (unsigned bit = 0; bit < BY_COUNT; bit++) {
		if ((unsigned)by == 1u << bit) {
			out_format(&o, "%s: ", name[bit]);
			put_value(&o, evidence, by);
		}
	}
}
