/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files that turn a sketch with ArduinoBearSSL into a client of this
 * gateway, in one folder per device:
 *
 *   arduino_secrets.h        network, broker, the device's certificate
 *   gateway_trust_anchors.h  our CA, for the constructor of BearSSLClient
 *   BearSSLTrustAnchors.h    the same in place of the library's own file
 *   connection_report.h      MQTT states and TLS errors in words
 *   device.der               the certificate for setEccSlot(slot, bytes, n)
 *   README.txt               what to do next
 *
 * No file holds a private key: that stays in the board's crypto chip.
 */
#ifndef GATEWAYCTL_ARDUINO_H
#define GATEWAYCTL_ARDUINO_H

#include "pki/pki.h"

struct arduino_input {
	const char *device;             /* its name */
	const struct pki_issued *issued;
	const char *ca_file;            /* PEM */
	const struct pki_names *names;  /* of the gateway's certificate */
	const char *broker;             /* NULL: the one of the names that a board finds most surely */
	unsigned port;                  /* 0: 8883 */
	unsigned slot;                  /* of the key in the chip: 0 to 4, mostly 0 */
	/* Called with a sentence for what works, but not well. May be NULL. */
	void (*warn)(void *arg, const char *sentence);
	void *arg;
};

/*
 * Write them, each atomically, mode 0644 (less when the old file has less).
 * The folder must exist. Files that
 * this function wrote for the same device are renewed, and the network name
 * and password that somebody entered stay. ERR_EXISTS: a file of another
 * device, or one that is not ours, is in the way (nothing was written);
 * ERR_NOT_FOUND: broker is not among the names; ERR_DENIED: boards cannot use
 * this CA; ERR_UNSAFE: the device's name; or a negative errno.
 */
int arduino_write(const char *folder, const struct arduino_input *in, char *why) MUST_CHECK;

/* The one of the names that a board finds most surely; NULL: it finds none of them. */
const char *arduino_best_name(const struct pki_names *names);
/* That name as it is written in the certificate, without regard to case; NULL: not there. */
const char *arduino_find_name(const struct pki_names *names, const char *broker);

#endif
