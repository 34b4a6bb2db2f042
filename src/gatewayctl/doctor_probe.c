/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One conversation with the broker, as the gateway would have it for a device:
 * CONNECT with the identity as user name, CONNACK, the retained version, and a
 * clean DISCONNECT. MQTT 3.1.1, blocking, every wait has an end.
 */
#include "doctor_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/path.h"
#include "mqtt/mqtt.h"

#define VERSION_TOPIC "$SYS/broker/version"
#define VERSION_MS 1500
#define PACKET_MAX 4096

struct link {
	int fd;
	uint64_t until; /* clock_ms() */
	uint8_t in[PACKET_MAX];
	size_t have;
};

static int
wait_for(const struct link *l, short events)
{
	struct pollfd pollfd = { .fd = l->fd, .events = events };
	uint64_t now = clock_ms();
	int r = now < l->until ? poll(&pollfd, 1, (int)(l->until - now)) : 0;

	return r > 0 ? 0 : r == 0 ? ERR_TIMEOUT : -errno;
}

static int
send_all(struct link *l, struct span s)
{
	int r = 0;

	while (s.len > 0 && (r = wait_for(l, POLLOUT)) == 0) {
		ssize_t n = send(l->fd, s.ptr, s.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return -errno;
		}
		s = span_skip(s, n > 0 ? (size_t)n : 0);
	}
	return r;
}

/* ---- connecting ----------------------------------------------------------------- */

static int
finish_connect(struct link *l, const struct sockaddr *address, socklen_t len)
{
	int error = 0, r;
	socklen_t size = sizeof error;

	if (connect(l->fd, address, len) == 0) {
		return 0;
	}
	if (errno != EINPROGRESS) {
		return -errno;
	}
	r = wait_for(l, POLLOUT);
	if (r == 0 && getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
		r = -errno;
	}
	return r == 0 ? -error : r;
}

static int
dial(struct link *l, const struct conf *conf)
{
	struct sockaddr_un un;
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(conf->upstream.port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_port = htons(conf->upstream.port) };
	char why[CTL_WHY_SIZE];
	bool is6;
	int r;

	if (conf->upstream.path != NULL) {
		r = ctl_path_address(conf->upstream.path, &un, why);
		if (r == 0) {
			l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
			r = l->fd < 0 ? -errno
				      : finish_connect(l, (const struct sockaddr *)&un, sizeof un);
		}
		return r;
	}
	is6 = strchr(conf->upstream.address, ':') != NULL;
	if (inet_pton(is6 ? AF_INET6 : AF_INET, conf->upstream.address,
		      is6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1) {
		return -EINVAL;
	}
	l->fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0) {
		return -errno;
	}
	return is6 ? finish_connect(l, (const struct sockaddr *)&six, sizeof six)
		   : finish_connect(l, (const struct sockaddr *)&four, sizeof four);
}

/* ---- packets -------------------------------------------------------------------- */

static int
read_more(struct link *l)
{
	ssize_t n;
	int r = wait_for(l, POLLIN);

	if (r != 0) {
		return r;
	}
	if (l->have == sizeof l->in) {
		return ERR_LIMIT;
	}
	n = recv(l->fd, l->in + l->have, sizeof l->in - l->have, 0);
	if (n < 0) {
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	}
	l->have += (size_t)n;
	return n == 0 ? ERR_CLOSED : 0;
}

/* The next whole packet at the start of l->in; drop it with drop_packet(). */
static int
next_packet(struct link *l, struct mqtt_fixed *fixed, struct span *body)
{
	enum mqtt_reason reason;

	for (;;) {
		int r = mqtt_decode_fixed(span_of(l->in, l->have), MQTT_FROM_SERVER, MQTT_3_1_1,
					  fixed, &reason);

		if (r == 0 && fixed->remaining > sizeof l->in - fixed->size) {
			return ERR_LIMIT;
		}
		if (r == 0 && l->have >= fixed->size + (size_t)fixed->remaining) {
			*body = span_of(l->in + fixed->size, fixed->remaining);
			return 0;
		}
		if (r != 0 && r != ERR_MORE) {
			return r;
		}
		r = read_more(l);
		if (r != 0) {
			return r;
		}
	}
}

static void
drop_packet(struct link *l, const struct mqtt_fixed *fixed)
{
	size_t whole = fixed->size + (size_t)fixed->remaining;

	memmove(l->in, l->in + whole, l->have - whole);
	l->have -= whole;
}

static int
send_connect(struct link *l, const struct conf *conf, const char *identity)
{
	const struct mqtt_connect c = {
		.version = MQTT_3_1_1,
		.clean_start = true,
		.keep_alive = 60,
		.client_id = span_str(identity),
		.has_username = true,
		.username = span_str(identity),
		.has_password = conf->upstream.password != NULL,
		.password = span_str(conf->upstream.password),
	};
	struct buf packet = { 0 };
	size_t size = mqtt_connect_size(&c, NULL, 0, NULL, 0);
	struct writer w;
	uint8_t *at;
	int r = buf_reserve(&packet, size, &at);

	if (r == 0) {
		w = writer_of(at, size);
		mqtt_write_connect(&w, &c, NULL, 0, NULL, 0);
		r = w.bad ? ERR_FULL : send_all(l, writer_span(&w));
	}
	buf_release(&packet);
	return r;
}

static int
get_connack(struct link *l, struct doctor_probe *out)
{
	struct mqtt_connack connack;
	struct mqtt_fixed fixed;
	enum mqtt_reason reason;
	struct span body;
	int r = next_packet(l, &fixed, &body);

	if (r == 0 && fixed.type != MQTT_CONNACK) {
		r = ERR_PROTOCOL;
	}
	if (r == 0) {
		r = mqtt_decode_connack(body, MQTT_3_1_1, &connack, &reason);
	}
	if (r == 0) {
		out->connack = connack.code;
		drop_packet(l, &fixed);
	}
	return r;
}

/* ---- version -------------------------------------------------------------------- */

static int
send_subscribe(struct link *l)
{
	uint8_t packet[64];
	struct writer w = writer_of(packet, sizeof packet);

	mqtt_write_fixed(&w, MQTT_SUBSCRIBE, 2, 2 + 2 + strlen(VERSION_TOPIC) + 1);
	write_u16(&w, 1);
	write_block(&w, span_str(VERSION_TOPIC));
	write_u8(&w, 0);
	return w.bad ? ERR_FULL : send_all(l, writer_span(&w));
}

/* Not every broker tells, and not everybody: silence is an answer. */
static void
get_version(struct link *l, struct doctor_probe *out)
{
	struct mqtt_fixed fixed;
	struct span body;

	l->until = clock_ms() + VERSION_MS;
	if (send_subscribe(l) != 0) {
		return;
	}
	while (next_packet(l, &fixed, &body) == 0) {
		struct reader r = reader_of(body);

		if (fixed.type == MQTT_PUBLISH && MQTT_FLAG_QOS(fixed.flags) == 0 &&
		    span_eq_str(read_block(&r), VERSION_TOPIC)) {
			struct span text = span_head(read_rest(&r), sizeof out->version - 1);

			if (text.len > 0) {
				memcpy(out->version, text.ptr, text.len);
			}
			return;
		}
		drop_packet(l, &fixed);
	}
}

void
doctor_probe(const struct conf *conf, const char *identity, struct doctor_probe *out)
{
	static const uint8_t disconnect[] = { MQTT_DISCONNECT << 4, 0 };
	struct link l = { .fd = -1, .until = clock_ms() + conf->upstream.connect_timeout };

	*out = (struct doctor_probe){ .made = true, .code = dial(&l, conf) };
	if (out->code == 0) {
		l.until = clock_ms() + conf->upstream.connect_timeout;
		out->code = send_connect(&l, conf, identity);
	}
	if (out->code == 0) {
		out->code = get_connack(&l, out);
	}
	if (out->code == 0 && out->connack == MQTT_RETURN_ACCEPTED) {
		get_version(&l, out);
		l.until = clock_ms() + VERSION_MS;
		/* It closes either way. */
		(void)send_all(&l, span_of(disconnect, sizeof disconnect));
	}
	if (l.fd >= 0) {
		close(l.fd);
	}
}
