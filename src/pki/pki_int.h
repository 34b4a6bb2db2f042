/* SPDX-License-Identifier: BSD-2-Clause */
/* For pki/ and tls/: the same things with OpenSSL's types. */
#ifndef GATEWAY_PKI_PKI_INT_H
#define GATEWAY_PKI_PKI_INT_H

#include <openssl/x509.h>

#include "pki/pki.h"

/*
 * Read an X509 that stays the caller's. libctx: the worker's own library
 * context, for the hashes (NULL: the default one).
 */
int pki_cert_of(const X509 *x509, OSSL_LIB_CTX *libctx, struct pki_cert **out) MUST_CHECK;

#endif
