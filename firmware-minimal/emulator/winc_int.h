/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model of the WINC1500, inside: SPI engine, registers and boot, host
 * interface (HIF), radio, IP sockets. Section numbers are those of the fact
 * sheet winc1500; the model follows its section 8 and knows nothing of our driver.
 */
#ifndef EMULATOR_WINC_INT_H
#define EMULATOR_WINC_INT_H

#include "emulator/model.h"

#define WINC_NEVER UINT64_MAX
#define WINC_MS(n) ((uint64_t)(n) * 1000000u)
#define WINC_US(n) ((uint64_t)(n) * 1000u)

enum {
	WINC_JUNK = 0xA5, /* what nobody promised to be zero */

	WINDOW_BASE = 0x30000,
	WINDOW_SIZE = 0x10000,
	INFO_TABLE = 0x0440, /* in the window */
	INFO_MAC = 0x0466,
	INFO_FIRMWARE = 0x0480,
	INFO_END = 0x04A8,
	TX_BASE = 0x37AC0,
	TX_SIZE = 0x640,
	TX_POOL = 4, /* buffers for requests, then as many for data */
	RX_BASE = 0x3B000,
	RX_STEP = 0x680,
	RX_PLACES = 7,

	PACKET_MAX = 1596,
	QUEUE_SIZE = 32,
	SOCKETS = 11, /* 0-6 TCP, 7-10 UDP */
	TCP_SOCKETS = 7,
	ENGINE_OUT = 8192 + 64,
};

static inline uint16_t
winc_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t
winc_get32(const uint8_t *p)
{
	return winc_get16(p) | (uint32_t)winc_get16(p + 2) << 16;
}
static inline void
winc_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void
winc_put32(uint8_t *p, uint32_t v)
{
	winc_put16(p, v & 0xFFFF);
	winc_put16(p + 2, v >> 16);
}

struct winc_profile {
	const char *name;
	uint32_t version; /* word at 0x207AC */
	size_t dhcp_size; /* of event 50 */
	bool is_19_6;     /* op 59, DHCP failure event, time unasked */
	bool empty_datagram_kills;
};

/* 8.2: the state survives CS edges. */
struct winc_engine {
	enum { SPI_IDLE, SPI_COMMAND, SPI_ANSWER, SPI_TOKEN, SPI_DATA } state;
	uint8_t command[9];
	size_t have, need;
	bool crc7, crc16; /* as at the start of this command */
	uint8_t out[ENGINE_OUT];
	size_t out_at, out_n;
	bool data_follows; /* behind the answer */
	uint32_t address;
	size_t size, got;
	uint8_t data[8192 + 2];
	bool flipped; /* a block went out damaged: the host may take an address from it */
};

struct winc_registers {
	uint64_t up_ns;      /* when both pins went high */
	uint64_t started_ns; /* when the host started the firmware; WINC_NEVER before */
	bool ready, running; /* 0x02532636 was shown; the host finished the start */
	bool skips;          /* the boot ROM told that it does not wait */
	uint32_t spi_cfg, gp_1, state, pin_mux, intr_enable, bootrom, global_reset;
	uint32_t clockless[0x31];
	uint32_t driver_version; /* what the host announced */
};

struct winc_packet {
	bool used;
	uint64_t ready_ns, order;
	size_t length;
	uint8_t bytes[1600];
};

struct winc_host {
	/* Host to chip. */
	uint32_t info;      /* 0x108C at the request */
	bool requested;     /* 0x1078 bit 1 */
	uint64_t grant_ns;
	unsigned polls, polls_needed;
	uint32_t granted;   /* 0x150400; 0 none */
	bool grant_read, disturbed; /* disturbed: a protocol reset came between */
	bool tx_busy[2 * TX_POOL];
	/* Chip to host. */
	struct winc_packet queue[QUEUE_SIZE];
	uint64_t order;
	enum { RX_IDLE, RX_PENDING, RX_TAKEN } rx;
	uint32_t rx_address, rx_size;
	unsigned rx_place;
	uint64_t rx_next_ns;
	bool injected;      /* the last one was a fault's */
	bool irq_lost, irq_spurious;
	enum { HANG_NO, HANG_RESET, HANG_POWER } hang;
};

struct winc_radio {
	enum { RADIO_IDLE, RADIO_JOINING, RADIO_JOINED, RADIO_UP } state;
	uint8_t failure;    /* reason with which the join will end, 0 none */
	bool ever_up, joined_before;
	uint64_t join_ns, dhcp_ns, sync_ns, drop_ns;
	unsigned time_replies;
};

struct winc_socket_model {
	enum { IP_NONE, IP_CONNECTING, IP_OPEN, IP_BOUND, IP_EOF, IP_RESET, IP_FAILED } state;
	bool silent, answer_late;
	bool reset_after, eof_next;
	int handle;
	uint16_t session;
	bool recv_posted;
	uint64_t recv_limit_ns;
	struct {
		unsigned buffer; /* index of the TX buffer */
		uint16_t length, done;
	} sends[TX_POOL];
	unsigned sends_n;
};

struct winc_ip {
	struct winc_socket_model sockets[SOCKETS];
	bool dns_asked;
	char dns_name[64];
};

struct winc_model {
	struct world *world;
	struct fault_set *faults;
	struct winc_config config;
	const struct winc_net *net;
	const struct winc_profile *profile;
	bool reset_n, chip_en, cs_n, powered;
	uint8_t window[WINDOW_SIZE];
	struct winc_engine engine;
	struct winc_registers registers;
	struct winc_host host;
	struct winc_radio radio;
	struct winc_ip ip;
};

/* ---- winc_model.c ---- */

/* Everything in the chip is lost. */
void winc_model_reset(struct winc_model *m);

/* ---- winc_engine.c ---- */

uint8_t winc_engine_crc7(const uint8_t *p, size_t n); /* shifted left by one */
uint16_t winc_engine_crc16(const uint8_t *p, size_t n);
void winc_engine_reset(struct winc_model *m);
uint8_t winc_engine_exchange(struct winc_model *m, uint8_t mosi);

/* ---- winc_registers.c ---- */

void winc_registers_reset(struct winc_model *m);
bool winc_registers_alive(const struct winc_model *m); /* SPI answers */
uint32_t winc_registers_read(struct winc_model *m, uint32_t address);
void winc_registers_write(struct winc_model *m, uint32_t address, uint32_t value);
/* For the tests: the driver version word that the host gave. */
uint32_t winc_registers_driver_version(const struct winc_model *m);

/* ---- winc_host.c ---- */

void winc_host_reset(struct winc_model *m);
uint32_t winc_host_read(struct winc_model *m, uint32_t address);
void winc_host_write(struct winc_model *m, uint32_t address, uint32_t value);
/* May the host touch this memory now? Complains when not. */
bool winc_host_may_read(struct winc_model *m, uint32_t address, size_t n);
bool winc_host_may_write(struct winc_model *m, uint32_t address, size_t n);
/* Queue a packet, to be delivered no sooner than in delay_ns. */
void winc_host_push(struct winc_model *m, uint8_t group, uint8_t opcode, const void *payload,
                    size_t n, uint64_t delay_ns);
void winc_host_free_buffer(struct winc_model *m, unsigned buffer);
void winc_host_advance(struct winc_model *m);
uint64_t winc_host_next(const struct winc_model *m);

/* ---- winc_radio.c: group 1 ---- */

void winc_radio_reset(struct winc_model *m);
void winc_radio_request(struct winc_model *m, uint8_t opcode, const uint8_t *control, size_t n);
void winc_radio_drop(struct winc_model *m, uint64_t delay_ns);
void winc_radio_push_address(struct winc_model *m);
void winc_radio_advance(struct winc_model *m);
uint64_t winc_radio_next(const struct winc_model *m);

/* ---- winc_ip.c, winc_tcp.c: group 2 ---- */

void winc_ip_reset(struct winc_model *m);
/* control: all behind the header; buffer: where it lies. True: the buffer is kept. */
bool winc_ip_request(struct winc_model *m, uint8_t opcode, const uint8_t *control, size_t n,
                     unsigned buffer);
void winc_ip_advance(struct winc_model *m);
bool winc_ip_waits(const struct winc_model *m);
uint64_t winc_ip_next(const struct winc_model *m);

void winc_tcp_connect(struct winc_model *m, const uint8_t *control, size_t n);
bool winc_tcp_send(struct winc_model *m, const uint8_t *control, size_t n, unsigned buffer);
void winc_tcp_close(struct winc_model *m, unsigned number);
void winc_tcp_advance(struct winc_model *m, unsigned number);
/* Answer a posted receive; data may be NULL when status <= 0. */
void winc_ip_push_received(struct winc_model *m, unsigned number, uint8_t opcode, int status,
                           const uint8_t address[8], const void *data);

#endif
