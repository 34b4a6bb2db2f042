/* SPDX-License-Identifier: BSD-2-Clause */
#include "pki/pki_inspect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "pki/pki_int.h"

/* ---- signature ------------------------------------------------------------------ */

static void
read_signature(struct pki_profile *p, X509 *x509)
{
	const ASN1_BIT_STRING *signature = NULL;
	int hash = NID_undef, key = NID_undef, bits = 0;

	OBJ_obj2txt(p->signature, sizeof p->signature, OBJ_nid2obj(X509_get_signature_nid(x509)),
		    0);
	if (X509_get_signature_info(x509, &hash, &key, &bits, NULL) == 1 && hash != NID_undef) {
		const EVP_MD *md = EVP_get_digestbynid(hash);

		p->signature_bits = md != NULL ? (unsigned)EVP_MD_get_size(md) * 8 : 0;
	}
	p->signature_rsa = key == NID_rsaEncryption || key == NID_rsassaPss;
	X509_get0_signature(&signature, NULL, x509);
	p->signature_short =
		key == NID_X9_62_id_ecPublicKey && signature != NULL &&
		pki_signature_short(span_of(signature->data, (size_t)signature->length));
}

/* ---- names ---------------------------------------------------------------------- */

/* Takes over nothing; the text is copied when it is printable. */
static int
add_text(struct pki_texts *texts, struct span s)
{
	char **list;

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f) {
			return 0;
		}
	}
	list = realloc(texts->list, (texts->count + 1) * sizeof *list);
	if (list == NULL) {
		return -ENOMEM;
	}
	texts->list = list;
	list[texts->count] = strndup((const char *)s.ptr, s.len);
	if (list[texts->count] == NULL) {
		return -ENOMEM;
	}
	texts->count++;
	return 0;
}

static int
add_address(struct pki_texts *texts, const ASN1_OCTET_STRING *bytes)
{
	char text[INET6_ADDRSTRLEN];
	int family = bytes->length == 4 ? AF_INET : bytes->length == 16 ? AF_INET6 : AF_UNSPEC;

	if (family == AF_UNSPEC || inet_ntop(family, bytes->data, text, sizeof text) == NULL) {
		return 0;
	}
	return add_text(texts, span_str(text));
}

static int
read_names(struct pki_profile *p, const X509 *x509)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	int rc = 0;

	p->has_names = names != NULL;
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && rc == 0; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS) {
			rc = add_text(&p->dns, span_of(name->d.dNSName->data,
						       (size_t)name->d.dNSName->length));
		} else if (name->type == GEN_IPADD) {
			rc = add_address(&p->ip, name->d.iPAddress);
		}
	}
	GENERAL_NAMES_free(names);
	return rc;
}

/* ---- extensions ----------------------------------------------------------------- */

/* Marked critical, these do not stop BearSSL; extendedKeyUsage is told apart. */
static bool
boards_know(int nid)
{
	static const int known[] = {
		NID_basic_constraints,
		NID_key_usage,
		NID_subject_alt_name,
		NID_ext_key_usage,
		NID_authority_key_identifier,
		NID_subject_key_identifier,
		NID_issuer_alt_name,
		NID_subject_directory_attributes,
		NID_crl_distribution_points,
		NID_freshest_crl,
		NID_info_access,
		NID_sinfo_access,
		NID_certificate_policies,
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (known[i] == nid) {
			return true;
		}
	}
	return false;
}

static void
read_extensions(struct pki_profile *p, X509 *x509)
{
	for (int i = 0; i < X509_get_ext_count(x509); i++) {
		X509_EXTENSION *extension = X509_get_ext(x509, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
		bool critical = X509_EXTENSION_get_critical(extension) == 1;

		p->has_basic = p->has_basic || nid == NID_basic_constraints;
		p->extended_critical =
			p->extended_critical || (critical && nid == NID_ext_key_usage);
		if (critical && !boards_know(nid) && p->critical[0] == '\0') {
			OBJ_obj2txt(p->critical, sizeof p->critical,
				    X509_EXTENSION_get_object(extension), 0);
		}
	}
}

static void
read_usage(struct pki_profile *p, X509 *x509)
{
	uint32_t flags = X509_get_extension_flags(x509);
	uint32_t usage = X509_get_key_usage(x509); /* all bits when there is none */

	p->ca = (flags & EXFLAG_CA) != 0;
	p->has_key_usage = (flags & EXFLAG_KUSAGE) != 0;
	p->digital_signature = (usage & KU_DIGITAL_SIGNATURE) != 0;
	p->cert_sign = (usage & KU_KEY_CERT_SIGN) != 0;
	p->has_extended_usage = (flags & EXFLAG_XKUSAGE) != 0;
	p->server_auth = !p->has_extended_usage ||
			 (X509_get_extended_key_usage(x509) & (XKU_SSL_SERVER | XKU_ANYEKU)) != 0;
}

/* ---- the whole ------------------------------------------------------------------ */

static int
read_profile(struct pki_profile *p, X509 *x509)
{
	EVP_PKEY *key = X509_get0_pubkey(x509);
	int rc = pki_cert_of(x509, NULL, &p->cert);

	if (rc != 0) {
		return rc;
	}
	p->key_p256 = key != NULL && pki_key_is_p256(key);
	p->key_rsa = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	read_signature(p, x509);
	read_extensions(p, x509);
	read_usage(p, x509);
	return read_names(p, x509);
}

int
pki_profiles_read(const char *file, struct pki_profile **out, size_t *count, char *why)
{
	STACK_OF(X509) *list = NULL;
	struct pki_profile *p;
	size_t n;
	int rc = pki_x509_read_all(file, &list, why);

	if (rc != 0) {
		return rc;
	}
	n = (size_t)sk_X509_num(list);
	p = calloc(n, sizeof *p);
	rc = p != NULL ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = read_profile(&p[i], sk_X509_value(list, (int)i));
	}
	sk_X509_pop_free(list, X509_free);
	if (rc != 0) {
		pki_profiles_free(p, n);
		return pki_fail(why, rc, "%s: a certificate cannot be read (%s).", file,
				err_text(rc));
	}
	ERR_clear_error();
	*out = p;
	*count = n;
	return 0;
}

static void
free_texts(struct pki_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		free(texts->list[i]);
	}
	free(texts->list);
}

void
pki_profiles_free(struct pki_profile *list, size_t count)
{
	for (size_t i = 0; list != NULL && i < count; i++) {
		pki_cert_free(list[i].cert);
		free_texts(&list[i].dns);
		free_texts(&list[i].ip);
	}
	free(list);
}

static int
find_signer(X509 *x509, STACK_OF(X509) * cas, size_t *place)
{
	int rc = ERR_NOT_FOUND;

	for (int i = 0; i < sk_X509_num(cas); i++) {
		X509 *ca = sk_X509_value(cas, i);

		if (X509_NAME_cmp(X509_get_issuer_name(x509), X509_get_subject_name(ca)) != 0) {
			continue;
		}
		if (X509_verify(x509, X509_get0_pubkey(ca)) == 1) {
			*place = (size_t)i;
			return 0;
		}
		rc = ERR_CRYPTO;
	}
	return rc;
}

int
pki_find_issuer(const char *cert_file, const char *ca_file, size_t *place, char *why)
{
	STACK_OF(X509) *certs = NULL, *cas = NULL;
	int rc = pki_x509_read_all(cert_file, &certs, why);

	if (rc == 0) {
		rc = pki_x509_read_all(ca_file, &cas, why);
	}
	if (rc == 0) {
		rc = find_signer(sk_X509_value(certs, 0), cas, place);
		if (rc == ERR_NOT_FOUND) {
			pki_fail(why, rc, "%s was not issued by a CA of %s.", cert_file, ca_file);
		} else if (rc == ERR_CRYPTO) {
			pki_fail(why, rc,
				 "%s names the CA of %s as its issuer, but that CA's key has not "
				 "signed it.",
				 cert_file, ca_file);
		}
	}
	sk_X509_pop_free(certs, X509_free);
	sk_X509_pop_free(cas, X509_free);
	ERR_clear_error();
	return rc;
}
