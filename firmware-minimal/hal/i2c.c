/* SPDX-License-Identifier: BSD-2-Clause */
#include "hal/i2c.h"

#include "board/board.h"
#include "hal/hal_int.h"
#include "hal/time.h"

#define PIN_SDA 8
#define PIN_SCL 9
#define CTRLA_SETTINGS 0x00200014u /* master, hold time 300-600 ns */
#define BAUD_100_KHZ 232
#define COMMAND_READ 2
#define COMMAND_STOP 3
#define BYTE_MS 3 /* a byte takes 0.1 ms; the chip may stretch the clock */
#define PULLED_UP (PORT_PINCFG_INEN | PORT_PINCFG_PULLEN)

static void
bus_force_idle(void)
{
	SERCOM2->STATUS = SERCOM_I2C_STATUS_IDLE;
	sercom_wait_sync(SERCOM2, SERCOM_SYNCBUSY_SYSOP);
}

/* Disabling is the only way from a wrong "busy" to "unknown" and on to "idle" (3.6). */
static void
bus_restart(void)
{
	SERCOM2->CTRLA = CTRLA_SETTINGS;
	sercom_wait_sync(SERCOM2, SERCOM_SYNCBUSY_ENABLE);
	SERCOM2->CTRLA = CTRLA_SETTINGS | SERCOM_CTRLA_ENABLE;
	sercom_wait_sync(SERCOM2, SERCOM_SYNCBUSY_ENABLE);
	bus_force_idle();
}

static void
peripheral_start(void)
{
	sercom_reset(SERCOM2);
	SERCOM2->CTRLA = CTRLA_SETTINGS;
	SERCOM2->I2C_BAUD = BAUD_100_KHZ;
	pin_function_d(PORT_A, PIN_SDA, PULLED_UP);
	pin_function_d(PORT_A, PIN_SCL, PULLED_UP);
	bus_restart();
}

/* A line as open drain by hand: low drives, high lets the pull-up work. */
static void
line_set(unsigned pin, bool high)
{
	if (high) {
		PORT_A->DIRCLR = 1u << pin;
		PORT_A->OUTSET = 1u << pin;
	} else {
		PORT_A->OUTCLR = 1u << pin;
		PORT_A->DIRSET = 1u << pin;
	}
}

static bool
line_get(unsigned pin)
{
	return (PORT_A->IN & 1u << pin) != 0;
}

static void
lines_by_hand(void)
{
	line_set(PIN_SDA, true);
	line_set(PIN_SCL, true);
	PORT_A->PINCFG[PIN_SDA] = PULLED_UP;
	PORT_A->PINCFG[PIN_SCL] = PULLED_UP;
}

void
i2c_init(void)
{
	clock_peripheral(PM_APBCMASK_SERCOM2, GCLK_ID_SERCOM2);
	lines_by_hand();
	time_wait_us(10);
	if (line_get(PIN_SDA)) {
		peripheral_start();
	} else {
		i2c_recover();
	}
}

/* One of those flags, or why not. */
static enum i2c_status
wait_flags(uint8_t flags)
{
	struct deadline d = deadline_in(BYTE_MS);

	for (;;) {
		uint8_t now = SERCOM2->INTFLAG;

		if ((SERCOM2->STATUS & (SERCOM_I2C_STATUS_BUSERR | SERCOM_I2C_STATUS_ARBLOST)) != 0 ||
		    (now & SERCOM_I2C_INTFLAG_ERROR) != 0) {
			return I2C_BUS;
		}
		if ((now & flags) != 0) {
			return I2C_OK;
		}
		if (deadline_over(&d)) {
			return I2C_TIMEOUT;
		}
	}
}

static void
stop(bool nack)
{
	SERCOM2->CTRLB = SERCOM_I2C_CTRLB_CMD(COMMAND_STOP) | (nack ? SERCOM_I2C_CTRLB_NACK : 0);
	sercom_wait_sync(SERCOM2, SERCOM_SYNCBUSY_SYSOP);
}

/* What went wrong on the bus leaves the peripheral in no known state. */
static enum i2c_status
failed(enum i2c_status status)
{
	if (status == I2C_BUS || status == I2C_TIMEOUT) {
		peripheral_start();
	}
	return status;
}

static enum i2c_status
address_bus(uint8_t address_byte)
{
	enum i2c_status status;

	if ((SERCOM2->STATUS & SERCOM_I2C_STATUS_BUSSTATE) != SERCOM_I2C_STATUS_IDLE) {
		bus_restart();
		if (!line_get(PIN_SDA) || !line_get(PIN_SCL)) {
			return I2C_BUS;
		}
	}
	SERCOM2->ADDR = address_byte;
	status = wait_flags(SERCOM_I2C_INTFLAG_MB | SERCOM_I2C_INTFLAG_SB);
	if (status != I2C_OK) {
		return status;
	}
	if ((SERCOM2->INTFLAG & SERCOM_I2C_INTFLAG_MB) != 0 &&
	    (SERCOM2->STATUS & SERCOM_I2C_STATUS_RXNACK) != 0) {
		stop(false);
		return I2C_NACK_ADDRESS;
	}
	return I2C_OK;
}

enum i2c_status
i2c_write(uint8_t address, const uint8_t *data, size_t n)
{
	enum i2c_status status = address_bus((uint8_t)(address << 1));

	for (size_t i = 0; status == I2C_OK && i < n; i++) {
		SERCOM2->I2C_DATA = data[i];
		status = wait_flags(SERCOM_I2C_INTFLAG_MB);
		if (status == I2C_OK && (SERCOM2->STATUS & SERCOM_I2C_STATUS_RXNACK) != 0) {
			stop(false);
			return I2C_NACK_DATA;
		}
	}
	if (status == I2C_OK) {
		stop(false);
	}
	return failed(status);
}

/* The clock is held before each acknowledge: take the byte first, then say which. */
enum i2c_status
i2c_read(uint8_t address, uint8_t *data, size_t n)
{
	enum i2c_status status = address_bus((uint8_t)(address << 1 | 1));

	for (size_t i = 0; status == I2C_OK && i < n; i++) {
		status = wait_flags(SERCOM_I2C_INTFLAG_SB);
		if (status != I2C_OK) {
			break;
		}
		data[i] = SERCOM2->I2C_DATA;
		if (i + 1 < n) {
			SERCOM2->CTRLB = SERCOM_I2C_CTRLB_CMD(COMMAND_READ);
			sercom_wait_sync(SERCOM2, SERCOM_SYNCBUSY_SYSOP);
		}
	}
	if (status == I2C_OK) {
		stop(true);
	}
	return failed(status);
}

void
i2c_wake_pulse(uint32_t us)
{
	PORT_A->PINCFG[PIN_SDA] = PULLED_UP;
	line_set(PIN_SDA, false);
	time_wait_us(us);
	line_set(PIN_SDA, true);
	time_wait_us(5);
	pin_function_d(PORT_A, PIN_SDA, PULLED_UP);
	bus_restart(); /* it may have taken the pulse for a START */
}

enum i2c_status
i2c_recover(void)
{
	bool released;

	lines_by_hand();
	for (unsigned n = 0; n < 9; n++) {
		line_set(PIN_SCL, false);
		time_wait_us(5);
		line_set(PIN_SCL, true);
		time_wait_us(5);
	}
	line_set(PIN_SCL, false);
	time_wait_us(5);
	line_set(PIN_SDA, false);
	time_wait_us(5);
	line_set(PIN_SCL, true);
	time_wait_us(5);
	line_set(PIN_SDA, true);
	time_wait_us(5);
	released = line_get(PIN_SDA) && line_get(PIN_SCL);
	peripheral_start();
	return released ? I2C_OK : I2C_BUS;
}
