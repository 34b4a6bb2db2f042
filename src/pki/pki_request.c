/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Certificate requests: what a board or a person asks for, checked before
 * anything is signed. Only the key is taken over; extensions never are.
 */
#include "pki/pki_int.h"

#include <arpa/inet.h>
#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/utf8.h"

#define THE_REQUEST "The request"

size_t
pki_ip_parse(const char *text, uint8_t bytes[16])
{
	if (inet_pton(AF_INET, text, bytes) == 1) {
		return 4;
	}
	return inet_pton(AF_INET6, text, bytes) == 1 ? 16 : 0;
}

static int
check_name_is_no_address(struct span name, char *why)
{
	char text[PKI_NAME_MAX + 1];
	uint8_t bytes[16];

	snprintf(text, sizeof text, "%.*s", SPAN_ARG(name));
	if (pki_ip_parse(text, bytes) == 0) {
		return 0;
	}
	/* A mistake of people who fill in the server's address here. */
	return pki_fail(why, ERR_UNSAFE,
			"The name \"%s\" is an address; a device needs a name of its own, for "
			"instance the serial number of its crypto chip. Give one with --name.",
			text);
}

int
pki_name_check(struct span name, char *why)
{
	if (name.len == 0) {
		return pki_fail(why, ERR_UNSAFE, "The name of the device is empty.");
	}
	/* The name becomes a level of topics, as topic_value_safe() has it. */
	if (!utf8_valid_strict(name)) {
		return pki_fail(why, ERR_UNSAFE,
				"The name of the device has control characters or is not UTF-8.");
	}
	for (size_t i = 0; i < name.len; i++) {
		if (memchr("+#/$", name.ptr[i], 4) != NULL) {
			return pki_fail(why, ERR_UNSAFE,
					"The name of the device contains \"%c\"; the characters "
					"+ # / $ have a meaning in topics.",
					name.ptr[i]);
		}
	}
	if (name.len > PKI_NAME_MAX) {
		return pki_fail(why, ERR_UNSAFE,
				"The name of the device is %zu bytes long; a common name holds at "
				"most %d.",
				name.len, PKI_NAME_MAX);
	}
	return check_name_is_no_address(name, why);
}

/* Length of the part that is signed, its own header included; 0 when unreadable. */
static size_t
signed_length(struct span der)
{
	const unsigned char *at = der.ptr, *inner;
	long len;
	int tag, class;

	if ((ASN1_get_object(&at, &len, &tag, &class, (long)der.len) & 0x80) != 0) {
		return 0;
	}
	inner = at;
	if ((ASN1_get_object(&at, &len, &tag, &class, len) & 0x80) != 0) {
		return 0;
	}
	return (size_t)(at - inner) + (size_t)len;
}

static bool
key_is_strong(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);
	char type[80];

	if (EVP_PKEY_is_a(key, "RSA")) {
		return bits >= 2048 && bits <= 8192;
	}
	pki_key_type(key, type, sizeof type);
	if (strcmp(type, "EC P-384") == 0) {
		int explicit_parameters = 0;

		(void)EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
					     &explicit_parameters);
		return explicit_parameters == 0;
	}
	return strcmp(type, "Ed25519") == 0 || pki_key_is_p256(key);
}

static int
check_key(EVP_PKEY *key, char *why)
{
	char type[80];

	if (key == NULL) {
		return pki_fail(why, ERR_MALFORMED,
				THE_REQUEST
				" has a public key that is damaged or of an unknown kind.");
	}
	if (key_is_strong(key)) {
		return 0;
	}
	pki_key_type(key, type, sizeof type);
	return pki_fail(why, ERR_DENIED,
			THE_REQUEST
			" has a key of the kind \"%s\"; P-256 (as the crypto chip makes), "
			"P-384, Ed25519 and RSA of 2048 to 8192 bits are accepted.",
			type);
}

static int
check_signature(X509_REQ *req, EVP_PKEY *key, size_t length, char *why)
{
	if (X509_REQ_verify(req, key) == 1) {
		return 0;
	}
	/*
	 * ArduinoECCX08 (ECCX08CSR) never finishes its hash when the signed
	 * part ends with a whole block of SHA-256.
	 */
	if (length > 0 && length % 64 == 0) {
		return pki_fail(why, ERR_CRYPTO,
				"The board's request is damaged by a known library fault; make the "
				"common name one character longer.");
	}
	return pki_fail(
		why, ERR_CRYPTO,
		"The signature of the request is wrong: it was damaged while it was copied, "
		"or the crypto chip failed. Make and copy it again.");
}

static int
check_request(X509_REQ *req, size_t length, struct pki_request *out, char *why)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(req);
	int rc;

	if (X509_REQ_get_version(req) != 0) {
		return pki_fail(why, ERR_MALFORMED, THE_REQUEST " has an unknown version.");
	}
	rc = check_key(key, why);
	if (rc == 0) {
		rc = check_signature(req, key, length, why);
	}
	if (rc == 0) {
		*out = (struct pki_request){ .req = req, .key = key };
	}
	return rc;
}

int
pki_request_read(struct span text, struct pki_request *out, char *why)
{
	struct buf der = { 0 };
	const unsigned char *at;
	X509_REQ *req = NULL;
	int rc = pki_unwrap(text, "CERTIFICATE REQUEST", THE_REQUEST, &der, why);

	if (rc == 0) {
		struct span bytes = buf_span(&der);

		at = bytes.ptr;
		req = d2i_X509_REQ(NULL, &at, (long)bytes.len);
		if (req == NULL) {
			rc = pki_fail(why, ERR_MALFORMED,
				      THE_REQUEST " is damaged or cut off. Copy it again, whole.");
		} else if (at != bytes.ptr + bytes.len) {
			rc = pki_fail(why, ERR_MALFORMED, THE_REQUEST " has bytes after its end.");
		} else {
			rc = check_request(req, signed_length(bytes), out, why);
		}
	}
	if (rc != 0) {
		X509_REQ_free(req);
	}
	buf_release(&der);
	ERR_clear_error();
	return rc;
}

void
pki_request_free(struct pki_request *request)
{
	X509_REQ_free(request->req);
	*request = (struct pki_request){ 0 };
}
