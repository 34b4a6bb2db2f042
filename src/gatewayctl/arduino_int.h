/* SPDX-License-Identifier: BSD-2-Clause */
/* The texts of the files, apart from writing them. */
#ifndef GATEWAYCTL_ARDUINO_INT_H
#define GATEWAYCTL_ARDUINO_INT_H

#include <stdio.h>

#include "arduino.h"

/* In the first line of each file: how we know our own. */
#define ARDUINO_MARK "Made by gatewayctl"

/* What a person entered into an earlier arduino_secrets.h: whole lines. */
struct arduino_kept {
	char ssid[256], pass[256]; /* empty: nothing to keep */
};

void arduino_put_secrets(FILE *out, const struct arduino_input *in, const char *broker,
			 const struct arduino_kept *kept);
void arduino_put_anchors(FILE *out, const struct pki_anchor *anchor);
/* For the place of the library's file of that name. */
void arduino_put_library(FILE *out, const struct pki_anchor *anchor);
void arduino_put_report(FILE *out);
void arduino_put_readme(FILE *out, const struct arduino_input *in, const char *broker);

#endif
