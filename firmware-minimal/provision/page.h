/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages at the top of the board's flash through which it is provisioned
 * without a console: the report page, written by the board and read by
 * gatewayctl; the settings page, written by gatewayctl and read by the board.
 * Plain C11, no allocation, used by both sides. Each page is a header, then
 * records (type, length, value), valid only as a whole by its CRC: a half
 * written one is no page.
 *
 *   offset 0   8 bytes  magic "MKRGWSET" or "MKRGWREP"
 *          8   u16 LE   version of the format (1)
 *         10   u16 LE   bytes of records
 *         12   u32 LE   generation, one more with each write
 *         16   records: u8 type, u8 zero, u16 LE length, value
 *        end   u32 LE   CRC-32 (IEEE) of everything before it
 *
 * bossac without -e erases in blocks of 4096 bytes (samd21 1.6), so each page
 * has a block of its own.
 */
#ifndef PROVISION_PAGE_H
#define PROVISION_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SETTINGS_ADDRESS 0x0003E000u
#define PAGE_REPORT_ADDRESS 0x0003F000u
#define PAGE_SIZE_MAX 4096u
#define PAGE_VERSION 1

enum page_kind { PAGE_SETTINGS, PAGE_REPORT };

enum page_record {
	/* settings; texts are not terminated */
	PAGE_CONSENT_LOCK = 1,    /* u8 1: the owner agrees that the chip is locked for ever */
	PAGE_WIFI_SSID = 2,       /* 1..32 bytes */
	PAGE_WIFI_PASSPHRASE = 3, /* 0 or 8..63 bytes, or 64 hex digits */
	PAGE_GATEWAY_HOST = 4,    /* 1..63: name or IPv4 literal, also checked in the certificate */
	PAGE_GATEWAY_PORT = 5,    /* u16 LE */
	PAGE_ANCHOR_DN = 6,       /* DER of the CA's subject */
	PAGE_ANCHOR_KEY = 7,      /* 65 bytes */
	PAGE_CERTIFICATE = 8,     /* own, DER */
	PAGE_CLOCK = 9,           /* u32 LE Unix time of provisioning */
	PAGE_DEVICE_NAME = 10,    /* the identity; client identifier */
	PAGE_PUBLISH_TOPIC = 11,  /* default "Home" */
	PAGE_SUBSCRIBE_TOPIC = 12,/* default "inTopic" */
	PAGE_INTERVAL = 13,       /* u16 LE seconds between readings, default 5 */
	PAGE_ECDH = 14,           /* u8 0 software, 1 chip */
	PAGE_SNTP = 15,           /* u8 1: wait for network time at most 10 s before the first handshake */
	PAGE_QOS = 16,            /* u8 0 or 1 */
	/* report */
	PAGE_SERIAL = 64,         /* 9 bytes of the chip */
	PAGE_CSR = 65,            /* DER, PKCS#10 */
	PAGE_STATE = 66,          /* u8 enum report: the last that went wrong */
	PAGE_FIRMWARE = 67,       /* text: version of this image */
	PAGE_CHIP = 68,           /* u8: bit 0 configuration locked, bit 1 data locked */
	PAGE_WIFI_FIRMWARE = 69,  /* 3 bytes */
	PAGE_PUBLIC_KEY = 70,     /* 64 bytes */
};

/* ---- reading ---- */

struct page {
	const uint8_t *records;
	size_t size;
	uint32_t generation;
};
enum page_fault { PAGE_GOOD, PAGE_EMPTY, PAGE_DAMAGED, PAGE_NEWER };
/* memory: at least PAGE_SIZE_MAX bytes, stays the caller's. */
enum page_fault page_open(enum page_kind kind, const uint8_t *memory, size_t size,
                          struct page *out);
/* The record's value; false when there is none. Unknown types are passed over. */
bool page_find(const struct page *page, enum page_record type, const uint8_t **value,
               size_t *size);

/* ---- writing ---- */

struct page_writer {
	uint8_t *memory;
	size_t room, used;
	bool full;
};
void page_begin(struct page_writer *w, enum page_kind kind, uint32_t generation, uint8_t *memory,
                size_t room);
void page_add(struct page_writer *w, enum page_record type, const void *value, size_t size);
/* Bytes of the whole page; 0 when it did not fit. */
size_t page_end(struct page_writer *w);

#endif
