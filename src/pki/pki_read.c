/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a certificate to a struct pki_cert. Everything here may come from a
 * peer that is not authenticated yet: every length is bounded, and a name
 * that could be read in two ways makes reading fail.
 */
#include "pki/pki_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/utf8.h"

/* Above this the check of a self-signature is work that a stranger could order. */
#define SELF_SIGNED_BITS_MAX 8192

/*
 * Texts are collected in one buffer, which may move; so spans hold offsets
 * until the certificate is complete.
 */
struct collector {
	struct buf text;
	OSSL_LIB_CTX *libctx;
	struct pki_cert cert;
};

static size_t
text_mark(const struct collector *c)
{
	return buf_len(&c->text);
}

/* len bytes and a NUL were appended after the mark. */
static struct span
text_span(size_t mark, size_t len)
{
	return span_of((const uint8_t *)(uintptr_t)mark, len);
}

static int
add_text(struct collector *c, struct span text, struct span *out)
{
	size_t mark = text_mark(c);
	int rc;

	if (text.len > PKI_FIELD_MAX) {
		return ERR_LIMIT;
	}
	rc = buf_append(&c->text, text);
	if (rc == 0) {
		rc = buf_append(&c->text, span_of("", 1));
	}
	if (rc == 0) {
		*out = text_span(mark, text.len);
	}
	return rc;
}

static int
add_string(struct collector *c, const ASN1_STRING *string, struct span *out)
{
	size_t mark = text_mark(c), len = 0;
	int rc = pki_text_append(&c->text, string, &len);

	if (rc == 0) {
		*out = text_span(mark, len);
	}
	return rc;
}

static bool
is_text_type(int type)
{
	switch (type) {
	case V_ASN1_UTF8STRING:
	case V_ASN1_NUMERICSTRING:
	case V_ASN1_PRINTABLESTRING:
	case V_ASN1_T61STRING:
	case V_ASN1_IA5STRING:
	case V_ASN1_VISIBLESTRING:
	case V_ASN1_UNIVERSALSTRING:
	case V_ASN1_BMPSTRING:
		return true;
	default:
		return false;
	}
}

/*
 * Types of one byte per character that allow ASCII only. Boards write what
 * the person typed, so UTF-8 turns up in them and is taken as it stands.
 */
static bool
is_ascii_type(int type)
{
	return type == V_ASN1_NUMERICSTRING || type == V_ASN1_PRINTABLESTRING ||
	       type == V_ASN1_IA5STRING || type == V_ASN1_VISIBLESTRING;
}

static int
append_checked(struct buf *text, struct span s, size_t *len)
{
	int rc;

	if (s.len > PKI_FIELD_MAX) {
		return ERR_LIMIT;
	}
	/* A NUL would end the name early for every reader that uses C strings. */
	if (!utf8_valid_mqtt(s)) {
		return ERR_MALFORMED;
	}
	rc = buf_append(text, s);
	if (rc == 0) {
		rc = buf_append(text, span_of("", 1));
	}
	if (rc == 0) {
		*len = s.len;
	}
	return rc;
}

int
pki_text_append(struct buf *text, const ASN1_STRING *string, size_t *len)
{
	int type = ASN1_STRING_type(string), size = ASN1_STRING_length(string), rc;
	unsigned char *utf8 = NULL;

	if (size < 0 || !is_text_type(type)) {
		return ERR_MALFORMED;
	}
	if (size > 4 * PKI_FIELD_MAX) {
		return ERR_LIMIT;
	}
	if (is_ascii_type(type) || type == V_ASN1_UTF8STRING) {
		return append_checked(text, span_of(ASN1_STRING_get0_data(string), (size_t)size),
				      len);
	}
	size = ASN1_STRING_to_UTF8(&utf8, string);
	if (size < 0) {
		return ERR_MALFORMED;
	}
	rc = append_checked(text, span_of(utf8, (size_t)size), len);
	OPENSSL_free(utf8);
	return rc;
}

const ASN1_STRING *
pki_last_cn(const X509_NAME *name)
{
	int at = -1, last = -1;

	while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0) {
		last = at;
	}
	return last < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
}

/* Every part of a name must be readable, also those that are not used. */
static int
check_name(const X509_NAME *name)
{
	struct buf scratch = { 0 };
	int rc = 0, n = X509_NAME_entry_count(name);

	for (int i = 0; i < n && rc == 0; i++) {
		const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i));
		size_t len;

		/* Others (x500UniqueIdentifier is a bit string) are printed in hex. */
		if (is_text_type(ASN1_STRING_type(s))) {
			rc = pki_text_append(&scratch, s, &len);
		}
		buf_consume(&scratch, buf_len(&scratch));
	}
	buf_release(&scratch);
	return rc;
}

static int
add_name(struct collector *c, const X509_NAME *name, struct span *text, struct span *cn)
{
	/* UTF-8 stays readable; control characters stay escaped. */
	unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
	const ASN1_STRING *last = pki_last_cn(name);
	BIO *bio;
	char *printed;
	long len;
	int rc = check_name(name);

	if (rc == 0 && last != NULL) {
		rc = add_string(c, last, cn);
	}
	if (rc != 0) {
		return rc;
	}
	bio = BIO_new(BIO_s_mem());
	if (bio == NULL) {
		return -ENOMEM;
	}
	if (X509_NAME_print_ex(bio, name, 0, flags) < 0) {
		rc = ERR_MALFORMED;
	} else {
		len = BIO_get_mem_data(bio, &printed);
		rc = add_text(c, span_of(printed, len > 0 ? (size_t)len : 0), text);
	}
	BIO_free(bio);
	return rc;
}

static int
add_alternative(struct collector *c, const GENERAL_NAME *name)
{
	struct span ignored, *out = &ignored;
	int type;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);

	if (type == GEN_DNS && c->cert.san_dns.len == 0) {
		out = &c->cert.san_dns;
	} else if (type == GEN_URI && c->cert.san_uri.len == 0) {
		out = &c->cert.san_uri;
	} else if (type != GEN_DNS && type != GEN_URI && type != GEN_EMAIL) {
		return 0;
	}
	return add_string(c, value, out);
}

static int
add_alternatives(struct collector *c, const X509 *x509)
{
	int critical = -1, rc = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);

	if (names == NULL) {
		/* -1: there is none. Else it is damaged, or there are two. */
		return critical == -1 ? 0 : ERR_MALFORMED;
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && rc == 0; i++) {
		rc = add_alternative(c, sk_GENERAL_NAME_value(names, i));
	}
	GENERAL_NAMES_free(names);
	return rc;
}

static int
add_serial(struct collector *c, const X509 *x509)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
	char *hex = number != NULL ? BN_bn2hex(number) : NULL;
	int rc = hex != NULL ? add_text(c, span_str(hex), &c->cert.serial) : ERR_MALFORMED;

	OPENSSL_free(hex);
	BN_free(number);
	return rc;
}

static const char *
curve_text(const char *group)
{
	static const struct {
		const char *group, *text;
	} rows[] = {
		{ "prime256v1", "P-256" }, { "P-256", "P-256" },     { "secp384r1", "P-384" },
		{ "P-384", "P-384" },      { "secp521r1", "P-521" }, { "P-521", "P-521" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strcmp(rows[i].group, group) == 0) {
			return rows[i].text;
		}
	}
	return group;
}

void
pki_key_type(EVP_PKEY *key, char *text, size_t size)
{
	char group[64] = "unnamed curve";
	const char *type = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;

	if (type == NULL) {
		snprintf(text, size, "unknown");
	} else if (strcmp(type, "EC") == 0) {
		size_t len;

		if (EVP_PKEY_get_group_name(key, group, sizeof group, &len) != 1) {
			snprintf(group, sizeof group, "unnamed curve");
		}
		snprintf(text, size, "EC %s", curve_text(group));
	} else if (strncmp(type, "RSA", 3) == 0) {
		snprintf(text, size, "%s %d", type, EVP_PKEY_get_bits(key));
	} else {
		snprintf(text, size, "%s", strcmp(type, "ED25519") == 0 ? "Ed25519" : type);
	}
}

bool
pki_key_is_p256(EVP_PKEY *key)
{
	char type[80];
	int explicit_parameters = 0;

	pki_key_type(key, type, sizeof type);
	if (strcmp(type, "EC P-256") != 0) {
		return false;
	}
	/* BearSSL and the crypto chip know curves by name only. */
	(void)EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
				     &explicit_parameters);
	return explicit_parameters == 0;
}

static int
hash_text(struct collector *c, struct span bytes, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t len = 0;

	if (EVP_Q_digest(c->libctx, "SHA256", NULL, bytes.ptr, bytes.len, digest, &len) != 1 ||
	    len != 32) {
		return ERR_CRYPTO;
	}
	/* Twice in every handshake: printf would take a third of what reading takes. */
	for (size_t i = 0; i < len; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * len] = '\0';
	return 0;
}

static int
add_hashes(struct collector *c, const X509 *x509)
{
	unsigned char *der = NULL;
	int rc = ERR_MALFORMED, len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);

	if (len > 0) {
		rc = hash_text(c, span_of(der, (size_t)len), c->cert.fingerprint);
	}
	OPENSSL_free(der);
	der = NULL;
	if (rc != 0) {
		return rc;
	}
	len = i2d_X509(x509, &der);
	rc = len > 0 ? hash_text(c, span_of(der, (size_t)len), c->cert.certificate_hash)
		     : ERR_MALFORMED;
	OPENSSL_free(der);
	return rc;
}

int
pki_date(const ASN1_TIME *date, int64_t *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(date, &tm) != 1) {
		return ERR_MALFORMED;
	}
	*out = timegm(&tm);
	return 0;
}

static int
add_facts(struct collector *c, const X509 *x509)
{
	/* OpenSSL computes and caches these under its own lock: not const. */
	X509 *cached = (X509 *)x509;
	EVP_PKEY *key = X509_get0_pubkey(x509);
	long version = X509_get_version(x509) + 1;
	char type[80];
	int rc;

	if (version < 1 || version > 3) {
		return ERR_MALFORMED;
	}
	c->cert.version = (int)version;
	c->cert.is_ca = (X509_get_extension_flags(cached) & EXFLAG_CA) != 0;
	/* Equal names prove nothing: hand-made CAs and servers often share one. */
	c->cert.self_signed = key != NULL && EVP_PKEY_get_bits(key) <= SELF_SIGNED_BITS_MAX &&
			      X509_self_signed(cached, 1) == 1;
	pki_key_type(key, type, sizeof type);
	rc = pki_date(X509_get0_notBefore(x509), &c->cert.not_before);
	if (rc == 0) {
		rc = pki_date(X509_get0_notAfter(x509), &c->cert.not_after);
	}
	return rc != 0 ? rc : add_text(c, span_str(type), &c->cert.key_type);
}

static int
collect(struct collector *c, const X509 *x509)
{
	int rc = add_facts(c, x509);

	if (rc == 0) {
		rc = add_name(c, X509_get_subject_name(x509), &c->cert.subject, &c->cert.cn);
	}
	if (rc == 0) {
		rc = add_name(c, X509_get_issuer_name(x509), &c->cert.issuer, &c->cert.issuer_cn);
	}
	if (rc == 0) {
		rc = add_alternatives(c, x509);
	}
	if (rc == 0) {
		rc = add_serial(c, x509);
	}
	return rc != 0 ? rc : add_hashes(c, x509);
}

/* Certificate and its texts in one allocation; offsets become pointers. */
static struct pki_cert *
pack(const struct collector *c)
{
	struct span text = buf_span(&c->text);
	struct pki_cert *cert = malloc(sizeof *cert + text.len + 1);
	uint8_t *base = (uint8_t *)(cert + 1);

	if (cert == NULL) {
		return NULL;
	}
	*cert = c->cert;
	memcpy(base, text.ptr, text.len);
	base[text.len] = '\0';

	struct span *all[] = { &cert->subject, &cert->issuer,    &cert->cn,     &cert->san_dns,
			       &cert->san_uri, &cert->issuer_cn, &cert->serial, &cert->key_type };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		/* No text at all is the empty text at the very end. */
		all[i]->ptr = base + (all[i]->len > 0 ? (size_t)(uintptr_t)all[i]->ptr : text.len);
	}
	return cert;
}

int
pki_cert_of(const X509 *x509, OSSL_LIB_CTX *libctx, struct pki_cert **out)
{
	struct collector c = { .libctx = libctx };
	int rc = collect(&c, x509);

	if (rc == 0) {
		struct pki_cert *cert = pack(&c);

		rc = cert != NULL ? 0 : -ENOMEM;
		if (cert != NULL) {
			*out = cert;
		}
	}
	buf_release(&c.text);
	ERR_clear_error();
	return rc;
}

int
pki_cert_read(struct span der, struct pki_cert **out)
{
	const unsigned char *at = der.ptr;
	X509 *x509;
	int rc;

	if (der.len > PKI_INPUT_MAX) {
		return ERR_LIMIT;
	}
	x509 = der.len > 0 ? d2i_X509(NULL, &at, (long)der.len) : NULL;
	if (x509 == NULL || at != der.ptr + der.len) {
		X509_free(x509);
		ERR_clear_error();
		return ERR_MALFORMED;
	}
	rc = pki_cert_of(x509, NULL, out);
	X509_free(x509);
	return rc;
}

int
pki_cert_read_file(const char *file, struct pki_cert **out, char *why)
{
	X509 *x509;
	int rc = pki_x509_read(file, &x509, why);

	if (rc != 0) {
		return rc;
	}
	rc = pki_cert_of(x509, NULL, out);
	X509_free(x509);
	return rc == 0 ? 0
		       : pki_fail(why, rc, "%s: the certificate cannot be used (%s).", file,
				  err_text(rc));
}

void
pki_cert_free(struct pki_cert *cert)
{
	free(cert);
}
