/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of the questions, and the words of the answer. */
#include "diagnose/diagnose.h"

#include "diagnose/diagnose_int.h"
#include "diagnose/out.h"

static const struct rule *
first_fit(const struct rules *rules, const struct diagnose_evidence *e)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->list[i].fits(e)) {
			return &rules->list[i];
		}
	}
	return NULL;
}

/* ---- warnings ---------------------------------------------------------------------- */

static bool
no_random(const struct diagnose_evidence *e)
{
	return e->admit == ADMIT_RANDOM ||
	       (e->before.random_repeated && e->hello_state == HELLO_READ &&
	        hello_is_bearssl(&e->hello));
}

static bool
version_1(const struct diagnose_evidence *e)
{
	return e->handshake_done && e->certificate.present && e->certificate.version == 1;
}

static const struct rule warning_list[] = {
	{ CAUSE_NO_RANDOM, no_random, BY_HELLO | BY_HISTORY },
	{ CAUSE_V1_CERTIFICATE, version_1, BY_CERTIFICATE },
};

static const struct rules rules_warning = {
	warning_list, sizeof warning_list / sizeof warning_list[0]
};

/* ---- the verdict ------------------------------------------------------------------- */

static void
say(const struct diagnose_evidence *e, const struct rule *rule, struct diagnose_verdict *verdict)
{
	const struct diagnose_entry *entry = diagnose_entry(rule->cause);

	*verdict = (struct diagnose_verdict){ .cause = rule->cause,
		.confidence = entry->confidence, .codes = entry->codes, .decided_by = rule->by };
	words_fill(entry->sentence, e, verdict->sentence, sizeof verdict->sentence);
	words_fill(entry->remedy, e, verdict->remedy, sizeof verdict->remedy);
}

/*
 * Facts before guesses: what the bytes are, what was said and checked, and
 * only then what the silence means.
 */
static const struct rule *
in_handshake(const struct diagnose_evidence *e)
{
	static const struct rules *const order[] = {
		&rules_start, &rules_certificate, &rules_silence
	};
	const struct rule *rule = NULL;

	for (size_t i = 0; rule == NULL && i < sizeof order / sizeof order[0]; i++) {
		rule = first_fit(order[i], e);
	}
	return rule;
}

static bool
is_session(const struct diagnose_evidence *e)
{
	return e->handshake_done || e->mqtt.limit[0] != '\0' || (e->plain_port && first_kind(e) == FIRST_MQTT);
}

/*
 * TLS 1.3 clients speak after the handshake is done for us: an alert about
 * our certificate, or the answer to our refusal.
 */
static bool
refused_late(const struct diagnose_evidence *e)
{
	return e->alert_in.seen && e->alert_in.number != 0 && e->app_in == 0 &&
	       !(e->alert_out.seen && e->alert_out.number == 100);
}

static const struct rule *
choose(const struct diagnose_evidence *e)
{
	static const struct rule unexplained = { CAUSE_UNEXPLAINED, NULL, BY_REASON | BY_END };
	static const struct rule untroubled = { CAUSE_NOTHING, NULL, BY_END };
	const struct rule *rule = NULL, *warning = first_fit(&rules_warning, e);

	if (e->admit == ADMIT_RANDOM) {
		return warning;
	}
	if (!is_session(e)) {
		rule = in_handshake(e);
	} else {
		rule = refused_late(e) ? first_fit(&rules_certificate, e) : NULL;
		rule = rule != NULL ? rule : first_fit(&rules_session, e);
	}
	if (rule == NULL) {
		rule = e->end == END_OPEN && e->error_count == 0 ? &untroubled : &unexplained;
	}
	/* A warning is worth saying only where nothing else is wrong. */
	return rule->cause == CAUSE_NOTHING && warning != NULL ? warning : rule;
}

void
diagnose(const struct diagnose_evidence *evidence, struct diagnose_verdict *verdict)
{
	say(evidence, choose(evidence), verdict);
}

bool
diagnose_warning(const struct diagnose_evidence *evidence, struct diagnose_verdict *verdict)
{
	const struct rule *rule = first_fit(&rules_warning, evidence);

	if (rule != NULL) {
		say(evidence, rule, verdict);
	}
	return rule != NULL;
}

void
diagnose_refused(const struct diagnose_evidence *evidence, struct diagnose_verdict *verdict)
{
	struct out o = out_of(verdict->sentence, sizeof verdict->sentence);

	out_text(&o, "Device \"");
	out_foreign(&o, evidence->certificate.identity, "");
	out_text(&o, "\" is refused: ");
	out_foreign(&o, evidence->admit_why, "no reason was given");
	out_text(&o, ".");
}

/* ---- collecting -------------------------------------------------------------------- */

void
diagnose_take_start(struct diagnose_evidence *evidence, struct span bytes)
{
	struct span first = span_head(bytes, FIRST_BYTES_MAX);
	int rc;

	if (first.len == 0) {
		return;
	}
	memcpy(evidence->first, first.ptr, first.len);
	evidence->first_len = (uint8_t)first.len;
	if (first_bytes_kind(first) != FIRST_TLS) {
		return;
	}
	rc = hello_read(bytes, &evidence->hello);
	evidence->hello_state = rc == 0        ? HELLO_READ :
	                        rc == ERR_MORE ? HELLO_PART :
	                                         HELLO_BAD;
}
