/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that holds for any packet: samples survive decoding and writing,
 * cut ones are refused, mutated ones do no harm.
 */
#include "unit/cmocka_all.h"

#include "unit/mqtt_samples.h"
#include "unit/mqtt_walk.h"

#define MUTATIONS 200000u

static struct mqtt_walked
walk(const struct mqtt_sample *sample, const uint8_t *bytes, size_t len)
{
	return mqtt_walk(span_of(bytes, len), (enum mqtt_sender)sample->sender, sample->version);
}

static void
samples_come_back_as_they_were(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_SAMPLES; i++) {
		uint8_t bytes[512];
		size_t len = mqtt_bytes(mqtt_samples[i].text, bytes, sizeof bytes);
		struct mqtt_walked k = walk(&mqtt_samples[i], bytes, len);

		if (k.rc != 0 || k.fault != NULL || k.size != len) {
			fail_msg("%s: %s, %s", mqtt_samples[i].text, err_text(k.rc),
			         k.fault != NULL ? k.fault : "no fault");
		}
	}
}

static void
cut_packets_wait_for_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_SAMPLES; i++) {
		uint8_t bytes[512];
		size_t len = mqtt_bytes(mqtt_samples[i].text, bytes, sizeof bytes);

		for (size_t cut = 0; cut < len; cut++) {
			struct mqtt_walked k = walk(&mqtt_samples[i], bytes, cut);

			if (k.rc != ERR_MORE || k.fault != NULL) {
				fail_msg("%s cut at %zu: %s", mqtt_samples[i].text, cut,
				         err_text(k.rc));
			}
		}
	}
}

/*
 * May a body that ends there be a packet of its own? Only where the format
 * has an optional end or a list without a count.
 */
static bool
may_end_early(const uint8_t *bytes, unsigned version)
{
	switch (bytes[0] >> 4) {
	case MQTT_PUBLISH:
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
	case MQTT_SUBACK:
		return true;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
	case MQTT_UNSUBACK:
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		return version == MQTT_5;
	default:
		return false;
	}
}

/* The header says the shorter length: the decoders meet the end themselves. */
static void
shortened_packets_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_SAMPLES; i++) {
		uint8_t bytes[512], shorter[512];
		size_t len = mqtt_bytes(mqtt_samples[i].text, bytes, sizeof bytes);
		size_t header = 1;

		while ((bytes[header++] & 0x80) != 0) {
		}
		for (size_t body = 0; body < len - header; body++) {
			struct writer w = writer_of(shorter, sizeof shorter);
			struct mqtt_walked k;

			write_u8(&w, bytes[0]);
			write_varint(&w, (uint32_t)body);
			write_bytes(&w, span_of(bytes + header, body));
			k = walk(&mqtt_samples[i], shorter, writer_len(&w));
			if (k.fault != NULL || k.rc == ERR_MORE ||
			    (k.rc == 0 && !may_end_early(bytes, mqtt_samples[i].version))) {
				fail_msg("%s shortened to %zu: %s, %s", mqtt_samples[i].text, body,
				         err_text(k.rc), k.fault != NULL ? k.fault : "no fault");
			}
		}
	}
}

/* A byte more than the last field wants is malformed wherever no list ends the packet. */
static void
trailing_bytes_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < MQTT_SAMPLES; i++) {
		uint8_t bytes[512], longer[520];
		size_t len = mqtt_bytes(mqtt_samples[i].text, bytes, sizeof bytes), header = 1;
		struct writer w = writer_of(longer, sizeof longer);
		struct mqtt_walked k;

		while ((bytes[header++] & 0x80) != 0) {
		}
		write_u8(&w, bytes[0]);
		write_varint(&w, (uint32_t)(len - header + 1));
		write_bytes(&w, span_of(bytes + header, len - header));
		write_u8(&w, 0xfe); /* no reason code, no length that fits */
		k = walk(&mqtt_samples[i], longer, writer_len(&w));
		if (k.fault != NULL || (k.rc == 0) != (bytes[0] >> 4 == MQTT_PUBLISH)) {
			fail_msg("%s and a byte: %s", mqtt_samples[i].text, err_text(k.rc));
		}
	}
}

/* xorshift32: the same cases in every run. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void
mutations_do_no_harm(void **state)
{
	uint32_t seed = 0x6d717474, good = 0;

	(void)state;
	for (uint32_t n = 0; n < MUTATIONS; n++) {
		const struct mqtt_sample *sample = &mqtt_samples[next_random(&seed) % MQTT_SAMPLES];
		uint8_t bytes[512];
		size_t len = mqtt_bytes(sample->text, bytes, sizeof bytes);
		struct mqtt_walked k;

		for (uint32_t left = 1 + next_random(&seed) % 3; left > 0; left--) {
			static const uint8_t likely[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff, '+', '#' };
			size_t at = next_random(&seed) % len;
			uint32_t r = next_random(&seed);

			bytes[at] = r & 0x100 ? (uint8_t)r : likely[r % sizeof likely];
		}
		k = walk(sample, bytes, len);
		good += k.rc == 0;
		if (k.fault != NULL) {
			fail_msg("mutation %u of %s: %s", n, sample->text, k.fault);
		}
	}
	/* All good or all bad would mean that the loop tests nothing. */
	assert_in_range(good, MUTATIONS / 20, MUTATIONS / 20 * 19);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_come_back_as_they_were),
		cmocka_unit_test(cut_packets_wait_for_more),
		cmocka_unit_test(shortened_packets_are_refused),
		cmocka_unit_test(trailing_bytes_are_refused),
		cmocka_unit_test(mutations_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
