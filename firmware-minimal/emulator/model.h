/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the emulated microcontroller and the models of the chips around it
 * know of each other. Models are plain C, one `struct` each, without globals;
 * host unit tests of the drivers run against the very same models.
 */
#ifndef EMULATOR_MODEL_H
#define EMULATOR_MODEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The emulated world: its clock, its complaints, its randomness. */
struct world {
	uint64_t now_ns; /* since power-on; only the emulator (or a test) moves it */
	/*
	 * The firmware did what the data sheet forbids: the run ends with PC,
	 * registers and this sentence (in a unit test: the test fails).
	 */
	void (*violation)(void *owner, const char *format, va_list args);
	/* For the trace: "winc: op 40 connect ssid=..." */
	void (*note)(void *owner, const char *format, va_list args);
	void *owner;
	uint64_t seed; /* of all that is random in this run */
};
void world_violation(struct world *world, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void world_note(struct world *world, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
uint64_t world_random(struct world *world);

/*
 * Faults are words on the command line: "--fault winc.grant-never",
 * "--fault atecc.crc:3@10000" (count 3, from 10,000 ms on). Each model has a
 * table of the names that it knows; `--fault help` lists them all.
 */
struct fault {
	const char *name, *text;
};
struct fault_set;
struct fault_set *fault_set_new(struct world *world);
void fault_set_free(struct fault_set *set);
/* 0 or -EINVAL with a sentence. */
int fault_set_add(struct fault_set *set, const char *word, const struct fault *const *known,
                  char *why, size_t size);
/* Is it active now? Uses up one of its count. NULL set: never. */
bool fault_hits(struct fault_set *set, const char *name);
/* The value after '=', for those that take one ("winc.recv-size=1"); fallback when inactive. */
long fault_value(struct fault_set *set, const char *name, long fallback);

/* ---- WINC1500: emulator/winc_model.c ---- */

struct winc_model;
/* The outside world of its sockets. The emulator's goes to loopback; tests script one. */
struct winc_net {
	int (*open)(void *owner, bool stream);                       /* handle or -errno */
	int (*connect)(void *owner, int handle, const uint8_t ip[4], uint16_t port); /* 0 or -EINPROGRESS */
	int (*connected)(void *owner, int handle);                   /* 0, -EINPROGRESS, -errno */
	long (*send)(void *owner, int handle, const void *data, size_t n);
	long (*recv)(void *owner, int handle, void *data, size_t n); /* 0 at EOF, -EAGAIN */
	long (*send_to)(void *owner, int handle, const uint8_t ip[4], uint16_t port, const void *data,
	                size_t n);
	long (*recv_from)(void *owner, int handle, uint8_t ip[4], uint16_t *port, void *data, size_t n);
	void (*close)(void *owner, int handle);
	int (*resolve)(void *owner, const char *name, uint8_t ip[4]); /* 0, -EINPROGRESS, -ENOENT */
	void *owner;
};
struct winc_config {
	const char *firmware;    /* "19.4.4", "19.5.2", "19.5.4", "19.6.1" */
	const char *ssid, *passphrase; /* of the one access point; passphrase "" open */
	uint8_t mac[6], ip[4];
	uint32_t time;           /* Unix time that its SNTP gets; 0: never */
};
struct winc_model *winc_model_new(struct world *world, struct fault_set *faults,
                                  const struct winc_config *config, const struct winc_net *net);
void winc_model_free(struct winc_model *m);
/* Levels of the pins, whenever one changes. */
void winc_model_pins(struct winc_model *m, bool reset_n, bool chip_en, bool cs_n);
uint8_t winc_model_exchange(struct winc_model *m, uint8_t mosi);
bool winc_model_irq_n(struct winc_model *m);
/* Time has passed: deliver events, poll sockets. */
void winc_model_advance(struct winc_model *m);
/* When it has something to do next (world time), UINT64_MAX never; and whether it waits for the real network. */
uint64_t winc_model_next(const struct winc_model *m, bool *waits_for_network);
extern const struct fault winc_faults[];

/* ---- ATECC508A: emulator/atecc_model.c ---- */

struct atecc_model;
struct atecc_config {
	const char *file;  /* its EEPROM, persisted; NULL: only in memory */
	bool locked;       /* a new one starts locked with the TLS preset and a key in slot 0 */
	bool is_608;
	uint8_t serial[9];
};
struct atecc_model *atecc_model_new(struct world *world, struct fault_set *faults,
                                    const struct atecc_config *config);
void atecc_model_free(struct atecc_model *m);
/* Bus level: START with address byte -> ACK?; bytes; STOP. SDA low by GPIO for so long. */
bool atecc_model_start(struct atecc_model *m, uint8_t address_byte);
bool atecc_model_write(struct atecc_model *m, uint8_t byte);
uint8_t atecc_model_read(struct atecc_model *m, bool ack);
void atecc_model_stop(struct atecc_model *m);
void atecc_model_sda_low(struct atecc_model *m, uint64_t ns);
/* Fault: the lines as the chip holds them. */
bool atecc_model_sda_stuck(const struct atecc_model *m);
extern const struct fault atecc_faults[];

/* ---- DS18B20: emulator/ds18b20_model.c ---- */

struct ds18b20_model;
struct ds18b20_model *ds18b20_model_new(struct world *world, struct fault_set *faults,
                                        int16_t centi);
void ds18b20_model_free(struct ds18b20_model *m);
/* The master's level on the wire changed at world->now_ns; and what the wire reads. */
void ds18b20_model_drive(struct ds18b20_model *m, bool low);
bool ds18b20_model_level(struct ds18b20_model *m);
extern const struct fault ds18b20_faults[];

#endif
