/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates for devices. */
#include "pki/pki_build.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

#define DEVICE_DAYS 3650
/*
 * ArduinoBearSSL gathers Certificate and ClientKeyExchange in a record of 512
 * bytes and asks the crypto chip for the signature only then. A certificate
 * of this size fills the record and still fits into it, so it is sent first: a
 * chip that cannot sign is then told from a device that refuses us. The limits
 * seen were 433 and 502; a signature may be a few bytes shorter than another.
 */
#define DEVICE_DER_MIN 480
#define DEVICE_DER_AIM 487
/* Bytes of an attribute of a name beside its text. */
#define ATTRIBUTE_BYTES 11
/* Cut to what is needed. Two attributes, as one holds at most 64 characters (RFC 5280). */
#define FILLER "mkr-gateway device, padded to a length ......................."

_Static_assert(sizeof FILLER <= PKI_NAME_MAX + 1, "ub-organization-name");

/* What a certificate for a device is made from. */
struct order {
	const struct pki_ca *ca;
	EVP_PKEY *key;
	struct span name;
	unsigned days;
};

void
pki_issued_free(struct pki_issued *issued)
{
	free(issued->pem);
	free(issued->der);
	pki_cert_free(issued->cert);
	*issued = (struct pki_issued){ 0 };
}

static int
add_profile(X509 *x509, const X509 *ca)
{
	int rc = pki_build_basic(x509, false);

	if (rc == 0) {
		rc = pki_build_key_usage(x509, 0, 0); /* digitalSignature */
	}
	if (rc == 0) {
		rc = pki_build_extended_usage(x509, NID_client_auth);
	}
	if (rc == 0) {
		rc = pki_build_subject_key_id(x509);
	}
	return rc != 0 ? rc : pki_build_authority_key_id(x509, ca);
}

static int
build(const struct order *order, struct span filler, struct span more, X509 **out)
{
	int64_t end = pki_end(order->days > 0 ? order->days : DEVICE_DAYS, order->ca->not_after);
	X509 *x509;
	int rc = pki_build_new(order->key, clock_wall() - PKI_DAY, end, &x509);

	if (rc != 0) {
		return rc;
	}
	if (filler.len > 0) {
		rc = pki_build_subject(x509, NID_organizationName, filler);
	}
	if (rc == 0 && more.len > 0) {
		rc = pki_build_subject(x509, NID_organizationalUnitName, more);
	}
	if (rc == 0) {
		rc = pki_build_subject(x509, NID_commonName, order->name);
	}
	if (rc == 0) {
		rc = add_profile(x509, order->ca->x509);
	}
	if (rc == 0) {
		rc = pki_build_sign(x509, order->ca->x509, order->ca->key);
	}
	if (rc != 0) {
		X509_free(x509);
		return rc;
	}
	*out = x509;
	return 0;
}

/* As much of the filler as a certificate of that many bytes lacks. */
static struct span
filler_for(int len)
{
	int lacks = DEVICE_DER_AIM - ATTRIBUTE_BYTES - len;

	return len >= DEVICE_DER_MIN ? span_of(NULL, 0) :
	                               span_head(span_str(FILLER), lacks > 0 ? (size_t)lacks : 1);
}

/* With as much text as the size needs. */
static int
build_long(const struct order *order, X509 **out)
{
	struct span filler[2] = { { 0 } };
	X509 *x509;
	int rc = build(order, filler[0], filler[1], &x509);

	for (unsigned i = 0; i < 2 && rc == 0 && i2d_X509(x509, NULL) < DEVICE_DER_MIN; i++) {
		filler[i] = filler_for(i2d_X509(x509, NULL));
		X509_free(x509);
		rc = build(order, filler[0], filler[1], &x509);
	}
	if (rc == 0 && i2d_X509(x509, NULL) < DEVICE_DER_MIN) {
		X509_free(x509);
		rc = ERR_CRYPTO;
	}
	if (rc == 0) {
		*out = x509;
	}
	return rc;
}

/* A copy with a NUL behind it; NULL when memory is short. */
static uint8_t *
copy_of(struct span from)
{
	uint8_t *copy = malloc(from.len + 1);

	if (copy != NULL) {
		memcpy(copy, from.ptr, from.len);
		copy[from.len] = '\0';
	}
	return copy;
}

static int
fill_issued(const X509 *x509, struct pki_issued *out)
{
	struct pki_issued issued = { 0 };
	struct buf pem = { 0 };
	unsigned char *der = NULL;
	int len = i2d_X509(x509, &der);
	int rc = len > 0 ? pki_build_pem(x509, &pem) : ERR_CRYPTO;

	if (rc == 0) {
		issued.der = copy_of(span_of(der, (size_t)len));
		issued.der_len = (size_t)len;
		issued.pem = (char *)copy_of(buf_span(&pem));
		rc = issued.der != NULL && issued.pem != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		rc = pki_cert_of(x509, NULL, &issued.cert);
	}
	OPENSSL_free(der);
	buf_release(&pem);
	if (rc != 0) {
		pki_issued_free(&issued);
		return rc;
	}
	*out = issued;
	return 0;
}

static int
issue(const struct order *order, struct pki_issued *out, char *why)
{
	X509 *x509;
	int rc = build_long(order, &x509);

	if (rc == 0) {
		rc = fill_issued(x509, out);
		X509_free(x509);
	}
	return rc == 0 ? 0 : pki_fail(why, rc, "Cannot make the certificate: %s.", err_text(rc));
}

/* The name that the request asks for. */
static int
name_of_request(const struct pki_request *request, struct buf *text, struct span *name, char *why)
{
	const ASN1_STRING *cn = pki_last_cn(X509_REQ_get_subject_name(request->req));
	size_t len = 0;
	int rc;

	if (cn == NULL || ASN1_STRING_length(cn) == 0) {
		return pki_fail(why, ERR_UNSAFE,
				"The request has no common name; give one with --name.");
	}
	rc = pki_text_append(text, cn, &len);
	if (rc == -ENOMEM) {
		return pki_fail(why, rc, "Out of memory.");
	}
	if (rc != 0) {
		return pki_fail(why, ERR_UNSAFE,
				"The common name of the request cannot be read as text; give one "
				"with --name.");
	}
	*name = span_head(buf_span(text), len);
	return 0;
}

int
pki_sign_request(const char *folder, struct span text, const char *name, unsigned days,
		 struct pki_issued *out, char *why)
{
	struct pki_request request = { 0 };
	struct pki_ca ca = { 0 };
	struct buf cn = { 0 };
	struct order order = { .ca = &ca, .name = span_str(name), .days = days };
	int rc = pki_request_read(text, &request, why);

	if (rc == 0 && name == NULL) {
		rc = name_of_request(&request, &cn, &order.name, why);
	}
	if (rc == 0) {
		rc = pki_name_check(order.name, why);
	}
	if (rc == 0) {
		rc = pki_ca_load(folder, &ca, why);
	}
	if (rc == 0) {
		order.key = request.key;
		rc = issue(&order, out, why);
	}
	pki_ca_free(&ca);
	pki_request_free(&request);
	buf_release(&cn);
	ERR_clear_error();
	return rc;
}

static int
write_new_key(const char *file, const EVP_PKEY *key, char *why)
{
	struct buf pem = { 0 };
	int rc = pki_build_key_pem(key, &pem);

	rc = rc == 0 ? pki_file_create(file, 0600, buf_span(&pem), why)
		     : pki_fail(why, rc, "Cannot write the key: %s.", err_text(rc));
	pki_wipe(&pem);
	return rc;
}

int
pki_make_device(const char *folder, const char *name, const char *key_file, unsigned days,
		struct pki_issued *out, char *why)
{
	struct pki_issued issued = { 0 };
	struct pki_ca ca = { 0 };
	struct order order = { .ca = &ca, .name = span_str(name), .days = days };
	int rc = pki_name_check(order.name, why);

	if (rc == 0) {
		rc = pki_ca_load(folder, &ca, why);
	}
	if (rc == 0) {
		order.key = pki_key_new();
		rc = order.key != NULL ? issue(&order, &issued, why)
				       : pki_fail(why, ERR_CRYPTO, "Cannot make a key.");
	}
	/* Last, so that a failure leaves nothing behind. */
	if (rc == 0) {
		rc = write_new_key(key_file, order.key, why);
	}
	if (rc == 0) {
		*out = issued;
	} else {
		pki_issued_free(&issued);
	}
	EVP_PKEY_free(order.key);
	pki_ca_free(&ca);
	ERR_clear_error();
	return rc;
}

int
pki_renew_device(const char *folder, const char *cert_file, const char *name, unsigned days,
		 struct pki_issued *out, char *why)
{
	struct pki_ca ca = { 0 };
	struct order order = { .ca = &ca, .days = days };
	struct pki_cert *cert = NULL;
	X509 *x509 = NULL;
	int rc = pki_x509_read(cert_file, &x509, why);

	if (rc == 0) {
		rc = pki_cert_of(x509, NULL, &cert);
		rc = rc == 0 ? 0 : pki_fail(why, rc, "Cannot read %s: %s.", cert_file, err_text(rc));
	}
	if (rc == 0) {
		order.name = name != NULL ? span_str(name) : cert->cn;
		order.key = X509_get0_pubkey(x509);
		rc = pki_name_check(order.name, why);
	}
	if (rc == 0) {
		rc = pki_ca_load(folder, &ca, why);
	}
	if (rc == 0) {
		rc = order.key != NULL ? issue(&order, out, why)
				       : pki_fail(why, ERR_MALFORMED,
						  "The key in %s cannot be read.", cert_file);
	}
	pki_ca_free(&ca);
	pki_cert_free(cert);
	X509_free(x509);
	ERR_clear_error();
	return rc;
}

/* As in struct pki_cert: SHA-256 of the SubjectPublicKeyInfo. */
static int
fingerprint_of(EVP_PKEY *key, char *text)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned char *der = NULL;
	unsigned hash_len = 0;
	int len = i2d_PUBKEY(key, &der);
	int ok = len > 0 && EVP_Digest(der, (size_t)len, hash, &hash_len, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	for (unsigned i = 0; ok && i < hash_len; i++) {
		snprintf(text + 2 * (size_t)i, 3, "%02x", hash[i]);
	}
	return ok ? 0 : ERR_CRYPTO;
}

int
pki_request_about(struct span text, struct pki_request_info *out, char *why)
{
	struct pki_request request = { 0 };
	struct buf cn = { 0 };
	struct span name;
	int rc = pki_request_read(text, &request, why);

	if (rc == 0) {
		rc = fingerprint_of(request.key, out->fingerprint);
		rc = rc == 0 ? 0 : pki_fail(why, rc, "The key of the request cannot be read.");
	}
	if (rc == 0) {
		out->name[0] = '\0';
		if (name_of_request(&request, &cn, &name, NULL) == 0 &&
		    pki_name_check(name, NULL) == 0) {
			snprintf(out->name, sizeof out->name, "%.*s", SPAN_ARG(name));
		}
	}
	pki_request_free(&request);
	buf_release(&cn);
	ERR_clear_error();
	return rc;
}
