/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayctl provision: what it reads from a board, what it writes, how it asks bossac. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/report.h"
#include "gatewayctl/provision.h"
#include "unit/cmocka_all.h"
#include "unit/folder_help.h"

static uint8_t block[PAGE_SIZE_MAX];
static char why[PROVISION_WHY_SIZE];
static char folder[64];

static int
setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/provision-XXXXXX");
	why[0] = '\0';
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	return folder_remove(folder);
}

static const char *
in_folder(const char *name)
{
	static char path[2][128];
	static unsigned which;

	which = !which;
	snprintf(path[which], sizeof path[which], "%s/%s", folder, name);
	return path[which];
}

static void
write_file(const char *path, const char *text, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	if (text != NULL) {
		assert_int_equal(write(fd, text, size), size);
	} else {
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
	}
	close(fd);
}

/* ---- the report ---- */

static void
a_report_is_read(void **state)
{
	struct board_report report;
	struct page_writer w;

	(void)state;
	memset(block, 0xFF, sizeof block);
	page_begin(&w, PAGE_REPORT, 3, block, sizeof block);
	page_add(&w, PAGE_SERIAL, "\x01\x23\xF5\x2E\x01\xF0\xC2\x01\xEE", 9);
	page_add(&w, PAGE_CHIP, "\x03", 1);
	page_add(&w, PAGE_STATE, "\x0C", 1);
	page_add(&w, PAGE_FIRMWARE, "1.2\x1B[m", 6);
	page_add(&w, PAGE_CSR, "csr", 3);
	assert_true(page_end(&w) > 0);
	assert_int_equal(board_report_read(block, &report, why), 0);
	assert_string_equal(report.serial, "0123F52E01F0C201EE");
	assert_string_equal(report.firmware, "1.2?[m"); /* nothing for a terminal */
	assert_true(report.has_chip && report.locked);
	assert_int_equal(report.state, REPORT_WRONG_PASSPHRASE);
	assert_int_equal(report.csr.len, 3);
	page_begin(&w, PAGE_REPORT, 3, block, sizeof block);
	page_add(&w, PAGE_CHIP, "\x01", 1);
	page_add(&w, PAGE_SERIAL, "\x01", 1); /* not of a serial's length */
	assert_true(page_end(&w) > 0);
	assert_int_equal(board_report_read(block, &report, why), 0);
	assert_true(report.has_chip && !report.locked);
	assert_string_equal(report.serial, "");
	assert_int_equal(report.csr.len, 0);
}

static void
no_report_says_what_to_do(void **state)
{
	struct board_report report;
	struct page_writer w;

	(void)state;
	memset(block, 0xFF, sizeof block);
	assert_int_equal(board_report_read(block, &report, why), ERR_NOT_FOUND);
	assert_non_null(strstr(why, "flash firmware-minimal"));
	page_begin(&w, PAGE_REPORT, 1, block, sizeof block);
	assert_true(page_end(&w) > 0);
	block[12] ^= 1;
	assert_int_equal(board_report_read(block, &report, why), ERR_MALFORMED);
	assert_non_null(strstr(why, "damaged"));
}

/* Its numbers are those of the firmware. */
static void
states_have_words(void **state)
{
	static const unsigned bad[] = {
		REPORT_SETTINGS_DAMAGED, REPORT_CHIP_ABSENT, REPORT_CHIP_FAULT, REPORT_KEY_MISMATCH,
		REPORT_RADIO, REPORT_NO_NETWORK, REPORT_WRONG_PASSPHRASE, REPORT_NO_ADDRESS,
		REPORT_NAME_UNKNOWN, REPORT_GATEWAY_REFUSED, REPORT_GATEWAY_SILENT,
		REPORT_LINK_LOST,
		REPORT_TLS, REPORT_MQTT, REPORT_MQTT_SILENT, REPORT_WATCHDOG, REPORT_HARD_FAULT,
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_string_not_equal(board_state_text(bad[i]), "");
	}
	assert_string_equal(board_state_text(REPORT_NONE), "");
	assert_string_equal(board_state_text(REPORT_NOT_PROVISIONED), "");
	assert_non_null(strstr(board_state_text(REPORT_WRONG_PASSPHRASE), "passphrase"));
	assert_non_null(strstr(board_state_text(REPORT_NO_NETWORK), "network"));
}

/* ---- the settings ---- */

static void
assert_record(const struct page *page, enum page_record type, const void *want, size_t size)
{
	const uint8_t *value;
	size_t n;

	assert_true(page_find(page, type, &value, &n));
	assert_int_equal(n, size);
	assert_memory_equal(value, want, size);
}

static void
a_settings_page_has_it_all(void **state)
{
	struct board_settings s = { .ssid = "home", .host = "gw.example.org", .port = 8883,
		.interval = 300, .ecdh_in_chip = true, .publish_topic = "Home" };
	const uint8_t *value;
	struct page page;
	size_t n;

	(void)state;
	strcpy(s.passphrase, "correct horse");
	memcpy(s.anchor.subject, "\x30\x00", 2);
	s.anchor.subject_len = 2;
	memset(s.anchor.point, 4, 65);
	s.anchor.point_len = 65;
	assert_int_equal(board_settings_page(&s, "pump1", span_str("certificate"), 0x65000001, 8,
	                                     block, why), 0);
	assert_int_equal(page_open(PAGE_SETTINGS, block, sizeof block, &page), PAGE_GOOD);
	assert_int_equal(page.generation, 8);
	assert_record(&page, PAGE_WIFI_SSID, "home", 4);
	assert_record(&page, PAGE_WIFI_PASSPHRASE, "correct horse", 13);
	assert_record(&page, PAGE_GATEWAY_HOST, "gw.example.org", 14);
	assert_record(&page, PAGE_GATEWAY_PORT, "\xB3\x22", 2);
	assert_record(&page, PAGE_ANCHOR_DN, "\x30\x00", 2);
	assert_record(&page, PAGE_ANCHOR_KEY, s.anchor.point, 65);
	assert_record(&page, PAGE_CERTIFICATE, "certificate", 11);
	assert_record(&page, PAGE_CLOCK, "\x01\x00\x00\x65", 4);
	assert_record(&page, PAGE_DEVICE_NAME, "pump1", 5);
	assert_record(&page, PAGE_INTERVAL, "\x2C\x01", 2);
	assert_record(&page, PAGE_ECDH, "\x01", 1);
	assert_record(&page, PAGE_PUBLISH_TOPIC, "Home", 4);
	assert_false(page_find(&page, PAGE_SUBSCRIBE_TOPIC, &value, &n));
	assert_false(page_find(&page, PAGE_CONSENT_LOCK, &value, &n));
	/* What is behind it is as erased. */
	assert_int_equal(block[PAGE_SIZE_MAX - 1], 0xFF);
	board_consent_page(9, block);
	assert_int_equal(page_open(PAGE_SETTINGS, block, sizeof block, &page), PAGE_GOOD);
	assert_record(&page, PAGE_CONSENT_LOCK, "\x01", 1);
	assert_int_equal(page.size, 5);
}

static void
too_much_is_refused(void **state)
{
	static const char big[PAGE_SIZE_MAX];
	struct board_settings s = { .ssid = "home", .host = "h", .port = 1 };
	char name[66];

	(void)state;
	assert_int_equal(board_settings_page(&s, "pump1", span_of(big, sizeof big), 1, 1, block,
	                                     why), ERR_LIMIT);
	memset(name, 'x', sizeof name);
	name[65] = '\0';
	assert_int_equal(board_settings_page(&s, name, span_str("c"), 1, 1, block, why), ERR_LIMIT);
	assert_non_null(strstr(why, "--name"));
	name[64] = '\0';
	assert_int_equal(board_settings_page(&s, name, span_str("c"), 1, 1, block, why), 0);
}

/* ---- the flash ---- */

static void
an_image_is_read_and_written_in_place(void **state)
{
	struct board board = { .image = in_folder("flash") };
	uint8_t back[PAGE_SIZE_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(board_check(&board, why), -ENOENT);
	write_file(board.image, NULL, 1000, 0600);
	assert_int_equal(board_check(&board, why), ERR_MALFORMED);
	write_file(board.image, NULL, BOARD_FLASH_SIZE, 0600);
	assert_int_equal(board_check(&board, why), 0);
	memset(block, 0x5A, sizeof block);
	assert_int_equal(board_write(&board, PAGE_SETTINGS_ADDRESS, block, why), 0);
	assert_int_equal(board_read(&board, PAGE_SETTINGS_ADDRESS, back, why), 0);
	assert_memory_equal(back, block, sizeof back);
	assert_int_equal(board_read(&board, PAGE_REPORT_ADDRESS, back, why), 0);
	assert_int_equal(back[0], 0);
	assert_int_equal(stat(board.image, &st), 0);
	assert_int_equal(st.st_size, BOARD_FLASH_SIZE);
	assert_int_equal(board_reset(&board, why), 0);
}

/* A program of that name, first on the PATH. */
static void
make_bossac(const char *script)
{
	char path[200];

	write_file(in_folder("bossac"), script, strlen(script), 0755);
	snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
	setenv("PATH", path, 1);
}

static void
failures_of_bossac_have_a_remedy(void **state)
{
	static const struct {
		const char *script;
		int code;
		const char *text;
	} rows[] = {
		{ "#!/bin/sh\nexit 0\n", 0, "" },
		{ "#!/bin/sh\necho No device found on x >&2\nexit 1\n", -EIO, "double-tap" },
		{ "#!/bin/sh\nprintf '[==   ] 10%%\\rSAM-BA operation failed\\n' >&2\nexit "
		  "1\n", -EIO,
		  "bossac failed: SAM-BA operation failed" },
		{ "#!/bin/sh\nexit 1\n", -EIO, "it gives no reason" },
		{ "#!/bin/sh\nkill -9 $$\n", -EIO, "was killed" },
		{ "#!/bin/sh\ni=0; while [ $i -lt 2000 ]; do echo a line of text $i; i=$((i + 1)); "
		  "done\necho the last\nexit 1\n", -EIO, "the last" },
	};
	const char *const argv[] = { "bossac", "-R", NULL };
	char *before = strdup(getenv("PATH"));

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make_bossac(rows[i].script);
		why[0] = '\0';
		assert_int_equal(bossac_run(argv, why), rows[i].code);
		assert_non_null(strstr(why, rows[i].text));
	}
	setenv("PATH", in_folder("nothing"), 1);
	assert_int_equal(bossac_run(argv, why), -ENOENT);
	assert_non_null(strstr(why, "apt install bossa-cli"));
	setenv("PATH", before, 1);
	free(before);
}

static void
a_port_must_be_there(void **state)
{
	struct board board = { .port = in_folder("ttyACM0") };

	(void)state;
	assert_int_equal(board_check(&board, why), ERR_NOT_FOUND);
	assert_non_null(strstr(why, "double-tap"));
	write_file(board.port, "", 0, 0600);
	assert_int_equal(board_check(&board, why), 0);
	if (geteuid() != 0) {
		assert_int_equal(chmod(board.port, 0), 0);
		assert_int_equal(board_check(&board, why), -EACCES);
		assert_non_null(strstr(why, "dialout"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_is_read),
		cmocka_unit_test(no_report_says_what_to_do),
		cmocka_unit_test(states_have_words),
		cmocka_unit_test(a_settings_page_has_it_all),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test_setup_teardown(an_image_is_read_and_written_in_place, setup,
		                                teardown),
		cmocka_unit_test_setup_teardown(failures_of_bossac_have_a_remedy, setup, teardown),
		cmocka_unit_test_setup_teardown(a_port_must_be_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
