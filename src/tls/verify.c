/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The question "may this certificate in?", asked inside the handshake, where
 * a refusal still reaches the device as an alert that its sketch can print.
 */
#include "tls/tls_int.h"

#include <errno.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "pki/pki_x509.h"

int64_t
tls_asn1_time(const ASN1_TIME *time)
{
	struct tm tm;

	/* A date that cannot be read ends the session at once. */
	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MIN;
}

/* ---- X.509 ----------------------------------------------------------------------------- */

static bool
has_list_of(const struct tls_context *context, X509 *cert)
{
	for (int i = 0; i < sk_X509_CRL_num(context->lists); i++) {
		const X509_CRL *crl = sk_X509_CRL_value(context->lists, i);

		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) == 0) {
			return true;
		}
	}
	return false;
}

/* What a verification goes by, and what it found. */
struct verification {
	const struct tls_context *context;
	const struct pki_cert *leaf; /* NULL: it cannot be read */
	enum tls_trust trust;
	bool expired;    /* the leaf */
	bool ignore_age; /* of leaf and lists */
};

static struct verification *
verification_of(X509_STORE_CTX *store)
{
	return X509_STORE_CTX_get_app_data(store);
}

/*
 * The faults that are not the end: whether they are is decided later, with
 * what the register says, or by the configuration. Every other check goes on.
 */
static int
judge(int good, X509_STORE_CTX *store)
{
	struct verification *v = verification_of(store);
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	bool leaf = X509_STORE_CTX_get_error_depth(store) == 0;

	if (good == 1) {
		return 1;
	}
	switch (X509_STORE_CTX_get_error(store)) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		/* Not only by name: its own key must have signed it. Reading it has checked
		 * that, within bounds: here it would be unbounded work for a stranger. */
		if (leaf && v->leaf != NULL && v->leaf->self_signed) {
			v->trust = TLS_TRUST_SELF_SIGNED;
			return 1;
		}
		return 0;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		v->expired = v->expired || leaf;
		return leaf;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
		/* Nobody lists the self-signed, nor the devices of a CA of which
		 * the file has no list: we may trust one with and one without. */
		return leaf && cert != NULL &&
		       (v->trust == TLS_TRUST_SELF_SIGNED || !has_list_of(v->context, cert));
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return v->context->crl_stale || v->ignore_age;
	default:
		return 0;
	}
}

/* The authority behind this one in the chain, or among those we trust; to be freed. */
static X509 *
issuer_of(X509_STORE_CTX *store, int place)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	X509 *issuer = NULL;

	if (place + 1 < sk_X509_num(chain)) {
		issuer = sk_X509_value(chain, place + 1);
		return X509_up_ref(issuer) == 1 ? issuer : NULL;
	}
	return X509_STORE_CTX_get1_issuer(&issuer, store, sk_X509_value(chain, place)) == 1 ?
	               issuer :
	               NULL;
}

/* Does a list name the authority? Two of one name may have numbered alike: the key tells. */
static bool
is_listed(X509_STORE_CTX *store, int place, X509_CRL *crl)
{
	X509 *cert = sk_X509_value(X509_STORE_CTX_get0_chain(store), place), *issuer;
	X509_REVOKED *entry;
	bool listed;

	if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) != 0 ||
	    X509_CRL_get0_by_cert(crl, &entry, cert) != 1) {
		return false;
	}
	issuer = issuer_of(store, place);
	/* Without the issuer at hand the operator's own file is believed. */
	listed = issuer == NULL || X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1;
	X509_free(issuer);
	return listed;
}

/*
 * OpenSSL asks the lists for the leaf only: told to ask for all, it wants one
 * of every authority, and of an anchor that is no root it can check none. So
 * the authorities are looked up here. A root answers for itself.
 */
static int
check_authorities(X509_STORE_CTX *store, const struct tls_context *context)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);

	for (int place = 1; place < sk_X509_num(chain); place++) {
		bool root = (X509_get_extension_flags(sk_X509_value(chain, place)) & EXFLAG_SS) != 0;

		for (int i = 0; !root && i < sk_X509_CRL_num(context->lists); i++) {
			if (is_listed(store, place, sk_X509_CRL_value(context->lists, i))) {
				X509_STORE_CTX_set_error_depth(store, place);
				return X509_V_ERR_CERT_REVOKED;
			}
		}
	}
	return X509_V_OK;
}

/* X509_V_OK, or what is wrong. */
static int
verify(X509_STORE_CTX *store, struct verification *v)
{
	void *before = X509_STORE_CTX_get_app_data(store);
	int good, error;

	X509_STORE_CTX_set_app_data(store, v);
	X509_STORE_CTX_set_verify_cb(store, judge);
	X509_STORE_CTX_set_time(store, 0, (time_t)clock_wall());
	good = X509_verify_cert(store);
	error = X509_STORE_CTX_get_error(store);
	X509_STORE_CTX_set_app_data(store, before);
	if (good == 1) {
		return check_authorities(store, v->context); /* `error` may hold one passed over */
	}
	return error != X509_V_OK ? error : X509_V_ERR_UNSPECIFIED;
}

static int64_t
lists_end(const struct tls_context *context, X509 *cert)
{
	int64_t end = INT64_MAX;

	for (int i = 0; !context->crl_stale && i < sk_X509_CRL_num(context->lists); i++) {
		const X509_CRL *crl = sk_X509_CRL_value(context->lists, i);
		const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);

		if (next != NULL &&
		    X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) == 0) {
			int64_t one = tls_asn1_time(next);

			end = one < end ? one : end;
		}
	}
	return end;
}

/* The first end date of chain and lists: nothing resumes behind it. */
static int64_t
chain_end(X509_STORE_CTX *store, const struct tls_context *context)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	int64_t end = lists_end(context, X509_STORE_CTX_get0_cert(store));

	for (int i = 0; i < sk_X509_num(chain); i++) {
		int64_t one = tls_asn1_time(X509_get0_notAfter(sk_X509_value(chain, i)));

		end = one < end ? one : end;
	}
	return end;
}

/* ---- the register ---------------------------------------------------------------------- */

/* The error that makes OpenSSL send the alert which the header promises. */
static int
error_of_admit(enum tls_admit admit)
{
	switch (admit) {
	case TLS_ADMIT_YES:
	case TLS_ADMIT_GRACE:
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

/* The faults that were put off, in the light of the answer. */
static int
error_of_answer(struct tls *tls, const struct verification *v)
{
	enum tls_admit admit = tls->failure.admit;

	if (v->expired && admit != TLS_ADMIT_GRACE && admit != TLS_ADMIT_REVOKED) {
		/* The certificate's own fault, with its dates, says most. */
		tls->failure.admit = TLS_ADMIT_YES;
		return X509_V_ERR_CERT_HAS_EXPIRED;
	}
	if (v->trust == TLS_TRUST_SELF_SIGNED &&
	    (admit == TLS_ADMIT_UNKNOWN || admit == TLS_ADMIT_BAD)) {
		return X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
	}
	return error_of_admit(admit);
}

static int
ask_register(struct tls *tls, X509_STORE_CTX *store, const struct verification *v, int read)
{
	struct tls_context *context = tls->context;

	if (read == -ENOMEM) {
		return X509_V_ERR_OUT_OF_MEM;
	}
	tls->stamp.born = clock_ms();
	tls->stamp.valid_until = chain_end(store, context);
	tls->stamp.trust = v->trust;
	tls->failure.admit = read != 0 ? TLS_ADMIT_BAD :
	                                 context->calls.admit(tls->owner, tls->peer, v->trust, false);
	return error_of_answer(tls, v);
}

int
tls_verify(X509_STORE_CTX *store, void *arg)
{
	struct tls *tls = tls_of(
	        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
	struct verification v = { .context = tls->context };
	int error, read;

	(void)arg;
	if (tls->context->shared != NULL) {
		/* First of all: what is forgotten from here on voids the session. */
		tls->stamp.sequence = tls_shared_sequence(tls->context->shared);
	}
	tls->failure.admit = TLS_ADMIT_YES; /* a resumption may have asked before */
	pki_cert_free(tls->peer);
	tls->peer = NULL;
	tls_note_certificate(tls, X509_STORE_CTX_get0_cert(store),
	                     X509_STORE_CTX_get0_untrusted(store));
	read = pki_cert_of(X509_STORE_CTX_get0_cert(store), tls->context->libctx, &tls->peer);
	v.leaf = tls->peer;
	error = verify(store, &v);
	if (error == X509_V_OK) {
		error = ask_register(tls, store, &v, read);
		X509_STORE_CTX_set_error_depth(store, 0);
	}
	X509_STORE_CTX_set_error(store, error);
	tls->failure.verify_error = error;
	tls->failure.verify_depth = X509_STORE_CTX_get_error_depth(store);
	return error == X509_V_OK;
}

/* ---- again, on a connection that is open --------------------------------------------------- */

bool
tls_still_trusted(const struct tls *tls, const struct tls_context *now)
{
	struct verification v = { .context = now, .leaf = tls->peer, .ignore_age = true };
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);
	X509_STORE_CTX *store;
	bool good;

	if (memcmp(tls->context->session_context, now->session_context,
	           sizeof now->session_context) == 0) {
		return true;
	}
	store = X509_STORE_CTX_new_ex(now->libctx, NULL);
	/* A resumed session has no intermediates: at worst the device has to come again. */
	good = store != NULL && cert != NULL &&
	       X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(now->ssl), cert,
	                           SSL_get_peer_cert_chain(tls->ssl)) == 1 &&
	       X509_STORE_CTX_set_default(store, "ssl_client") == 1;
	if (good) {
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(store),
		                            X509_VERIFY_PARAM_get_flags(
		                                    SSL_CTX_get0_param(now->ssl)));
		X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(store),
		                                 SSL_CTX_get_security_level(now->ssl));
		good = verify(store, &v) == X509_V_OK && v.trust == tls_trust(tls);
	}
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return good;
}
