/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The question "may this certificate in?", asked inside the handshake, where
 * a refusal still reaches the device as an alert that its sketch can print.
 */
#include "tls/tls_int.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "pki/pki_int.h"

int64_t
tls_asn1_time(const ASN1_TIME *time)
{
	struct tm tm;

	/* A date that cannot be read ends the session at once. */
	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MIN;
}

/* The error that makes OpenSSL send the alert which the header promises. */
static int
error_of_admit(enum tls_admit admit)
{
	switch (admit) {
	case TLS_ADMIT_YES:
		return X509_V_OK;
	case TLS_ADMIT_UNKNOWN:
		/* One without an alert of its own: certificate_unknown. */
		return X509_V_ERR_OCSP_CERT_UNKNOWN;
	case TLS_ADMIT_REVOKED:
		return X509_V_ERR_CERT_REVOKED;
	case TLS_ADMIT_EXPIRED:
		return X509_V_ERR_CERT_HAS_EXPIRED;
	case TLS_ADMIT_BAD:
		return X509_V_ERR_CERT_REJECTED;
	case TLS_ADMIT_ERROR:
		break;
	}
	return X509_V_ERR_UNSPECIFIED;
}

static int64_t
chain_end(X509_STORE_CTX *store)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	int64_t end = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		int64_t one = tls_asn1_time(X509_get0_notAfter(sk_X509_value(chain, i)));

		end = one < end ? one : end;
	}
	return end;
}

static int
ask_register(struct tls *tls, X509_STORE_CTX *store, int read)
{
	struct tls_context *context = tls->context;

	if (read == -ENOMEM) {
		return X509_V_ERR_OUT_OF_MEM;
	}
	tls->stamp.born = clock_ms();
	tls->stamp.valid_until = chain_end(store);
	tls->failure.admit = read != 0 ? TLS_ADMIT_BAD :
	                                 context->calls.admit(tls->owner, tls->peer, false);
	return error_of_admit(tls->failure.admit);
}

int
tls_verify(X509_STORE_CTX *store, void *arg)
{
	struct tls *tls = tls_of(
	        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
	int good, read;

	(void)arg;
	if (tls->context->shared != NULL) {
		/* First of all: what is forgotten from here on voids the session. */
		tls->stamp.sequence = tls_shared_sequence(tls->context->shared);
	}
	tls->failure.admit = TLS_ADMIT_YES; /* a resumption may have asked before */
	pki_cert_free(tls->peer);
	tls->peer = NULL;
	read = pki_cert_of(X509_STORE_CTX_get0_cert(store), tls->context->libctx, &tls->peer);
	X509_STORE_CTX_set_time(store, 0, (time_t)clock_wall());
	good = X509_verify_cert(store);
	if (good == 1) {
		X509_STORE_CTX_set_error(store, ask_register(tls, store, read));
		X509_STORE_CTX_set_error_depth(store, 0);
		good = X509_STORE_CTX_get_error(store) == X509_V_OK;
	} else if (X509_STORE_CTX_get_error(store) == X509_V_OK) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
	}
	tls->failure.verify_error = X509_STORE_CTX_get_error(store);
	tls->failure.verify_depth = X509_STORE_CTX_get_error_depth(store);
	return good == 1;
}
