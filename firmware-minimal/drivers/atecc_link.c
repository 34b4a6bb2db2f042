/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/atecc_link.h"

#include <string.h>

#include "hal/i2c.h"
#include "hal/time.h"

#define ADDRESS 0x60u
#define WORD_RESET 0x00u
#define WORD_SLEEP 0x01u
#define WORD_IDLE 0x02u
#define WORD_COMMAND 0x03u

#define WAKE_PULSE_US 80u    /* at least 60 */
#define WAKE_WAIT_US 1500u
#define WAKE_LATE_POLLS 5u   /* of a millisecond each, before the next pulse */
#define WAKE_TRIES 20u
#define BUS_TRIES 4u
#define REST_WAIT_MS 2u       /* at least 1 ms between sleep and the next wake */
#define POLL_MS 2u
#define ANSWER_MS 2700u      /* the slowest row of the sheet ends at 2.5 s */
#define READ_TRIES 3u
#define UNIT_TRIES 4u
#define OPERATION_MS 5000u   /* no new try after that */
#define FRESH_MS 400u        /* the chip's watchdog may end 0.7 s after wake */

#define STATUS_COUNT 4u
#define DATA_MAX 128u        /* Verify: r, s, X, Y */
#define PACKET_MAX (8u + DATA_MAX)

/*
 * One buffer for what goes out and what comes in. Static and not on the
 * stack: signing happens deep inside a TLS handshake. Nothing here is
 * called from an interrupt.
 */
static uint8_t packet[PACKET_MAX];
static uint32_t woken_ms;

uint16_t
atecc_crc(uint16_t crc, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bool in = (data[i] >> bit & 1) != 0;

			crc = (uint16_t)(crc << 1 ^ (in != (crc >> 15 != 0) ? 0x8005 : 0));
		}
	}
	return crc;
}

static void
append_crc(uint8_t *from, size_t n)
{
	uint16_t crc = atecc_crc(0, from, n);

	from[n] = (uint8_t)crc;
	from[n + 1] = (uint8_t)(crc >> 8);
}

static bool
crc_holds(const uint8_t *from, size_t n)
{
	uint16_t crc = atecc_crc(0, from, n - 2);

	return from[n - 2] == (uint8_t)crc && from[n - 1] == (uint8_t)(crc >> 8);
}

/* An awake chip that is not busy acknowledges: if it does not, it has slept or restarted. */
static enum atecc_status
of_bus(enum i2c_status status)
{
	switch (status) {
	case I2C_OK:
		return ATECC_OK;
	case I2C_NACK_ADDRESS:
	case I2C_NACK_DATA:
		return ATECC_RESTARTED;
	default:
		(void)i2c_recover();
		return ATECC_BUS;
	}
}

static enum atecc_status
of_chip(uint8_t status)
{
	switch (status) {
	case 0x00:
		return ATECC_OK;
	case 0x01:
		return ATECC_MISCOMPARE;
	case 0x03:
		return ATECC_PARSE;
	case 0x05:
		return ATECC_ECC_FAULT;
	case 0x07:
	case 0x08:
		return ATECC_SELF_TEST;
	case 0x0F:
		return ATECC_EXECUTION;
	case 0x11: /* fresh from a wake that was not ours */
	case 0xEE: /* its watchdog is about to end */
		return ATECC_RESTARTED;
	default:
		return ATECC_CRC;
	}
}

/* ---- wake and rest ---- */

static void
rest(uint8_t word)
{
	/* Not acknowledged when it sleeps already. */
	(void)i2c_write(ADDRESS, &word, 1);
	time_wait_ms(REST_WAIT_MS);
}

static enum atecc_status
wake_answer(void)
{
	static const uint8_t awake[STATUS_COUNT] = { 0x04, 0x11, 0x33, 0x43 };

	for (unsigned i = 0; i < WAKE_LATE_POLLS; i++) {
		enum i2c_status status = i2c_read(ADDRESS, packet, sizeof awake);

		if (status == I2C_OK) {
			/* Its CRC in the self-test's answer is not that of the sheet (1.2). */
			return memcmp(packet, awake, sizeof awake) == 0 ? ATECC_OK :
			       packet[0] == STATUS_COUNT && packet[1] == 0x07 ? ATECC_SELF_TEST :
			                                                        ATECC_CRC;
		}
		if (status != I2C_NACK_ADDRESS) {
			return of_bus(status);
		}
		time_wait_us(1000);
	}
	return ATECC_ABSENT;
}

static enum atecc_status
wake(void)
{
	enum atecc_status status = ATECC_ABSENT;
	unsigned stuck = 0;

	for (unsigned i = 0; i < WAKE_TRIES && stuck < BUS_TRIES; i++) {
		i2c_wake_pulse(WAKE_PULSE_US);
		time_wait_us(WAKE_WAIT_US);
		status = wake_answer();
		if (status == ATECC_OK) {
			woken_ms = time_ms();
			return ATECC_OK;
		}
		if (status == ATECC_BUS) {
			stuck++;
		}
		/* It may have been awake, with an old answer in its buffer. */
		rest(WORD_SLEEP);
	}
	return status;
}

/* TempKey and the SHA context survive idle. */
static enum atecc_status
keep_awake(void)
{
	if (time_ms() - woken_ms < FRESH_MS) {
		return ATECC_OK;
	}
	rest(WORD_IDLE);
	return wake();
}

/* ---- one command ---- */

static enum atecc_status
send(const struct atecc_command *c)
{
	size_t n = 6;

	packet[0] = WORD_COMMAND;
	packet[2] = c->opcode;
	packet[3] = c->param1;
	packet[4] = (uint8_t)c->param2;
	packet[5] = (uint8_t)(c->param2 >> 8);
	for (unsigned i = 0; i < 2; i++) {
		if (c->size[i] > DATA_MAX + 6 - n) {
			return ATECC_PARAMETER;
		}
		if (c->size[i] > 0) {
			memcpy(packet + n, c->data[i], c->size[i]);
			n += c->size[i];
		}
	}
	packet[1] = (uint8_t)(n + 1);
	append_crc(packet + 1, n - 1);
	return of_bus(i2c_write(ADDRESS, packet, n + 2));
}

/* The first byte of the answer; a busy chip does not acknowledge. */
static enum atecc_status
await(void)
{
	struct deadline deadline = deadline_in(ANSWER_MS);

	for (;;) {
		enum i2c_status status;

		time_wait_ms(POLL_MS);
		status = i2c_read(ADDRESS, packet, 1);
		if (status != I2C_NACK_ADDRESS) {
			return of_bus(status);
		}
		if (deadline_over(&deadline)) {
			return ATECC_TIMEOUT;
		}
	}
}

static bool
count_fits(const struct atecc_command *c, uint8_t count)
{
	return count == STATUS_COUNT || (c->want > 0 && count == c->want + 3);
}

/* The rest of the answer, read again from its start while it is damaged. */
static enum atecc_status
receive(const struct atecc_command *c)
{
	static const uint8_t reset = WORD_RESET;
	enum atecc_status status;

	for (unsigned i = 0;; i++) {
		if (count_fits(c, packet[0])) {
			status = of_bus(i2c_read(ADDRESS, packet + 1, packet[0] - 1u));
			if (status != ATECC_OK || crc_holds(packet, packet[0])) {
				return status;
			}
		}
		if (i == READ_TRIES) {
			return ATECC_CRC;
		}
		status = of_bus(i2c_write(ADDRESS, &reset, 1));
		if (status == ATECC_OK) {
			status = of_bus(i2c_read(ADDRESS, packet, 1));
		}
		if (status != ATECC_OK) {
			return status;
		}
	}
}

enum atecc_status
atecc_command(const struct atecc_command *c)
{
	enum atecc_status status = keep_awake();

	if (status == ATECC_OK) {
		status = send(c);
	}
	if (status == ATECC_OK) {
		status = await();
	}
	if (status == ATECC_OK) {
		status = receive(c);
	}
	if (status != ATECC_OK) {
		return status;
	}
	if (packet[0] == STATUS_COUNT) {
		status = of_chip(packet[1]);
		/* Success where data must come is no success. */
		return status == ATECC_OK && c->want > 0 ? ATECC_CRC : status;
	}
	memcpy(c->answer, packet + 1, c->want);
	return ATECC_OK;
}

/* ---- an operation ---- */

static bool
may_pass(enum atecc_status status)
{
	switch (status) {
	case ATECC_BUS:
	case ATECC_CRC:
	case ATECC_TIMEOUT:
	case ATECC_SELF_TEST:
	case ATECC_EXECUTION:
	case ATECC_ECC_FAULT:
	case ATECC_RESTARTED:
		return true;
	default:
		return false;
	}
}

enum atecc_status
atecc_operate(enum atecc_status (*unit)(void *job), void *job)
{
	struct deadline deadline = deadline_in(OPERATION_MS);
	enum atecc_status status = ATECC_OK;
	unsigned tries = 0;

	do {
		enum atecc_status before = status;

		status = wake();
		if (status == ATECC_OK) {
			status = unit(job);
		} else if (status == ATECC_ABSENT && before != ATECC_OK) {
			status = before; /* it was there: what happened then says more */
		}
		rest(WORD_SLEEP);
	} while (may_pass(status) && ++tries < UNIT_TRIES && !deadline_over(&deadline));
	/* A shared secret may have come through here. */
	memset(packet, 0, sizeof packet);
	return status;
}
