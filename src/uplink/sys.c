/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's own figures, as text the way it gives them. */
#include "uplink/uplink_int.h"

#include "base/utf8.h"

#define SYS "$SYS/broker/"
#define WORD(field) offsetof(struct uplink_info, field), sizeof(((struct uplink_info *)0)->field)

static const struct {
	const char *topic;
	size_t offset, size;
} figures[] = {
	{ SYS "version", WORD(version) },
	{ SYS "uptime", WORD(uptime) },
	{ SYS "clients/connected", WORD(clients_connected) },
	{ SYS "clients/total", WORD(clients_total) },
	{ SYS "publish/messages/dropped", WORD(messages_dropped) },
	{ SYS "messages/stored", WORD(messages_stored) },
	{ SYS "store/messages/count", WORD(messages_stored) }, /* its name of old */
	{ SYS "heap/current", WORD(heap) },
	{ SYS "load/messages/received/1min", WORD(received_1min) },
};
#define FIGURES (sizeof figures / sizeof figures[0])

void
sys_pump(struct uplink *u)
{
	if (u->sys_asked) {
		return;
	}
	u->sys_asked = true;
	for (size_t i = 0; i < FIGURES && session_up(u); i++) {
		int rc = watch_subscribe(u, figures[i].topic, 0, 0, SYS_ID, NULL);

		session_settle(u, rc);
	}
}

void
sys_message(struct uplink *u, struct span topic, struct span payload)
{
	for (size_t i = 0; i < FIGURES; i++) {
		char *to = (char *)&u->info + figures[i].offset;

		if (span_eq_str(topic, figures[i].topic) && payload.len < figures[i].size &&
		    utf8_valid_strict(payload)) {
			memcpy(to, payload.ptr, payload.len);
			to[payload.len] = '\0';
		}
	}
}
