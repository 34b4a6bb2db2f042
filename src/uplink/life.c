/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signs of life. A stopped broker accepts connections through its kernel and
 * answers nothing, and PINGREQ comes too rarely and with no callback. So we
 * ask: UNSUBSCRIBE from a filter that nobody holds needs no right, leaves
 * nothing behind and is always answered (MQTT 5 3.10.4). Four questions in
 * response_timeout; the broker is frozen when nothing at all has come for so
 * long while an answer is owed, be it UNSUBACK or CONNACK. The connection is
 * kept then: the first answer on it tells that the broker is back, without
 * filling its backlog with further ones.
 */
#include "uplink/uplink_int.h"

#define QUESTION "gateway/are-you-there"
#define PARTS 4
#define PART_MOST (KEEPALIVE * 1000u / 3) /* ms: the library itself never has to ask */
#define SECOND_LOOK 50 /* ms: perhaps we were the ones who slept; look at the socket first */

static void
arm(struct uplink *u)
{
	struct life *life = &u->life;
	uint64_t part = u->settings.response_timeout / PARTS < PART_MOST ?
	                        u->settings.response_timeout / PARTS : PART_MOST;
	uint64_t silent = loop_now(u->loop) - life->heard;
	uint64_t left = silent < u->settings.response_timeout ?
	                        u->settings.response_timeout - silent : part;

	loop_timer_start(&life->timer, left < part ? left : part);
}

static void
freeze(struct uplink *u)
{
	struct life *life = &u->life;

	if (!life->frozen) {
		life->frozen = true;
		trouble_note(u, "the broker takes connections and answers nothing");
		broker_frozen(u->broker);
		uplink_note(u);
	}
}

static void
ask(struct uplink *u)
{
	struct life *life = &u->life;
	int rc;

	life->asked = uv_hrtime();
	u->sweep.at_ask = u->sweep.seen;
	rc = mosquitto_unsubscribe_v5(u->link->mosq, &life->mid, QUESTION, NULL);
	session_settle(u, rc);
}

static void
due(void *owner)
{
	struct uplink *u = owner;
	struct life *life = &u->life;
	bool owed;

	if (u->link == NULL) {
		return;
	}
	owed = life->mid != 0 || !u->link->connected;
	if (owed && loop_now(u->loop) - life->heard >= u->settings.response_timeout) {
		if (!life->suspect) {
			life->suspect = true;
			loop_timer_start(&life->timer, SECOND_LOOK);
			return;
		}
		freeze(u);
	} else if (!owed) {
		ask(u);
	}
	if (u->link != NULL) {
		arm(u);
	}
}

int
life_init(struct uplink *u)
{
	return loop_timer_init(u->loop, &u->life.timer, due, u);
}

void
life_begin(struct uplink *u)
{
	u->life.heard = loop_now(u->loop);
	u->life.mid = 0;
	u->life.suspect = false;
	arm(u);
}

void
life_end(struct uplink *u)
{
	u->life.mid = 0;
	loop_timer_stop(&u->life.timer);
}

void
life_heard(struct uplink *u)
{
	struct life *life = &u->life;

	life->heard = loop_now(u->loop);
	life->suspect = false;
	if (life->frozen) {
		life->frozen = false;
		broker_alive(u->broker);
		uplink_note(u);
	}
}

void
life_gone(struct uplink *u)
{
	u->life.frozen = false;
	broker_gone(u->broker);
}

void
life_answer(struct uplink *u, int mid)
{
	struct life *life = &u->life;

	if (life->mid != 0 && mid == life->mid) {
		uint64_t took = (uv_hrtime() - life->asked) / 1000;

		life->mid = 0;
		u->info.round_trip = took > UINT32_MAX ? UINT32_MAX : took > 0 ? (unsigned)took : 1;
		sweep_alive(u);
	}
}
