/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls/ and mqtt/ of the firmware over a real socket, with a key file in place
 * of the chip: finds out on a host whether they get along with a gateway.
 *
 *   host_device [options] ADDRESS PORT NAME CA.pem CERTIFICATE.pem KEY.pem
 *
 *   -c N    connect N times in a row (default 1), sessions kept
 *   -p N    publish N messages with QoS 1 to Home on each connection (default 1)
 *   -m N    wait for N messages on inTopic on each connection (default 0)
 *   -s      ECDH in software
 *   -t S    Unix time S instead of the host's
 *   -k      keep trying: a connection that fails is repeated
 *   -a      drop the connection instead of closing it in order
 *   -l MS   give up after MS milliseconds (default 20000)
 *
 * One line per event on stdout, key=value; status 0 when all of it happened.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fake_atecc.h"
#include "hal/time.h"
#include "mqtt/mqtt_client_int.h"
#include "tls/tls.h"

#define CLOSE_MS 2000
#define RETRY_MS 100

static struct {
	unsigned connections, publishes, messages;
	bool abrupt, stubborn;
	uint32_t unix_time, limit_ms;
} wanted = { .connections = 1, .publishes = 1, .limit_ms = 20000 };

static struct tls_settings settings = { .handshake_ms = 20000, .ecdh_slot = 2,
	                                .ecdh = TLS_ECDH_CHIP };
static struct sockaddr_in peer;
static struct mqtt_client client;
static struct deadline limit;
static int fd = -1;

/* Of this connection. */
static struct {
	unsigned published, acknowledged, messages;
	bool subscribed, over, failed;
} done;

uint32_t
time_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

static void
fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

/*
 * Transport
 */

static int
socket_result(ssize_t n)
{
	if (n > 0) {
		return (int)n;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int
socket_send(void *owner, const void *data, size_t n)
{
	(void)owner;
	return socket_result(send(fd, data, n, MSG_NOSIGNAL));
}

static int
socket_recv(void *owner, void *data, size_t n)
{
	(void)owner;
	return socket_result(recv(fd, data, n, 0));
}

static bool
connect_socket(void)
{
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		fail("socket");
	}
	if (connect(fd, (struct sockaddr *)&peer, sizeof peer) != 0) {
		perror("connect");
		close(fd);
		return false;
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		fail("fcntl");
	}
	return true;
}

/*
 * The application
 */

static void
publish(void)
{
	char text[64];
	int n;

	while (done.subscribed && done.published < wanted.publishes) {
		n = snprintf(text, sizeof text, "{\"RN\":%u}", done.published);
		if (!mqtt_publish(&client, "Home", text, (size_t)n, 1, false)) {
			return;
		}
		done.published++;
	}
}

static void
print_message(void)
{
	const struct mqtt_message *m = mqtt_message(&client);

	done.messages++;
	printf("message topic=%.*s payload=%.*s\n", (int)m->topic_size, m->topic,
	       (int)m->payload_size, (const char *)m->payload);
}

static void
print_connected(void)
{
	struct tls_figures f;

	tls_figures(&f);
	printf("connected resumed=%d bytes_up=%u bytes_down=%u operations=%u\n", f.resumed,
	       f.bytes_up, f.bytes_down, fake_atecc.operations);
}

static void
act(enum mqtt_event event)
{
	switch (event) {
	case MQTT_NOTHING:
		break;
	case MQTT_CONNECTED:
		print_connected();
		mqtt_subscribe(&client, "inTopic", 1);
		break;
	case MQTT_SUBSCRIBED:
		printf("subscribed\n");
		done.subscribed = true;
		break;
	case MQTT_MESSAGE:
		print_message();
		break;
	case MQTT_PUBLISHED:
		done.acknowledged++;
		printf("published count=%u\n", done.acknowledged);
		break;
	case MQTT_REFUSED:
	case MQTT_SUBSCRIPTION_REFUSED:
	case MQTT_PROTOCOL:
	case MQTT_SILENT:
		printf("mqtt event=%d refusal=%u\n", (int)event, mqtt_refusal(&client));
		done.over = done.failed = true;
		break;
	}
	fflush(stdout);
	publish();
	done.over |= done.acknowledged >= wanted.publishes && done.subscribed &&
	             done.messages >= wanted.messages;
}

/* Bytes between MQTT and TLS. */
static void
exchange(void)
{
	const uint8_t *data;
	size_t size, used;

	while ((data = tls_peek(&size)) != NULL && !done.over) {
		act(mqtt_input(&client, data, size, &used, time_ms()));
		tls_consume(used);
		if (used == 0) {
			break;
		}
	}
	act(mqtt_tick(&client, time_ms()));
	data = mqtt_output(&client, &size);
	used = tls_write(data, size);
	mqtt_sent(&client, used);
	tls_flush();
}

static void
wait_for_socket(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, 10);
}

static void
finish_connection(void)
{
	unsigned i;

	if (wanted.abrupt || tls_step() != TLS_OPEN) {
		return;
	}
	mqtt_disconnect(&client);
	for (i = 0; i < 2; i++) {
		exchange();
		tls_step();
	}
	tls_close(CLOSE_MS);
	while (tls_step() != TLS_CLOSED) {
		wait_for_socket();
	}
}

static bool
run_connection(void)
{
	struct tls_transport transport = { socket_send, socket_recv, NULL };
	enum tls_state state = TLS_CLOSED;
	bool greeted = false;

	memset(&done, 0, sizeof done);
	fake_atecc.operations = 0;
	if (!connect_socket()) {
		return false;
	}
	if (tls_open(&settings, &transport, wanted.unix_time)) {
		while ((state = tls_step()) != TLS_CLOSED && !done.over && !deadline_over(&limit)) {
			if (state == TLS_OPEN && !greeted) {
				mqtt_open(&client, time_ms());
				greeted = true;
			}
			if (state == TLS_OPEN) {
				exchange();
			}
			wait_for_socket();
		}
	}
	finish_connection();
	printf("closed tls_error=%u report=%u text=%s\n", tls_error(), tls_error_report(tls_error()),
	       tls_error_text(tls_error()));
	fflush(stdout);
	close(fd);
	return done.over && !done.failed && tls_error() == 0;
}

/*
 * Files
 */

static FILE *
open_file(const char *path)
{
	FILE *f = fopen(path, "r");

	if (f == NULL) {
		fail(path);
	}
	return f;
}

static X509 *
read_certificate(const char *path)
{
	FILE *f = open_file(path);
	X509 *x = PEM_read_X509(f, NULL, NULL, NULL);

	fclose(f);
	if (x == NULL) {
		fail(path);
	}
	return x;
}

static void
read_anchor(const char *path)
{
	static uint8_t point[65] = { 4 };
	static uint8_t *dn;
	X509 *x = read_certificate(path);

	settings.anchor_dn_size = (size_t)i2d_X509_NAME(X509_get_subject_name(x), &dn);
	settings.anchor_dn = dn;
	fake_atecc_point(X509_get0_pubkey(x), point + 1);
	settings.anchor_key = point;
	X509_free(x);
}

static void
read_identity(const char *certificate, const char *key)
{
	static uint8_t *der;
	X509 *x = read_certificate(certificate);
	FILE *f = open_file(key);
	EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, NULL, NULL);

	fclose(f);
	if (k == NULL) {
		fail(key);
	}
	settings.certificate_size = (size_t)i2d_X509(x, &der);
	settings.certificate = der;
	fake_atecc_set_key(0, k);
	EVP_PKEY_free(k);
	X509_free(x);
}

static void
read_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:p:m:st:akl:")) != -1) {
		switch (c) {
		case 'c':
			wanted.connections = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'p':
			wanted.publishes = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			wanted.messages = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 's':
			settings.ecdh = TLS_ECDH_SOFTWARE;
			break;
		case 't':
			wanted.unix_time = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'a':
			wanted.abrupt = true;
			break;
		case 'k':
			wanted.stubborn = true;
			break;
		case 'l':
			wanted.limit_ms = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
}

int
main(int argc, char **argv)
{
	static const struct mqtt_settings mqtt = { .client_id = "board", .keep_alive = 30,
		                                   .answer_ms = 10000 };
	bool ok = true;

	wanted.unix_time = (uint32_t)time(NULL);
	read_options(argc, argv);
	argv += optind;
	if (argc - optind != 6) {
		fprintf(stderr, "host_device [options] ADDRESS PORT NAME CA CERTIFICATE KEY\n");
		return 2;
	}
	peer.sin_family = AF_INET;
	peer.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	if (inet_pton(AF_INET, argv[0], &peer.sin_addr) != 1) {
		fail(argv[0]);
	}
	settings.server_name = argv[2];
	read_anchor(argv[3]);
	read_identity(argv[4], argv[5]);
	signal(SIGPIPE, SIG_IGN);
	mqtt_init(&client, &mqtt);
	limit = deadline_in(wanted.limit_ms);
	for (unsigned i = 0; i < wanted.connections && ok; i++) {
		while (!(ok = run_connection()) && wanted.stubborn && !deadline_over(&limit)) {
			poll(NULL, 0, RETRY_MS);
		}
	}
	fake_atecc_free();
	return ok ? 0 : 1;
}
