/* SPDX-License-Identifier: BSD-2-Clause */
/* As much of DER as a certificate request and a glance at a certificate take. */
#ifndef APP_DER_H
#define APP_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * CertificationRequestInfo for the common name: 18 hex digits of the chip's
 * serial number, as ArduinoECCX08 has it. Bytes written; 0: no room.
 */
size_t csr_info(const uint8_t serial[9], const uint8_t public_key[64], uint8_t *out, size_t room);
/* The whole request from that and the chip's signature (r, s) over its SHA-256. */
size_t csr_finish(const uint8_t *info, size_t info_size, const uint8_t signature[64],
                  uint8_t *out, size_t room);

/* The input is exactly one DER SEQUENCE. */
bool der_is_sequence(const uint8_t *data, size_t size);
/* The P-256 key of a certificate; false when it has none or is damaged. */
bool certificate_public_key(const uint8_t *der, size_t size, uint8_t public_key[64]);

#endif
