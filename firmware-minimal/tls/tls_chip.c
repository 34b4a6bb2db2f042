/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ECDSA and ECDH by the ATECC, in the shapes that BearSSL calls. BearSSL
 * converts between DER and raw signatures itself, but with the shortest common
 * length of r and s; the chip wants 32 bytes of each.
 */
#include "tls/tls_chip.h"

#include <string.h>

#define COORDINATE 32
#define POINT (1 + 2 * COORDINATE)
#define DER_SIGNATURE_MAX 72

static struct {
	unsigned key_slot, ecdh_slot;
	enum atecc_status status;
	unsigned verified;
	uint8_t ephemeral[2 * COORDINATE]; /* from mul() to mulgen() */
} chip;

void
tls_chip_reset(unsigned key_slot, unsigned ecdh_slot)
{
	chip.key_slot = key_slot;
	chip.ecdh_slot = ecdh_slot;
	chip.status = ATECC_OK;
	chip.verified = 0;
	memset(chip.ephemeral, 0, sizeof chip.ephemeral);
}

enum atecc_status
tls_chip_status(void)
{
	return chip.status;
}

unsigned
tls_chip_verified(void)
{
	return chip.verified;
}

/* Later failures follow from the first one: only that is worth a report. */
static bool
done(enum atecc_status status)
{
	if (status != ATECC_OK && chip.status == ATECC_OK) {
		chip.status = status;
	}
	return status == ATECC_OK;
}

size_t
tls_chip_sign(const br_ec_impl *impl, const br_hash_class *hash, const void *digest,
              const br_ec_private_key *key, void *out)
{
	uint8_t raw[2 * COORDINATE], copy[COORDINATE];

	(void)impl;
	(void)key;
	if (((hash->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK) != COORDINATE) {
		return 0;
	}
	memcpy(copy, digest, sizeof copy);
	if (!done(atecc_sign(chip.key_slot, copy, raw))) {
		return 0;
	}
	/* The engine's pad holds the 512 bytes that the conversion in place may use. */
	memcpy(out, raw, sizeof raw);
	return br_ecdsa_raw_to_asn1(out, sizeof raw);
}

/* The DER signature as 32 + 32 bytes. */
static bool
signature_to_raw(const uint8_t *der, size_t size, uint8_t raw[2 * COORDINATE])
{
	/* BearSSL converts in place and may need more room than the DER took (bearssl 8). */
	uint8_t work[2 * DER_SIGNATURE_MAX];
	size_t half;

	if (size > DER_SIGNATURE_MAX) {
		return false;
	}
	memset(work, 0, sizeof work);
	memcpy(work, der, size);
	half = br_ecdsa_asn1_to_raw(work, size) / 2;
	if (half == 0 || half > COORDINATE) {
		return false;
	}
	memset(raw, 0, 2 * COORDINATE);
	memcpy(raw + COORDINATE - half, work, half);
	memcpy(raw + 2 * COORDINATE - half, work + half, half);
	return true;
}

uint32_t
tls_chip_verify(const br_ec_impl *impl, const void *digest, size_t digest_size,
                const br_ec_public_key *key, const void *signature, size_t size)
{
	uint8_t raw[2 * COORDINATE];
	enum atecc_status status;

	(void)impl;
	if (key->curve != BR_EC_secp256r1 || key->qlen != POINT || key->q[0] != 4 ||
	    digest_size != COORDINATE || !signature_to_raw(signature, size, raw)) {
		return 0;
	}
	status = atecc_verify(digest, raw, key->q + 1);
	if (status == ATECC_MISCOMPARE) {
		return 0; /* an answer, not a failure of the chip */
	}
	if (!done(status)) {
		return 0;
	}
	chip.verified++;
	return 1;
}

/*
 * ECDHE. BearSSL makes a scalar and calls mul() with the peer's point, then
 * mulgen() with the same scalar. The scalar is ignored: the key of the
 * handshake is made in a slot and stays there.
 */

/* Order of P-256; only its length and first byte are looked at. */
static const uint8_t ORDER[COORDINATE] = {
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};

static const unsigned char *
ec_generator(int curve, size_t *size)
{
	(void)curve;
	*size = POINT; /* the content is never read */
	return ORDER;
}

static const unsigned char *
ec_order(int curve, size_t *size)
{
	(void)curve;
	*size = sizeof ORDER;
	return ORDER;
}

static size_t
ec_xoff(int curve, size_t *size)
{
	(void)curve;
	*size = COORDINATE;
	return 1;
}

static uint32_t
ec_mul(unsigned char *point, size_t size, const unsigned char *x, size_t x_size, int curve)
{
	uint8_t peer[2 * COORDINATE];

	(void)x;
	(void)x_size;
	if (curve != BR_EC_secp256r1 || size != POINT || point[0] != 4) {
		return 0;
	}
	if (!done(atecc_generate_key(chip.ecdh_slot, chip.ephemeral))) {
		return 0;
	}
	memcpy(peer, point + 1, sizeof peer);
	return done(atecc_ecdh(chip.ecdh_slot, peer, point + 1)) ? 1 : 0;
}

static size_t
ec_mulgen(unsigned char *out, const unsigned char *x, size_t x_size, int curve)
{
	(void)x;
	(void)x_size;
	(void)curve;
	out[0] = 4;
	memcpy(out + 1, chip.ephemeral, sizeof chip.ephemeral);
	return POINT;
}

/* Only software verification would call it. */
static uint32_t
ec_muladd(unsigned char *a, const unsigned char *b, size_t size, const unsigned char *x,
          size_t x_size, const unsigned char *y, size_t y_size, int curve)
{
	(void)a;
	(void)b;
	(void)size;
	(void)x;
	(void)x_size;
	(void)y;
	(void)y_size;
	(void)curve;
	return 0;
}

const br_ec_impl tls_chip_ec = {
	.supported_curves = (uint32_t)1 << BR_EC_secp256r1,
	.generator = ec_generator,
	.order = ec_order,
	.xoff = ec_xoff,
	.mul = ec_mul,
	.mulgen = ec_mulgen,
	.muladd = ec_muladd,
};
