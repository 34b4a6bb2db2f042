/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates and requests from strangers: read, never signed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "pki/pki.h"
#include "pki/pki_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(struct span text)
{
	if (text.len > PKI_FIELD_MAX || text.ptr[text.len] != '\0' ||
	    memchr(text.ptr, '\0', text.len) != NULL) {
		abort();
	}
}

static void
try_certificate(struct span der)
{
	struct pki_cert *cert;

	if (pki_cert_read(der, &cert) == 0) {
		check_text(cert->subject);
		check_text(cert->issuer);
		check_text(cert->cn);
		check_text(cert->issuer_cn);
		check_text(cert->san_dns);
		check_text(cert->san_uri);
		check_text(cert->serial);
		pki_cert_free(cert);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_of(data, size);
	struct pki_request request;
	struct buf der = { 0 };
	char why[PKI_WHY_SIZE];

	try_certificate(input);
	if (pki_unwrap(input, "CERTIFICATE", "The input", &der, why) == 0) {
		try_certificate(buf_span(&der));
	}
	buf_release(&der);
	if (pki_request_read(input, &request, why) == 0) {
		pki_request_free(&request);
	}
	return 0;
}
