/* SPDX-License-Identifier: BSD-2-Clause */
/* One MQTT client over TLS on epoll. Level-triggered, OpenSSL on the socket. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#define EVENTS 256
#define KEEP_ALIVE 600

/* ---- packets -------------------------------------------------------------------------- */

static size_t
put_length(uint8_t *to, size_t length)
{
	size_t n = 0;

	do {
		to[n] = (uint8_t)(length & 0x7f);
		length >>= 7;
		to[n] |= length > 0 ? 0x80 : 0;
		n++;
	} while (length > 0);
	return n;
}

static size_t
put_number(uint8_t *to, unsigned number)
{
	to[0] = (uint8_t)(number >> 8);
	to[1] = (uint8_t)number;
	return 2;
}

static size_t
put_text(uint8_t *to, const char *text)
{
	size_t len = strlen(text);

	memcpy(to + put_number(to, (unsigned)len), text, len);
	return len + 2;
}

static size_t
put_connect(const struct client *client, uint8_t *to)
{
	char id[24];
	size_t n = 0;

	snprintf(id, sizeof id, "b%u-%05u", (unsigned)getpid() % 1000, client->index);
	to[n++] = 0x10;
	to[n++] = (uint8_t)(10 + 2 + strlen(id));
	n += put_text(to + n, "MQTT");
	to[n++] = 4;    /* 3.1.1 */
	to[n++] = 0x02; /* clean session */
	n += put_number(to + n, KEEP_ALIVE);
	return n + put_text(to + n, id);
}

size_t
client_publish_head(const struct client *client, uint8_t *to, unsigned qos, unsigned id,
                    size_t payload)
{
	char topic[16];
	size_t n = 1;

	snprintf(topic, sizeof topic, "bench/%05u", client->index);
	to[0] = (uint8_t)(MQTT_PUBLISH | qos << 1);
	n += put_length(to + n, 2 + strlen(topic) + (qos > 0 ? 2 : 0) + payload);
	n += put_text(to + n, topic);
	if (qos > 0) {
		n += put_number(to + n, id);
	}
	return n;
}

size_t
client_publish(const struct client *client, uint8_t *to, unsigned qos, unsigned id, size_t payload)
{
	size_t n = client_publish_head(client, to, qos, id, payload);

	memset(to + n, 'x', payload);
	return n + payload;
}

size_t
client_subscribe(const struct client *client, uint8_t *to)
{
	char filter[16];
	size_t n = 2;

	snprintf(filter, sizeof filter, "bench/%05u", client->index);
	to[0] = 0x82;
	n += put_number(to + n, 1);
	n += put_text(to + n, filter);
	to[n++] = 0; /* QoS */
	to[1] = (uint8_t)(n - 2);
	return n;
}

/* ---- sending -------------------------------------------------------------------------- */

__attribute__((noreturn)) static void
tls_died(const struct client *client, const char *what)
{
	char text[256] = "the server closed the connection";
	unsigned long code = ERR_get_error();

	if (code != 0) {
		ERR_error_string_n(code, text, sizeof text);
	}
	die("client %u: %s: %s", client->index, what, text);
}

static void
watch(struct client *client, bool write)
{
	struct epoll_event event = { .events = EPOLLIN | (write ? EPOLLOUT : 0u),
		.data.ptr = client };

	if (write != client->wants_write) {
		client->wants_write = write;
		epoll_ctl(client->fleet->poll, EPOLL_CTL_MOD, client->fd, &event);
	}
}

/* Give TLS what is queued. True when nothing is left. */
static bool
flush(struct client *client)
{
	while (client->out_len > 0) {
		size_t done;

		if (SSL_write_ex(client->ssl, client->out, client->out_len, &done) == 1) {
			client->out += done;
			client->out_len -= done;
		} else if (SSL_get_error(client->ssl, 0) == SSL_ERROR_WANT_WRITE) {
			watch(client, true);
			return false;
		} else {
			tls_died(client, "sending");
		}
	}
	return true;
}

void
client_send_large(struct client *client, const uint8_t *bytes, size_t len)
{
	client->out = bytes;
	client->out_len = len;
	flush(client);
}

bool
client_send(struct client *client, const uint8_t *bytes, size_t len)
{
	if (client->out_len > 0 || len > sizeof client->out_own) {
		return false;
	}
	/* A write that must be repeated needs the same bytes. */
	memcpy(client->out_own, bytes, len);
	client_send_large(client, client->out_own, len);
	return true;
}

/* ---- receiving ------------------------------------------------------------------------ */

static void
became_live(struct client *client, const uint8_t *body, size_t len)
{
	if (len != 2 || body[1] != 0) {
		die("client %u: CONNACK says %d", client->index, len == 2 ? body[1] : -1);
	}
	client->took = now_ns() - client->began;
	client->state = CLIENT_LIVE;
	client->fleet->live++;
	client->fleet->resumed += client->resumed;
	client->calls->live(client);
}

/* Length of the packet at the front and of its header; 0 when incomplete. */
static size_t
packet_at(const uint8_t *in, size_t len, size_t *head)
{
	size_t length = 0;

	for (size_t i = 1; i < len && i < 5; i++) {
		length |= (size_t)(in[i] & 0x7f) << (7 * (i - 1));
		if ((in[i] & 0x80) == 0) {
			*head = i + 1;
			return len >= i + 1 + length ? i + 1 + length : 0;
		}
	}
	return 0;
}

static void
parse(struct client *client)
{
	size_t at = 0, head, len;

	while ((len = packet_at(client->in + at, client->in_len - at, &head)) > 0) {
		const uint8_t *packet = client->in + at;

		at += len;
		if (client->state == CLIENT_CONNACK) {
			became_live(client, packet + head, len - head);
		} else {
			client->calls->packet(client, packet[0], packet + head, len - head);
		}
	}
	client->in_len -= at;
	memmove(client->in, client->in + at, client->in_len);
	if (client->in_len == sizeof client->in) {
		die("client %u: a packet larger than expected", client->index);
	}
}

static void
receive(struct client *client)
{
	size_t got;

	while (client->state >= CLIENT_CONNACK &&
	       SSL_read_ex(client->ssl, client->in + client->in_len,
	                   sizeof client->in - client->in_len, &got) == 1) {
		client->in_len += got;
		parse(client);
	}
	if (client->state >= CLIENT_CONNACK &&
	    SSL_get_error(client->ssl, 0) != SSL_ERROR_WANT_READ) {
		tls_died(client, "receiving");
	}
}

static void
handshake(struct client *client)
{
	uint8_t packet[64];
	int rc = SSL_do_handshake(client->ssl);

	if (rc != 1) {
		int error = SSL_get_error(client->ssl, rc);

		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
			tls_died(client, "TLS handshake");
		}
		watch(client, error == SSL_ERROR_WANT_WRITE);
		return;
	}
	watch(client, false);
	client->resumed = SSL_session_reused(client->ssl) == 1;
	client->state = CLIENT_CONNACK;
	client_send(client, packet, put_connect(client, packet));
}

static void
serve(struct client *client, uint32_t events)
{
	ERR_clear_error();
	if (client->state == CLIENT_TCP) {
		int error = 0;
		socklen_t len = sizeof error;

		getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error != 0) {
			die("client %u: connect: %s", client->index, strerror(error));
		}
		client->state = CLIENT_TLS;
	}
	if (client->state == CLIENT_TLS) {
		handshake(client);
		return;
	}
	if ((events & EPOLLOUT) != 0 && client->wants_write && flush(client)) {
		watch(client, false);
		client->calls->writable(client);
	}
	if (client->state >= CLIENT_CONNACK && (events & ~(uint32_t)EPOLLOUT) != 0) {
		receive(client);
	}
}

/* ---- life of a client ----------------------------------------------------------------- */

static int
session_made(SSL *ssl, SSL_SESSION *session)
{
	struct client *client = SSL_get_app_data(ssl);

	SSL_SESSION_free(client->session);
	client->session = session;
	return 1; /* the reference is ours */
}

void
client_start(struct client *client, const struct client_calls *calls)
{
	static const int on = 1;
	struct fleet *fleet = client->fleet;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(fleet->port) };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = client };

	client->calls = calls;
	client->began = now_ns();
	client->in_len = client->out_len = 0;
	client->resumed = false;
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	client->ssl = SSL_new(fleet->context[client->index % fleet->contexts]);
	if (client->fd < 0 || client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1) {
		die("client %u: %s", client->index, strerror(errno));
	}
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	SSL_set_app_data(client->ssl, client);
	SSL_set_connect_state(client->ssl);
	if (client->session != NULL) {
		SSL_set_session(client->ssl, client->session);
	}
	if (inet_pton(AF_INET, fleet->host, &at.sin_addr) != 1) {
		die("%s is no IPv4 address", fleet->host);
	}
	if (connect(client->fd, (struct sockaddr *)&at, sizeof at) < 0 && errno != EINPROGRESS) {
		die("client %u: connect: %s", client->index, strerror(errno));
	}
	client->state = CLIENT_TCP;
	client->wants_write = true;
	epoll_ctl(fleet->poll, EPOLL_CTL_ADD, client->fd, &event);
}

void
client_stop(struct client *client)
{
	static const uint8_t disconnect[] = { 0xe0, 0 };
	size_t done;

	if (client->state == CLIENT_OFF) {
		return;
	}
	if (client->state == CLIENT_LIVE) {
		client->fleet->live--;
		client->fleet->resumed -= client->resumed;
		(void)SSL_write_ex(client->ssl, disconnect, sizeof disconnect, &done);
		(void)SSL_shutdown(client->ssl);
	}
	SSL_free(client->ssl);
	close(client->fd);
	client->ssl = NULL;
	client->state = CLIENT_OFF;
}

/* ---- the fleet ------------------------------------------------------------------------ */

/* dev-0.crt with dev-0.key, dev-1.crt with ... in the folder, as far as they go. */
static SSL_CTX *
context_of(OSSL_LIB_CTX *library, unsigned number, const struct options *o)
{
	char certificate[512], key[512];
	SSL_CTX *context;

	snprintf(certificate, sizeof certificate, "%s/dev-%u.crt", o->certificates, number);
	snprintf(key, sizeof key, "%s/dev-%u.key", o->certificates, number);
	if (access(certificate, R_OK) != 0) {
		return NULL;
	}
	context = SSL_CTX_new_ex(library, NULL, TLS_client_method());
	if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
		die("%s and .key cannot be used", certificate);
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_max_proto_version(context, o->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	SSL_CTX_set_options(context, o->no_tickets ? SSL_OP_NO_TICKET : 0);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
	                                                SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, session_made);
	return context;
}

void
fleet_init(struct fleet *fleet, const struct options *o, unsigned count)
{
	OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
	SSL_CTX *context;

	*fleet = (struct fleet){ .host = o->host, .port = o->port, .count = count };
	while (library != NULL &&
	       (context = context_of(library, fleet->contexts, o)) != NULL) {
		fleet->context = realloc(fleet->context,
		                         (fleet->contexts + 1) * sizeof *fleet->context);
		if (fleet->context == NULL) {
			die("no memory");
		}
		fleet->context[fleet->contexts++] = context;
	}
	if (fleet->contexts == 0) {
		die("%s holds no dev-0.crt", o->certificates);
	}
	fleet->poll = epoll_create1(EPOLL_CLOEXEC);
	fleet->client = calloc(count, sizeof *fleet->client);
	if (fleet->poll < 0 || fleet->client == NULL) {
		die("no memory");
	}
	for (unsigned i = 0; i < count; i++) {
		fleet->client[i].fleet = fleet;
		fleet->client[i].index = i;
	}
}

void
fleet_free(struct fleet *fleet)
{
	for (unsigned i = 0; i < fleet->count; i++) {
		client_stop(&fleet->client[i]);
		SSL_SESSION_free(fleet->client[i].session);
	}
	for (unsigned i = 0; i < fleet->contexts; i++) {
		SSL_CTX_free(fleet->context[i]);
	}
	free(fleet->context);
	free(fleet->client);
	close(fleet->poll);
}

void
fleet_turn(struct fleet *fleet, int ms)
{
	struct epoll_event event[EVENTS];
	int n = epoll_wait(fleet->poll, event, EVENTS, ms);

	if (now_ns() > fleet->deadline) {
		die("no end in sight: %u of %u clients connected", fleet->live, fleet->count);
	}
	for (int i = 0; i < n; i++) {
		serve(event[i].data.ptr, event[i].events);
	}
}
