/* SPDX-License-Identifier: BSD-2-Clause */
#include "diagnose/hello.h"

#include "base/cursor.h"

enum {
	RECORD_HANDSHAKE = 22,
	RECORD_MOST = 16384 + 2048,
	CLIENT_HELLO = 1,

	EXT_SERVER_NAME = 0,
	EXT_MAX_FRAGMENT = 1,
	EXT_GROUPS = 10,
	EXT_SIGNATURES = 13,
	EXT_MASTER_SECRET = 23,
	EXT_TICKET = 35,
	EXT_VERSIONS = 43,
	EXT_KEY_SHARE = 51,

	SUITE_SCSV = 0x00ff, /* says "secure renegotiation", is no suite */
	SUITE_CHACHA = 0xcca9,
	ARDUINO_SUITES = 45,
	ECDSA_SHA256 = 0x0403,
	GROUP_P256 = 23,
	TLS_1_0 = 0x0301,
	TLS_1_1 = 0x0302,
	TLS_1_2 = 0x0303,
	TLS_1_3 = 0x0304,
};

/* ---- records ----------------------------------------------------------------------- */

/*
 * Take the record layer off, as far as the first handshake message goes.
 * ERR_MORE when the bytes end before it does.
 */
static int
unwrap(struct span bytes, uint8_t *memory, struct span *message)
{
	struct reader r = reader_of(bytes);
	size_t have = 0, want = 4;

	while (have < want) {
		uint8_t type = read_u8(&r);
		uint16_t version = read_u16(&r);
		uint16_t length = read_u16(&r);
		struct span part = span_head(span_of(r.at, reader_left(&r)), length);

		if (r.bad) {
			return ERR_MORE;
		}
		if (type != RECORD_HANDSHAKE || version >> 8 != 3 || length == 0 ||
		    length > RECORD_MOST) {
			return ERR_MALFORMED;
		}
		part = span_head(part, HELLO_MAX - have);
		if (part.len > 0) {
			memcpy(memory + have, part.ptr, part.len);
			have += part.len;
		}
		if (have >= 1 && memory[0] != CLIENT_HELLO) {
			return ERR_MALFORMED;
		}
		if (have >= 4) {
			want = 4 + ((size_t)memory[1] << 16 | (size_t)memory[2] << 8 | memory[3]);
		}
		if (want > HELLO_MAX) {
			return ERR_LIMIT;
		}
		(void)read_bytes(&r, length);
		if (r.bad && have < want) {
			return ERR_MORE;
		}
	}
	*message = span_of(memory + 4, want - 4);
	return 0;
}

/* ---- fields ------------------------------------------------------------------------ */

static void
list_add(struct hello_list *list, uint16_t number)
{
	if (list->count < HELLO_LIST_MAX) {
		list->item[list->count] = number;
	}
	if (list->count < UINT16_MAX) {
		list->count++;
	}
}

bool
hello_list_has(const struct hello_list *list, uint16_t number)
{
	for (unsigned i = 0; i < list->count && i < HELLO_LIST_MAX; i++) {
		if (list->item[i] == number) {
			return true;
		}
	}
	return false;
}

/* A vector of 16-bit numbers: whole ones only. */
static bool
read_list(struct span s, struct hello_list *list)
{
	struct reader r = reader_of(s);

	while (reader_left(&r) > 0) {
		uint16_t number = read_u16(&r);

		if (r.bad) {
			return false;
		}
		list_add(list, number);
	}
	return true;
}

/* The only kind of name there is: host_name (RFC 6066 3). */
static bool
read_sni(struct span body, struct hello *out)
{
	struct reader outer = reader_of(body);
	struct reader r = reader_of(read_block(&outer));
	uint8_t type = read_u8(&r);
	struct span name = read_block(&r);

	if (outer.bad || reader_left(&outer) > 0 || r.bad || type != 0 ||
	    name.len > HELLO_SNI_MAX) {
		return false;
	}
	for (size_t i = 0; i < name.len; i++) {
		out->sni[i] = name.ptr[i] > 0x20 && name.ptr[i] < 0x7f ? (char)name.ptr[i] : '?';
	}
	out->has_sni = true;
	return true;
}

/* A list behind a length of two bytes that fills the extension. */
static bool
read_list16(struct span body, struct hello_list *list)
{
	struct reader r = reader_of(body);
	struct span items = read_block(&r);

	return !r.bad && reader_left(&r) == 0 && read_list(items, list);
}

static bool
read_versions(struct span body, struct hello_list *list)
{
	struct reader r = reader_of(body);
	struct span items = read_bytes(&r, read_u8(&r));

	return !r.bad && reader_left(&r) == 0 && read_list(items, list);
}

static bool
read_extension(uint16_t type, struct span body, struct hello *out)
{
	switch (type) {
	case EXT_SERVER_NAME:
		return read_sni(body, out);
	case EXT_MAX_FRAGMENT:
		out->fragment_code = body.len == 1 ? body.ptr[0] : 0xff;
		return true;
	case EXT_GROUPS:
		return read_list16(body, &out->groups);
	case EXT_SIGNATURES:
		return read_list16(body, &out->signatures);
	case EXT_VERSIONS:
		return read_versions(body, &out->versions);
	case EXT_MASTER_SECRET:
		out->has_master_secret = true;
		return true;
	case EXT_TICKET:
		out->has_ticket = true;
		return true;
	case EXT_KEY_SHARE:
		out->has_key_share = true;
		return true;
	default:
		return true;
	}
}

static bool
read_extensions(struct span s, struct hello *out)
{
	struct reader r = reader_of(s);

	while (reader_left(&r) > 0) {
		uint16_t type = read_u16(&r);
		struct span body = read_block(&r);

		if (r.bad || hello_list_has(&out->extensions, type) ||
		    !read_extension(type, body, out)) {
			return false;
		}
		list_add(&out->extensions, type);
	}
	return true;
}

int
hello_read(struct span bytes, struct hello *out)
{
	uint8_t memory[HELLO_MAX];
	struct hello hello = { .version = 0 };
	struct span message, random, suites, session_id;
	struct reader r;
	int rc = unwrap(bytes, memory, &message);

	if (rc != 0) {
		return rc;
	}
	r = reader_of(message);
	hello.version = read_u16(&r);
	random = read_bytes(&r, HELLO_RANDOM);
	session_id = read_bytes(&r, read_u8(&r));
	suites = read_block(&r);
	(void)read_bytes(&r, read_u8(&r)); /* compression methods */
	if (r.bad || session_id.len > 32 || !read_list(suites, &hello.suites)) {
		return ERR_MALFORMED;
	}
	memcpy(hello.random, random.ptr, HELLO_RANDOM);
	hello.session_id_len = (uint8_t)session_id.len;
	if (reader_left(&r) > 0) { /* TLS 1.0 knows hellos without extensions */
		struct span extensions = read_block(&r);

		if (r.bad || reader_left(&r) > 0 || !read_extensions(extensions, &hello)) {
			return ERR_MALFORMED;
		}
	}
	*out = hello;
	return 0;
}

/* ---- who is it --------------------------------------------------------------------- */

uint16_t
hello_newest(const struct hello *hello)
{
	uint16_t newest = hello->version;

	for (unsigned i = 0; i < hello->versions.count && i < HELLO_LIST_MAX; i++) {
		uint16_t version = hello->versions.item[i];

		/* Others are drafts, or there to test us (RFC 8701). */
		if (version >= TLS_1_0 && version <= TLS_1_3 && version > newest) {
			newest = version;
		}
	}
	return newest;
}

/* BearSSL puts its clock there, and it has none. */
bool
hello_is_bearssl(const struct hello *hello)
{
	static const uint8_t zero[4];

	return memcmp(hello->random, zero, sizeof zero) == 0 && hello->version == TLS_1_2 &&
	       hello->versions.count == 0 && !hello->has_ticket && !hello->has_master_secret;
}

/*
 * The suites that the WiFi module of the MKR1000 knows: these five, all with
 * RSA key exchange. A tool that tries one suite after the other has fewer.
 */
static bool
is_wifi_module(const struct hello *hello)
{
	static const uint16_t suites[] = { 0x002f, 0x0035, 0x003c, 0x003d, 0x009c };
	unsigned most = 5 + hello_list_has(&hello->suites, SUITE_SCSV);

	for (size_t i = 0; i < 5; i++) {
		if (!hello_list_has(&hello->suites, suites[i])) {
			return false;
		}
	}
	return hello->suites.count == most;
}

static enum hello_client
bearssl_kind(const struct hello *hello)
{
	if (hello->suites.count <= 2 && hello->fragment_code == 1 &&
	    hello->signatures.count == 1 && hello->signatures.item[0] == ECDSA_SHA256) {
		return HELLO_FIRMWARE;
	}
	if (hello->suites.count == ARDUINO_SUITES && hello->suites.item[0] == SUITE_CHACHA) {
		return hello->fragment_code == 1 ? HELLO_ARDUINO_NEW :
		       hello->fragment_code == 4 ? HELLO_ARDUINO_OLD :
		                                   HELLO_BEARSSL;
	}
	return HELLO_BEARSSL;
}

enum hello_client
hello_client(const struct hello *hello)
{
	if (hello_is_bearssl(hello)) {
		return bearssl_kind(hello);
	}
	if (hello_newest(hello) <= TLS_1_1) {
		return HELLO_OLD_TLS;
	}
	if (is_wifi_module(hello)) {
		return HELLO_WIFI_MODULE;
	}
	return hello_newest(hello) == TLS_1_3 && hello->has_key_share ? HELLO_MODERN :
	                                                                HELLO_UNKNOWN;
}

/* Empty lists allow everything (RFC 8422 4), but for signatures: SHA-1 (RFC 5246 7.4.1.4.1). */
bool
hello_fits_p256(const struct hello *hello)
{
	static const uint16_t suites_1_2[] = { 0xc02b, 0xc02c, SUITE_CHACHA };
	static const uint16_t suites_1_3[] = { 0x1301, 0x1302, 0x1303 };
	bool modern = hello_newest(hello) == TLS_1_3;
	bool suite = false;

	for (size_t i = 0; i < 3; i++) {
		suite = suite || hello_list_has(&hello->suites, suites_1_2[i]) ||
		        (modern && hello_list_has(&hello->suites, suites_1_3[i]));
	}
	return suite && hello_list_has(&hello->signatures, ECDSA_SHA256) &&
	       (hello->groups.count == 0 || hello_list_has(&hello->groups, GROUP_P256));
}

const char *
hello_client_text(enum hello_client client)
{
	static const char *const text[] = {
#define X(name, words) [HELLO_##name] = words,
		HELLO_CLIENT_LIST(X)
#undef X
	};

	return (size_t)client < sizeof text / sizeof text[0] ? text[client] :
	                                                       text[HELLO_UNKNOWN];
}
