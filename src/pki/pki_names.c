/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names in the gateway's certificate: it is the only place where they are
 * kept, so that what a board is told and what it will see are the same.
 */
#include "pki/pki_build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* Texts one behind the other, each with its NUL. */
struct texts {
	struct buf text;
	size_t count;
};

static int
texts_add(struct texts *list, struct span name)
{
	int rc = buf_append(&list->text, name);

	if (rc == 0) {
		rc = buf_append(&list->text, span_of("", 1));
	}
	list->count += rc == 0;
	return rc;
}

static bool
same_name(const char *a, const char *b)
{
	uint8_t x[16], y[16];
	size_t n = pki_ip_parse(a, x);

	return n > 0 ? pki_ip_parse(b, y) == n && memcmp(x, y, n) == 0 : strcasecmp(a, b) == 0;
}

static bool
texts_have(const struct texts *list, const char *name)
{
	struct span rest = buf_span(&list->text);

	while (rest.len > 0) {
		if (same_name((const char *)rest.ptr, name)) {
			return true;
		}
		rest = span_skip(rest, strlen((const char *)rest.ptr) + 1);
	}
	return false;
}

/* ---- reading ------------------------------------------------------------------------ */

/* Every name goes back into a certificate and into files of boards. */
static int
add_dns(struct texts *dns, const ASN1_STRING *string)
{
	struct buf text = { 0 };
	uint8_t bytes[16];
	size_t len;
	int rc = pki_text_append(&text, string, &len);
	const char *name = (const char *)buf_span(&text).ptr;

	if (rc == 0 && !pki_is_host_name(name) && pki_ip_parse(name, bytes) == 0) {
		rc = ERR_UNSAFE;
	}
	if (rc == 0 && !texts_have(dns, name)) {
		rc = texts_add(dns, span_of(name, len));
	}
	buf_release(&text);
	return rc;
}

static int
add_ip(struct texts *ip, const ASN1_STRING *string)
{
	char text[INET6_ADDRSTRLEN];
	int len = ASN1_STRING_length(string), family = len == 4 ? AF_INET : AF_INET6;

	if ((len != 4 && len != 16) ||
	    inet_ntop(family, ASN1_STRING_get0_data(string), text, sizeof text) == NULL) {
		return ERR_MALFORMED;
	}
	return texts_have(ip, text) ? 0 : texts_add(ip, span_str(text));
}

static int
add_alternatives(const X509 *x509, struct texts *dns, struct texts *ip)
{
	int critical = -1, type, rc = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);

	if (names == NULL) {
		return critical == -1 ? 0 : ERR_MALFORMED;
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && rc == 0; i++) {
		const ASN1_STRING *value =
			GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

		if (type == GEN_DNS) {
			rc = add_dns(dns, value);
		} else if (type == GEN_IPADD) {
			rc = add_ip(ip, value);
		}
	}
	GENERAL_NAMES_free(names);
	return rc;
}

static int
collect(const X509 *x509, struct texts *dns, struct texts *ip)
{
	const ASN1_STRING *cn = pki_last_cn(X509_get_subject_name(x509));
	int rc = cn != NULL ? add_dns(dns, cn) : 0;

	return rc != 0 ? rc : add_alternatives(x509, dns, ip);
}

/* Copies of the texts behind the arrays that point at them. */
static void
place(const char **array, char *text, const struct texts *list)
{
	struct span from = buf_span(&list->text);

	if (from.len > 0) {
		memcpy(text, from.ptr, from.len);
	}
	for (size_t i = 0; i < list->count; i++) {
		array[i] = text;
		text += strlen(text) + 1;
	}
}

static struct pki_gateway_info *
pack(const struct texts *dns, const struct texts *ip)
{
	size_t pointers = (dns->count + ip->count) * sizeof(char *);
	struct pki_gateway_info *info =
		malloc(sizeof *info + pointers + buf_len(&dns->text) + buf_len(&ip->text));
	const char **array = (const char **)(info + 1);
	char *text = (char *)array + pointers;

	if (info == NULL) {
		return NULL;
	}
	place(array, text, dns);
	place(array + dns->count, text + buf_len(&dns->text), ip);
	*info = (struct pki_gateway_info){ .names = { .dns = array,
						      .dns_count = dns->count,
						      .ip = array + dns->count,
						      .ip_count = ip->count } };
	return info;
}

static int
read_info(const X509 *x509, struct pki_gateway_info **out)
{
	struct texts dns = { 0 }, ip = { 0 };
	struct pki_gateway_info *info = NULL;
	int rc = collect(x509, &dns, &ip);

	if (rc == 0) {
		info = pack(&dns, &ip);
		rc = info != NULL ? pki_date(X509_get0_notBefore(x509), &info->not_before)
				  : -ENOMEM;
	}
	if (rc == 0) {
		rc = pki_date(X509_get0_notAfter(x509), &info->not_after);
	}
	buf_release(&dns.text);
	buf_release(&ip.text);
	if (rc != 0) {
		free(info);
		return rc;
	}
	*out = info;
	return 0;
}

int
pki_gateway_read(const char *folder, struct pki_gateway_info **out, char *why)
{
	char file[PATH_MAX];
	X509 *x509;
	int rc = pki_path(file, folder, "gateway.crt", why);

	if (rc == 0) {
		rc = pki_x509_read(file, &x509, why);
	}
	if (rc != 0) {
		return rc;
	}
	rc = read_info(x509, out);
	X509_free(x509);
	ERR_clear_error();
	return rc == 0 ? 0
		       : pki_fail(why, rc, "The names in %s cannot be used (%s).", file,
				  err_text(rc));
}

void
pki_gateway_info_free(struct pki_gateway_info *info)
{
	free(info);
}
