/* SPDX-License-Identifier: BSD-2-Clause */
/* The peripherals, driven through their registers as a program would. */
#include <stdlib.h>
#include <string.h>

#include "emulator_rig.h"
#include "unit/cmocka_all.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

#define NVM 0x41004000u
#define PM 0x40000400u
#define SYSCTRL 0x40000800u
#define GCLK 0x40000C00u
#define WDT 0x40001000u
#define RTC 0x40001400u
#define EIC 0x40001800u
#define PORT 0x41004400u
#define SERCOM2 0x42001000u
#define SERCOM4 0x42001800u
#define SERCOM5 0x42001C00u

static struct rig *
rig_of(void **state)
{
	return *state;
}

static int
set_up(void **state)
{
	struct rig *rig = malloc(sizeof *rig);

	if (rig == NULL) {
		return -1;
	}
	rig_init(rig);
	rig_soc(rig, (struct soc_config){ .serial_number = { 1, 2, 3, 4 }, .die_centi = 3000 });
	*state = rig;
	return 0;
}

static int
tear_down(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

static uint32_t
r(struct rig *rig, uint32_t address, unsigned bits)
{
	return soc_read(rig->soc, address, bits / 8);
}

static void
w(struct rig *rig, uint32_t address, unsigned bits, uint32_t value)
{
	soc_write(rig->soc, address, bits / 8, value);
}

/* Sequence A of the sheet (2.3), with the waits. */
static void
to_48_mhz(struct rig *rig)
{
	w(rig, NVM + 4, 32, 0x82);
	w(rig, SYSCTRL + 0x24, 16, 0x0002);
	rig_wait(rig, 2 * US);
	w(rig, SYSCTRL + 0x28, 32, 32 << 10 | 0x1FF);
	rig_wait(rig, 2 * US);
	w(rig, SYSCTRL + 0x24, 16, 0x0002);
	rig_wait(rig, 2 * US);
	w(rig, GCLK + 8, 32, 0);
	rig_wait(rig, 2 * US);
	w(rig, GCLK + 4, 32, 0x00030700);
	rig_wait(rig, 2 * US);
}

static void
clock_to(struct rig *rig, uint32_t apbc, uint16_t clkctrl)
{
	w(rig, PM + 0x20, 32, r(rig, PM + 0x20, 32) | apbc);
	w(rig, GCLK + 2, 16, clkctrl);
	rig_wait(rig, 2 * US);
}

/* ---- the bus ---- */

static void
only_documented_accesses(void **state)
{
	static const struct {
		uint32_t address, value;
		uint8_t bits;
		bool write;
		const char *sentence;
	} table[] = {
		{ 0x41004800, 0, 32, false, "where there is nothing" },         /* DMAC */
		{ 0x41005000, 0, 8, false, "where there is nothing" },          /* USB */
		{ NVM + 0x24, 0, 32, false, "no documented register" },
		{ NVM + 0x04, 0, 16, false, "NVMCTRL.CTRLB with 16 bits" },
		{ NVM + 0x08, 0, 32, true, "NVMCTRL.PARAM, which is read only" },
		{ NVM + 0x04, 0x200082, 32, true, "reserved bits (0x200000)" },
		{ PORT + 0x28, 0, 32, false, "WRCONFIG, which is write only" },
		{ PORT + 0x30, 0, 16, true, "with 16 bits" },
		{ 0xE000E400, 0, 8, true, "NVIC_IPR with 8 bits" },
		{ 0xE000ED0C, 0x12340004, 32, true, "without its key" },
		{ 0x00804000, 0, 32, true, "read only" },
		{ WDT + 0x08, 0, 8, false, "write only" },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].write) {
			w(rig_of(state), table[i].address, table[i].bits, table[i].value);
		} else {
			r(rig_of(state), table[i].address, table[i].bits);
		}
		rig_expect(rig_of(state), table[i].sentence);
	}
}

static void
identity_is_the_sheets(void **state)
{
	struct rig *rig = rig_of(state);

	assert_int_equal(r(rig, 0xE000ED00, 32), 0x410CC601);
	assert_int_equal(r(rig, 0x41002018, 32), 0x10010305);
	assert_int_equal(r(rig, NVM + 8, 32), 0x00031000);
	assert_int_equal(r(rig, 0x00804000, 32), 0xD8E0C7FF);
	assert_int_equal(r(rig, 0x00804004, 32), 0xFFFFFC5D);
	assert_int_equal(r(rig, 0x00806024, 32), 0x81F4B01D);
	assert_int_equal(r(rig, 0x0080A00C, 32), 1);
	assert_int_equal(r(rig, 0x0080A040, 32), 2);
	assert_int_equal(r(rig, 0x0080A048, 32), 4);
	assert_int_equal(r(rig, PM + 0x38, 8), 1);
	assert_int_equal(r(rig, 0xE000ED14, 32), 0x208);
	rig_clean(rig);
}

/* ---- clocks ---- */

static void
open_loop_gives_48_mhz(void **state)
{
	struct rig *rig = rig_of(state);

	assert_int_equal(soc_hertz(rig->soc), 1000000);
	to_48_mhz(rig);
	assert_int_equal(soc_hertz(rig->soc), 48000000);
	rig_clean(rig);
}

static void
the_crystal_takes_its_time(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, SYSCTRL + 0x14, 16, 0x040C);
	w(rig, SYSCTRL + 0x14, 16, 0x040E);
	rig_wait(rig, 499 * MS);
	assert_int_equal(r(rig, SYSCTRL + 0x0C, 32) & 2, 0);
	rig_wait(rig, 2 * MS);
	assert_int_equal(r(rig, SYSCTRL + 0x0C, 32) & 2, 2);
	rig_clean(rig);
}

static void
clocks_want_their_order(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, SYSCTRL + 0x28, 32, 0);
	rig_expect(rig, "ONDEMAND");
	rig_wait(rig, 2 * US);
	w(rig, SYSCTRL + 0x24, 16, 2);
	w(rig, SYSCTRL + 0x28, 32, 0);
	rig_expect(rig, "before PCLKSR.DFLLRDY");
	rig_wait(rig, 2 * US);
	w(rig, GCLK + 4, 32, 0x00030700);
	rig_expect(rig, "no flash wait state");
	w(rig, GCLK + 2, 16, 0x4019);
	rig_expect(rig, "STATUS.SYNCBUSY");
	rig_wait(rig, 2 * US);
	w(rig, SYSCTRL + 0x20, 32, 0x00070082);
	rig_expect(rig, "calibration");
}

/* ---- flash ---- */

static void
erase(struct rig *rig, uint32_t at)
{
	w(rig, NVM + 0x1C, 32, at / 2);
	w(rig, NVM, 16, 0xA502);
}

static void
fill_page(struct rig *rig, uint32_t at, uint32_t value)
{
	for (uint32_t i = 0; i < 64; i += 4) {
		soc_store_flash(rig->soc, at + i, 4, value);
	}
}

static void
a_row_is_erased_and_a_page_written(void **state)
{
	struct rig *rig = rig_of(state);

	memset(rig->flash + 0x3F000, 0, 512);
	w(rig, NVM + 4, 32, 0x82);
	erase(rig, 0x3F000);
	assert_int_equal(soc_take_stall(rig->soc), 6 * MS);
	assert_int_equal(soc_take_stall(rig->soc), 0);
	assert_int_equal(rig->flash[0x3F0FF], 0xFF);
	assert_int_equal(rig->flash[0x3F100], 0x00);
	fill_page(rig, 0x3F040, 0x11223344);
	assert_int_equal(rig->flash[0x3F040], 0xFF); /* still in the buffer */
	assert_int_equal(r(rig, NVM + 0x1C, 32), 0x3F07C / 2);
	w(rig, NVM, 16, 0xA504);
	assert_int_equal(soc_take_stall(rig->soc), 5 * MS / 2);
	assert_int_equal(rig->flash[0x3F040], 0x44);
	assert_int_equal(rig->flash[0x3F07F], 0x11);
	rig_clean(rig);
}

static void
the_flash_refuses(void **state)
{
	struct rig *rig = rig_of(state);

	soc_store_flash(rig->soc, 0x3F000, 4, 0);
	rig_expect(rig, "MANW");
	w(rig, NVM + 4, 32, 0x82);
	soc_store_flash(rig->soc, 0x3F000, 1, 0);
	rig_expect(rig, "8-bit store");
	w(rig, NVM, 16, 0xA504);
	rig_expect(rig, "the boot loader is there");
	w(rig, NVM + 0x1C, 32, 0x3F000 / 2);
	w(rig, NVM, 16, 0xA504);
	rig_expect(rig, "not filled");
	w(rig, NVM, 16, 0x0002);
	rig_expect(rig, "without its key");
	w(rig, NVM, 16, 0xA505);
	rig_expect(rig, "user row");
	w(rig, NVM, 16, 0xA545);
	rig_expect(rig, "security bit");
	erase(rig, 0x1F00);
	rig_expect(rig, "boot loader");
	assert_int_equal(r(rig, NVM + 0x18, 16) & 8, 8);
	assert_int_equal(r(rig, NVM + 0x14, 8), 3);
	soc_store_flash(rig->soc, 0x100, 4, 0);
	rig_expect(rig, "boot loader");
}

static void
what_is_zero_stays_zero(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, NVM + 4, 32, 0x82);
	rig->flash[0x3F002] = 0x0F;
	fill_page(rig, 0x3F000, 0xFFF0FFFF);
	w(rig, NVM, 16, 0xA504);
	rig_expect(rig, "byte 2 holds 0x0F and cannot become 0xF0 without an erase");
	fill_page(rig, 0x3F100, 0xFFFFFFFF);
	soc_store_flash(rig->soc, 0x3F140, 4, 0);
	rig_expect(rig, "while the page buffer holds");
}

static void
a_row_takes_eight_writes(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, NVM + 4, 32, 0x82);
	for (unsigned i = 0; i < 8; i++) {
		fill_page(rig, 0x3F000 + 64 * (i % 4), 0);
		w(rig, NVM, 16, 0xA504);
		rig_clean(rig);
	}
	fill_page(rig, 0x3F000, 0);
	w(rig, NVM, 16, 0xA504);
	rig_expect(rig, "more than 8 page writes");
	erase(rig, 0x3F000);
	fill_page(rig, 0x3F000, 0);
	w(rig, NVM, 16, 0xA504);
	rig_clean(rig);
}

/* ---- serial modules ---- */

static void
console(struct rig *rig)
{
	to_48_mhz(rig);
	clock_to(rig, 0x80, 0x4019);
	w(rig, PORT + 0xBB, 8, 0x33);
	w(rig, PORT + 0xD6, 8, 1);
	w(rig, PORT + 0xD7, 8, 1);
	w(rig, SERCOM5, 32, 1);
	rig_wait(rig, 2 * US);
	w(rig, SERCOM5, 32, 0x40312004);
	w(rig, SERCOM5 + 4, 32, 0x30000); /* not enabled yet: nothing to wait for */
	w(rig, SERCOM5 + 0x0C, 16, 0x1A);
	w(rig, SERCOM5, 32, 0x40312006);
	rig_wait(rig, 2 * US);
}

static void
the_console_sends_at_its_rate(void **state)
{
	struct rig *rig = rig_of(state);

	console(rig);
	assert_int_equal(r(rig, SERCOM5 + 0x18, 8) & 1, 1);
	w(rig, SERCOM5 + 0x28, 8, 'a');
	w(rig, SERCOM5 + 0x28, 8, 'b');
	assert_int_equal(r(rig, SERCOM5 + 0x18, 8) & 1, 0);
	rig_wait(rig, 86 * US); /* 10 bits at 115200 are 86.8 us */
	assert_string_equal(rig->serial, "");
	rig_wait(rig, US);
	assert_string_equal(rig->serial, "a");
	rig_wait(rig, 87 * US);
	assert_string_equal(rig->serial, "ab");
	assert_int_equal(r(rig, SERCOM5 + 0x18, 8) & 3, 3);
	rig_clean(rig);
	w(rig, SERCOM5 + 0x28, 8, 'c');
	w(rig, SERCOM5 + 0x28, 8, 'd');
	w(rig, SERCOM5 + 0x28, 8, 'e');
	rig_expect(rig, "DRE is 0");
}

static void
the_console_receives_two_bytes(void **state)
{
	struct rig *rig = rig_of(state);

	console(rig);
	soc_serial_input(rig->soc, 'x');
	soc_serial_input(rig->soc, 'y');
	soc_serial_input(rig->soc, 'z');
	assert_int_equal(r(rig, SERCOM5 + 0x1A, 16), 4);
	assert_int_equal(r(rig, SERCOM5 + 0x28, 8), 'x');
	assert_int_equal(r(rig, SERCOM5 + 0x28, 8), 'y');
	assert_int_equal(r(rig, SERCOM5 + 0x18, 8) & 4, 0);
	rig_clean(rig);
}

static void
serial_modules_want_their_order(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, SERCOM5, 32, 1);
	rig_expect(rig, "bus clock is masked");
	w(rig, PM + 0x20, 32, 0x10000 | 0x80);
	w(rig, SERCOM5, 32, 1);
	assert_int_equal(r(rig, SERCOM5 + 0x1C, 32), 1);
	w(rig, SERCOM5, 32, 0x40312004);
	rig_expect(rig, "was not waited for");
	rig_wait(rig, 2 * US);
	assert_int_equal(r(rig, SERCOM5 + 0x1C, 32), 0); /* a reset needs no generic clock */
	w(rig, SERCOM5, 32, 0x40312006);
	rig_expect(rig, "generic clock");
	rig_wait(rig, MS);
	assert_int_equal(r(rig, SERCOM5 + 0x1C, 32), 2); /* all else waits for it for ever */
	to_48_mhz(rig);
	clock_to(rig, 0, 0x4019);
	w(rig, SERCOM5, 32, 1);
	w(rig, SERCOM5 + 4, 32, 0x30000);
	rig_expect(rig, "SERCOM5.CTRLB written while SYNCBUSY is 0x1");
	rig_wait(rig, 2 * US);
	w(rig, SERCOM5, 32, 0x40312006);
	rig_expect(rig, "TX (PB22)");
	rig_wait(rig, 2 * US);
	w(rig, SERCOM5 + 0x0C, 16, 1);
	rig_expect(rig, "BAUD is enable-protected");
	w(rig, SERCOM5 + 4, 32, 0);
	rig_wait(rig, 2 * US);
	w(rig, SERCOM5 + 0x28, 8, 1);
	rig_expect(rig, "without CTRLB.TXEN");
}

static void
radio_bus(struct rig *rig)
{
	to_48_mhz(rig);
	clock_to(rig, 0x40, 0x4018);
	w(rig, PORT + 0x36, 8, 0x33);
	w(rig, PORT + 0x37, 8, 0x30);
	w(rig, PORT + 0x4C, 8, 1);
	w(rig, PORT + 0x4D, 8, 1);
	w(rig, PORT + 0x4F, 8, 1);
	w(rig, SERCOM4, 32, 1);
	rig_wait(rig, 2 * US);
	w(rig, SERCOM4, 32, 0x0030000C);
	w(rig, SERCOM4 + 4, 32, 0x20000);
	rig_wait(rig, 2 * US);
	w(rig, SERCOM4 + 0x0C, 8, 1);
	w(rig, SERCOM4, 32, 0x0030000E);
	rig_wait(rig, 2 * US);
}

static void
spi_takes_its_time(void **state)
{
	struct rig *rig = rig_of(state);

	radio_bus(rig);
	w(rig, SERCOM4 + 0x28, 32, 0xAA);
	rig_expect(rig, "in reset (RESET_N low)");
	w(rig, PORT + 0x18, 32, 1u << 27 | 1u << 28 | 1u << 14);
	w(rig, PORT + 0x08, 32, 1u << 27 | 1u << 28 | 1u << 14);
	w(rig, SERCOM4 + 0x28, 32, 0xAA);
	assert_int_equal(r(rig, SERCOM4 + 0x18, 8) & 5, 1); /* DRE at once, RXC later */
	rig_wait(rig, 660);
	assert_int_equal(r(rig, SERCOM4 + 0x18, 8) & 4, 0);
	rig_wait(rig, 10); /* 8 bits at 12 MHz: 667 ns */
	assert_int_equal(r(rig, SERCOM4 + 0x18, 8) & 4, 4);
	assert_int_equal(r(rig, SERCOM4 + 0x28, 32), 0xFF);
	rig_clean(rig);
	r(rig, SERCOM4 + 0x28, 32);
	rig_expect(rig, "RXC is 0");
}

static void
spi_overflows_loudly(void **state)
{
	struct rig *rig = rig_of(state);

	radio_bus(rig);
	w(rig, PORT + 0x18, 32, 1u << 27 | 1u << 28 | 1u << 14);
	w(rig, PORT + 0x08, 32, 1u << 27 | 1u << 28 | 1u << 14);
	for (unsigned i = 0; i < 3; i++) {
		rig_clean(rig);
		w(rig, SERCOM4 + 0x28, 32, i);
		rig_wait(rig, US);
	}
	rig_expect(rig, "two were unread");
}

static void
key_store_bus(struct rig *rig)
{
	to_48_mhz(rig);
	clock_to(rig, 0x10, 0x4016);
	w(rig, PORT + 0x34, 8, 0x33);
	w(rig, PORT + 0x48, 8, 1);
	w(rig, PORT + 0x49, 8, 1);
	w(rig, SERCOM2, 32, 1);
	rig_wait(rig, 2 * US);
	w(rig, SERCOM2, 32, 0x14);
	w(rig, SERCOM2 + 0x0C, 32, 232);
	w(rig, SERCOM2, 32, 0x16);
	rig_wait(rig, 2 * US);
}

static void
i2c_finds_nobody(void **state)
{
	struct rig *rig = rig_of(state);
	bool waits;

	key_store_bus(rig);
	assert_int_equal(r(rig, SERCOM2 + 0x1A, 16), 0);
	w(rig, SERCOM2 + 0x24, 32, 0xC0);
	rig_expect(rig, "bus state is unknown");
	assert_int_equal(r(rig, SERCOM2 + 0x18, 8) & 1, 1);
	w(rig, SERCOM2 + 0x18, 8, 1);
	w(rig, SERCOM2 + 0x1A, 16, 0x10);
	rig_wait(rig, 2 * US);
	assert_int_equal(r(rig, SERCOM2 + 0x1A, 16) >> 4 & 3, 1);
	w(rig, SERCOM2 + 0x24, 32, 0xC0);
	rig_wait(rig, 90 * US);
	assert_int_equal(r(rig, SERCOM2 + 0x18, 8), 0);
	rig_wait(rig, 20 * US); /* ten bits at 100 kHz */
	assert_int_equal(r(rig, SERCOM2 + 0x18, 8), 1);
	assert_int_equal(r(rig, SERCOM2 + 0x1A, 16) & 0x34, 0x24);
	w(rig, SERCOM2 + 4, 32, 1 << 18); /* ACKACT alone needs no wait */
	assert_int_equal(soc_next_ns(rig->soc, &waits), SOC_NEVER);
	w(rig, SERCOM2 + 4, 32, 1 << 18 | 3 << 16);
	/* The end of the STOP is the chip's beginning, whoever looks. */
	assert_in_range(soc_next_ns(rig->soc, &waits) - rig->world.now_ns, 1, 30 * US);
	rig_wait(rig, 50 * US);
	assert_int_equal(r(rig, SERCOM2 + 0x1A, 16) >> 4 & 3, 1);
	rig_clean(rig);
	w(rig, SERCOM2 + 0x28, 8, 1);
	rig_expect(rig, "does not hold the bus");
}

/* ---- timers ---- */

static void
slow_clock_for(struct rig *rig, uint16_t clkctrl)
{
	w(rig, GCLK + 8, 32, 0x00000402);
	rig_wait(rig, 2 * US);
	w(rig, GCLK + 4, 32, 0x00110302);
	rig_wait(rig, 2 * US);
	w(rig, GCLK + 2, 16, clkctrl);
	rig_wait(rig, 2 * US);
}

static void
the_watchdog_bites(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, WDT, 8, 2);
	rig_expect(rig, "without its generic clock");
	slow_clock_for(rig, 0x4203);
	w(rig, WDT + 1, 8, 0x09);
	w(rig, WDT, 8, 2);
	rig_wait(rig, 3990 * MS);
	assert_int_equal(soc_take_reset(rig->soc), SOC_RUNNING);
	w(rig, WDT + 8, 8, 0xA5);
	w(rig, WDT + 8, 8, 0xA5);
	rig_expect(rig, "STATUS.SYNCBUSY");
	rig_wait(rig, 3990 * MS);
	assert_int_equal(soc_take_reset(rig->soc), SOC_RUNNING);
	rig_wait(rig, 20 * MS);
	assert_int_equal(soc_take_reset(rig->soc), SOC_WATCHDOG);
	rig_clean(rig);
}

static void
the_counter_survives_a_system_reset(void **state)
{
	struct rig *rig = rig_of(state);

	slow_clock_for(rig, 0x4204);
	w(rig, RTC, 16, 2);
	rig_wait(rig, 10 * MS);
	assert_int_equal(r(rig, RTC + 0x0A, 8), 0);
	rig_wait(rig, 990 * MS);
	soc_reset(rig->soc, SOC_SYSTEM);
	rig_wait(rig, 1000 * MS);
	w(rig, RTC + 2, 16, 0x8010);
	rig_wait(rig, 10 * MS);
	assert_in_range(r(rig, RTC + 0x10, 32), 2046, 2050);
	rig_clean(rig);
	soc_reset(rig->soc, SOC_POWER_ON);
	assert_int_equal(r(rig, RTC, 16), 0);
}

static void
systick_counts_down(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, 0xE000E014, 32, 999);
	w(rig, 0xE000E018, 32, 0);
	w(rig, 0xE000E010, 32, 7);
	rig_wait(rig, 400 * US);
	assert_int_equal(r(rig, 0xE000E018, 32), 600);
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 0);
	rig_wait(rig, 600 * US);
	assert_int_equal(r(rig, 0xE000E018, 32), 0); /* never more than it is loaded with */
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 15);
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, true), 0);
	assert_true(soc_wakes(rig->soc));
	assert_int_equal(r(rig, 0xE000E010, 32) >> 16 & 1, 1);
	assert_int_equal(r(rig, 0xE000E010, 32) >> 16 & 1, 0);
	soc_exception_entered(rig->soc, 15);
	rig_wait(rig, 10000 * US); /* ten of them are lost but one */
	soc_exception_left(rig->soc, 15);
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 15);
	soc_exception_entered(rig->soc, 15);
	soc_exception_left(rig->soc, 15);
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 0);
	rig_clean(rig);
}

static void
priorities_decide(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, 0xE000E100, 32, 1u << 4 | 1u << 14);
	w(rig, 0xE000E200, 32, 1u << 4 | 1u << 14);
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 16 + 4);
	w(rig, 0xE000E404, 32, 0x40); /* line 4: priority 1 */
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 16 + 14);
	soc_exception_entered(rig->soc, 16 + 14);
	assert_int_equal(soc_exception(rig->soc, soc_priority(rig->soc, 16 + 14), false), 0);
	soc_exception_left(rig->soc, 16 + 14);
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 16 + 4);
	w(rig, 0xE000ED04, 32, 1u << 26);
	assert_int_equal(soc_exception(rig->soc, SOC_PRIORITY_THREAD, false), 15);
	rig_clean(rig);
}

/* ---- pins ---- */

static void
pins_reach_the_board(void **state)
{
	struct rig *rig = rig_of(state);

	w(rig, PORT + 0x08, 32, 1u << 20);
	assert_false(rig->led);
	w(rig, 0x60000018, 32, 1u << 20);
	assert_true(rig->led);
	w(rig, PORT + 0x1C, 32, 1u << 20);
	assert_false(rig->led);
	assert_int_equal(r(rig, PORT + 0x20, 32), 0); /* INEN is 0 everywhere */
	w(rig, PORT + 0x4A, 8, 2);
	assert_int_equal(r(rig, PORT + 0x20, 32), 1u << 10); /* nobody pulls the one-wire bus low */
	w(rig, PORT + 0x08, 32, 1u << 10);
	assert_int_equal(r(rig, PORT + 0x20, 32), 0);
	rig_clean(rig);
	w(rig, PORT + 0x18, 32, 1u << 10);
	rig_expect(rig, "drives the one-wire bus high");
	r(rig, 0x60000020, 32);
	rig_expect(rig, "continuous sampling");
}

static void
the_adc_reads_the_chips_temperature(void **state)
{
	struct rig *rig = rig_of(state);
	uint32_t high = r(rig, 0x00806034, 32);
	long room = high >> 8 & 0xFFF;
	long hot = high >> 20;

	clock_to(rig, 0, 0x401E);
	w(rig, SYSCTRL + 0x40, 32, 2);
	w(rig, 0x42004010, 32, 0x1818);
	rig_wait(rig, 2 * US);
	w(rig, 0x42004000, 8, 2);
	rig_wait(rig, 2 * US);
	w(rig, 0x4200400C, 8, 2);
	rig_wait(rig, MS);
	assert_int_equal(r(rig, 0x42004018, 8), 1);
	assert_in_range(2500 + 6000 * ((long)r(rig, 0x4200401A, 16) - room) / (hot - room), 2990, 3000);
	rig_clean(rig);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(only_documented_accesses),
		TEST(identity_is_the_sheets),
		TEST(open_loop_gives_48_mhz),
		TEST(the_crystal_takes_its_time),
		TEST(clocks_want_their_order),
		TEST(a_row_is_erased_and_a_page_written),
		TEST(the_flash_refuses),
		TEST(what_is_zero_stays_zero),
		TEST(a_row_takes_eight_writes),
		TEST(the_console_sends_at_its_rate),
		TEST(the_console_receives_two_bytes),
		TEST(serial_modules_want_their_order),
		TEST(spi_takes_its_time),
		TEST(spi_overflows_loudly),
		TEST(i2c_finds_nobody),
		TEST(the_watchdog_bites),
		TEST(the_counter_survives_a_system_reset),
		TEST(systick_counts_down),
		TEST(priorities_decide),
		TEST(pins_reach_the_board),
		TEST(the_adc_reads_the_chips_temperature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
