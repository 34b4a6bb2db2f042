/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a certificate, one function each. */
#include "pki/pki_build.h"

#include <errno.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

#define SHORT_BITS 248 /* r and s below 2^248 both: see pki_signature_short() */
#define SIGN_TRIES 16  /* each is needed with a chance of 1 in 65,536 */
#define SERIAL_BITS 127

EVP_PKEY *
pki_key_new(void)
{
	return EVP_EC_gen("P-256");
}

int64_t
pki_end(unsigned days, int64_t latest)
{
	int64_t end = clock_wall() + (int64_t)days * PKI_DAY;

	end = end < latest ? end : latest;
	return end < PKI_LATEST ? end : PKI_LATEST;
}

/* 16 bytes whose first is 0x40 to 0x7f: positive, and always of one length. */
static int
set_serial(X509 *x509)
{
	BIGNUM *number = BN_new();
	int rc = ERR_CRYPTO;

	if (number != NULL &&
	    BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL) {
		rc = 0;
	}
	BN_free(number);
	return rc;
}

int
pki_build_new(EVP_PKEY *key, int64_t not_before, int64_t not_after, X509 **out)
{
	X509 *x509 = X509_new();

	if (x509 == NULL) {
		return -ENOMEM;
	}
	if (X509_set_version(x509, 2) != 1 || set_serial(x509) != 0 ||
	    X509_set_pubkey(x509, key) != 1 ||
	    ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)not_before) == NULL ||
	    ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)not_after) == NULL) {
		X509_free(x509);
		return ERR_CRYPTO;
	}
	*out = x509;
	return 0;
}

int
pki_build_subject(X509 *x509, int nid, struct span text)
{
	return X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), nid, MBSTRING_UTF8, text.ptr,
					  (int)text.len, -1, 0) == 1
		       ? 0
		       : ERR_CRYPTO;
}

static int
add_extension(X509 *x509, int nid, void *value, bool critical)
{
	return X509_add1_ext_i2d(x509, nid, value, critical, X509V3_ADD_DEFAULT) == 1 ? 0
										      : ERR_CRYPTO;
}

int
pki_build_basic(X509 *x509, bool is_ca)
{
	BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new();
	int rc;

	if (basic == NULL) {
		return -ENOMEM;
	}
	basic->ca = is_ca ? 0xff : 0;
	rc = add_extension(x509, NID_basic_constraints, basic, true);
	BASIC_CONSTRAINTS_free(basic);
	return rc;
}

int
pki_build_key_usage(X509 *x509, unsigned first_bit, unsigned last_bit)
{
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	int rc = bits != NULL ? 0 : -ENOMEM;

	for (unsigned i = first_bit; i <= last_bit && rc == 0; i++) {
		rc = ASN1_BIT_STRING_set_bit(bits, (int)i, 1) == 1 ? 0 : ERR_CRYPTO;
	}
	if (rc == 0) {
		rc = add_extension(x509, NID_key_usage, bits, true);
	}
	ASN1_BIT_STRING_free(bits);
	return rc;
}

/* Not critical: BearSSL refuses a critical one. */
int
pki_build_extended_usage(X509 *x509, int nid)
{
	EXTENDED_KEY_USAGE *usage = EXTENDED_KEY_USAGE_new();
	int rc = ERR_CRYPTO;

	if (usage != NULL && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(nid)) > 0) {
		rc = add_extension(x509, NID_ext_key_usage, usage, false);
	}
	EXTENDED_KEY_USAGE_free(usage); /* frees no objects of the built-in table */
	return rc;
}

/* RFC 7093 section 2, method 1. */
int
pki_build_subject_key_id(X509 *x509)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	int rc = ERR_CRYPTO;

	if (id != NULL && X509_pubkey_digest(x509, EVP_sha256(), digest, &len) == 1 &&
	    ASN1_OCTET_STRING_set(id, digest, 20) == 1) {
		rc = add_extension(x509, NID_subject_key_identifier, id, false);
	}
	ASN1_OCTET_STRING_free(id);
	return rc;
}

int
pki_build_authority_key_id(X509 *x509, const X509 *ca)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id((X509 *)ca);
	AUTHORITY_KEYID *authority;
	int rc = ERR_CRYPTO;

	if (id == NULL) {
		return 0;
	}
	authority = AUTHORITY_KEYID_new();
	if (authority != NULL && (authority->keyid = ASN1_OCTET_STRING_dup(id)) != NULL) {
		rc = add_extension(x509, NID_authority_key_identifier, authority, false);
	}
	AUTHORITY_KEYID_free(authority);
	return rc;
}

/* ---- names ------------------------------------------------------------------------ */

static bool
has_name(const GENERAL_NAMES *names, int type, struct span value)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int found;
		const ASN1_STRING *s =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &found);

		if (found == type && (size_t)ASN1_STRING_length(s) == value.len &&
		    memcmp(ASN1_STRING_get0_data(s), value.ptr, value.len) == 0) {
			return true;
		}
	}
	return false;
}

static int
add_general_name(GENERAL_NAMES *names, int type, struct span value)
{
	GENERAL_NAME *name;
	ASN1_STRING *string;

	if (has_name(names, type, value)) {
		return 0;
	}
	name = GENERAL_NAME_new();
	string = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
	if (name == NULL || string == NULL ||
	    ASN1_STRING_set(string, value.ptr, (int)value.len) != 1) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(string);
		return ERR_CRYPTO;
	}
	GENERAL_NAME_set0_value(name, type, string);
	if (sk_GENERAL_NAME_push(names, name) <= 0) {
		GENERAL_NAME_free(name);
		return ERR_CRYPTO;
	}
	return 0;
}

static int
add_addresses(GENERAL_NAMES *names, const char *const *list, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		uint8_t bytes[16];
		size_t len = pki_ip_parse(list[i], bytes);

		if (len > 0) {
			rc = add_general_name(names, GEN_IPADD, span_of(bytes, len));
		}
	}
	return rc;
}

static int
add_dns(GENERAL_NAMES *names, const char *const *list, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = add_general_name(names, GEN_DNS, span_str(list[i]));
	}
	return rc;
}

int
pki_build_names(X509 *x509, const struct pki_names *names)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	int rc = list != NULL ? add_dns(list, names->dns, names->dns_count) : -ENOMEM;

	if (rc == 0) {
		rc = add_dns(list, names->ip, names->ip_count);
	}
	if (rc == 0) {
		rc = add_addresses(list, names->ip, names->ip_count);
	}
	if (rc == 0) {
		rc = add_addresses(list, names->dns, names->dns_count);
	}
	if (rc == 0) {
		rc = add_extension(x509, NID_subject_alt_name, list, false);
	}
	GENERAL_NAMES_free(list);
	return rc;
}

/* ---- signature ---------------------------------------------------------------------- */

bool
pki_signature_short(struct span ecdsa)
{
	const unsigned char *at = ecdsa.ptr;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)ecdsa.len);
	bool is_short = sig != NULL && BN_num_bits(ECDSA_SIG_get0_r(sig)) <= SHORT_BITS &&
			BN_num_bits(ECDSA_SIG_get0_s(sig)) <= SHORT_BITS;

	ECDSA_SIG_free(sig);
	ERR_clear_error();
	return is_short;
}

static bool
must_sign_again(const X509 *x509, EVP_PKEY *ca_key)
{
	const ASN1_BIT_STRING *sig = NULL;

	if (!EVP_PKEY_is_a(ca_key, "EC")) {
		return false; /* a CA from elsewhere */
	}
	X509_get0_signature(&sig, NULL, x509);
	return pki_signature_short(
		span_of(ASN1_STRING_get0_data(sig), (size_t)ASN1_STRING_length(sig)));
}

int
pki_build_sign(X509 *x509, const X509 *ca, EVP_PKEY *ca_key)
{
	/* Ed25519 brings its own hash. */
	const EVP_MD *md = EVP_PKEY_is_a(ca_key, "ED25519") ? NULL : EVP_sha256();

	if (X509_set_issuer_name(x509, X509_get_subject_name(ca)) != 1) {
		return ERR_CRYPTO;
	}
	for (int i = 0; i < SIGN_TRIES; i++) {
		if (X509_sign(x509, ca_key, md) <= 0) {
			return ERR_CRYPTO;
		}
		if (!must_sign_again(x509, ca_key)) {
			return 0;
		}
	}
	return ERR_CRYPTO;
}

/* ---- PEM ------------------------------------------------------------------------------ */

static int
take_text(BIO *bio, bool written, struct buf *pem)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);
	int rc = written && len > 0 ? buf_append(pem, span_of(text, (size_t)len)) : ERR_CRYPTO;

	BIO_free(bio); /* wipes what it held */
	return rc;
}

int
pki_build_pem(const X509 *x509, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio == NULL) {
		return -ENOMEM;
	}
	return take_text(bio, PEM_write_bio_X509(bio, (X509 *)x509) == 1, pem);
}

int
pki_build_key_pem(const EVP_PKEY *key, struct buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio == NULL) {
		return -ENOMEM;
	}
	return take_text(
		bio, PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1, pem);
}
