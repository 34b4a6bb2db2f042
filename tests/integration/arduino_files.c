/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of a board for a certificate that is there already:
 *
 *   arduino_files PKI-FOLDER CERTIFICATE DEVICE BROKER PORT OUT
 *
 * PKI-FOLDER holds ca.crt and gateway.crt. Warnings and errors on stderr.
 *
 *   arduino_files import FOLDER CA-CERTIFICATE CA-KEY NAME
 *
 * takes a CA over and makes a gateway certificate of that name with it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gatewayctl/arduino.h"
#include "pki/pki_int.h"

static void
warn(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "warning: %s\n", sentence);
}

static int
read_certificate(const char *file, struct buf *pem, struct buf *der, char *why)
{
	int rc = pki_file_read(file, pem, why);

	if (rc == 0) {
		rc = pki_unwrap(buf_span(pem), "CERTIFICATE", file, der, why);
	}
	if (rc == 0 && buf_append(pem, span_of("", 1)) != 0) {
		rc = pki_fail(why, -12, "no memory");
	}
	return rc;
}

static int
import(const char *folder, const char *cert, const char *key, const char *name)
{
	const struct pki_names names = { .dns = &name, .dns_count = 1 };
	char why[PKI_WHY_SIZE];
	int rc = pki_ca_import(folder, cert, key, warn, NULL, why);

	if (rc == 0) {
		rc = pki_make_gateway(folder, &names, 0, 0, false, why);
	}
	if (rc != 0) {
		fprintf(stderr, "%s\n", why);
	}
	return rc != 0;
}

int
main(int argc, char **argv)
{
	struct buf pem = { 0 }, der = { 0 };
	struct pki_gateway_info *gateway = NULL;
	struct pki_issued issued = { 0 };
	char ca[1024], why[PKI_WHY_SIZE];
	int rc;

	if (argc == 6 && strcmp(argv[1], "import") == 0) {
		return import(argv[2], argv[3], argv[4], argv[5]);
	}
	if (argc != 7) {
		fputs("usage: arduino_files PKI-FOLDER CERTIFICATE DEVICE BROKER PORT OUT\n"
		      "       arduino_files import FOLDER CA-CERTIFICATE CA-KEY NAME\n",
		      stderr);
		return 2;
	}
	snprintf(ca, sizeof ca, "%s/ca.crt", argv[1]);
	rc = read_certificate(argv[2], &pem, &der, why);
	if (rc == 0) {
		rc = pki_gateway_read(argv[1], &gateway, why);
	}
	if (rc == 0) {
		issued.pem = (char *)pem.memory + pem.start;
		issued.der = der.memory + der.start;
		issued.der_len = buf_len(&der);
		rc = arduino_write(
			argv[6],
			&(struct arduino_input){ .device = argv[3],
						 .issued = &issued,
						 .ca_file = ca,
						 .names = &gateway->names,
						 .broker = argv[4],
						 .port = (unsigned)strtoul(argv[5], NULL, 10),
						 .warn = warn },
			why);
	}
	if (rc != 0) {
		fprintf(stderr, "%s\n", why);
	}
	pki_gateway_info_free(gateway);
	buf_release(&pem);
	buf_release(&der);
	return rc != 0;
}
