/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What went wrong, in words that name the next thing to do. One table of
 * ranges in ascending order; short sentences, since they are in flash.
 */
#include "tls/tls.h"

#include "app/report.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct meaning {
	uint16_t first, last;
	uint16_t report;
	const char *text;
};

static const struct meaning MEANINGS[] = {
	{ 0, 0, TLS_REPORT_OTHER, "no TLS error" },
	{ 1, 1, TLS_REPORT_OTHER, "settings unusable: name, key or certificate size" },
	{ 2, 2, TLS_REPORT_OTHER, "internal: call out of order" },
	{ 3, 3, TLS_REPORT_NOT_TLS, "the port answers, but not with TLS 1.2: wrong port?" },
	{ 4, 5, TLS_REPORT_DAMAGED, "broken record: bad link?" },
	{ 6, 6, TLS_REPORT_DAMAGED, "record too large: peer ignores the 512 byte limit" },
	{ 7, 7, TLS_REPORT_DAMAGED, "record failed its check: bad link or tampering" },
	{ 8, 8, TLS_REPORT_CHIP, "no random numbers" },
	{ 9, 9, TLS_REPORT_NOT_TLS, "unknown record: wrong port?" },
	{ 10, 10, TLS_REPORT_DAMAGED, "message out of order" },
	{ 12, 14, TLS_REPORT_DAMAGED, "broken handshake message" },
	{ 15, 15, TLS_REPORT_DAMAGED, "broken session identifier" },
	{ 16, 16, TLS_REPORT_NO_SUITE, "the gateway took a suite we did not offer" },
	{ 17, 22, TLS_REPORT_DAMAGED, "broken ServerHello" },
	{ 23, 23, TLS_REPORT_OTHER, "a value is beyond our limits" },
	{ 24, 24, TLS_REPORT_DAMAGED, "Finished does not match: tampering or bad link" },
	{ 25, 25, TLS_REPORT_DAMAGED, "session resumed with other parameters" },
	{ 26, 26, TLS_REPORT_CHIP, "signature or key agreement not possible" },
	{ 27, 27, TLS_REPORT_DAMAGED, "the gateway's signature is wrong: its key is not its certificate's" },
	{ 28, 28, TLS_REPORT_CERTIFICATE, "gateway certificate: key usage lacks digitalSignature" },
	{ 29, 29, TLS_REPORT_OTHER, "no client certificate" },
	{ 31, 31, TLS_REPORT_CLOSED,
	  "closed without a word: gateway stopped, refused us or wrong port; see its log" },
	{ 33, 34, TLS_REPORT_CERTIFICATE, "gateway certificate is damaged" },
	{ 35, 35, TLS_REPORT_CERTIFICATE, "the gateway sent no certificate" },
	{ 36, 48, TLS_REPORT_CERTIFICATE, "gateway certificate is damaged" },
	{ 49, 51, TLS_REPORT_CERTIFICATE, "gateway certificate must be EC P-256 with SHA-256" },
	{ 52, 52, TLS_REPORT_CA, "gateway certificate is not signed by our CA's key: provision again" },
	{ 53, 53, TLS_REPORT_CLOCK, "the clock was never set" },
	{ 54, 54, TLS_REPORT_EXPIRED, "gateway certificate expired or not yet valid: renew it" },
	{ 55, 55, TLS_REPORT_CA, "gateway's chain is in the wrong order" },
	{ 56, 56, TLS_REPORT_NAME,
	  "our name for the gateway is not a dNSName of its certificate: reissue with that name or IP" },
	{ 57, 57, TLS_REPORT_CERTIFICATE, "gateway certificate has an unknown critical extension" },
	{ 58, 59, TLS_REPORT_CA, "issuer of the gateway certificate may not sign" },
	{ 60, 60, TLS_REPORT_CERTIFICATE, "gateway key is too small" },
	{ 62, 62, TLS_REPORT_CA, "gateway certificate is of another CA than ours: provision again" },
	{ 266, 266, TLS_REPORT_DAMAGED, "gateway: unexpected message" },
	{ 276, 278, TLS_REPORT_DAMAGED, "gateway: our record was damaged" },
	{ 296, 296, TLS_REPORT_NO_SUITE, "gateway: no common suite, or no certificate from us" },
	{ 297, 297, TLS_REPORT_NO_SUITE, "gateway: no certificate from us" },
	{ 298, 298, TLS_REPORT_REFUSED, "gateway: our certificate is bad" },
	{ 299, 299, TLS_REPORT_REFUSED, "gateway: our certificate is not for clients" },
	{ 300, 300, TLS_REPORT_REVOKED, "gateway: our certificate is revoked: enrol again" },
	{ 301, 301, TLS_REPORT_REFUSED, "gateway: our certificate expired: enrol again" },
	{ 302, 302, TLS_REPORT_REFUSED, "gateway: our certificate is not accepted" },
	{ 303, 303, TLS_REPORT_DAMAGED, "gateway: illegal parameter" },
	{ 304, 304, TLS_REPORT_REFUSED, "gateway: our certificate's CA is unknown there" },
	{ 305, 305, TLS_REPORT_REFUSED, "gateway: access denied: enrol or approve this device" },
	{ 306, 306, TLS_REPORT_DAMAGED, "gateway: our message or certificate is damaged" },
	{ 307, 307, TLS_REPORT_SIGNATURE,
	  "gateway: our signature is wrong: certificate of another chip or key" },
	{ 326, 326, TLS_REPORT_NO_SUITE, "gateway: TLS 1.2 is switched off there" },
	{ 327, 327, TLS_REPORT_NO_SUITE, "gateway: our suites are too weak for it" },
	{ 336, 336, TLS_REPORT_OTHER, "gateway: internal error; see its log" },
	{ 368, 368, TLS_REPORT_NAME, "gateway: it does not know the name we call it" },
	{ 372, 372, TLS_REPORT_REFUSED, "gateway: our certificate is not accepted" },
	{ 256, 511, TLS_REPORT_OTHER, "gateway: other alert (number - 256)" },
	{ TLS_ERROR_CHIP, TLS_ERROR_CHIP + 99, TLS_REPORT_CHIP, "the crypto chip failed (number - 1000)" },
	{ TLS_ERROR_DEADLINE, TLS_ERROR_DEADLINE, TLS_REPORT_DEADLINE, "the gateway does not answer" },
	{ TLS_ERROR_NO_ENTROPY, TLS_ERROR_NO_ENTROPY, TLS_REPORT_CHIP,
	  "no random numbers: the crypto chip is not locked" },
	{ TLS_ERROR_CLOCK, TLS_ERROR_CLOCK, TLS_REPORT_CLOCK,
	  "gateway certificate not valid yet: our clock is not set" },
};

/* The first range that fits: single alerts stand before the range of all. */
static const struct meaning *
meaning_of(unsigned error)
{
	for (size_t i = 0; i < COUNT(MEANINGS); i++) {
		if (error >= MEANINGS[i].first && error <= MEANINGS[i].last) {
			return &MEANINGS[i];
		}
	}
	return NULL;
}

const char *
tls_error_text(unsigned error)
{
	const struct meaning *m = meaning_of(error);

	return m != NULL ? m->text : "unknown TLS error";
}

unsigned
tls_error_report(unsigned error)
{
	const struct meaning *m = meaning_of(error);

	return (unsigned)REPORT_TLS + (m != NULL ? m->report : (unsigned)TLS_REPORT_OTHER);
}
