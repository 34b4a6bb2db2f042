/* SPDX-License-Identifier: BSD-2-Clause */
#include "effect.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define PROVE_MS 2000
#define PAUSE_MS 25

/* What the daemon says of a device. */
struct answer {
	int64_t sessions;
	bool admitted;
	char sentence[512];
};

static int
ask(struct cli *cli, const char *identity, struct answer *out, char *why)
{
	struct doc *args = doc_map(), *doc;
	const struct doc *sessions;
	int r;

	doc_set_text(args, "identity", identity);
	r = cli_ask(cli, "device", args, &doc, why, NULL);
	doc_free(args);
	if (r < 0) {
		return r;
	}
	sessions = doc_get(doc, "sessions");
	out->sessions = doc_kind(sessions) == DOC_LIST ? (int64_t)doc_count(sessions) :
	                                                 doc_number(sessions);
	out->admitted = doc_get_bool(doc, "admitted", false);
	snprintf(out->sentence, sizeof out->sentence, "%s", doc_get_text(doc, "sentence", ""));
	doc_free(doc);
	return 0;
}

int64_t
effect_sessions(struct cli *cli, const char *identity)
{
	struct answer answer;
	char why[CLI_WHY_SIZE];

	return ask(cli, identity, &answer, why) < 0 ? -1 : answer.sessions;
}

static void
nap(void)
{
	const struct timespec time = { .tv_nsec = PAUSE_MS * 1000000L };

	nanosleep(&time, NULL);
}

static void
set_sentence(struct doc *result, bool proved, const char *format, const char *more)
{
	char *text = NULL;

	doc_set_bool(result, "proved", proved);
	if (asprintf(&text, "%s%s", format, more) >= 0) {
		doc_set_text(result, "gateway", text);
		free(text);
	} else {
		doc_set(result, "gateway", NULL);
	}
}

static void
say_proved(struct doc *result, bool admitted, int64_t before, const char *sentence)
{
	const char *what = admitted     ? "the gateway now lets it in" :
	                   before > 1   ? "its sessions were closed; the gateway now refuses it" :
	                   before == 1  ? "its session was closed; the gateway now refuses it" :
	                                  "it was not connected; the gateway now refuses it";
	char more[520] = "";

	if (!admitted && sentence[0] != '\0') {
		snprintf(more, sizeof more, ": %s", sentence);
	}
	set_sentence(result, true, what, more);
}

int
effect_prove(struct cli *cli, const char *identity, bool admitted, int64_t sessions,
             struct doc *result)
{
	uint64_t end = clock_ms() + PROVE_MS;
	struct answer answer;
	char why[CLI_WHY_SIZE];
	int r;

	do {
		r = ask(cli, identity, &answer, why);
		if (r == 0 && answer.admitted == admitted && (admitted || answer.sessions == 0)) {
			say_proved(result, admitted, sessions, answer.sentence);
			return CLI_DONE;
		}
		if (r < 0) {
			break;
		}
		nap();
	} while (clock_ms() < end);
	if (r == ERR_UNAVAILABLE) {
		set_sentence(result, false, "gatewayd is not running: it takes effect at its start",
		             "");
		return CLI_DONE;
	}
	if (r < 0) {
		set_sentence(result, false, "gatewayd could not be asked: ", why);
		return CLI_DONE;
	}
	set_sentence(result, false,
	             admitted ? "the gateway still refuses it: " :
	                        "the gateway still has sessions of it, or lets it in: ",
	             answer.sentence);
	return cli_fail(cli, ERR_TIMEOUT, "the register has the change, but after 2 s %s",
	                doc_get_text(result, "gateway", ""));
}
