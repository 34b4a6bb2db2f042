/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The name of a device, from its certificate and nothing else (law 2): one
 * answer for the daemon that lets it in and for gatewayctl that enrols it.
 */
#ifndef GATEWAY_IDENTITY_IDENTITY_H
#define GATEWAY_IDENTITY_IDENTITY_H

#include "conf/conf.h"
#include "pki/pki.h"

#define IDENTITY_MAX 512 /* bytes; as long as a name in the register */

/*
 * The first of identity.sources that the certificate has, behind the issuer's
 * name and a ':' if identity.issuer says so. It is checked before it is
 * written: 1 to 512 bytes of UTF-8 without + # / $ and control characters, and
 * neither uplink.username nor uplink.client_id, which are the gateway's own.
 * identity: IDENTITY_MAX + 1 bytes, NUL-terminated, "" on failure. ERR_UNSAFE
 * with *why a static sentence. Any thread.
 */
int identity_of(const struct conf *conf, const struct pki_cert *cert, char *identity,
                const char **why) MUST_CHECK;
/*
 * Is it one of the names that the gateway itself has at the broker? A static
 * sentence, or NULL. For names that come from the register. Any thread.
 */
const char *identity_taken(const struct conf *conf, const char *identity);

#endif
