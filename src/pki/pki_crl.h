/* SPDX-License-Identifier: BSD-2-Clause */
/* Revocation lists with OpenSSL's types: for the two files about them. */
#ifndef GATEWAY_PKI_PKI_CRL_H
#define GATEWAY_PKI_PKI_CRL_H

#include "pki/pki_int.h"

#define PKI_CRL_MAX (64 * 1024 * 1024) /* bytes of a file of lists */

/* Its number, NULL when it has none. ERR_MALFORMED: twice, negative, too long. */
int pki_crl_number(const X509_CRL *crl, BIGNUM **number) MUST_CHECK;
int pki_crl_pem(const X509_CRL *crl, struct buf *pem) MUST_CHECK;
/* All lists of a PEM file, or the one of a DER file; none is ERR_MALFORMED. */
int pki_crl_read(const char *file, STACK_OF(X509_CRL) **lists, char *why) MUST_CHECK;
/*
 * Keep others from changing files of the folder that this program keeps
 * there: a descriptor to close(), or a negative code.
 */
int pki_folder_lock(const char *folder, char *why) MUST_CHECK;

#endif
