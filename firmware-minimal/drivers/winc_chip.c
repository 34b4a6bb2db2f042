/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From power to running firmware: pins, boot handshake, version and MAC
 * (sections 1.4 and 3).
 */
#include "drivers/winc_int.h"

#include <string.h>

#include "hal/spi.h"

enum {
	REG_CHIP_ID = 0x1000,
	REG_EFUSE = 0x1014,
	REG_STATE = 0x108C,
	REG_PIN_MUX_0 = 0x1408,
	REG_GP_1 = 0x14A0,
	REG_INTR_ENABLE = 0x1A00,
	REG_VERSION = 0x207AC,
	REG_WAIT_FOR_HOST = 0x207BC,
	REG_GP_2 = 0xC0008,
	REG_BOOTROM = 0xC000C,

	WINDOW = 0x30000,         /* the info tables lie in it */
	CONFIGURATION = 0x102,    /* reserved bit 8, power unit in use */
	IRQ_PIN = 0x100,
	IRQ_ENABLE = 0x10000,

	ANSWER_MS = 500,          /* until the first command is answered */
	EFUSE_MS = 2000,
	BOOTROM_MS = 2000,
	FIRMWARE_MS = 5000,
	CONFIGURATION_TRIES = 10,
};
#define EFUSE_LOADED 0x80000000u
#define BOOTROM_READY 0x10ADD09Eu
#define BOOTROM_START 0xEF522F61u
#define FIRMWARE_READY 0x02532636u
/* The word of the Arduino library: known to work with 19.4.4 to 19.6.1 (3.4). */
#define DRIVER_VERSION 0x13521352u

static struct winc_version version;
static uint8_t mac[6];
static bool booted; /* by us, since the last reset that we know of */

static void
pulse_pins(bool power)
{
	spi_select(false);
	winc_pin_reset(false);
	if (power) {
		winc_pin_enable(false);
		time_wait_ms(100);
	}
	time_wait_ms(10);
	winc_pin_enable(true);
	time_wait_ms(10);
	winc_pin_reset(true);
	time_wait_ms(10);
}

static bool
known_chip(uint32_t id)
{
	return (id & 0xFF0) == 0x3A0 || (id & 0xFF0) == 0x2B0;
}

/* Until it answers sanely, with CRC off at the end. */
static enum winc_status
find_chip(bool *was_reset)
{
	struct deadline limit = deadline_in(ANSWER_MS);
	enum winc_status status = WINC_BUS;
	uint32_t id;

	do {
		status = winc_spi_sync(was_reset);
		if (status == WINC_OK) {
			status = winc_read_register(REG_CHIP_ID, &id);
		}
		if (status == WINC_OK) {
			return known_chip(id) ? WINC_OK : WINC_CHIP;
		}
		time_wait_ms(1);
	} while (!deadline_over(&limit));
	return status == WINC_CHIP ? WINC_BUS : status;
}

/* The pause is needed: the chip has bus errors when it is asked without (Q25). */
static enum winc_status
wait_register(uint32_t address, uint32_t mask, uint32_t wanted, uint32_t limit_ms, uint32_t pause,
              enum winc_status late)
{
	struct deadline limit = deadline_in(limit_ms);
	enum winc_status status;
	uint32_t value;

	for (;;) {
		bool last = deadline_over(&limit);

		status = winc_read_register(address, &value);
		if (status != WINC_OK) {
			return status;
		}
		if ((value & mask) == wanted) {
			return WINC_OK;
		}
		if (last) {
			return late;
		}
		time_wait_ms(pause);
	}
}

static enum winc_status
wait_bootrom(void)
{
	enum winc_status status;
	uint32_t value;

	status = wait_register(REG_EFUSE, EFUSE_LOADED, EFUSE_LOADED, EFUSE_MS, 1, WINC_CHIP);
	if (status == WINC_OK) {
		status = winc_read_register(REG_WAIT_FOR_HOST, &value);
	}
	if (status != WINC_OK || (value & 1) != 0) {
		return status;
	}
	return wait_register(REG_BOOTROM, 0xFFFFFFFF, BOOTROM_READY, BOOTROM_MS, 1, WINC_CHIP);
}

static enum winc_status
write_configuration(void)
{
	for (int left = CONFIGURATION_TRIES; left > 0; left--) {
		enum winc_status status = winc_write_register(REG_GP_1, CONFIGURATION);
		uint32_t value;

		if (status == WINC_OK) {
			status = winc_read_register(REG_GP_1, &value);
		}
		if (status != WINC_OK) {
			return status;
		}
		if (value == CONFIGURATION) {
			return WINC_OK;
		}
		time_wait_ms(1);
	}
	return WINC_CHIP;
}

static enum winc_status
start_firmware(void)
{
	enum winc_status status = winc_write_register(REG_STATE, DRIVER_VERSION);

	if (status == WINC_OK) {
		status = write_configuration();
	}
	if (status == WINC_OK) {
		status = winc_write_register(REG_BOOTROM, BOOTROM_START);
	}
	if (status == WINC_OK) {
		status = wait_register(REG_STATE, 0xFFFFFFFF, FIRMWARE_READY, FIRMWARE_MS, 2,
		                       WINC_FIRMWARE);
	}
	return status == WINC_OK ? winc_write_register(REG_STATE, 0) : status;
}

static enum winc_status
set_bits(uint32_t address, uint32_t bits)
{
	uint32_t value;
	enum winc_status status = winc_read_register(address, &value);

	return status == WINC_OK ? winc_write_register(address, value | bits) : status;
}

/* Only 16 bits of each pointer are stored; a table that is not there is no error. */
static enum winc_status
read_mac(void)
{
	uint8_t table[8];
	uint32_t pointer;
	enum winc_status status = winc_read_register(REG_GP_2, &pointer);

	memset(mac, 0, sizeof mac);
	if (status != WINC_OK || pointer == 0) {
		return status;
	}
	status = winc_read_block(WINDOW | (pointer & 0xFFFF), table, sizeof table);
	if (status != WINC_OK || get_le16(table) == 0) {
		return status;
	}
	return winc_read_block(WINDOW | get_le16(table), mac, sizeof mac);
}

static enum winc_status
read_version(void)
{
	uint32_t word;
	enum winc_status status = winc_read_register(REG_VERSION, &word);

	if (status != WINC_OK) {
		return status;
	}
	version.major = (uint8_t)(word >> 8);
	version.minor = (uint8_t)(word >> 4 & 0x0F);
	version.patch = (uint8_t)(word & 0x0F);
	/* No version at all: the firmware in the chip's flash is not one that we can talk to. */
	return (word & 0xFFFF) != 0 ? read_mac() : WINC_FIRMWARE;
}

static enum winc_status
boot(void)
{
	enum winc_status status = wait_bootrom();

	if (status == WINC_OK) {
		status = start_firmware();
	}
	if (status == WINC_OK) {
		status = set_bits(REG_PIN_MUX_0, IRQ_PIN);
	}
	if (status == WINC_OK) {
		status = set_bits(REG_INTR_ENABLE, IRQ_ENABLE);
	}
	if (status == WINC_OK) {
		status = read_version();
	}
	booted = status == WINC_OK;
	return status;
}

/*
 * Only the two sides of the bus are put in step; the firmware and its
 * association live on. When the chip turns out to be fresh it is booted.
 */
static enum winc_status
resume(bool *lives_on)
{
	bool was_reset = false;
	enum winc_status status = find_chip(&was_reset);

	if (status != WINC_OK) {
		return status;
	}
	*lives_on = !was_reset;
	return was_reset ? boot() : WINC_OK;
}

enum winc_status
winc_chip_start(unsigned ladder, bool *lives_on)
{
	bool was_reset = false;
	enum winc_status status;

	*lives_on = false;
	if (ladder == 0 && booted) {
		return resume(lives_on);
	}
	booted = false;
	pulse_pins(ladder >= 2);
	status = find_chip(&was_reset);
	return status == WINC_OK ? boot() : status;
}

void
winc_chip_stop(void)
{
	booted = false;
	spi_select(false);
	winc_pin_reset(false);
	winc_pin_enable(false);
}

bool
winc_firmware_at_least(uint8_t major, uint8_t minor, uint8_t patch)
{
	unsigned have = (unsigned)version.major << 16 | version.minor << 8 | version.patch;

	return have >= ((unsigned)major << 16 | minor << 8 | patch);
}

void
winc_version(struct winc_version *out)
{
	*out = version;
}

void
winc_mac(uint8_t out[6])
{
	memcpy(out, mac, sizeof mac);
}
