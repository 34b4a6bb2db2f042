/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ATECC508A on its bus: power states, wake, watchdog, groups that come in and
 * answers that go out (fact sheet 1 and 5). Time is only ever looked at: what
 * has happened since the last call is worked out when the next one comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/atecc_int.h"

#define US 1000ull
#define MS 1000000ull
#define WAKE_LOW_NS (60 * US)
#define WAKE_NEARLY_NS (30 * US)
#define WAKE_HIGH_NS (1500 * US)
#define SLEEP_NS (1 * MS)
#define WATCHDOG_NS (1300 * MS)
#define WATCHDOG_LONG_NS (10000 * MS)
#define WATCHDOG_NEAR_NS (100 * MS)

const struct fault atecc_faults[] = {
	{ "atecc.wake-nack", "a wake pulse has no effect" },
	{ "atecc.wake-late", "awake only after so many microseconds (4000)" },
	{ "atecc.wake-status", "another status than 0x11 after wake (7: self-test failed)" },
	{ "atecc.busy", "every command takes so many milliseconds more" },
	{ "atecc.slow", "execution time in percent of the sheet's longest (140)" },
	{ "atecc.crc", "a bit of an answer is wrong until it is read again from its start" },
	{ "atecc.crc-command", "a command arrives damaged: 0xFF" },
	{ "atecc.restart", "the chip restarts during a command (supply): 0x11, TempKey lost" },
	{ "atecc.watchdog", "its watchdog runs out just before a Sign or Verify" },
	{ "atecc.near-watchdog", "a command is refused with 0xEE" },
	{ "atecc.execution", "a command is refused with 0x0F" },
	{ "atecc.ecc-fault", "a command fails with 0x05" },
	{ "atecc.status", "a command is answered with that status (decimal) and not run" },
	{ "atecc.unlocked", "the chip behaves as if nothing was locked" },
	{ "atecc.tempkey-lost", "TempKey is empty when Sign or Verify comes" },
	{ "atecc.tempkey-kept", "Sign and Verify leave TempKey valid" },
	{ "atecc.608", "revision and execution times of a 608A" },
	{ "atecc.sda-stuck", "SDA is held low" },
	{ "atecc.short", "the count byte of an answer lies: it says so many (1)" },
	{ "atecc.tail", "an answer breaks off: 0xFF after so many bytes (1)" },
	{ "atecc.spurious-wake", "other traffic wakes the chip right after sleep or idle" },
	{ "atecc.sleep-ignored", "the sleep word has no effect" },
	{ "atecc.power-loss", "power fails right after a command has changed the EEPROM" },
	{ "atecc.write-ignored", "a Write is answered well and changes nothing" },
	{ "atecc.key-failure", "GenKey and Sign fail while the data zone is not locked" },
	{ "atecc.miscompare", "Verify says no" },
	{ "atecc.signature", "r begins with a zero byte (1), r and s with a one bit (2), s with a "
	                     "zero byte (3)" },
	{ NULL, NULL },
};

/* Bits LSB first into a register that is shifted left (1.5). */
uint16_t
atecc_model_crc(const uint8_t *data, size_t n)
{
	unsigned crc = 0;

	for (size_t bit = 0; bit < 8 * n; bit++) {
		unsigned in = data[bit / 8] >> bit % 8 & 1u;
		unsigned top = crc >> 15 & 1u;

		crc = (crc << 1 & 0xFFFFu) ^ (in != top ? 0x8005u : 0u);
	}
	return (uint16_t)crc;
}

void
atecc_answer(struct atecc_model *m, const void *data, size_t n)
{
	uint16_t crc;

	m->out[0] = (uint8_t)(n + 3);
	memcpy(m->out + 1, data, n);
	crc = atecc_model_crc(m->out, n + 1);
	m->out[n + 1] = (uint8_t)crc;
	m->out[n + 2] = (uint8_t)(crc >> 8);
	m->out_size = n + 3;
	m->out_at = 0;
	m->short_at = SIZE_MAX;
	m->damaged = false;
}

void
atecc_answer_status(struct atecc_model *m, uint8_t status)
{
	atecc_answer(m, &status, 1);
}

bool
atecc_is_608(const struct atecc_model *m)
{
	return m->is_608 || fault_hits(m->faults, "atecc.608");
}

/* ---- life ---- */

static int
load_or_make(struct atecc_model *m, const struct atecc_config *config)
{
	int error = m->file == NULL ? -ENOENT : atecc_load(m->world, m->file, &m->eeprom);

	if (error != -ENOENT) {
		return error;
	}
	atecc_factory(&m->eeprom, config->serial, config->is_608);
	if (config->locked) {
		atecc_preset(&m->eeprom);
		atecc_random_scalar(m->world, m->eeprom.scalars[0]);
		m->eeprom.has_key[0] = 1;
	}
	return m->file == NULL ? 0 : atecc_save(m->world, m->file, &m->eeprom);
}

struct atecc_model *
atecc_model_new(struct world *world, struct fault_set *faults, const struct atecc_config *config)
{
	struct atecc_model *m = calloc(1, sizeof *m);

	if (m == NULL) {
		return NULL;
	}
	m->world = world;
	m->faults = faults;
	m->sha = EVP_MD_CTX_new();
	m->file = config->file == NULL ? NULL : strdup(config->file);
	if (m->sha == NULL || (config->file != NULL && m->file == NULL) ||
	    load_or_make(m, config) < 0) {
		atecc_model_free(m);
		return NULL;
	}
	m->is_608 = m->eeprom.config[6] == 0x60;
	return m;
}

void
atecc_model_free(struct atecc_model *m)
{
	if (m != NULL) {
		EVP_MD_CTX_free(m->sha);
		free(m->file);
		free(m);
	}
}

/* ---- power ---- */

static void
fall_asleep(struct atecc_model *m, enum atecc_power power, uint64_t when)
{
	m->power = power;
	m->slept_ns = power == ATECC_ASLEEP ? when : 0; /* from idle it wakes at once */
	m->out_size = m->out_at = 0;
	m->busy_ns = 0;
	m->partial = false;
	if (power == ATECC_ASLEEP) {
		m->tempkey_valid = false;
		memset(m->tempkey, 0, sizeof m->tempkey);
		m->sha_running = false;
	}
}

static void
wake_up(struct atecc_model *m)
{
	long late = fault_value(m->faults, "atecc.wake-late", 0);
	uint64_t high = late <= 0 ? WAKE_HIGH_NS : late == 1 ? 4000 * US : (uint64_t)late * US;
	bool long_watchdog = (m->eeprom.config[19] & 4) != 0;

	m->power = ATECC_AWAKE;
	m->ready_ns = m->world->now_ns + high;
	m->watchdog_ns = m->world->now_ns + (long_watchdog ? WATCHDOG_LONG_NS : WATCHDOG_NS);
	m->busy_ns = 0;
	m->partial = false;
	atecc_answer_status(m, (uint8_t)fault_value(m->faults, "atecc.wake-status", ANSWER_AWAKE));
	if (m->out[1] == 1) { /* the fault without a value */
		atecc_answer_status(m, 7);
	}
}

/* A command that began in time is finished before the watchdog strikes. */
static void
catch_up(struct atecc_model *m)
{
	uint64_t end = m->watchdog_ns > m->busy_ns ? m->watchdog_ns : m->busy_ns;

	if (m->power == ATECC_AWAKE && m->world->now_ns >= end) {
		world_note(m->world, "atecc: asleep by its watchdog");
		fall_asleep(m, ATECC_ASLEEP, end);
	}
}

static void
wake_pulse(struct atecc_model *m)
{
	catch_up(m);
	if (m->power == ATECC_AWAKE || fault_hits(m->faults, "atecc.wake-nack")) {
		return;
	}
	if (m->slept_ns != 0 && m->world->now_ns - m->slept_ns < SLEEP_NS) {
		world_note(m->world, "atecc: wake pulse within 1 ms after sleep: not seen");
		return;
	}
	wake_up(m);
}

void
atecc_model_sda_low(struct atecc_model *m, uint64_t ns)
{
	if (ns >= WAKE_LOW_NS) {
		wake_pulse(m);
	} else if (ns >= WAKE_NEARLY_NS) {
		world_violation(m->world, "atecc: SDA low for %llu ns: a wake pulse needs 60000",
		                (unsigned long long)ns);
	}
}

bool
atecc_model_sda_stuck(const struct atecc_model *m)
{
	return fault_hits(m->faults, "atecc.sda-stuck");
}

/* ---- groups in ---- */

bool
atecc_model_start(struct atecc_model *m, uint8_t address_byte)
{
	uint64_t now = m->world->now_ns;

	if (address_byte == 0) {
		/* Eight and a half bit times low: 85 us at the 100 kHz of this bus. */
		wake_pulse(m);
		return false;
	}
	catch_up(m);
	m->writing = false;
	if (address_byte >> 1 != m->eeprom.config[16] >> 1 || m->power != ATECC_AWAKE ||
	    now < m->ready_ns || now < m->busy_ns) {
		return false;
	}
	if ((address_byte & 1) != 0) {
		return !m->partial;
	}
	m->writing = true;
	m->in_size = 0;
	return true;
}

bool
atecc_model_write(struct atecc_model *m, uint8_t byte)
{
	if (!m->writing) {
		return false;
	}
	if (m->in_size == sizeof m->in) {
		world_violation(m->world, "atecc: a group of more than %zu bytes", sizeof m->in);
		return false;
	}
	m->in[m->in_size++] = byte;
	return true;
}

static void
power_loss(struct atecc_model *m)
{
	world_note(m->world, "atecc: power lost");
	fall_asleep(m, ATECC_ASLEEP, m->world->now_ns);
}

static void
save(struct atecc_model *m)
{
	if (!m->dirty) {
		return;
	}
	m->dirty = false;
	if (m->file != NULL && atecc_save(m->world, m->file, &m->eeprom) < 0) {
		world_violation(m->world, "atecc: %s cannot be written", m->file);
	}
	if (fault_hits(m->faults, "atecc.power-loss")) {
		power_loss(m);
	}
}

/* What a fault does to an answer on its way out. */
static void
spoil_answer(struct atecc_model *m)
{
	long n = fault_value(m->faults, "atecc.short", -1);

	if (n >= 0) {
		m->out[0] = (uint8_t)n;
	}
	n = fault_value(m->faults, "atecc.tail", -1);
	if (n >= 0) {
		m->short_at = (size_t)n;
	}
	m->damaged = fault_hits(m->faults, "atecc.crc");
}

static void
run(struct atecc_model *m, const struct atecc_request *r)
{
	uint64_t now = m->world->now_ns;

	if ((r->opcode == 0x41 || r->opcode == 0x45) && fault_hits(m->faults, "atecc.watchdog")) {
		fall_asleep(m, ATECC_ASLEEP, now);
		return;
	}
	if (fault_hits(m->faults, "atecc.restart")) {
		fall_asleep(m, ATECC_ASLEEP, now);
		wake_up(m);
		return;
	}
	if (now + WATCHDOG_NEAR_NS >= m->watchdog_ns) {
		atecc_answer_status(m, ANSWER_WATCHDOG);
		return;
	}
	m->busy_ns = now + atecc_execute(m, r);
	spoil_answer(m);
	save(m);
}

/* in[0] is the word address; the group's count byte counts itself up to the CRC. */
static void
take_command(struct atecc_model *m)
{
	const uint8_t *group = m->in + 1;
	size_t n = m->in_size - 1;
	struct atecc_request r;
	uint16_t crc;

	m->partial = n == 0 || n < group[0];
	if (m->partial) {
		world_violation(m->world, "atecc: STOP after %zu bytes of a command of %u", n,
		                n == 0 ? 0u : group[0]);
		return;
	}
	if (n > group[0] || n < 7) {
		world_violation(m->world, "atecc: a command of %zu bytes says that it has %u", n,
		                group[0]);
		atecc_answer_status(m, ANSWER_CRC);
		return;
	}
	crc = atecc_model_crc(group, n - 2);
	if (group[n - 2] != (uint8_t)crc || group[n - 1] != (uint8_t)(crc >> 8)) {
		atecc_answer_status(m, ANSWER_CRC);
		return;
	}
	r = (struct atecc_request){
		.opcode = group[1],
		.param1 = group[2],
		.param2 = (uint16_t)(group[3] | group[4] << 8),
		.data = group + 5,
		.size = n - 7,
	};
	run(m, &r);
}

static void
rest(struct atecc_model *m, enum atecc_power power)
{
	if (power == ATECC_ASLEEP && fault_hits(m->faults, "atecc.sleep-ignored")) {
		return;
	}
	fall_asleep(m, power, m->world->now_ns);
	if (fault_hits(m->faults, "atecc.spurious-wake")) {
		wake_up(m);
	}
}

void
atecc_model_stop(struct atecc_model *m)
{
	if (!m->writing || m->in_size == 0) {
		m->writing = false;
		return;
	}
	m->writing = false;
	switch (m->in[0]) {
	case 0x00:
		m->out_at = 0;
		m->damaged = false;
		break;
	case 0x01:
		rest(m, ATECC_ASLEEP);
		break;
	case 0x02:
		rest(m, ATECC_IDLE);
		break;
	case 0x03:
		take_command(m);
		break;
	default:
		world_violation(m->world, "atecc: word address 0x%02X is reserved", m->in[0]);
		break;
	}
}

/* ---- answers out ---- */

uint8_t
atecc_model_read(struct atecc_model *m, bool ack)
{
	size_t at = m->out_at;
	uint8_t byte = 0xFF;

	(void)ack; /* the address counter moves on either way */
	if (at < m->out_size) {
		m->out_at++;
		byte = at < m->short_at ? m->out[at] : 0xFF;
		if (m->damaged && at + 1 == m->out_size) {
			byte ^= 0x10;
		}
	}
	return byte;
}
