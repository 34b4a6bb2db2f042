/* SPDX-License-Identifier: BSD-2-Clause */
/* What the emulator is made of besides the chip: fault words, sensor, files, network. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "emulator/elf.h"
#include "emulator/flash_file.h"
#include "emulator/net_host.h"
#include "emulator_rig.h"
#include "unit/cmocka_all.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

static int
set_up(void **state)
{
	struct rig *rig = malloc(sizeof *rig);

	if (rig == NULL) {
		return -1;
	}
	rig_init(rig);
	*state = rig;
	return 0;
}

static int
tear_down(void **state)
{
	free(*state);
	return 0;
}

/* ---- faults ---- */

static const struct fault some_faults[] = {
	{ "a.one", "first" }, { "a.two", "second" }, { NULL, NULL },
};
static const struct fault *const known[] = { some_faults, NULL };

static void
fault_words_are_read(void **state)
{
	static const char *const wrong[] = {
		"", "a", "a.three", "a.one:", "a.one:x", "a.one@", "a.one@-5", "a.one=", "a.one:1x",
		"a.one:-2", "a.one@5:3",
	};
	struct rig *rig = *state;
	struct fault_set *set = fault_set_new(&rig->world);
	char why[200];

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (fault_set_add(set, wrong[i], known, why, sizeof why) != -EINVAL) {
			fail_msg("\"%s\" was taken", wrong[i]);
		}
	}
	assert_int_equal(fault_set_add(set, "a.one:2@10", known, why, sizeof why), 0);
	assert_int_equal(fault_set_add(set, "a.two=7", known, why, sizeof why), 0);
	assert_false(fault_hits(set, "a.one"));
	assert_int_equal(fault_value(set, "a.two", -1), 7);
	assert_int_equal(fault_value(set, "a.two", -1), 7);
	rig->world.now_ns = 10 * MS;
	assert_true(fault_hits(set, "a.one"));
	assert_true(fault_hits(set, "a.one"));
	assert_false(fault_hits(set, "a.one"));
	assert_int_equal(fault_value(set, "a.one", -1), -1);
	assert_false(fault_hits(NULL, "a.one"));
	fault_set_free(set);
}

static void
the_same_seed_is_the_same_run(void **state)
{
	struct world a = { .seed = 5 };
	struct world b = { .seed = 5 };

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_true(world_random(&a) == world_random(&b));
	}
	b.seed = 6;
	assert_true(world_random(&a) != world_random(&b));
}

/* ---- DS18B20 ---- */

struct wire {
	struct rig *rig;
	struct ds18b20_model *model;
};

static void
low_for(struct wire *wire, uint64_t ns, uint64_t then)
{
	ds18b20_model_drive(wire->model, true);
	wire->rig->world.now_ns += ns;
	ds18b20_model_drive(wire->model, false);
	wire->rig->world.now_ns += then;
}

/* true: somebody was there */
static bool
reset_pulse(struct wire *wire)
{
	bool present;

	low_for(wire, 500 * US, 70 * US);
	present = !ds18b20_model_level(wire->model);
	wire->rig->world.now_ns += 410 * US;
	return present;
}

static void
write_byte(struct wire *wire, uint8_t byte)
{
	for (unsigned i = 0; i < 8; i++, byte >>= 1) {
		low_for(wire, byte & 1 ? 6 * US : 62 * US, byte & 1 ? 64 * US : 10 * US);
	}
}

static uint8_t
read_byte(struct wire *wire)
{
	uint8_t byte = 0;

	for (unsigned i = 0; i < 8; i++) {
		low_for(wire, 3 * US, 9 * US);
		byte = (uint8_t)(byte >> 1 | (ds18b20_model_level(wire->model) ? 0x80 : 0));
		wire->rig->world.now_ns += 55 * US;
	}
	return byte;
}

static uint8_t
crc_of(const uint8_t *data, unsigned n)
{
	uint8_t crc = 0;

	for (unsigned i = 0; i < n * 8; i++) {
		bool mix = ((crc ^ data[i / 8] >> i % 8) & 1) != 0;

		crc = (uint8_t)(crc >> 1 ^ (mix ? 0x8C : 0));
	}
	return crc;
}

static int16_t
measure(struct wire *wire, uint64_t wait_ns, bool *crc_right)
{
	uint8_t scratch[9];

	assert_true(reset_pulse(wire));
	write_byte(wire, 0xCC);
	write_byte(wire, 0x44);
	wire->rig->world.now_ns += wait_ns;
	assert_true(reset_pulse(wire));
	write_byte(wire, 0xCC);
	write_byte(wire, 0xBE);
	for (unsigned i = 0; i < 9; i++) {
		scratch[i] = read_byte(wire);
	}
	*crc_right = crc_of(scratch, 8) == scratch[8];
	return (int16_t)(scratch[0] | scratch[1] << 8);
}

static struct wire
wire_new(struct rig *rig, const char *fault, struct fault_set **set, int16_t centi)
{
	static const struct fault *const table[] = { ds18b20_faults, NULL };
	char why[200];

	*set = fault_set_new(&rig->world);
	if (fault != NULL) {
		assert_int_equal(fault_set_add(*set, fault, table, why, sizeof why), 0);
	}
	rig->world.now_ns = MS;
	return (struct wire){ rig, ds18b20_model_new(&rig->world, *set, centi) };
}

static void
the_sensor_measures(void **state)
{
	static const struct {
		const char *fault;
		int16_t centi, raw;
		uint64_t wait;
		bool crc;
	} table[] = {
		{ NULL, 2150, 0x0158, 751 * MS, true },
		{ NULL, 12500, 0x07D0, 751 * MS, true },
		{ NULL, -1000, -160, 751 * MS, true },
		{ NULL, 2150, 0x0550, 740 * MS, true }, /* read too early: the value of power-on */
		{ "ds18b20.power-on", 2150, 0x0550, 751 * MS, true },
		{ "ds18b20.crc", 2150, 0x0158, 751 * MS, false },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct fault_set *set;
		struct wire wire = wire_new(*state, table[i].fault, &set, table[i].centi);
		bool crc = false;

		assert_int_equal(measure(&wire, table[i].wait, &crc), table[i].raw);
		assert_int_equal(crc, table[i].crc);
		rig_clean(*state);
		ds18b20_model_free(wire.model);
		fault_set_free(set);
	}
}

static void
the_sensor_is_addressed_by_its_rom(void **state)
{
	struct fault_set *set;
	struct wire wire = wire_new(*state, NULL, &set, 2150);
	uint8_t rom[8];

	assert_true(reset_pulse(&wire));
	write_byte(&wire, 0x33);
	for (unsigned i = 0; i < 8; i++) {
		rom[i] = read_byte(&wire);
	}
	assert_int_equal(rom[0], 0x28);
	assert_int_equal(crc_of(rom, 7), rom[7]);
	for (unsigned other = 0; other < 2; other++) {
		rom[3] ^= (uint8_t)other;
		assert_true(reset_pulse(&wire));
		write_byte(&wire, 0x55);
		for (unsigned i = 0; i < 8; i++) {
			write_byte(&wire, rom[i]);
		}
		write_byte(&wire, 0xBE);
		assert_int_equal(read_byte(&wire), other ? 0xFF : 0x50);
	}
	rig_clean(*state);
	ds18b20_model_free(wire.model);
	fault_set_free(set);
}

static void
an_absent_sensor_is_silent(void **state)
{
	struct fault_set *set;
	struct wire wire = wire_new(*state, "ds18b20.absent", &set, 2150);

	assert_false(reset_pulse(&wire));
	write_byte(&wire, 0xCC);
	assert_int_equal(read_byte(&wire), 0xFF);
	rig_clean(*state);
	ds18b20_model_free(wire.model);
	fault_set_free(set);
}

static void
the_sensor_wants_its_times(void **state)
{
	struct fault_set *set;
	struct wire wire = wire_new(*state, NULL, &set, 2150);

	reset_pulse(&wire);
	low_for(&wire, 30 * US, 60 * US);
	rig_expect(*state, "30 us low is neither 0 nor 1");
	low_for(&wire, 6 * US, 20 * US);
	low_for(&wire, 6 * US, 80 * US);
	rig_expect(*state, "slot of only 26 us");
	low_for(&wire, 200 * US, 80 * US);
	rig_expect(*state, "neither a slot nor a reset");
	low_for(&wire, 1000 * US, 10 * US);
	rig_expect(*state, "longer than 960");
	wire.rig->world.now_ns += 30 * US;
	ds18b20_model_drive(wire.model, true);
	rig_expect(*state, "during the presence pulse");
	ds18b20_model_drive(wire.model, false);
	reset_pulse(&wire);
	((struct rig *)*state)->violations = 0;
	write_byte(&wire, 0x33);
	low_for(&wire, 3 * US, 25 * US);
	ds18b20_model_level(wire.model);
	rig_expect(*state, "sampled 28 us after its start");
	wire.rig->world.now_ns += 80 * US;
	low_for(&wire, 20 * US, 80 * US);
	rig_expect(*state, "read slot opened with 20 us low");
	reset_pulse(&wire);
	low_for(&wire, 62 * US, 500);
	ds18b20_model_drive(wire.model, true);
	rig_expect(*state, "no recovery time");
	wire.rig->world.now_ns += 500 * US;
	ds18b20_model_drive(wire.model, false);
	wire.rig->world.now_ns += 480 * US;
	write_byte(&wire, 0xEE);
	rig_expect(*state, "unknown ROM command 0xEE");
	reset_pulse(&wire);
	write_byte(&wire, 0xCC);
	write_byte(&wire, 0x77);
	rig_expect(*state, "unknown function command 0x77");
	ds18b20_model_free(wire.model);
	fault_set_free(set);
}

/* ---- files ---- */

static void
make_name(char *name, size_t size, const char *what)
{
	snprintf(name, size, "emulator-%s-%ld", what, (long)getpid());
	unlink(name);
}

static void
write_file(const char *name, const void *data, size_t n)
{
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void
a_new_image_leaves_the_settings(void **state)
{
	char flash_name[64], image_name[64], why[200];
	uint8_t image[700];
	uint8_t *flash;

	(void)state;
	make_name(flash_name, sizeof flash_name, "flash");
	make_name(image_name, sizeof image_name, "image");
	memset(image, 0x11, sizeof image);
	write_file(image_name, image, sizeof image);
	flash = flash_file_open(flash_name, image_name, why, sizeof why);
	assert_non_null(flash);
	assert_int_equal(flash[0x1FFF], 0xFF);
	assert_int_equal(flash[0x2000], 0x11);
	assert_int_equal(flash[0x2000 + 699], 0x11);
	assert_int_equal(flash[0x2000 + 700], 0xFF);
	flash[0x2000 + 767] = 0; /* rest of the last row */
	flash[0x2000 + 768] = 0; /* the row after it */
	flash[FLASH_SETTINGS] = 0x22;
	flash[0x3FFFF] = 0x33;
	flash_file_close(flash);
	image[0] = 0x44;
	write_file(image_name, image, sizeof image);
	flash = flash_file_open(flash_name, image_name, why, sizeof why);
	assert_non_null(flash);
	assert_int_equal(flash[0x2000], 0x44);
	assert_int_equal(flash[0x2000 + 767], 0xFF);
	assert_int_equal(flash[0x2000 + 768], 0);
	assert_int_equal(flash[FLASH_SETTINGS], 0x22);
	assert_int_equal(flash[0x3FFFF], 0x33);
	flash_file_close(flash);
	unlink(flash_name);
	unlink(image_name);
}

static void
wrong_files_are_refused(void **state)
{
	char name[64], why[200];

	(void)state;
	make_name(name, sizeof name, "wrong");
	write_file(name, "short", 5);
	assert_null(flash_file_open(name, NULL, why, sizeof why));
	assert_non_null(strstr(why, "262144"));
	assert_null(flash_file_open(NULL, name, why, sizeof why));
	assert_non_null(strstr(why, "no image"));
	assert_null(elf_open(name, why, sizeof why));
	assert_null(elf_open("no-such-file", why, sizeof why));
	unlink(name);
}

/* ---- network ---- */

static void
only_loopback_is_reached(void **state)
{
	struct rig *rig = *state;
	struct net_host *net = net_host_new(&rig->world);
	const struct winc_net *seam = net_host_seam(net);
	uint8_t ip[4];
	int h = seam->open(seam->owner, true);

	assert_true(h >= 0);
	assert_int_equal(seam->connect(seam->owner, h, (uint8_t[]){ 192, 0, 2, 1 }, 8883),
	                 -EHOSTUNREACH);
	assert_int_equal(net_host_add_map(net, "192.0.2.1:8883=192.0.2.2:8883"), -EPERM);
	assert_int_equal(net_host_add_map(net, "192.0.2.1=127.0.0.1:8883"), -EINVAL);
	assert_int_equal(net_host_add_name(net, "gw=192.0.2.300"), -EINVAL);
	assert_int_equal(net_host_add_name(net, "=127.0.0.1"), -EINVAL);
	assert_int_equal(net_host_add_name(net, "gw.example=192.0.2.7"), 0);
	assert_int_equal(seam->resolve(seam->owner, "GW.example", ip), 0);
	assert_memory_equal(ip, ((uint8_t[]){ 192, 0, 2, 7 }), 4);
	assert_int_equal(seam->resolve(seam->owner, "other.example", ip), -ENOENT);
	seam->close(seam->owner, h);
	assert_int_equal(seam->connected(seam->owner, h), -EBADF);
	net_host_free(net);
}

static void
a_mapped_connection_carries_data(void **state)
{
	struct rig *rig = *state;
	struct net_host *net = net_host_new(&rig->world);
	const struct winc_net *seam = net_host_seam(net);
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct pollfd p = { .events = POLLIN };
	char map[64], data[8];
	int h = seam->open(seam->owner, true);
	int rc;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	snprintf(map, sizeof map, "192.0.2.1:8883=127.0.0.1:%u", ntohs(address.sin_port));
	assert_int_equal(net_host_add_map(net, map), 0);
	rc = seam->connect(seam->owner, h, (uint8_t[]){ 192, 0, 2, 1 }, 8883);
	assert_true(rc == 0 || rc == -EINPROGRESS);
	p.fd = accept(listener, NULL, NULL);
	assert_true(p.fd >= 0);
	while ((rc = seam->connected(seam->owner, h)) == -EINPROGRESS) {
	}
	assert_int_equal(rc, 0);
	assert_int_equal(seam->recv(seam->owner, h, data, sizeof data), -EAGAIN);
	assert_int_equal(seam->send(seam->owner, h, "abc", 3), 3);
	assert_int_equal(recv(p.fd, data, 3, MSG_WAITALL), 3);
	assert_int_equal(close(p.fd), 0);
	while ((rc = (int)seam->recv(seam->owner, h, data, sizeof data)) == -EAGAIN) {
	}
	assert_int_equal(rc, 0);
	close(listener);
	net_host_free(net);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(fault_words_are_read),
		TEST(the_same_seed_is_the_same_run),
		TEST(the_sensor_measures),
		TEST(the_sensor_is_addressed_by_its_rom),
		TEST(an_absent_sensor_is_silent),
		TEST(the_sensor_wants_its_times),
		TEST(a_new_image_leaves_the_settings),
		TEST(wrong_files_are_refused),
		TEST(only_loopback_is_reached),
		TEST(a_mapped_connection_carries_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
