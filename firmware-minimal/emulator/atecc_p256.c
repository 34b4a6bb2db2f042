/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of the ATECC, by OpenSSL; random numbers are the world's, so a run repeats. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/atecc_int.h"

struct curve {
	EC_GROUP *group;
	const BIGNUM *order;
	BN_CTX *context;
};

/* Out of memory ends the emulator: it has nothing to go on with. */
static void *
need(void *p)
{
	if (p == NULL) {
		abort();
	}
	return p;
}

static struct curve
curve_open(void)
{
	struct curve c;

	c.group = need(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
	c.order = EC_GROUP_get0_order(c.group);
	c.context = need(BN_CTX_new());
	BN_CTX_start(c.context);
	return c;
}

static void
curve_close(struct curve *c)
{
	BN_CTX_end(c->context);
	BN_CTX_free(c->context);
	EC_GROUP_free(c->group);
}

static BIGNUM *
number(struct curve *c)
{
	return need(BN_CTX_get(c->context));
}

static BIGNUM *
number_of(struct curve *c, const uint8_t bytes[32])
{
	return need(BN_bin2bn(bytes, 32, number(c)));
}

static bool
in_range(struct curve *c, const BIGNUM *n)
{
	return !BN_is_zero(n) && BN_cmp(n, c->order) < 0;
}

void
atecc_random_scalar(struct world *world, uint8_t scalar[32])
{
	struct curve c = curve_open();

	do {
		for (unsigned i = 0; i < 32; i += 8) {
			uint64_t r = world_random(world);

			memcpy(scalar + i, &r, 8);
		}
	} while (!in_range(&c, number_of(&c, scalar)));
	curve_close(&c);
}

/* NULL when it is not on the curve. */
static EC_POINT *
point_of(struct curve *c, const uint8_t bytes[64])
{
	EC_POINT *point = need(EC_POINT_new(c->group));

	if (EC_POINT_set_affine_coordinates(c->group, point, number_of(c, bytes),
	                                    number_of(c, bytes + 32), c->context) != 1) {
		EC_POINT_free(point);
		return NULL;
	}
	return point;
}

static bool
coordinates(struct curve *c, const EC_POINT *point, uint8_t x[32], uint8_t y[32])
{
	BIGNUM *bx = number(c);
	BIGNUM *by = number(c);

	return EC_POINT_get_affine_coordinates(c->group, point, bx, by, c->context) == 1 &&
	       BN_bn2binpad(bx, x, 32) == 32 && BN_bn2binpad(by, y, 32) == 32;
}

bool
atecc_public(const uint8_t scalar[32], uint8_t point[64])
{
	struct curve c = curve_open();
	EC_POINT *p = need(EC_POINT_new(c.group));
	bool good = EC_POINT_mul(c.group, p, number_of(&c, scalar), NULL, NULL, c.context) == 1 &&
	            coordinates(&c, p, point, point + 32);

	EC_POINT_free(p);
	curve_close(&c);
	return good;
}

bool
atecc_shared_x(const uint8_t scalar[32], const uint8_t point[64], uint8_t x[32])
{
	struct curve c = curve_open();
	EC_POINT *peer = point_of(&c, point);
	EC_POINT *shared = need(EC_POINT_new(c.group));
	uint8_t y[32];
	bool good = peer != NULL &&
	            EC_POINT_mul(c.group, shared, NULL, peer, number_of(&c, scalar), c.context) ==
	                    1 &&
	            coordinates(&c, shared, x, y);

	EC_POINT_free(shared);
	EC_POINT_free(peer);
	curve_close(&c);
	return good;
}

/* One signature with one random number: r = x(kG), s = (z + r d) / k. */
static bool
sign_once(struct world *world, const uint8_t scalar[32], const uint8_t digest[32],
          uint8_t signature[64])
{
	struct curve c = curve_open();
	uint8_t k[32];
	uint8_t kg[64];
	BIGNUM *r;
	BIGNUM *s;
	bool good = false;

	atecc_random_scalar(world, k);
	if (atecc_public(k, kg)) {
		r = number_of(&c, kg);
		s = number(&c);
		good = BN_nnmod(r, r, c.order, c.context) == 1 &&
		       BN_mod_mul(s, r, number_of(&c, scalar), c.order, c.context) == 1 &&
		       BN_mod_add(s, s, number_of(&c, digest), c.order, c.context) == 1 &&
		       BN_mod_mul(s, s, need(BN_mod_inverse(number(&c), number_of(&c, k), c.order,
		                                            c.context)),
		                  c.order, c.context) == 1 &&
		       !BN_is_zero(r) && !BN_is_zero(s) && BN_bn2binpad(r, signature, 32) == 32 &&
		       BN_bn2binpad(s, signature + 32, 32) == 32;
	}
	curve_close(&c);
	return good;
}

bool
atecc_ecdsa_sign(struct world *world, const uint8_t scalar[32], const uint8_t digest[32],
                 long wanted, uint8_t signature[64])
{
	for (;;) {
		if (!sign_once(world, scalar, digest, signature)) {
			return false;
		}
		if (wanted == 0 || (wanted == 1 && signature[0] == 0) ||
		    (wanted == 2 && (signature[0] & signature[32] & 0x80) != 0) ||
		    (wanted == 3 && signature[32] == 0) || wanted < 0 || wanted > 3) {
			return true;
		}
	}
}

/* x(z/s G + r/s Q) = r */
static bool
verify_with(struct curve *c, const EC_POINT *key, const uint8_t digest[32],
            const uint8_t signature[64])
{
	BIGNUM *r = number_of(c, signature);
	BIGNUM *s = number_of(c, signature + 32);
	BIGNUM *w = number(c);
	BIGNUM *u1 = number(c);
	BIGNUM *u2 = number(c);
	EC_POINT *sum = need(EC_POINT_new(c->group));
	uint8_t x[32];
	uint8_t y[32];
	bool good = in_range(c, r) && in_range(c, s) &&
	            BN_mod_inverse(w, s, c->order, c->context) != NULL &&
	            BN_mod_mul(u1, number_of(c, digest), w, c->order, c->context) == 1 &&
	            BN_mod_mul(u2, r, w, c->order, c->context) == 1 &&
	            EC_POINT_mul(c->group, sum, u1, key, u2, c->context) == 1 &&
	            EC_POINT_is_at_infinity(c->group, sum) == 0 && coordinates(c, sum, x, y);

	if (good) {
		BIGNUM *v = number_of(c, x);

		good = BN_nnmod(v, v, c->order, c->context) == 1 && BN_cmp(v, r) == 0;
	}
	EC_POINT_free(sum);
	return good;
}

int
atecc_ecdsa_verify(const uint8_t digest[32], const uint8_t signature[64], const uint8_t point[64])
{
	struct curve c = curve_open();
	EC_POINT *key = point_of(&c, point);
	int result = key == NULL ? -1 : verify_with(&c, key, digest, signature) ? 1 : 0;

	EC_POINT_free(key);
	curve_close(&c);
	return result;
}
