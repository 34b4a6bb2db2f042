/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What BearSSL asks for, done by the ATECC (bearssl 7 and 8). One connection
 * at a time; the first operation that fails is kept, since BearSSL only
 * learns yes or no.
 */
#ifndef TLS_TLS_CHIP_H
#define TLS_TLS_CHIP_H

#include <bearssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "drivers/atecc.h"

/* Before each handshake: which slots, nothing has failed, nothing is verified. */
void tls_chip_reset(unsigned key_slot, unsigned ecdh_slot);
/* The first operation of this handshake that the chip did not do. */
enum atecc_status tls_chip_status(void);
/* Signatures of the peer that were found good in this handshake. */
unsigned tls_chip_verified(void);

/* A br_ecdsa_sign: DER into out, which has room for 73 bytes; 0 failed. */
size_t tls_chip_sign(const br_ec_impl *impl, const br_hash_class *hash, const void *digest,
                     const br_ec_private_key *key, void *out);
/* A br_ecdsa_vrfy. */
uint32_t tls_chip_verify(const br_ec_impl *impl, const void *digest, size_t digest_size,
                         const br_ec_public_key *key, const void *signature, size_t size);
/* P-256 for ECDHE only: the secret never is in this processor. */
extern const br_ec_impl tls_chip_ec;

#endif
