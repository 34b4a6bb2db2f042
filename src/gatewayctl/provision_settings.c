/* SPDX-License-Identifier: BSD-2-Clause */
#include "provision.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arduino.h"

#define SSID_MAX 32
#define PASSPHRASE_MIN 8
#define PASSPHRASE_MAX 63
#define KEY_DIGITS 64
/* The firmware's limits. */
#define NAME_MAX_BYTES 64
#define TOPIC_MAX_BYTES 64
#define HOST_MAX_BYTES 255
#define CURVE_P256 23
#define PORT_DEFAULT 8883

/* ---- the passphrase ---- */

static bool
passphrase_valid(const char *text, size_t n)
{
	if (n == KEY_DIGITS) {
		return strspn(text, "0123456789abcdefABCDEF") == KEY_DIGITS;
	}
	for (size_t i = 0; i < n; i++) {
		if (text[i] < 0x20 || text[i] > 0x7E) {
			return false;
		}
	}
	return n >= PASSPHRASE_MIN && n <= PASSPHRASE_MAX;
}

/* One line feed at its end is the editor's. */
static int
take_passphrase(struct cli *cli, const char *file, char *text, size_t n, char out[65])
{
	if (n > 0 && text[n - 1] == '\n') {
		n--;
		n -= n > 0 && text[n - 1] == '\r';
	}
	text[n] = '\0';
	if (strlen(text) != n || !passphrase_valid(text, n)) {
		return cli_fail(cli, ERR_MALFORMED, "%s: a WiFi passphrase has 8 to 63 printable "
		                                    "ASCII characters, or is a key of 64 hex "
		                                    "digits", file);
	}
	memcpy(out, text, n + 1);
	return CLI_DONE;
}

static int
read_passphrase(struct cli *cli, const char *file, char out[65])
{
	char text[80];
	struct stat st;
	int fd = strcmp(file, "-") == 0 ? dup(0) : open(file, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 1;
	int r;

	if (fd < 0) {
		return cli_fail(cli, -errno, "cannot open %s: %s", file, err_text(-errno));
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
		cli_note(cli, "warning: others may read the passphrase: `chmod 600 %s`", file);
	}
	while (n > 0 && used < sizeof text - 1) {
		n = read(fd, text + used, sizeof text - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	r = n < 0 ? cli_fail(cli, -EIO, "cannot read %s", file) :
	            take_passphrase(cli, file, text, used, out);
	explicit_bzero(text, sizeof text);
	return r;
}

/* ---- the command line ---- */

static bool
is_text(const char *text, size_t most)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
			return false;
		}
	}
	return n > 0 && n <= most;
}

static int
check_wifi(struct cli *cli, struct board_settings *out)
{
	const char *file = cli_option(cli, "wifi-pass-file", 0);
	bool open = cli_option(cli, "wifi-open", 0) != NULL;

	out->ssid = cli_option(cli, "wifi-ssid", 0);
	if (out->ssid == NULL || !is_text(out->ssid, SSID_MAX)) {
		cli_note(cli, "--wifi-ssid is the name of the WiFi network, 1 to %d "
		              "bytes", SSID_MAX);
		return CLI_USAGE;
	}
	if ((file != NULL) == open) {
		cli_note(cli, "either --wifi-pass-file FILE, or --wifi-open for a network without "
		              "a passphrase");
		return CLI_USAGE;
	}
	return open ? CLI_DONE : read_passphrase(cli, file, out->passphrase);
}

static int
check_topics(struct cli *cli, struct board_settings *out)
{
	out->publish_topic = cli_option(cli, "publish-topic", 0);
	out->subscribe_topic = cli_option(cli, "subscribe-topic", 0);
	if (out->publish_topic != NULL && (!is_text(out->publish_topic, TOPIC_MAX_BYTES) ||
	                                   strpbrk(out->publish_topic, "+#") != NULL)) {
		cli_note(cli, "--publish-topic has 1 to %d bytes and no "
		              "wildcards", TOPIC_MAX_BYTES);
		return CLI_USAGE;
	}
	if (out->subscribe_topic != NULL && !is_text(out->subscribe_topic, TOPIC_MAX_BYTES)) {
		cli_note(cli, "--subscribe-topic has 1 to %d bytes", TOPIC_MAX_BYTES);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

static int
check_numbers(struct cli *cli, struct board_settings *out)
{
	const char *ecdh = cli_option(cli, "ecdh", 0);

	if (cli_option_number(cli, "gateway-port", 65535, &out->port) < 0 ||
	    cli_option_number(cli, "interval", 65535, &out->interval) < 0) {
		cli_note(cli, "--gateway-port and --interval are numbers from 1 to 65535");
		return CLI_USAGE;
	}
	if (ecdh != NULL && strcmp(ecdh, "software") != 0 && strcmp(ecdh, "chip") != 0) {
		cli_note(cli, "--ecdh is software or chip");
		return CLI_USAGE;
	}
	out->ecdh_in_chip = ecdh != NULL && strcmp(ecdh, "chip") == 0;
	return CLI_DONE;
}

int
board_settings_options(struct cli *cli, struct board_settings *out)
{
	int r = check_topics(cli, out);

	r = r == CLI_DONE ? check_numbers(cli, out) : r;
	return r == CLI_DONE ? check_wifi(cli, out) : r;
}

/* ---- whom the board trusts ---- */

static int
find_anchor(struct cli *cli, const char *pki, struct board_settings *s)
{
	char why[PKI_WHY_SIZE];
	char *file = NULL;
	int r;

	if (asprintf(&file, "%s/ca.crt", pki) < 0) {
		return cli_fail_memory(cli);
	}
	r = pki_anchor_read_file(file, &s->anchor, why);
	if (r < 0) {
		r = cli_fail(cli, r, "%s", why);
	} else if (s->anchor.curve != CURVE_P256 || s->anchor.point_len != 65) {
		r = cli_fail(cli, ERR_DENIED, "the key of the CA in %s is not an EC key on P-256, "
		                              "and the crypto chip of a board verifies nothing "
		                              "else: boards need a CA made by `gatewayctl "
		                              "init`", file);
	} else {
		r = CLI_DONE;
	}
	free(file);
	return r;
}

static int
find_host(struct cli *cli, struct board_settings *s)
{
	const char *host = cli_option(cli, "host", 0);
	uint8_t address[16];

	if (host == NULL) {
		s->host = arduino_best_name(&s->gateway->names);
		return s->host != NULL ? CLI_DONE :
		       cli_fail(cli, ERR_NOT_FOUND, "the gateway's certificate has no name or IPv4 "
		                                    "address that a board could find: `gatewayctl "
		                                    "certificate names add NAME`");
	}
	if (strlen(host) > HOST_MAX_BYTES || inet_pton(AF_INET6, host, address) == 1) {
		cli_note(cli, "--host is a host name or an IPv4 address; the board's radio knows "
		              "no IPv6");
		return CLI_USAGE;
	}
	s->host = arduino_find_name(&s->gateway->names, host);
	return s->host != NULL ? CLI_DONE :
	       cli_fail(cli, ERR_NOT_FOUND, "%s is not in the gateway's certificate, so the board "
	                                    "would refuse it: `gatewayctl certificate names add "
	                                    "%s` first",
	                host, host);
}

int
board_settings_trust(struct cli *cli, const char *pki, struct board_settings *s)
{
	char why[PKI_WHY_SIZE];
	int r = find_anchor(cli, pki, s);

	if (r != CLI_DONE) {
		return r;
	}
	r = pki_gateway_read(pki, &s->gateway, why);
	if (r < 0) {
		return cli_fail(cli, r, "%s", why);
	}
	if (s->port == 0) {
		s->port = cli->conf->listener_count > 0 ? cli->conf->listener[0].port : 0;
		s->port = s->port != 0 ? s->port : PORT_DEFAULT;
	}
	return find_host(cli, s);
}

void
board_settings_clear(struct board_settings *s)
{
	pki_gateway_info_free(s->gateway);
	explicit_bzero(s, sizeof *s);
}

/* ---- the pages ---- */

static void
add_text(struct page_writer *w, enum page_record type, const char *text)
{
	if (text != NULL) {
		page_add(w, type, text, strlen(text));
	}
}

static void
add_number(struct page_writer *w, enum page_record type, uint32_t value, size_t size)
{
	uint8_t bytes[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		(uint8_t)(value >> 24) };

	page_add(w, type, bytes, size);
}

int
board_settings_page(const struct board_settings *s, const char *identity, struct span certificate,
                    int64_t now, uint32_t generation, uint8_t *block, char *why)
{
	struct page_writer w;

	if (!is_text(identity, NAME_MAX_BYTES)) {
		snprintf(why, PROVISION_WHY_SIZE, "the name of a board has 1 to %d bytes; choose "
		                                  "another with --name", NAME_MAX_BYTES);
		return ERR_LIMIT;
	}
	memset(block, 0xFF, PAGE_SIZE_MAX);
	page_begin(&w, PAGE_SETTINGS, generation, block, PAGE_SIZE_MAX);
	add_text(&w, PAGE_WIFI_SSID, s->ssid);
	add_text(&w, PAGE_WIFI_PASSPHRASE, s->passphrase);
	add_text(&w, PAGE_GATEWAY_HOST, s->host);
	add_number(&w, PAGE_GATEWAY_PORT, s->port, 2);
	page_add(&w, PAGE_ANCHOR_DN, s->anchor.subject, s->anchor.subject_len);
	page_add(&w, PAGE_ANCHOR_KEY, s->anchor.point, s->anchor.point_len);
	page_add(&w, PAGE_CERTIFICATE, certificate.ptr, certificate.len);
	add_number(&w, PAGE_CLOCK, (uint32_t)now, 4);
	add_text(&w, PAGE_DEVICE_NAME, identity);
	add_text(&w, PAGE_PUBLISH_TOPIC, s->publish_topic);
	add_text(&w, PAGE_SUBSCRIBE_TOPIC, s->subscribe_topic);
	if (s->interval > 0) {
		add_number(&w, PAGE_INTERVAL, s->interval, 2);
	}
	add_number(&w, PAGE_ECDH, s->ecdh_in_chip, 1);
	if (page_end(&w) == 0) {
		snprintf(why, PROVISION_WHY_SIZE, "certificate and settings do not fit into the %u "
		                                  "bytes of the board's settings "
		                                  "page", PAGE_SIZE_MAX);
		return ERR_LIMIT;
	}
	return 0;
}

void
board_consent_page(uint32_t generation, uint8_t *block)
{
	struct page_writer w;

	memset(block, 0xFF, PAGE_SIZE_MAX);
	page_begin(&w, PAGE_SETTINGS, generation, block, PAGE_SIZE_MAX);
	add_number(&w, PAGE_CONSENT_LOCK, 1, 1);
	(void)page_end(&w); /* always fits */
}
