/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What devices see of us: names, dates, authority, and whether boards can
 * accept it at all. Looked at once, when a context is made.
 */
#include "tls/tls_int.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/pki_x509.h"

const struct tls_presented *
tls_context_presented(const struct tls_context *context)
{
	return &context->presented;
}

const struct tls_presented *
tls_presented(const struct tls *tls)
{
	return &tls->context->presented;
}

static void
copy(char *out, size_t size, struct span text)
{
	snprintf(out, size, "%.*s", SPAN_ARG(text));
}

static void
add_name(struct tls_presented *p, struct span name)
{
	if (p->name_count < TLS_NAMES) {
		copy(p->names[p->name_count], sizeof p->names[0], name);
	}
	p->name_count++;
}

static void
take_names(struct tls_presented *p, X509 *leaf, const struct pki_cert *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS) {
			add_name(p, span_of(ASN1_STRING_get0_data(name->d.dNSName),
			                    (size_t)ASN1_STRING_length(name->d.dNSName)));
		}
	}
	if (names == NULL && cert->cn.len > 0) {
		add_name(p, cert->cn); /* counts only without alternative names */
	}
	GENERAL_NAMES_free(names);
}

/* The authority of the leaf among those whose devices we trust; borrowed. */
static X509 *
find_ca(const struct tls_context *context, X509 *leaf)
{
	STACK_OF(X509_OBJECT) *all =
	        X509_STORE_get0_objects(SSL_CTX_get_cert_store(context->ssl));
	X509 *first = NULL;

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *one = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

		if (one != NULL && X509_NAME_cmp(X509_get_subject_name(one),
		                                 X509_get_issuer_name(leaf)) == 0) {
			return one;
		}
		first = first == NULL ? one : first;
	}
	return first;
}

/* Both numbers below 2^248: the hardware verifier of boards fails on them. */
static bool
short_signature(const X509 *leaf)
{
	const ASN1_BIT_STRING *bits;
	const uint8_t *data;
	ECDSA_SIG *signature;
	bool is_short;

	X509_get0_signature(&bits, NULL, leaf);
	data = ASN1_STRING_get0_data(bits);
	signature = d2i_ECDSA_SIG(NULL, &data, ASN1_STRING_length(bits));
	is_short = signature != NULL && BN_num_bits(ECDSA_SIG_get0_r(signature)) <= 248 &&
	           BN_num_bits(ECDSA_SIG_get0_s(signature)) <= 248;
	ECDSA_SIG_free(signature);
	return is_short;
}

static bool
critical(const X509 *leaf, int nid)
{
	int at = X509_get_ext_by_NID(leaf, nid, -1);

	return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(leaf, at)) == 1;
}

/* The first thing that BearSSL on a board cannot accept. "" none. */
static const char *
fault_of(X509 *leaf, X509 *ca, const struct pki_cert *cert)
{
	int hash = NID_undef;

	(void)X509_get_signature_info(leaf, &hash, NULL, NULL, NULL);
	if (critical(leaf, NID_ext_key_usage)) {
		return "its extended key usage is marked critical";
	}
	if (span_eq_str(cert->key_type, "EC P-384") || hash == NID_sha384) {
		return "it uses P-384 or SHA-384, which the crypto chip cannot check";
	}
	if (ca != NULL && X509_get_version(ca) < 2) {
		return "its CA certificate is of version 1, which marks no authority";
	}
	if (ca != NULL && X509_check_ca(ca) == 0) {
		return "the certificate of its CA is not one of an authority";
	}
	return "";
}

int
tls_present(struct tls_context *context)
{
	struct tls_presented *p = &context->presented;
	X509 *leaf = SSL_CTX_get0_certificate(context->ssl), *ca = find_ca(context, leaf);
	struct pki_cert *cert, *authority = NULL;
	int rc = pki_cert_of(leaf, context->libctx, &cert);

	if (rc != 0) {
		return rc == -ENOMEM ? rc : 0; /* unusual, but OpenSSL can serve it */
	}
	copy(p->subject, sizeof p->subject, cert->subject);
	copy(p->ca_subject, sizeof p->ca_subject, cert->issuer);
	copy(p->key, sizeof p->key, cert->key_type);
	p->not_before = cert->not_before;
	p->not_after = cert->not_after;
	take_names(p, leaf, cert);
	p->short_signature = short_signature(leaf);
	snprintf(p->fault, sizeof p->fault, "%s", fault_of(leaf, ca, cert));
	if (ca != NULL && pki_cert_of(ca, context->libctx, &authority) == 0) {
		copy(p->ca_subject, sizeof p->ca_subject, authority->subject);
		memcpy(p->ca_fingerprint, authority->certificate_hash, sizeof p->ca_fingerprint);
		pki_cert_free(authority);
	}
	pki_cert_free(cert);
	ERR_clear_error();
	return 0;
}
