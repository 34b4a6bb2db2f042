/* SPDX-License-Identifier: BSD-2-Clause */
/* SERCOM2 as I2C master: bus states and flags of samd21 3.6, driving the ATECC model. */
#include "emulator/soc_int.h"

enum { MB = 1, SB = 2, ERROR = 0x80 };
enum { ST_BUSERR = 1, ST_ARBLOST = 2, ST_RXNACK = 4, ST_LOWTOUT = 0x40, ST_CLKHOLD = 0x80,
       ST_CLEARABLE = 0x743 };
enum { CMD_NONE, CMD_RESTART, CMD_READ, CMD_STOP };

static uint64_t
bits_ns(const struct soc *soc, unsigned n, unsigned bits)
{
	const struct sercom *s = &soc->sercom[n];
	uint64_t hz = sercom_hertz(soc, n);

	/* 3.6: period = 10 + 2*BAUD cycles + the rise time */
	return hz == 0 ? 1000000 : bits * (((10 + 2 * (uint64_t)(s->baud & 0xFF)) * 1000000000) / hz + 125);
}

static void
begin(struct soc *soc, unsigned n, int what, unsigned bits)
{
	struct sercom *s = &soc->sercom[n];

	s->intflag &= (uint8_t)~(MB | SB);
	s->doing = what;
	s->due = soc->world->now_ns + bits_ns(soc, n, bits);
}

uint32_t
i2c_status(const struct soc *soc, unsigned n)
{
	const struct sercom *s = &soc->sercom[n];
	bool hold = (s->intflag & (MB | SB)) != 0 && s->bus == I2C_OWNER;

	return s->status | (uint32_t)s->bus << 4 | (hold ? ST_CLKHOLD : 0);
}

void
i2c_write_status(struct soc *soc, unsigned n, uint32_t value)
{
	struct sercom *s = &soc->sercom[n];

	sercom_synced(soc, n, "STATUS");
	s->status &= (uint16_t)~(value & ST_CLEARABLE);
	if ((value >> 4 & 3) == 1) {
		if ((s->ctrla & 2) == 0) {
			world_violation(soc->world, "SERCOM2.STATUS.BUSSTATE written while not enabled");
			return;
		}
		if (s->bus == I2C_UNKNOWN) {
			s->bus = I2C_IDLE;
		}
		sercom_sync(soc, n, 4);
	}
}

static bool
line_stuck(struct soc *soc)
{
	return (soc->config.atecc != NULL && atecc_model_sda_stuck(soc->config.atecc)) ||
	       fault_hits(soc->config.faults, "i2c.stuck");
}

void
i2c_write_address(struct soc *soc, unsigned n, uint32_t value)
{
	struct sercom *s = &soc->sercom[n];

	if ((s->ctrla & 2) == 0) {
		world_violation(soc->world, "SERCOM2.ADDR written while not enabled");
		return;
	}
	sercom_synced(soc, n, "ADDR");
	s->status &= (uint16_t)~(ST_BUSERR | ST_ARBLOST | ST_LOWTOUT);
	s->address = (uint16_t)value;
	if (s->bus == I2C_UNKNOWN) {
		s->intflag |= MB;
		s->status |= ST_BUSERR;
		world_violation(soc->world, "SERCOM2.ADDR written while the bus state is unknown");
		return;
	}
	if (s->doing != I2C_NONE) {
		world_violation(soc->world, "SERCOM2.ADDR written while a transfer is under way");
	}
	s->intflag &= (uint8_t)~(MB | SB);
	if (s->bus == I2C_BUSY || line_stuck(soc)) {
		s->bus = I2C_BUSY; /* waits for ever: the firmware's time-out path */
		return;
	}
	begin(soc, n, I2C_ADDRESS, 10);
}

static void
need_owner(struct soc *soc, unsigned n, const char *what, unsigned flag)
{
	struct sercom *s = &soc->sercom[n];

	if (s->bus != I2C_OWNER || (s->intflag & flag) == 0) {
		world_violation(soc->world, "SERCOM2: %s while the master does not hold the bus with %s set",
		                what, flag == MB ? "MB" : flag == SB ? "SB" : "MB or SB");
	}
}

void
i2c_write_data(struct soc *soc, unsigned n, uint32_t value)
{
	need_owner(soc, n, "DATA written", MB);
	if (soc->sercom[n].reading) {
		world_violation(soc->world, "SERCOM2.DATA written in a read transfer");
	}
	soc->sercom[n].data = (uint8_t)value;
	begin(soc, n, I2C_WRITE, 9);
}

uint8_t
i2c_read_data(struct soc *soc, unsigned n)
{
	struct sercom *s = &soc->sercom[n];

	need_owner(soc, n, "DATA read", SB);
	return s->data;
}

/* In the order of the bus: the acknowledge belongs to the byte that was read. */
void
i2c_write_ctrlb(struct soc *soc, unsigned n, uint32_t value)
{
	struct sercom *s = &soc->sercom[n];
	unsigned cmd = value >> 16 & 3;

	sercom_synced(soc, n, "CTRLB");
	if ((s->ctrla & 2) != 0 && ((value ^ s->ctrlb) & 0x300) != 0) {
		world_violation(soc->world, "SERCOM2.CTRLB is enable-protected, but was changed while enabled");
	}
	s->ctrlb = value & ~UINT32_C(0x30000);
	if (cmd == CMD_NONE) {
		return; /* ACKACT is not synchronised */
	}
	sercom_sync(soc, n, 4);
	if (s->bus == I2C_BUSY && (s->status & ST_ARBLOST) != 0) {
		return;
	}
	need_owner(soc, n, "CTRLB.CMD", MB | SB);
	if (cmd == CMD_READ) {
		if (!s->reading || (value >> 18 & 1) != 0) {
			world_violation(soc->world, "SERCOM2: CMD 2 %s", s->reading ? "after a refusal (ACKACT 1)"
			                                                            : "in a write transfer");
		}
		s->acked = true;
		begin(soc, n, I2C_READ, 9);
	} else if (cmd == CMD_STOP) {
		if (s->reading && s->addressed && (value >> 18 & 1) == 0) {
			world_violation(soc->world, "SERCOM2: STOP after a read without refusing the last byte "
			                            "(ACKACT 0): the chip goes on driving SDA");
		}
		begin(soc, n, I2C_STOP, 2);
	} else {
		world_violation(soc->world, "SERCOM2: CMD 1; a repeated start is a write to ADDR");
	}
}

static uint8_t
next_byte(struct soc *soc)
{
	/* The model is asked when the byte is clocked in; whether it is acknowledged comes later. */
	return soc->config.atecc == NULL ? 0xFF : atecc_model_read(soc->config.atecc, true);
}

static void
address_done(struct soc *soc, unsigned n)
{
	struct sercom *s = &soc->sercom[n];
	struct atecc_model *chip = soc->config.atecc;
	uint8_t byte = (uint8_t)s->address;

	s->bus = I2C_OWNER;
	s->reading = (byte & 1) != 0;
	if (fault_hits(soc->config.faults, "i2c.arbitration")) {
		s->bus = I2C_BUSY;
		s->status |= ST_ARBLOST;
		s->intflag |= MB | ERROR;
		return;
	}
	if (chip != NULL && byte == 0) {
		atecc_model_sda_low(chip, bits_ns(soc, n, 17) / 2);
	}
	s->addressed = chip != NULL && atecc_model_start(chip, byte);
	if (!s->addressed) {
		s->status |= ST_RXNACK;
		s->intflag |= MB;
		return;
	}
	s->status &= (uint16_t)~ST_RXNACK;
	if (s->reading) {
		begin(soc, n, I2C_READ, 8);
	} else {
		s->intflag |= MB;
	}
}

void
i2c_advance(struct soc *soc, unsigned n)
{
	struct sercom *s = &soc->sercom[n];

	while (s->doing != I2C_NONE && soc->world->now_ns >= s->due) {
		int done = s->doing;

		if (fault_hits(soc->config.faults, "i2c.no-flag") ||
		    fault_hits(soc->config.faults, "i2c.scl-stuck")) {
			s->doing = I2C_NONE;
			return;
		}
		s->doing = I2C_NONE;
		switch (done) {
		case I2C_ADDRESS: address_done(soc, n); break;
		case I2C_WRITE:
			s->status &= (uint16_t)~ST_RXNACK;
			if (soc->config.atecc == NULL || !s->addressed ||
			    !atecc_model_write(soc->config.atecc, s->data)) {
				s->status |= ST_RXNACK;
			}
			s->intflag |= MB;
			break;
		case I2C_READ:
			s->data = next_byte(soc);
			s->intflag |= SB;
			break;
		default:
			if (soc->config.atecc != NULL) {
				atecc_model_stop(soc->config.atecc);
			}
			s->bus = I2C_IDLE;
			break;
		}
	}
}
