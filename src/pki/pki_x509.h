/* SPDX-License-Identifier: BSD-2-Clause */
/* For tls/, which has certificates as OpenSSL's objects already. */
#ifndef GATEWAY_PKI_PKI_X509_H
#define GATEWAY_PKI_PKI_X509_H

#include <openssl/x509.h>

#include "pki/pki.h"

/*
 * Read an X509 that stays the caller's. libctx: the worker's own library
 * context, for the hashes (NULL: the default one). Any thread; 0 and *out for
 * pki_cert_free(), or ERR_MALFORMED, ERR_LIMIT, -ENOMEM.
 */
int pki_cert_of(const X509 *x509, OSSL_LIB_CTX *libctx, struct pki_cert **out) MUST_CHECK;

#endif
