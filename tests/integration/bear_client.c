/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A board as the gateway sees it: BearSSL set up like ArduinoBearSSL does it
 * (all suites, fragments of 512 bytes, no tickets, no alert of its own, the
 * socket left open after a failure), and MQTT like PubSubClient. A key file
 * stands in for the crypto chip. The trust anchor and the certificate are
 * compiled in from the folder that the gateway wrote:
 *
 *   cc -I FOLDER bear_client.c -lbearssl
 *   bear_client [options] HOST PORT NAME KEY
 *
 * NAME is what the board would connect to: sent as SNI and compared. "-": an
 * IPAddress object, no name at all. -x FAULT, repeatable, makes it misbehave as
 * boards do (see faults[]); -e says what becomes of the socket of a connection
 * that failed: "open" (as on the board, until the gateway closes or -d is over),
 * "fin" or "reset". Prints one key=value per line:
 *
 *   tls_error    BearSSL's number; 256 + n: fatal alert n received
 *   mqtt_state   as PubSubClient::state()
 *   resumed      1: the session of the connect before
 *   suite, max_plain, max_cipher   of the records received
 *   suback, message                what came back
 *   closed       1: the peer closed the failed connection by itself
 */
#include <bearssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "arduino_secrets.h"
#include "gateway_trust_anchors.h"

#define DAY 86400
#define YEAR_0_TO_1970 719528 /* days */
#define CHANGE_CIPHER_SPEC 20 /* a record type */
#define PACKET_MAX 256        /* of PubSubClient */

#define FAULTS(X)                                                                             \
	X(NO_ANCHOR, "no-anchor")       /* the sketch lacks the gateway's CA */               \
	X(NO_SIGN, "no-sign")           /* the crypto chip does not sign */                   \
	X(FIXED_RANDOM, "fixed-random") /* no random source: the same numbers each time */    \
	X(OLD_LIBRARY, "old-library")   /* ArduinoBearSSL 1.4.0: fragments of 4096 bytes */   \
	X(RSA_SUITES, "rsa-suites")     /* knows no suite that fits an EC key */              \
	X(NO_HELLO, "no-hello")         /* hangs before its first byte */                     \
	X(NO_CONNECT, "no-connect")     /* hangs behind the handshake */                      \
	X(CONNECT_LOST, "connect-lost") /* the CONNECT did not fit: closes TLS, no data */    \
	X(CUT_CONNECT, "cut-connect")   /* loses power behind the CONNACK */

enum fault {
#define X(name, text) FAULT_##name,
	FAULTS(X)
#undef X
	FAULT_COUNT
};

static const char *const faults[] = {
#define X(name, text) text,
	FAULTS(X)
#undef X
};

enum ending { ENDING_OPEN, ENDING_FIN, ENDING_RESET };

struct options {
	const char *host, *port, *name, *key;
	const char *source;  /* address to come from, NULL: any */
	const char *cert;    /* file instead of the compiled in certificate, NULL: none */
	const char *payload;
	enum ending ending;
	int fault[FAULT_COUNT];
	long long now;  /* what the board takes for the time */
	int deadline;   /* seconds for everything */
	int resume;     /* connect twice */
	int few_suites; /* as the minimal firmware */
	int bare;       /* no certificate */
	int message;    /* wait for one on inTopic */
};

/* Lengths of the records as they come in. */
struct records {
	unsigned char head[5];
	size_t have, left;
	int encrypted;
	unsigned max_plain, max_cipher;
};

struct board {
	const struct options *options;
	br_ssl_client_context sc;
	br_x509_minimal_context xc;
	unsigned char in[8192 + 325], out[512 + 85];
	br_skey_decoder_context key;
	unsigned char cert[4096];
	size_t cert_len;
	br_x509_certificate chain[1];
	struct records records;
	long long end; /* milliseconds */
	int fd, lost;
};

static long long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void
die(const char *what)
{
	fprintf(stderr, "bear_client: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- key and certificate -------------------------------------------------------------- */

static void
take_cert(void *arg, const void *data, size_t len)
{
	struct board *b = arg;

	if (len <= sizeof b->cert - b->cert_len) {
		memcpy(b->cert + b->cert_len, data, len);
		b->cert_len += len;
	}
}

static void
take_key(void *arg, const void *data, size_t len)
{
	struct board *b = arg;

	br_skey_decoder_push(&b->key, data, len);
}

/* The first object in the text, by the decoder that the board uses. */
static int
decode(struct board *b, const char *text, void (*take)(void *, const void *, size_t))
{
	br_pem_decoder_context pem;
	size_t len = strlen(text);

	br_pem_decoder_init(&pem);
	while (len > 0) {
		size_t n = br_pem_decoder_push(&pem, text, len);

		text += n;
		len -= n;
		switch (br_pem_decoder_event(&pem)) {
		case BR_PEM_BEGIN_OBJ:
			br_pem_decoder_setdest(&pem, take, b);
			break;
		case BR_PEM_END_OBJ:
			return 1;
		case BR_PEM_ERROR:
			return 0;
		}
	}
	return 0;
}

static void
read_file(const char *name, char *text, size_t size)
{
	FILE *file = fopen(name, "r");
	size_t n;

	if (file == NULL) {
		die(name);
	}
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
}

static void
load(struct board *b)
{
	char text[8192];

	read_file(b->options->key, text, sizeof text);
	br_skey_decoder_init(&b->key);
	if (!decode(b, text, take_key) || br_skey_decoder_last_error(&b->key) != 0 ||
	    br_skey_decoder_key_type(&b->key) != BR_KEYTYPE_EC) {
		errno = EINVAL;
		die(b->options->key);
	}
	if (b->options->cert != NULL) {
		read_file(b->options->cert, text, sizeof text);
	}
	/* Without the last line break the decoder never ends: as on the board. */
	if (!decode(b, b->options->cert != NULL ? text : SECRET_CERTIFICATE, take_cert)) {
		b->cert_len = 0;
	}
	b->chain[0].data = b->cert;
	b->chain[0].data_len = b->cert_len;
}

/* ---- the wire --------------------------------------------------------------------------- */

/* Come from another address of this machine: to the gateway, another board. */
static void
come_from(int fd, const char *source)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (source == NULL) {
		return;
	}
	errno = EINVAL;
	if (inet_pton(AF_INET, source, &address.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		die(source);
	}
}

static void
dial(struct board *b)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;

	if (getaddrinfo(b->options->host, b->options->port, &hints, &list) != 0) {
		errno = EHOSTUNREACH;
		die(b->options->host);
	}
	b->fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->fd < 0) {
		die("socket");
	}
	come_from(b->fd, b->options->source);
	if (connect(b->fd, list->ai_addr, list->ai_addrlen) != 0) {
		die("connect");
	}
	freeaddrinfo(list);
	fcntl(b->fd, F_SETFL, O_NONBLOCK);
	memset(&b->records, 0, sizeof b->records);
	b->lost = 0;
}

static void
note_record(struct records *r)
{
	unsigned len = (unsigned)(r->head[3] << 8 | r->head[4]);

	r->left = len;
	if (r->encrypted) {
		r->max_cipher = len > r->max_cipher ? len : r->max_cipher;
	} else {
		r->max_plain = len > r->max_plain ? len : r->max_plain;
	}
	r->encrypted |= r->head[0] == CHANGE_CIPHER_SPEC;
}

static void
watch(struct records *r, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (r->left > 0) {
			r->left--;
			continue;
		}
		r->head[r->have++] = bytes[i];
		if (r->have == sizeof r->head) {
			r->have = 0;
			note_record(r);
		}
	}
}

/* One step of what the engine wants. 0: the connection or the time is over. */
static int
step(struct board *b, unsigned wanted)
{
	br_ssl_engine_context *eng = &b->sc.eng;
	unsigned state = br_ssl_engine_current_state(eng);
	struct pollfd p = { .fd = b->fd, .events = POLLIN };
	long long left = b->end - now_ms();
	unsigned char *bytes;
	size_t len;
	ssize_t n;

	if ((state & BR_SSL_CLOSED) != 0 || b->lost || left <= 0) {
		return 0;
	}
	if ((state & wanted) != 0) {
		return 1;
	}
	p.events = (short)((state & BR_SSL_SENDREC) != 0 ? POLLIN | POLLOUT : POLLIN);
	if (poll(&p, 1, (int)left) <= 0) {
		return 0;
	}
	/* What has come is looked at first: an alert explains why sending fails. */
	if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && (state & BR_SSL_RECVREC) != 0) {
		bytes = br_ssl_engine_recvrec_buf(eng, &len);
		n = read(b->fd, bytes, len);
		if (n <= 0 && !(n < 0 && errno == EAGAIN)) {
			b->lost = 1;
			return 0;
		}
		if (n > 0) {
			watch(&b->records, bytes, (size_t)n);
			br_ssl_engine_recvrec_ack(eng, (size_t)n);
		}
	} else if ((state & BR_SSL_SENDREC) != 0) {
		bytes = br_ssl_engine_sendrec_buf(eng, &len);
		n = send(b->fd, bytes, len, MSG_NOSIGNAL);
		if (n > 0) {
			br_ssl_engine_sendrec_ack(eng, (size_t)n);
		} else if (errno != EAGAIN) {
			b->lost = 1;
			return 0;
		}
	}
	return 1;
}

static int
reach(struct board *b, unsigned wanted)
{
	while ((br_ssl_engine_current_state(&b->sc.eng) & wanted) == 0) {
		if (!step(b, wanted)) {
			return 0;
		}
	}
	return 1;
}

/* ---- TLS --------------------------------------------------------------------------------- */

static int
error_of(const struct board *b)
{
	int error = br_ssl_engine_last_error(&b->sc.eng);

	return error == BR_ERR_OK && b->lost ? BR_ERR_IO : error;
}

/* A chip that does not answer, or whose slot is empty. */
static size_t
no_signature(const br_ec_impl *impl, const br_hash_class *hash, const void *value,
	     const br_ec_private_key *key, void *signature)
{
	(void)impl;
	(void)hash;
	(void)value;
	(void)key;
	(void)signature;
	return 0;
}

static void
set_faults(struct board *b)
{
	static const uint16_t rsa[] = { BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
					BR_TLS_RSA_WITH_AES_128_CBC_SHA };
	static unsigned char large[4096 + 85];
	br_ssl_engine_context *eng = &b->sc.eng;
	const int *fault = b->options->fault;

	if (fault[FAULT_NO_ANCHOR]) {
		br_x509_minimal_init_full(&b->xc, NULL, 0);
		br_ssl_engine_set_x509(eng, &b->xc.vtable);
	}
	if (fault[FAULT_OLD_LIBRARY]) {
		br_ssl_engine_set_buffers_bidi(eng, b->in, sizeof b->in, large, sizeof large);
	}
	if (fault[FAULT_RSA_SUITES]) {
		br_ssl_engine_set_suites(eng, rsa, 2);
	}
	if (fault[FAULT_FIXED_RANDOM]) {
		/* The C library's generator, never seeded, in the place of the chip's. */
		br_ssl_engine_inject_entropy(eng, "1804289383", 10);
		eng->rng_os_rand_done = 1;
	}
}

/* Everything anew for each connect, as the library does it. */
static void
set_up(struct board *b)
{
	static const uint16_t few[] = { BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
					BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 };
	const struct options *o = b->options;

	br_ssl_client_init_full(&b->sc, &b->xc, GW_TAs, GW_TAs_NUM);
	br_ssl_engine_set_buffers_bidi(&b->sc.eng, b->in, sizeof b->in, b->out, sizeof b->out);
	if (o->few_suites) {
		br_ssl_engine_set_suites(&b->sc.eng, few, 2);
	}
	if (!o->bare && b->cert_len > 0) {
		br_ssl_client_set_single_ec(&b->sc, b->chain, 1, br_skey_decoder_get_ec(&b->key),
					    BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN, BR_KEYTYPE_EC,
					    br_ec_get_default(),
					    o->fault[FAULT_NO_SIGN] ? no_signature :
						    br_ecdsa_sign_asn1_get_default());
	}
	set_faults(b);
	br_x509_minimal_set_time(&b->xc, (uint32_t)(o->now / DAY + YEAR_0_TO_1970),
				 (uint32_t)(o->now % DAY));
}

static int
handshake(struct board *b, int resume)
{
	const char *name = strcmp(b->options->name, "-") == 0 ? NULL : b->options->name;

	return br_ssl_client_reset(&b->sc, name, resume) == 1 && reach(b, BR_SSL_SENDAPP);
}

static int
send_bytes(struct board *b, const unsigned char *bytes, size_t len)
{
	while (len > 0) {
		unsigned char *to;
		size_t n;

		if (!reach(b, BR_SSL_SENDAPP)) {
			return 0;
		}
		to = br_ssl_engine_sendapp_buf(&b->sc.eng, &n);
		n = n < len ? n : len;
		memcpy(to, bytes, n);
		br_ssl_engine_sendapp_ack(&b->sc.eng, n);
		bytes += n;
		len -= n;
	}
	br_ssl_engine_flush(&b->sc.eng, 0);
	while ((br_ssl_engine_current_state(&b->sc.eng) & BR_SSL_SENDREC) != 0) {
		if (!step(b, 0)) {
			return 0;
		}
	}
	return 1;
}

static int
receive_byte(struct board *b, unsigned char *byte)
{
	unsigned char *from;
	size_t n;

	if (!reach(b, BR_SSL_RECVAPP)) {
		return 0;
	}
	from = br_ssl_engine_recvapp_buf(&b->sc.eng, &n);
	*byte = from[0];
	br_ssl_engine_recvapp_ack(&b->sc.eng, 1);
	return 1;
}

/* ---- MQTT 3.1.1 ---------------------------------------------------------------------------- */

static size_t
put_text(unsigned char *to, const char *text)
{
	size_t len = strlen(text);

	to[0] = (unsigned char)(len >> 8);
	to[1] = (unsigned char)len;
	memcpy(to + 2, text, len);
	return len + 2;
}

/* All packets sent here are shorter than 128 bytes. */
static int
send_packet(struct board *b, unsigned char type, const unsigned char *body, size_t len)
{
	unsigned char packet[PACKET_MAX] = { type, (unsigned char)len };

	memcpy(packet + 2, body, len);
	return send_bytes(b, packet, len + 2);
}

/* The body's length, -1: none came. */
static int
receive_packet(struct board *b, unsigned char *type, unsigned char *body)
{
	unsigned char byte;
	unsigned len = 0, shift = 0;

	if (!receive_byte(b, type)) {
		return -1;
	}
	do {
		if (!receive_byte(b, &byte) || shift > 21) {
			return -1;
		}
		len |= (unsigned)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) != 0);
	for (unsigned i = 0; i < len; i++) {
		if (i >= PACKET_MAX || !receive_byte(b, body + i)) {
			return -1;
		}
	}
	return (int)len;
}

static int
mqtt_connect(struct board *b)
{
	unsigned char body[PACKET_MAX] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 15 };
	size_t len = 10 + put_text(body + 10, "Client-beef");
	unsigned char type;
	int n;

	if (!send_packet(b, 0x10, body, len)) {
		return -4;
	}
	n = receive_packet(b, &type, body);
	return n == 2 && type == 0x20 ? body[1] : -4;
}

static void
publish(struct board *b)
{
	unsigned char body[PACKET_MAX];
	size_t len = put_text(body, "Home"), n = strlen(b->options->payload);

	n = n < 100 ? n : 100;
	memcpy(body + len, b->options->payload, n);
	send_packet(b, 0x30, body, len + n);
}

static void
print_message(const unsigned char *body, int len)
{
	int topic = len >= 2 ? body[0] << 8 | body[1] : 0;

	if (2 + topic <= len) {
		printf("message=%.*s %.*s\n", topic, (const char *)body + 2, len - 2 - topic,
		       (const char *)body + 2 + topic);
	}
}

static void
subscribe(struct board *b)
{
	unsigned char body[PACKET_MAX] = { 0, 1 }, type = 0;
	size_t len = 2 + put_text(body + 2, "inTopic");
	int n, wanted = 1 + b->options->message;

	body[len++] = 0;
	send_packet(b, 0x82, body, len);
	while (wanted > 0 && (n = receive_packet(b, &type, body)) >= 0) {
		if (type == 0x90 && n == 3) {
			printf("suback=%d\n", body[2]);
			fflush(stdout);
		} else if ((type & 0xf0) == 0x30) {
			print_message(body, n);
		}
		wanted--;
	}
}

/* ---- one connection ------------------------------------------------------------------------ */

static void
reset(struct board *b)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(b->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* close() resets */
}

/* Nothing is sent: until the gateway closes, or the time is over. */
static void
linger(struct board *b)
{
	char rest[512];
	ssize_t n = 0;

	if (b->options->ending == ENDING_RESET) {
		reset(b);
		return;
	}
	if (b->options->ending == ENDING_FIN) {
		shutdown(b->fd, SHUT_WR); /* close() with unread bytes would reset */
	}

	for (;;) {
		struct pollfd p = { .fd = b->fd, .events = POLLIN };
		long long left = b->end - now_ms();

		if (left <= 0 || poll(&p, 1, (int)left) <= 0) {
			break;
		}
		n = read(b->fd, rest, sizeof rest);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			printf("closed=1\n");
			return;
		}
	}
	printf("closed=0\n");
}

static void
talk(struct board *b)
{
	int state;

	if (b->options->fault[FAULT_CONNECT_LOST]) {
		printf("mqtt_state=-1\ntls_error=%d\n", error_of(b));
		br_ssl_engine_close(&b->sc.eng);
		while (step(b, 0)) {
		}
		return;
	}
	if (b->options->fault[FAULT_NO_CONNECT]) {
		printf("mqtt_state=-4\n");
		linger(b);
		return;
	}
	state = mqtt_connect(b);
	printf("mqtt_state=%d\n", state);
	if (b->options->fault[FAULT_CUT_CONNECT]) {
		reset(b);
		return;
	}
	if (state == 0) {
		publish(b);
		subscribe(b);
	}
	printf("tls_error=%d\n", error_of(b));
	if (state == 0) {
		send_packet(b, 0xe0, (const unsigned char *)"", 0);
	}
	br_ssl_engine_close(&b->sc.eng);
	while (step(b, 0)) {
	}
}

/* 1: the handshake was finished. */
static int
run(struct board *b, int resume)
{
	br_ssl_session_parameters before, after;
	int done;

	br_ssl_engine_get_session_parameters(&b->sc.eng, &before);
	b->end = now_ms() + b->options->deadline * 1000LL;
	dial(b);
	done = !b->options->fault[FAULT_NO_HELLO] && handshake(b, resume);
	br_ssl_engine_get_session_parameters(&b->sc.eng, &after);
	if (!done) {
		printf("mqtt_state=-2\ntls_error=%d\n", error_of(b));
		fflush(stdout);
		linger(b);
	} else {
		printf("suite=%04X\n", after.cipher_suite);
		printf("resumed=%d\n", resume && before.session_id_len > 0 &&
					       before.session_id_len == after.session_id_len &&
					       memcmp(before.session_id, after.session_id,
						      after.session_id_len) == 0);
		talk(b);
	}
	printf("max_plain=%u\nmax_cipher=%u\n", b->records.max_plain, b->records.max_cipher);
	fflush(stdout);
	close(b->fd);
	return done;
}

static void
take_fault(struct options *o, const char *name)
{
	for (int i = 0; i < FAULT_COUNT; i++) {
		if (strcmp(faults[i], name) == 0) {
			o->fault[i] = 1;
			return;
		}
	}
	fprintf(stderr, "bear_client: there is no fault %s\n", name);
	exit(2);
}

static void
take_ending(struct options *o, const char *name)
{
	static const char *const names[] = { "open", "fin", "reset" };

	for (int i = 0; i < 3; i++) {
		if (strcmp(names[i], name) == 0) {
			o->ending = (enum ending)i;
			return;
		}
	}
	fprintf(stderr, "bear_client: there is no ending %s\n", name);
	exit(2);
}

static void
parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "b:c:d:e:mnp:rst:x:")) != -1) {
		switch (c) {
		case 'b':
			o->source = optarg;
			break;
		case 'c':
			o->cert = optarg;
			break;
		case 'e':
			take_ending(o, optarg);
			break;
		case 'x':
			take_fault(o, optarg);
			break;
		case 'd':
			o->deadline = atoi(optarg);
			break;
		case 'm':
			o->message = 1;
			break;
		case 'n':
			o->bare = 1;
			break;
		case 'p':
			o->payload = optarg;
			break;
		case 'r':
			o->resume = 1;
			break;
		case 's':
			o->few_suites = 1;
			break;
		case 't':
			o->now = atoll(optarg);
			break;
		default:
			exit(2);
		}
	}
	if (argc - optind != 4) {
		fputs("usage: bear_client [-mnrs] [-b ADDRESS] [-c CERTIFICATE] [-d SECONDS] "
		      "[-e open|fin|reset] [-p PAYLOAD] [-t TIME] [-x FAULT]... HOST PORT NAME KEY\n",
		      stderr);
		exit(2);
	}
	o->host = argv[optind];
	o->port = argv[optind + 1];
	o->name = argv[optind + 2];
	o->key = argv[optind + 3];
}

int
main(int argc, char **argv)
{
	static struct board board;
	struct options options = { .payload = "{\"ID\": 44}", .now = time(NULL), .deadline = 20 };
	int done;

	parse(&options, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	board.options = &options;
	load(&board);
	set_up(&board);
	done = run(&board, 0);
	if (done && options.resume) {
		done = run(&board, 1);
	}
	return done ? 0 : 1;
}
