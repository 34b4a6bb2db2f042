/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DS18B20 on the one-wire bus, by the times of its slots: reset and presence,
 * ROM commands, conversion, scratchpad. It complains about slots that a real
 * one might read either way.
 */
#include <stdlib.h>
#include <string.h>

#include "emulator/model.h"

#define US UINT64_C(1000)
#define RESET_MIN (480 * US)
#define RESET_MAX (960 * US)
#define PRESENCE_AFTER (30 * US)
#define PRESENCE_FOR (120 * US)
#define SLOT_MIN (60 * US)
#define SLOT_MAX (120 * US)
#define ONE_MAX (15 * US)   /* the master lets go within this: a 1, or a read */
#define ZERO_MIN (60 * US)
#define READ_FOR (30 * US)  /* a 0 is held so long from the slot's start */
#define SAMPLE_MAX (15 * US)
#define RECOVERY US
#define CONVERT_NS (750000 * US)
#define POWER_ON_RAW 0x0550 /* +85 degrees */

enum { CMD_READ_ROM = 0x33, CMD_MATCH = 0x55, CMD_SKIP = 0xCC, CMD_SEARCH = 0xF0 };
enum { CMD_CONVERT = 0x44, CMD_READ = 0xBE, CMD_WRITE = 0x4E, CMD_POWER = 0xB4 };

enum state {
	WAIT_RESET,  /* not addressed */
	ROM_COMMAND,
	MATCHING,
	FUNCTION,
	SENDING,
	CONVERTING,
	WRITING,
};

const struct fault ds18b20_faults[] = {
	{ "ds18b20.absent", "nobody answers the reset pulse" },
	{ "ds18b20.crc", "the scratchpad's CRC is wrong" },
	{ "ds18b20.power-on", "the conversion is lost: 85 degrees" },
	{ "ds18b20.short", "the wire is shorted to ground" },
	{ NULL, NULL },
};

struct ds18b20_model {
	struct world *world;
	struct fault_set *faults;
	int16_t centi, raw;
	enum state state;
	bool master_low;
	uint64_t fell, rose, slot;  /* edges of the master, start of the last slot */
	bool slot_open;             /* a time slot after the reset, not closed yet */
	uint64_t low_from, low_until; /* the sensor itself pulls */
	uint64_t converted;         /* when the running conversion is done */
	bool converting;
	uint8_t rom[8], scratch[9];
	uint8_t in, bits;           /* being received */
	uint8_t matched;            /* bytes of the ROM that fitted */
	bool match;
	uint8_t out[9];
	unsigned out_bits, out_at;
	unsigned to_write;
};

static uint8_t
crc8(const uint8_t *data, size_t n)
{
	uint8_t crc = 0;

	for (size_t i = 0; i < n; i++) {
		crc ^= data[i];
		for (int b = 0; b < 8; b++) {
			crc = crc & 1 ? (uint8_t)(crc >> 1 ^ 0x8C) : (uint8_t)(crc >> 1);
		}
	}
	return crc;
}

struct ds18b20_model *
ds18b20_model_new(struct world *world, struct fault_set *faults, int16_t centi)
{
	struct ds18b20_model *m = calloc(1, sizeof *m);

	if (m == NULL) {
		return NULL;
	}
	m->world = world;
	m->faults = faults;
	m->centi = centi;
	m->raw = POWER_ON_RAW;
	m->scratch[2] = 0x4B;
	m->scratch[3] = 0x46;
	m->scratch[4] = 0x7F;
	m->scratch[5] = 0xFF;
	m->scratch[6] = 0x0C;
	m->scratch[7] = 0x10;
	m->rom[0] = 0x28;
	for (unsigned i = 1; i < 7; i++) {
		m->rom[i] = (uint8_t)world_random(world);
	}
	m->rom[7] = crc8(m->rom, 7);
	return m;
}

void
ds18b20_model_free(struct ds18b20_model *m)
{
	free(m);
}

bool
ds18b20_model_level(struct ds18b20_model *m)
{
	uint64_t now = m->world->now_ns;

	if (fault_hits(m->faults, "ds18b20.short")) {
		return false;
	}
	if (!m->master_low && m->slot_open && now - m->slot > SAMPLE_MAX && m->out_bits > 0 &&
	    m->state == SENDING && now - m->slot < SLOT_MIN) {
		world_violation(m->world, "one-wire: read slot sampled %u us after its start, later than 15",
		                (unsigned)((now - m->slot) / US));
	}
	return !m->master_low && !(now >= m->low_from && now < m->low_until);
}

/* ---- commands ---- */

static void
send(struct ds18b20_model *m, const uint8_t *data, unsigned bytes)
{
	memcpy(m->out, data, bytes);
	m->out_bits = bytes * 8;
	m->out_at = 0;
	m->state = SENDING;
}

static void
send_scratchpad(struct ds18b20_model *m)
{
	m->scratch[0] = (uint8_t)m->raw;
	m->scratch[1] = (uint8_t)(m->raw >> 8);
	m->scratch[8] = crc8(m->scratch, 8);
	if (fault_hits(m->faults, "ds18b20.crc")) {
		m->scratch[8] ^= 0x5A;
	}
	send(m, m->scratch, 9);
}

static void
function_command(struct ds18b20_model *m, uint8_t command)
{
	static const uint8_t external = 0xFF;

	switch (command) {
	case CMD_CONVERT:
		m->converting = true;
		m->converted = m->world->now_ns + CONVERT_NS;
		m->state = CONVERTING;
		break;
	case CMD_READ: send_scratchpad(m); break;
	case CMD_POWER: send(m, &external, 1); break;
	case CMD_WRITE:
		m->to_write = 3;
		m->state = WRITING;
		break;
	default:
		world_violation(m->world, "one-wire: unknown function command 0x%02X", command);
		m->state = WAIT_RESET;
		break;
	}
}

static void
rom_command(struct ds18b20_model *m, uint8_t command)
{
	switch (command) {
	case CMD_SKIP: m->state = FUNCTION; break;
	case CMD_READ_ROM: send(m, m->rom, 8); break;
	case CMD_MATCH:
		m->state = MATCHING;
		m->matched = 0;
		m->match = true;
		break;
	default:
		world_violation(m->world, "one-wire: unknown ROM command 0x%02X", command);
		m->state = WAIT_RESET;
		break;
	}
}

static void
received(struct ds18b20_model *m, uint8_t byte)
{
	switch (m->state) {
	case ROM_COMMAND: rom_command(m, byte); break;
	case FUNCTION: function_command(m, byte); break;
	case MATCHING:
		m->match = m->match && byte == m->rom[m->matched];
		if (++m->matched == 8) {
			m->state = m->match ? FUNCTION : WAIT_RESET;
		}
		break;
	case WRITING:
		m->scratch[2 + 3 - m->to_write] = byte;
		if (--m->to_write == 0) {
			m->state = WAIT_RESET;
		}
		break;
	default: break;
	}
}

static void
received_bit(struct ds18b20_model *m, bool bit)
{
	m->in = (uint8_t)(m->in >> 1 | bit << 7);
	if (++m->bits == 8) {
		m->bits = 0;
		received(m, m->in);
	}
}

/* ---- edges ---- */

static void
finish_conversion(struct ds18b20_model *m)
{
	if (m->converting && m->world->now_ns >= m->converted) {
		m->converting = false;
		if (!fault_hits(m->faults, "ds18b20.power-on")) {
			m->raw = (int16_t)(m->centi * 16 / 100);
		}
	}
}

/* A slot begins: in a read slot the sensor answers at once. */
static void
falling(struct ds18b20_model *m)
{
	uint64_t now = m->world->now_ns;
	bool bit = true;

	if (m->state == WAIT_RESET) {
		return;
	}
	if (m->slot_open && now - m->slot < SLOT_MIN) {
		world_violation(m->world, "one-wire: slot of only %u us",
		                (unsigned)((now - m->slot) / US));
	}
	if (m->slot_open && now - m->rose < RECOVERY) {
		world_violation(m->world, "one-wire: no recovery time between two slots");
	}
	m->slot_open = true;
	m->slot = now;
	finish_conversion(m);
	if (m->state == CONVERTING) {
		bit = !m->converting;
	} else if (m->state == SENDING && m->out_at < m->out_bits) {
		bit = m->out[m->out_at / 8] >> m->out_at % 8 & 1;
		m->out_at++;
	} else {
		return;
	}
	if (!bit) {
		m->low_from = now;
		m->low_until = now + READ_FOR;
	}
}

static void
after_reset(struct ds18b20_model *m)
{
	uint64_t now = m->world->now_ns;

	m->bits = 0;
	m->slot_open = false;
	m->out_bits = 0;
	finish_conversion(m);
	m->state = WAIT_RESET;
	if (!fault_hits(m->faults, "ds18b20.absent")) {
		m->low_from = now + PRESENCE_AFTER;
		m->low_until = m->low_from + PRESENCE_FOR;
		m->state = ROM_COMMAND;
	}
}

static void
rising(struct ds18b20_model *m)
{
	uint64_t low = m->world->now_ns - m->fell;

	m->rose = m->world->now_ns;
	if (low >= RESET_MIN) {
		if (low > RESET_MAX) {
			world_violation(m->world, "one-wire: reset pulse of %u us, longer than 960",
			                (unsigned)(low / US));
		}
		after_reset(m);
		return;
	}
	if (m->state == WAIT_RESET) {
		return;
	}
	if (low > SLOT_MAX) {
		world_violation(m->world, "one-wire: low for %u us, neither a slot nor a reset",
		                (unsigned)(low / US));
	}
	if (m->state == SENDING || m->state == CONVERTING) {
		if (low >= ONE_MAX) {
			world_violation(m->world, "one-wire: read slot opened with %u us low, longer than 15",
			                (unsigned)(low / US));
		}
		return;
	}
	if (low > ONE_MAX && low < ZERO_MIN) {
		world_violation(m->world, "one-wire: write slot with %u us low is neither 0 nor 1",
		                (unsigned)(low / US));
	}
	received_bit(m, low <= ONE_MAX);
}

void
ds18b20_model_drive(struct ds18b20_model *m, bool low)
{
	if (low == m->master_low) {
		return;
	}
	if (low && m->world->now_ns < m->low_until && m->state == ROM_COMMAND) {
		world_violation(m->world, "one-wire: slot begun during the presence pulse");
	}
	m->master_low = low;
	if (low) {
		m->fell = m->world->now_ns;
		falling(m);
	} else {
		rising(m);
	}
}
