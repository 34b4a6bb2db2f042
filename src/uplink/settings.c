/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of our own: copied, and compared to tell what a change is about. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "uplink/uplink_int.h"

void
settings_free(struct uplink_settings *s)
{
	free((char *)(uintptr_t)s->path);
	free((char *)(uintptr_t)s->address);
	free((char *)(uintptr_t)s->client_id);
	free((char *)(uintptr_t)s->username);
	free((char *)(uintptr_t)s->password);
	free((char *)(uintptr_t)s->status_topic);
	free((char *)(uintptr_t)s->presence_topic);
	*s = (struct uplink_settings){ .path = NULL };
}

/* False: no memory. */
static bool
copy_text(const char **text)
{
	if (*text != NULL) {
		*text = strdup(*text);
		return *text != NULL;
	}
	return true;
}

/* A name would be looked up, and the loop would wait for it. */
static bool
is_literal(const char *address)
{
	uint8_t bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1;
}

int
settings_copy(struct uplink_settings *to, const struct uplink_settings *from)
{
	struct uplink_settings copy = *from;
	const char **text[] = { &copy.path, &copy.address, &copy.client_id, &copy.username,
		&copy.password, &copy.status_topic, &copy.presence_topic };
	bool good = true;

	if (from->client_id == NULL ||
	    (from->path == NULL && (from->address == NULL || !is_literal(from->address)))) {
		return -EINVAL;
	}
	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
		if (!copy_text(text[i])) {
			good = false;
		}
	}
	if (!good) {
		settings_free(&copy);
		return -ENOMEM;
	}
	copy.inflight = copy.inflight > 0 ? copy.inflight : 1;
	*to = copy;
	return 0;
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
settings_same_place(const struct uplink_settings *a, const struct uplink_settings *b)
{
	return same(a->path, b->path) && same(a->address, b->address) && a->port == b->port;
}

bool
settings_same_session(const struct uplink_settings *a, const struct uplink_settings *b)
{
	return settings_same_place(a, b) && same(a->client_id, b->client_id) &&
	       same(a->username, b->username) && same(a->password, b->password) &&
	       same(a->status_topic, b->status_topic) &&
	       same(a->presence_topic, b->presence_topic) && a->inflight == b->inflight;
}
