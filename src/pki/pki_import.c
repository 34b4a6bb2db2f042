/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A CA that somebody has already. Most are made by hand after a recipe from
 * the web, so what will not work, and why, is said before it is too late.
 */
#include "pki/pki_build.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

#define SOON_DAYS 365
#define RSA_BITS_MIN 2048 /* OpenSSL's security level 2 accepts no less */
#define RSA_BITS_FAST 2048
#define SUBJECT_LONG 256 /* bytes of DER that every board stores and sends twice */
#define SUBJECT_MAX 1024 /* of struct pki_anchor */
#define NO_KEY_USAGE UINT32_MAX

struct import {
	void (*warn)(void *arg, const char *sentence);
	void *arg;
	X509 *x509;
	EVP_PKEY *key; /* NULL: without */
	struct pki_cert *cert;
	const char *file;
};

static void __attribute__((format(printf, 2, 3)))
say(const struct import *in, const char *format, ...)
{
	char sentence[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	in->warn(in->arg, sentence);
}

/* ---- what makes it useless --------------------------------------------------------------- */

/* What OpenSSL refuses in every handshake, or no board can verify. */
static int
check_key(const struct import *in, char *why)
{
	EVP_PKEY *key = X509_get0_pubkey(in->x509);
	const char *type = (const char *)in->cert->key_type.ptr;

	if (key != NULL && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN) {
		return 0;
	}
	if (strcmp(type, "EC P-256") == 0 || strcmp(type, "EC P-384") == 0 ||
	    strcmp(type, "EC P-521") == 0) {
		return 0;
	}
	return pki_fail(why, ERR_DENIED,
			"%s has a key (%.40s) that boards or this gateway refuse; use a CA with a "
			"P-256 key, which `gatewayctl init` makes.",
			in->file, type);
}

static int
check_usable(const struct import *in, char *why)
{
	uint32_t usage = X509_get_key_usage(in->x509);
	char text[CLOCK_TEXT_SIZE];

	if (usage != NO_KEY_USAGE && (usage & KU_KEY_CERT_SIGN) == 0) {
		return pki_fail(why, ERR_DENIED,
				"%s may not sign certificates (keyUsage without keyCertSign): "
				"every one it signs is refused. Make the CA certificate again "
				"with keyCertSign.",
				in->file);
	}
	if (X509_check_ca(in->x509) == 0) {
		return pki_fail(why, ERR_DENIED,
				"%s is not the certificate of a CA (basicConstraints does not say "
				"CA:TRUE). If a CA signed it, import that one.",
				in->file);
	}
	if (in->cert->not_after <= clock_wall()) {
		return pki_fail(why, ERR_DENIED,
				"%s expired at %s: everything it signs is refused. Renew it with "
				"the same key and the same subject.",
				in->file, clock_text(in->cert->not_after, text));
	}
	return check_key(in, why);
}

/* ---- what will work less well -------------------------------------------------------------- */

static void
warn_form(const struct import *in)
{
	if (in->cert->version == 1) {
		say(in, "This is a version 1 certificate: nothing in it says that it is a CA, so "
			"converters of trust anchors get it wrong and some programs refuse it; use "
			"the gateway_trust_anchors.h that `gatewayctl enroll` writes, which does "
			"not depend on it.");
	} else if (X509_get_ext_by_NID(in->x509, NID_basic_constraints, -1) < 0) {
		say(in, "The certificate has no basicConstraints: strict programs do not take it "
			"for a CA; use the gateway_trust_anchors.h that `gatewayctl enroll` "
			"writes, or make the CA certificate again with CA:TRUE.");
	}
	if (!in->cert->self_signed) {
		say(in,
		    "The CA was itself signed by \"%.100s\": the gateway trusts only the part "
		    "imported here, and other clients need that issuer's certificate too.",
		    (const char *)in->cert->issuer.ptr);
	}
	if ((X509_get_key_usage(in->x509) & KU_CRL_SIGN) == 0) {
		say(in, "The CA may not sign revocation lists (keyUsage without cRLSign), so none "
			"can be exported for others; this gateway itself needs none.");
	}
}

static void
warn_key(const struct import *in)
{
	EVP_PKEY *key = X509_get0_pubkey(in->x509);
	const char *type = (const char *)in->cert->key_type.ptr;
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "RSA")) {
		say(in,
		    "The CA has an RSA key: the crypto chip of a board cannot verify its "
		    "signatures, so each connect costs the board about %s more in software, "
		    "and the minimal firmware cannot use this CA at all; a new CA with a P-256 "
		    "key avoids both.",
		    bits > RSA_BITS_FAST ? "1.3 s" : "0.3 s");
	} else if (strcmp(type, "EC P-256") != 0) {
		say(in,
		    "The key of the CA is %.20s: the crypto chip verifies P-256 only, so "
		    "sketches that call setEccSlot() refuse the gateway (error 27, 52 or 62); "
		    "a new CA with a P-256 key is the remedy.",
		    type);
	}
	if (in->key == NULL) {
		say(in, "Without its key no certificate can be issued here: devices that have one "
			"of this CA are accepted once they are in the register, and the gateway's "
			"own certificate must come from the owner of the key.");
	}
}

static void
warn_hash(const struct import *in)
{
	int nid = NID_undef;

	if (X509_get_signature_info(in->x509, &nid, NULL, NULL, NULL) != 1 ||
	    (nid != NID_sha1 && nid != NID_md5 && nid != NID_md5_sha1)) {
		return;
	}
	say(in,
	    "The CA was signed with %s: nobody checks that of a root, but certificates it "
	    "issued in the same way are refused (error 298 on a board); issue those again.",
	    OBJ_nid2sn(nid));
}

static void
warn_dates(const struct import *in)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t now = clock_wall();

	if (in->cert->not_before > now) {
		say(in,
		    "The CA is valid from %s, which is in the future: until then everything it "
		    "signs is refused; check the clock of this machine.",
		    clock_text(in->cert->not_before, text));
	}
	if (in->cert->not_after < now + (int64_t)SOON_DAYS * PKI_DAY) {
		say(in,
		    "The CA ends at %s, and no certificate it signs is valid after that; renew "
		    "it with the same key and the same subject, then boards need no new "
		    "trust anchor.",
		    clock_text(in->cert->not_after, text));
	}
}

static void
warn_subject(const struct import *in)
{
	const unsigned char *der;
	size_t len = 0;
	uint8_t bytes[16];
	const char *cn = (const char *)in->cert->cn.ptr;

	if (in->cert->cn.len > 0 && pki_ip_parse(cn, bytes) > 0) {
		say(in,
		    "The CA is named after an IP address (%s): it still works, but a gateway "
		    "or device certificate with just that name looks self-signed and is "
		    "refused; let the gateway's first name be a host name.",
		    cn);
	}
	if (X509_NAME_get0_der(X509_get_subject_name(in->x509), &der, &len) != 1) {
		return;
	}
	if (len > SUBJECT_MAX) {
		say(in,
		    "The name of the CA is %zu bytes long: trust anchors for boards cannot be "
		    "written for more than %d; a new CA with a short name is the remedy.",
		    len, SUBJECT_MAX);
	} else if (len > SUBJECT_LONG) {
		say(in,
		    "The name of the CA is %zu bytes long: every board stores it, and sends it "
		    "with each connect; a new CA with a short name saves that.",
		    len);
	}
}

/* A gateway certificate that is there already, from this CA or another. */
static void
warn_gateway(const struct import *in, const char *folder)
{
	char file[PATH_MAX];
	X509 *gateway;

	if (pki_path(file, folder, "gateway.crt", NULL) != 0 || !pki_exists(file) ||
	    pki_x509_read(file, &gateway, NULL) != 0) {
		return;
	}
	if (X509_NAME_cmp(X509_get_subject_name(gateway), X509_get_subject_name(in->x509)) == 0) {
		say(in,
		    "%s has the same subject as the CA: clients take it for self-signed and "
		    "refuse it; make a gateway certificate with another first name.",
		    file);
	} else if (X509_verify(gateway, X509_get0_pubkey(in->x509)) != 1) {
		say(in,
		    "%s was not issued by this CA: devices that trust only the CA refuse the "
		    "gateway (error 62 on a board); make the gateway certificate again.",
		    file);
	}
	X509_free(gateway);
	ERR_clear_error();
}

static void
warn_bundle(const struct import *in)
{
	STACK_OF(X509) * list;

	if (pki_x509_read_all(in->file, &list, NULL) != 0) {
		return;
	}
	if (sk_X509_num(list) > 1) {
		say(in,
		    "%s holds %d certificates: only the first one is imported; if the CA is "
		    "another of them, put it into a file of its own.",
		    in->file, sk_X509_num(list));
	}
	sk_X509_pop_free(list, X509_free);
}

static void
warn_all(const struct import *in, const char *folder)
{
	warn_bundle(in);
	warn_form(in);
	warn_key(in);
	warn_hash(in);
	warn_dates(in);
	warn_subject(in);
	warn_gateway(in, folder);
}

/* ---- import -------------------------------------------------------------------------------- */

static int
load(struct import *in, const char *key_file, char *why)
{
	int rc = pki_x509_read(in->file, &in->x509, why);

	if (rc == 0) {
		rc = pki_cert_of(in->x509, NULL, &in->cert);
		if (rc != 0) {
			return pki_fail(why, rc, "%s cannot be used (%s).", in->file, err_text(rc));
		}
	}
	if (rc == 0 && key_file != NULL) {
		rc = pki_key_read(key_file, &in->key, why);
		if (rc == 0 && X509_check_private_key(in->x509, in->key) != 1) {
			rc = pki_fail(why, ERR_CRYPTO, "%s is not the key of %s.", key_file,
				      in->file);
		}
	}
	return rc != 0 ? rc : check_usable(in, why);
}

static int
store(const struct import *in, const char *key_file, const char *cert_file, char *why)
{
	struct buf key = { 0 }, cert = { 0 };
	int rc = pki_build_pem(in->x509, &cert);

	if (rc == 0 && in->key != NULL) {
		rc = pki_build_key_pem(in->key, &key);
	}
	if (rc != 0) {
		(void)pki_fail(why, rc, "Cannot import the CA: %s.", err_text(rc));
	} else if (in->key != NULL) {
		rc = pki_file_create(key_file, 0600, buf_span(&key), why);
	}
	if (rc == 0) {
		rc = pki_file_create(cert_file, 0644, buf_span(&cert), why);
		if (rc != 0 && in->key != NULL) {
			unlink(key_file); /* made just now */
		}
	}
	pki_wipe(&key);
	buf_release(&cert);
	return rc;
}

int
pki_ca_import(const char *folder, const char *cert_file, const char *key_file,
	      void (*warn)(void *arg, const char *sentence), void *arg, char *why)
{
	struct import in = { .warn = warn, .arg = arg, .file = cert_file };
	char to_key[PATH_MAX], to_cert[PATH_MAX];
	int rc = pki_path(to_key, folder, "ca.key", why);

	if (rc != 0 || (rc = pki_path(to_cert, folder, "ca.crt", why)) != 0) {
		return rc;
	}
	if (pki_exists(to_key) || pki_exists(to_cert)) {
		return pki_fail(why, ERR_EXISTS,
				"%s exists already, and devices may trust that CA. To change it "
				"all the same, move ca.key and ca.crt away first.",
				pki_exists(to_key) ? to_key : to_cert);
	}
	rc = load(&in, key_file, why);
	if (rc == 0) {
		warn_all(&in, folder);
		rc = store(&in, to_key, to_cert, why);
	}
	pki_cert_free(in.cert);
	X509_free(in.x509);
	EVP_PKEY_free(in.key);
	ERR_clear_error();
	return rc;
}
