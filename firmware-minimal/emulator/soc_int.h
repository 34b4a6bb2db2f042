/* SPDX-License-Identifier: BSD-2-Clause */
/* State of the peripherals, for the files of this folder that model them. */
#ifndef EMULATOR_SOC_INT_H
#define EMULATOR_SOC_INT_H

#include "emulator/bus.h"
#include "emulator/soc.h"

/* Several cycles of two clock domains: what a forgotten poll runs into. */
#define SYNC_NS 800
#define SLOW_SYNC_NS 4000000

/* Lines of the NVIC (samd21 1.2). */
enum {
	IRQ_WDT = 2, IRQ_RTC = 3, IRQ_EIC = 4, IRQ_NVM = 5,
	IRQ_SERCOM0 = 9, IRQ_ADC = 23, IRQ_COUNT = 28,
};
enum { EXCEPTION_SVC = 11, EXCEPTION_PENDSV = 14, EXCEPTION_SYSTICK = 15, EXCEPTION_IRQ = 16 };

struct pm {
	uint8_t sleep, cpusel, bussel[3], inten, rcause;
	uint32_t ahb, apba, apbb, apbc;
};

struct sysctrl {
	uint32_t inten, osc8m, osc32k, dfllval, dfllmul, bod33, vreg, vref;
	uint16_t xosc32k, dfllctrl;
	uint64_t xosc32k_ready, dfll_busy, dfll_locked; /* world times */
	uint32_t intflag;
};

struct gclk {
	uint32_t genctrl[9], gendiv[9];
	uint16_t clkctrl[64];
	uint8_t gen_selected, div_selected, clk_selected;
	uint64_t busy;
};

struct nvm {
	uint32_t ctrlb, address;
	uint16_t status, lock;
	uint8_t inten;
	uint8_t page[64];   /* the page buffer, all ones when empty */
	uint32_t page_at;   /* of the flash page it is for */
	bool loaded;
	bool error;
	uint8_t *written;   /* per page: writes since the row was erased */
};

struct port_group {
	uint32_t dir, out, ctrl;
	uint8_t pmux[16], pincfg[32];
};

struct port {
	struct port_group group[2];
	bool wire_low, sda_low, reset_n, chip_en, cs_n, led;
	uint64_t sda_since;
};

struct sercom {
	uint32_t ctrla, ctrlb, sync;
	uint64_t sync_until;
	uint16_t baud, status, address;
	uint8_t inten, intflag, debug;
	/* SPI and USART */
	uint16_t rx[3];
	unsigned rx_count;
	bool tx_full;          /* a byte waits for the shift register */
	uint16_t tx_next;
	bool shifting;
	uint16_t shift;
	uint64_t shift_until;
	/* I2C */
	enum { I2C_UNKNOWN, I2C_IDLE, I2C_OWNER, I2C_BUSY } bus;
	enum { I2C_NONE, I2C_ADDRESS, I2C_WRITE, I2C_READ, I2C_STOP } doing;
	uint64_t due;
	uint8_t data;
	bool reading, acked, addressed;
};

struct eic {
	uint8_t ctrl, nmictrl;
	uint32_t evctrl, inten, flags, wakeup, config[2];
	uint64_t busy;
	uint32_t levels; /* of the 16 lines when last looked at */
};

struct wdt {
	uint8_t ctrl, config, ewctrl, inten, flag;
	uint64_t started, busy;
};

struct rtc {
	uint16_t ctrl, readreq;
	uint16_t evctrl;
	uint8_t inten, flag;
	uint32_t count, compare, shown;
	uint64_t since, busy; /* count was true then */
};

struct scs {
	uint32_t csr, rvr, cvr;       /* cvr: while it stands still */
	uint64_t zero_at;             /* cycle at which the running counter reaches 0 */
	uint32_t enabled, pending, vtor, scr, shpr2, shpr3;
	uint8_t priority[32];
	uint32_t active;              /* external lines */
	unsigned current;             /* IPSR */
	bool systick_pending, pendsv_pending, svc_pending, countflag;
};

struct adc {
	uint8_t ctrla, refctrl, avgctrl, sampctrl, winctrl, swtrig, evctrl, inten, flag, dbgctrl;
	uint16_t ctrlb, result, gaincorr, offsetcorr, winlt, winut, calib;
	uint32_t inputctrl;
	uint64_t busy, done;
	bool converting;
};

struct soc {
	struct soc_config config;
	struct world *world;
	uint64_t cycles, stall_ns;
	uint64_t winc_polled; /* when the radio model last ran */
	enum soc_reset wanted;
	struct pm pm;
	struct sysctrl sysctrl;
	struct gclk gclk;
	struct nvm nvm;
	struct port port;
	struct sercom sercom[6];
	struct eic eic;
	struct wdt wdt;
	struct rtc rtc;
	struct scs scs;
	struct adc adc;
};

/* ---- clocks.c: PM, SYSCTRL, GCLK ---- */
extern const struct bus_register pm_registers[], sysctrl_registers[], gclk_registers[];
uint32_t pm_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void pm_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes, uint32_t value);
uint32_t sysctrl_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void sysctrl_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
                   uint32_t value);
uint32_t gclk_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void gclk_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
                uint32_t value);
void clocks_reset(struct soc *soc, enum soc_reset cause);
/* Hertz of a generic clock (0: off). */
uint32_t gclk_hertz(const struct soc *soc, unsigned id);
/* Reports the use of a peripheral without its bus clock or generic clock; false then. */
bool clocks_need(struct soc *soc, const char *name, bool bus_clock, int gclk_id);

/* ---- nvm.c ---- */
extern const struct bus_register nvm_registers[], fuse_registers[];
uint32_t nvm_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void nvm_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
               uint32_t value);
void nvm_reset(struct soc *soc);
bool nvm_new(struct soc *soc);

/* ---- identity.c: DSU, calibration and user rows, serial number ---- */
extern const struct bus_register dsu_registers[], user_row_registers[], calibration_registers[],
        serial_registers[];
uint32_t dsu_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
uint32_t user_row_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
uint32_t calibration_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
uint32_t serial_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);

/* ---- port.c ---- */
extern const struct bus_register port_registers[];
uint32_t port_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void port_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
                uint32_t value);
void port_reset(struct soc *soc);
/* The pin as it is on the wire. */
bool port_level(struct soc *soc, unsigned group, unsigned pin);
/* Is the pin given to peripheral function f (0 = A)? */
bool port_function(const struct soc *soc, unsigned group, unsigned pin, unsigned f);

/* ---- sercom.c and its three modes ---- */
extern const struct bus_register sercom_spi_registers[], sercom_i2c_registers[],
        sercom_usart_registers[];
uint32_t sercom_read(struct soc *soc, unsigned n, unsigned offset, unsigned bytes);
void sercom_write(struct soc *soc, unsigned n, unsigned offset, unsigned bytes, uint32_t value);
void sercom_reset(struct soc *soc, unsigned n);
void sercom_advance(struct soc *soc);
uint64_t sercom_next(const struct soc *soc);
/* false after a violation: the synchronisation of an earlier write was not waited for. */
bool sercom_synced(struct soc *soc, unsigned n, const char *what);
void sercom_sync(struct soc *soc, unsigned n, uint32_t bits);
uint32_t sercom_hertz(const struct soc *soc, unsigned n);
void sercom_receive(struct soc *soc, unsigned n, uint16_t value);

void spi_data(struct soc *soc, unsigned n, uint32_t value);
void usart_data(struct soc *soc, unsigned n, uint32_t value);
void shifter_advance(struct soc *soc, unsigned n);
void i2c_write_ctrlb(struct soc *soc, unsigned n, uint32_t value);
void i2c_write_status(struct soc *soc, unsigned n, uint32_t value);
void i2c_write_address(struct soc *soc, unsigned n, uint32_t value);
void i2c_write_data(struct soc *soc, unsigned n, uint32_t value);
uint8_t i2c_read_data(struct soc *soc, unsigned n);
void i2c_advance(struct soc *soc, unsigned n);
uint32_t i2c_status(const struct soc *soc, unsigned n);

/* ---- eic.c ---- */
extern const struct bus_register eic_registers[];
uint32_t eic_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void eic_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
               uint32_t value);
void eic_reset(struct soc *soc);
/* Look at the lines again. */
void eic_sample(struct soc *soc);

/* ---- timers.c: WDT, RTC ---- */
extern const struct bus_register wdt_registers[], rtc_registers[];
uint32_t wdt_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void wdt_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
               uint32_t value);
uint32_t rtc_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void rtc_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
               uint32_t value);
void timers_reset(struct soc *soc, enum soc_reset cause);
void timers_advance(struct soc *soc);
uint64_t timers_next(const struct soc *soc);

/* ---- scs.c: SysTick, NVIC, SCB ---- */
extern const struct bus_register scs_registers[];
uint32_t scs_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void scs_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
               uint32_t value);
void scs_reset(struct soc *soc);
void scs_advance(struct soc *soc);
/* Level of the interrupt lines, from the peripherals' flags. */
void scs_lines(struct soc *soc);

/* ---- adc.c ---- */
extern const struct bus_register adc_registers[];
uint32_t adc_read(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes);
void adc_write(struct soc *soc, unsigned instance, unsigned offset, unsigned bytes,
               uint32_t value);
void adc_reset(struct soc *soc);
/* The words of the temperature log row that fit the conversion. */
void adc_log_row(uint32_t out[2]);
void adc_advance(struct soc *soc);
uint64_t adc_next(const struct soc *soc);

#endif
