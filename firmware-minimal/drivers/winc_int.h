/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the layers of the WINC1500 driver: SPI frames, chip registers, host
 * interface (HIF), WiFi, sockets. Only winc_*.c and their tests include this.
 * Section numbers are those of the fact sheet winc1500.
 */
#ifndef DRIVERS_WINC_INT_H
#define DRIVERS_WINC_INT_H

#include "drivers/winc.h"

#include "hal/time.h"

/* Little-endian fields of the HIF; the buffers here are always large enough. */
static inline uint16_t
get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t
get_le32(const uint8_t *p)
{
	return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}
static inline void
put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* ---- winc_spi.c: section 2 ---- */

uint8_t winc_crc7(const uint8_t *data, size_t n);   /* as on the wire: shifted left by one */
uint16_t winc_crc16(uint16_t crc, const uint8_t *data, size_t n); /* start with 0xFFFF */

/*
 * Each tries again up to ten times with a protocol reset between; WINC_CHIP
 * when the chip refuses command after command for their CRC: it was reset.
 */
enum winc_status winc_read_register(uint32_t address, uint32_t *value);
enum winc_status winc_write_register(uint32_t address, uint32_t value);
enum winc_status winc_read_block(uint32_t address, void *data, size_t n);
enum winc_status winc_write_block(uint32_t address, const void *data, size_t n);
/*
 * A write that must not happen twice. WINC_OK, WINC_AGAIN: it may or may not
 * have been executed (read the register back), else as above.
 */
enum winc_status winc_ring(uint32_t address, uint32_t value);
/*
 * Make both sides agree that no command is under way, then whether CRC is on; it is off after
 * it. was_reset is set (never cleared) when it was on: the chip is fresh from a reset.
 */
enum winc_status winc_spi_sync(bool *was_reset);

/* ---- winc_chip.c: section 3 ---- */

/* lives_on: the firmware in the chip was not started again. */
enum winc_status winc_chip_start(unsigned ladder, bool *lives_on);
void winc_chip_stop(void);
/* Firmware at least so new? */
bool winc_firmware_at_least(uint8_t major, uint8_t minor, uint8_t patch);

/* ---- winc_hif.c: section 4 ---- */

enum winc_group {
	GROUP_WIFI = 1,
	GROUP_IP = 2,
};
enum {
	HIF_HEADER = 8,
	HIF_MAX = 1596,
	HIF_DATA = 0x80, /* opcode bit: take the buffer from the data pool */
	HIF_CONTROL_MAX = 72, /* the largest fixed part of a packet that we want: DNS reply, 68 */
};
struct hif_packet {
	uint8_t group, opcode;
	uint16_t size;    /* of the payload, behind the header */
	uint32_t address; /* of the payload, in the chip */
	uint8_t control[HIF_CONTROL_MAX]; /* its first bytes; zero behind `size` */
};

/* Forget all; when the chip `lives_on`, give back the packet that was being read. */
enum winc_status winc_hif_reset(bool lives_on);
/*
 * One request: control bytes, and data at `offset` behind the header (n 0:
 * none). WINC_AGAIN: the chip has no buffer now, or a received packet is held;
 * nothing was queued.
 */
enum winc_status winc_hif_send(enum winc_group group, uint8_t opcode, const void *control,
                               size_t size, const void *data, size_t n, size_t offset);
/* The same, serving the chip until it has a buffer; WINC_FIRMWARE if it never gets one. */
enum winc_status winc_hif_send_wait(enum winc_group group, uint8_t opcode, const void *control,
                                    size_t size);
/* Take and dispatch packets, a bounded number. */
enum winc_status winc_hif_poll(void);
/*
 * A dispatch function may hold the packet to read the rest of it later, and
 * must release it soon: the chip sends nothing else until then.
 */
void winc_hif_hold(void);
bool winc_hif_held(void);
enum winc_status winc_hif_release(void);
/* When the last good packet came. */
uint32_t winc_hif_heard_ms(void);

/* ---- winc_wifi.c: section 5 ---- */

/* lives_on: the chip may still be associated. */
void winc_wifi_reset(bool lives_on);
void winc_wifi_packet(const struct hif_packet *p);
enum winc_status winc_wifi_poll(void);
bool winc_wifi_up(void);

/* ---- winc_socket.c: section 6 ---- */

void winc_socket_reset(enum winc_status why);
/* The link is gone: every socket of the chip died without an event (Q14). */
void winc_socket_link_lost(void);
void winc_socket_packet(const struct hif_packet *p);
enum winc_status winc_socket_poll(void);

/* ---- winc.c ---- */

/* The module is beyond help until winc_start(); the first cause is kept. Returns it. */
enum winc_status winc_fail(enum winc_status why);
/* WINC_OK while the module runs. */
enum winc_status winc_health(void);

#endif
