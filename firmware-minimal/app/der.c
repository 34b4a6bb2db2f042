/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading: a span shrinks from the front, and every length is checked against it. */
#include "app/der.h"

#include <string.h>

#define TAG_SEQUENCE 0x30
#define TAG_INTEGER 0x02
#define TAG_VERSION 0xA0

struct span {
	const uint8_t *at;
	size_t left;
};

static bool
take_length(struct span *in, size_t *length)
{
	size_t count, value = 0;

	if (in->left == 0) {
		return false;
	}
	count = *in->at++;
	in->left--;
	if (count < 0x80) {
		*length = count;
		return count <= in->left;
	}
	count &= 0x7F;
	if (count == 0 || count > 2 || count > in->left) {
		return false;
	}
	for (; count > 0; count--) {
		value = value << 8 | *in->at++;
		in->left--;
	}
	*length = value;
	return value <= in->left;
}

/* The next element, of that tag; its content in out. */
static bool
take(struct span *in, uint8_t tag, struct span *out)
{
	size_t length;

	if (in->left == 0 || *in->at != tag) {
		return false;
	}
	in->at++;
	in->left--;
	if (!take_length(in, &length)) {
		return false;
	}
	*out = (struct span){ in->at, length };
	in->at += length;
	in->left -= length;
	return true;
}

bool
der_is_sequence(const uint8_t *data, size_t size)
{
	struct span in = { data, size };
	struct span content;

	return take(&in, TAG_SEQUENCE, &content) && in.left == 0;
}

static const uint8_t SPKI_HEAD[] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08,
	0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
};

bool
certificate_public_key(const uint8_t *der, size_t size, uint8_t public_key[64])
{
	struct span in = { der, size };
	struct span certificate, tbs, skipped;

	if (!take(&in, TAG_SEQUENCE, &certificate) || in.left != 0 ||
	    !take(&certificate, TAG_SEQUENCE, &tbs)) {
		return false;
	}
	take(&tbs, TAG_VERSION, &skipped); /* version 1 has none */
	if (!take(&tbs, TAG_INTEGER, &skipped) || !take(&tbs, TAG_SEQUENCE, &skipped) || /* algorithm */
	    !take(&tbs, TAG_SEQUENCE, &skipped) ||                                   /* issuer */
	    !take(&tbs, TAG_SEQUENCE, &skipped) ||                                   /* validity */
	    !take(&tbs, TAG_SEQUENCE, &skipped)) {                                   /* subject */
		return false;
	}
	if (tbs.left < sizeof SPKI_HEAD + 64 || memcmp(tbs.at, SPKI_HEAD, sizeof SPKI_HEAD) != 0) {
		return false;
	}
	memcpy(public_key, tbs.at + sizeof SPKI_HEAD, 64);
	return true;
}

/*
 * Writing
 */

struct out {
	uint8_t *at;
	size_t left, used;
	bool full;
};

static void
put(struct out *o, const void *data, size_t n)
{
	if (o->full || n > o->left) {
		o->full = true;
		return;
	}
	memcpy(o->at + o->used, data, n);
	o->used += n;
	o->left -= n;
}

static void
put_byte(struct out *o, unsigned byte)
{
	uint8_t b = (uint8_t)byte;

	put(o, &b, 1);
}

static void
put_head(struct out *o, uint8_t tag, size_t length)
{
	put_byte(o, tag);
	if (length >= 0x100) {
		put_byte(o, 0x82);
		put_byte(o, (unsigned)length >> 8);
	} else if (length >= 0x80) {
		put_byte(o, 0x81);
	}
	put_byte(o, (unsigned)length & 0xFF);
}

static size_t
head_size(size_t length)
{
	return length >= 0x100 ? 4 : length >= 0x80 ? 3 : 2;
}

static void
put_name(struct out *o, const uint8_t serial[9])
{
	static const uint8_t head[] = { 0x30, 0x1D, 0x31, 0x1B, 0x30, 0x19, 0x06, 0x03,
		                        0x55, 0x04, 0x03, 0x13, 0x12 };

	put(o, head, sizeof head);
	for (unsigned i = 0; i < 9; i++) {
		put_byte(o, (unsigned char)"0123456789ABCDEF"[serial[i] >> 4]);
		put_byte(o, (unsigned char)"0123456789ABCDEF"[serial[i] & 0xF]);
	}
}

size_t
csr_info(const uint8_t serial[9], const uint8_t public_key[64], uint8_t *out, size_t room)
{
	static const uint8_t version[] = { 0x02, 0x01, 0x00 };
	static const uint8_t no_attributes[] = { 0xA0, 0x00 };
	struct out o = { out, room, 0, false };

	put_head(&o, TAG_SEQUENCE, sizeof version + 31 + sizeof SPKI_HEAD + 64 + sizeof no_attributes);
	put(&o, version, sizeof version);
	put_name(&o, serial);
	put(&o, SPKI_HEAD, sizeof SPKI_HEAD);
	put(&o, public_key, 64);
	put(&o, no_attributes, sizeof no_attributes);
	return o.full ? 0 : o.used;
}

/* Bytes of a number without leading zeros, and whether it needs one for its sign. */
static size_t
integer_size(const uint8_t number[32], unsigned *skip)
{
	for (*skip = 0; *skip < 31 && number[*skip] == 0; ++*skip) {
	}
	return 32 - *skip + (number[*skip] >> 7);
}

static void
put_integer(struct out *o, const uint8_t number[32])
{
	unsigned skip;
	size_t size = integer_size(number, &skip);

	put_head(o, TAG_INTEGER, size);
	if (number[skip] >> 7 != 0) {
		put_byte(o, 0);
	}
	put(o, number + skip, 32 - skip);
}

size_t
csr_finish(const uint8_t *info, size_t info_size, const uint8_t signature[64], uint8_t *out,
           size_t room)
{
	static const uint8_t algorithm[] = { 0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86,
		                             0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02 };
	struct out o = { out, room, 0, false };
	unsigned skip;
	size_t pair = 4 + integer_size(signature, &skip) + integer_size(signature + 32, &skip);
	size_t bits = 1 + 2 + pair;
	size_t all = info_size + sizeof algorithm + head_size(bits) + bits;

	put_head(&o, TAG_SEQUENCE, all);
	put(&o, info, info_size);
	put(&o, algorithm, sizeof algorithm);
	put_head(&o, 0x03, bits);
	put_byte(&o, 0);
	put_head(&o, TAG_SEQUENCE, pair);
	put_integer(&o, signature);
	put_integer(&o, signature + 32);
	return o.full ? 0 : o.used;
}
