/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first bytes of a stranger: the first byte of the input says what else
 * the evidence holds, the rest is what arrived. Every verdict must be whole.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "diagnose/diagnose.h"
#include "diagnose/diagnose_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool condition)
{
	if (!condition) {
		abort();
	}
}

static void
check_text(const char *text)
{
	expect(text[0] != '\0' && utf8_valid_strict(span_str(text)));
	expect(strchr(text, '{') == NULL || strchr(text, '}') == NULL);
}

/* What is read must not depend on bytes that come later. */
static void
check_hello(struct span bytes)
{
	struct hello whole, cut;
	int rc = hello_read(bytes, &whole);
	size_t half = bytes.len / 2;
	int early = hello_read(span_head(bytes, half), &cut);

	expect(early == ERR_MORE || early == rc);
	if (rc == 0) {
		expect(strlen(whole.sni) <= HELLO_SNI_MAX);
		expect(utf8_valid_strict(span_str(whole.sni)));
		expect(hello_client_text(hello_client(&whole))[0] != '\0');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diagnose_evidence *e = calloc(1, sizeof *e);
	struct diagnose_verdict verdict;
	char text[256];

	if (e == NULL || size == 0) {
		free(e);
		return 0;
	}
	e->end = data[0] & 3;
	e->plain_port = (data[0] & 4) != 0;
	e->sent = (data[0] & 8) != 0 ? HANDSHAKE(MESSAGE_HELLO_DONE) : 0;
	e->handshake_done = (data[0] & 16) != 0;
	e->received = HANDSHAKE(MESSAGE_CLIENT_HELLO);
	/* Foreign text, as it might stand in a certificate or packet. */
	for (size_t i = 1; i < size && i < DIAGNOSE_NAME; i++) {
		e->certificate.identity[i - 1] = (char)data[i];
		e->mqtt.why[i - 1] = (char)data[i];
	}
	diagnose_take_start(e, span_of(data + 1, size - 1));
	check_hello(span_of(data + 1, size - 1));
	diagnose(e, &verdict);
	expect((unsigned)verdict.cause < CAUSE_COUNT);
	check_text(verdict.remedy);
	expect(verdict.sentence[0] != '\0' && utf8_valid_strict(span_str(verdict.sentence)));
	for (unsigned bit = 0; bit < BY_COUNT; bit++) {
		diagnose_by_text(e, 1u << bit, text, sizeof text);
		expect(utf8_valid_strict(span_str(text)) && strlen(text) < sizeof text);
	}
	free(e);
	return 0;
}
