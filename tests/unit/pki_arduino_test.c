/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files for boards, byte for byte as in tests/unit/arduino, and what they
 * must not do to files that are there.
 */
#include "unit/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatewayctl/arduino.h"
#include "pki/pki_int.h"

static const char *const files[] = { "arduino_secrets.h",
				     "gateway_trust_anchors.h",
				     "BearSSLTrustAnchors.h",
				     "connection_report.h",
				     "README.txt",
				     "device.der" };

#define FILES (sizeof files / sizeof files[0])

static const char *const dns[] = { "*.example.org", "localhost", "192.168.1.10", "gateway.local" };
static const char *const ip[] = { "192.168.1.10" };
static const struct pki_names names = { dns, 4, ip, 1 };

static char folder[64];
static char why[PKI_WHY_SIZE];
static char said[2048];
static struct buf pem, der;
static struct pki_issued issued;

static const char *
in(const char *file)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, 160, "%s/%s", folder, file);
	return p;
}

static const char *
sample(const char *file)
{
	static char path[2][1024];
	static unsigned next;
	const char *sources = getenv("TEST_SOURCES");
	char *p = path[next++ % 2];

	snprintf(p, 1024, "%s/unit/arduino/%s", sources != NULL ? sources : "../tests", file);
	return p;
}

static void
warn(void *arg, const char *sentence)
{
	assert_ptr_equal(arg, said);
	strcat(said, sentence);
}

static int
write_for(const char *device, const char *ca, const char *broker)
{
	struct arduino_input input = { .device = device,
				       .issued = &issued,
				       .ca_file = sample(ca),
				       .names = &names,
				       .broker = broker != NULL ? broker : "gateway.local",
				       .warn = warn,
				       .arg = said };

	said[0] = '\0';
	return arduino_write(folder, &input, why);
}

static int
set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "arduino-test-XXXXXX");
	if (mkdtemp(folder) == NULL || pki_file_read(sample("dev.crt"), &pem, why) != 0 ||
	    pki_unwrap(buf_span(&pem), "CERTIFICATE", "dev.crt", &der, why) != 0 ||
	    buf_append(&pem, span_of("", 1)) != 0) {
		return -1;
	}
	issued.pem = (char *)pem.memory + pem.start;
	issued.der = der.memory + der.start;
	issued.der_len = buf_len(&der);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_release(&pem);
	buf_release(&der);
	for (size_t i = 0; i < FILES; i++) {
		unlink(in(files[i]));
	}
	return rmdir(folder); /* fails when something else was left */
}

static char *
text_of(const char *path)
{
	static char text[4][16384];
	static unsigned next;
	char *t = text[next++ % 4];
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(t, 1, 16383, file);
	fclose(file);
	t[n] = '\0';
	return t;
}

static void
assert_same(const char *file, const char *expected)
{
	assert_string_equal(text_of(in(file)), text_of(sample(expected)));
}

static void
replace(const char *file, const char *text)
{
	assert_int_equal(pki_write_file(in(file), 0644, span_str(text), why), 0);
}

/* ---- what is written --------------------------------------------------------------------- */

static void
files_are_as_the_samples(void **state)
{
	struct buf written = { 0 };

	(void)state;
	assert_int_equal(write_for("mymkr", "ca.crt", NULL), 0);
	assert_string_equal(said, "");
	for (size_t i = 0; i + 1 < FILES; i++) {
		struct stat st;

		assert_same(files[i], files[i]);
		assert_int_equal(stat(in(files[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0644);
	}
	assert_int_equal(pki_file_read(in("device.der"), &written, why), 0);
	assert_true(span_eq(buf_span(&written), buf_span(&der)));
	buf_release(&written);
}

static void
rsa_ca_has_an_anchor_too(void **state)
{
	(void)state;
	assert_int_equal(write_for("mymkr", "rsa.crt", NULL), 0);
	assert_same("gateway_trust_anchors.h", "gateway_trust_anchors_rsa.h");
	assert_non_null(strstr(said, "The CA has an RSA key"));
	assert_int_equal(write_for("mymkr", "none.crt", NULL), -ENOENT);
	assert_int_equal(write_for("mymkr", "README.txt", NULL), ERR_MALFORMED);
}

static void
certificate_ends_with_a_line_break(void **state)
{
	char *text;

	(void)state;
	issued.pem[strlen(issued.pem) - 1] = '\0';
	assert_int_equal(write_for("mymkr", "ca.crt", NULL), 0);
	text = text_of(in("arduino_secrets.h"));
	assert_non_null(strstr(text, "R\"(\n-----BEGIN CERTIFICATE-----\n"));
	assert_non_null(strstr(text, "\n-----END CERTIFICATE-----\n)\";\n"));
}

/* Left to choose, it takes what a radio module that knows no ".local" can find. */
static void
broker_is_found_by_the_board(void **state)
{
	static const struct {
		const char *names[4];
		const char *chosen;
	} rows[] = {
		{ { "host", "host.local", "192.168.1.10", "gw.example.org" }, "gw.example.org" },
		{ { "host", "host.local", "127.0.0.1", "192.168.1.10" }, "192.168.1.10" },
		{ { "host.local", "host", "fd00::2", "localhost" }, "host" },
		{ { "localhost", "host.local", "::1", "*.example.org" }, "host.local" },
	};
	struct arduino_input input = { .device = "mymkr", .issued = &issued,
				       .ca_file = sample("ca.crt") };
	char expected[80];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		input.names = &(struct pki_names){ rows[i].names, 4, NULL, 0 };
		snprintf(expected, sizeof expected, "#define SECRET_BROKER \"%s\"", rows[i].chosen);
		assert_int_equal(arduino_write(folder, &input, why), 0);
		assert_non_null(strstr(text_of(in("arduino_secrets.h")), expected));
	}
}

static void
broker_is_a_name_of_the_gateway(void **state)
{
	static const char *const only_address[] = { "*.example.org", "192.168.1.10" };
	struct arduino_input input = { .device = "mymkr",
				       .issued = &issued,
				       .names = &(struct pki_names){ only_address, 2, ip, 1 } };
	const struct {
		const char *broker, *expected;
	} good[] = {
		{ "GATEWAY.local", "#define SECRET_BROKER \"gateway.local\" //" },
		{ "192.168.1.10", "#define SECRET_BROKER \"192.168.1.10\" //" },
		{ "localhost", "#define SECRET_BROKER \"localhost\" //" },
	};
	const char *const bad[] = { "other.local", "*.example.org", "a.example.org", "" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(write_for("mymkr", "ca.crt", good[i].broker), 0);
		assert_non_null(strstr(text_of(in("arduino_secrets.h")), good[i].expected));
		assert_int_equal(strstr(said, "the address 192.168.1.10") != NULL, i == 1);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(write_for("mymkr", "ca.crt", bad[i]), ERR_NOT_FOUND);
		assert_non_null(strstr(why, "gatewayctl certificate names add"));
	}
	input.ca_file = sample("ca.crt");
	assert_int_equal(arduino_write(folder, &input, why), 0); /* and nobody to warn */
	assert_non_null(strstr(text_of(in("arduino_secrets.h")), good[1].expected));
	input.names = &(struct pki_names){ only_address, 1, NULL, 0 };
	assert_int_equal(arduino_write(folder, &input, why), ERR_NOT_FOUND);
}

static void
port_and_slot_are_told(void **state)
{
	struct arduino_input input = { .device = "mymkr",
				       .issued = &issued,
				       .names = &names,
				       .broker = "gateway.local",
				       .port = 18883,
				       .slot = 2,
				       .ca_file = sample("ca.crt") };

	(void)state;
	assert_int_equal(arduino_write(folder, &input, why), 0);
	assert_non_null(strstr(text_of(in("arduino_secrets.h")), "SECRET_PORT   18883\n"));
	assert_non_null(strstr(text_of(in("arduino_secrets.h")), "SECRET_SLOT   2 "));
	assert_non_null(strstr(text_of(in("README.txt")), "gateway.local, port 18883."));
}

static void
names_stay_inside_their_comment(void **state)
{
	(void)state;
	assert_int_equal(write_for("a\nint x;", "ca.crt", NULL), ERR_UNSAFE);
	assert_int_equal(write_for("a\r", "ca.crt", NULL), ERR_UNSAFE);
	assert_int_equal(write_for("", "ca.crt", NULL), ERR_UNSAFE);
	assert_int_equal(write_for("\xff", "ca.crt", NULL), ERR_UNSAFE);
	/* A backslash at the end of a comment would take the next line with it. */
	assert_int_equal(write_for("mkr\\", "ca.crt", NULL), 0);
	assert_non_null(strstr(text_of(in("arduino_secrets.h")), "\"mkr\\\".\n"));
}

/* ---- what is there already ---------------------------------------------------------------- */

static void
renewal_keeps_what_was_entered(void **state)
{
	static const char entered[] = "#define SECRET_SSID\t\"my \\\" net\"      //";
	char text[16384], *at;
	struct stat st;

	(void)state;
	assert_int_equal(write_for("mymkr", "ca.crt", NULL), 0);
	snprintf(text, sizeof text, "%s", text_of(in("arduino_secrets.h")));
	at = strstr(text, "#define SECRET_SSID");
	memcpy(at, entered, strlen(entered));
	replace("arduino_secrets.h", text);
	assert_int_equal(chmod(in("arduino_secrets.h"), 0600), 0);
	issued.der[0] ^= 1; /* another certificate */
	assert_int_equal(write_for("mymkr", "ca.crt", "192.168.1.10"), 0);
	assert_non_null(strstr(text_of(in("arduino_secrets.h")), entered));
	assert_non_null(strstr(text_of(in("arduino_secrets.h")), "\"192.168.1.10\""));
	assert_non_null(strstr(text_of(in("arduino_secrets.h")), "\"password of your network\""));
	assert_int_equal(stat(in("arduino_secrets.h"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
another_device_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(write_for("mymkr", "ca.crt", NULL), 0);
	assert_int_equal(write_for("mymkr2", "ca.crt", NULL), ERR_EXISTS);
	assert_non_null(strstr(why, "belongs to another device"));
	assert_int_equal(write_for("mymk", "ca.crt", NULL), ERR_EXISTS);
	for (size_t i = 0; i + 1 < FILES; i++) {
		assert_same(files[i], files[i]);
	}
}

static void
files_of_others_are_left_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++) {
		replace(files[i], "mine\n");
		assert_int_equal(write_for("mymkr", "ca.crt", NULL), ERR_EXISTS);
		assert_non_null(strstr(why, files[i]));
		assert_string_equal(text_of(in(files[i])), "mine\n");
		for (size_t k = 0; k < FILES; k++) {
			assert_int_equal(access(in(files[k]), F_OK) == 0, k == i);
		}
		unlink(in(files[i]));
	}
	assert_int_equal(mkdir(in("README.txt"), 0755), 0);
	assert_int_equal(write_for("mymkr", "ca.crt", NULL), ERR_EXISTS);
	assert_int_equal(rmdir(in("README.txt")), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(files_are_as_the_samples),
		T(rsa_ca_has_an_anchor_too),
		T(certificate_ends_with_a_line_break),
		T(broker_is_found_by_the_board),
		T(broker_is_a_name_of_the_gateway),
		T(port_and_slot_are_told),
		T(names_stay_inside_their_comment),
		T(renewal_keeps_what_was_entered),
		T(another_device_is_left_alone),
		T(files_of_others_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
