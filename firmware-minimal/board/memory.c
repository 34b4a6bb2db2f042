/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few functions of the C library that the compiler and BearSSL call. Word
 * by word where both sides are aligned: the processor has no unaligned access.
 */
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint32_t)

static int
both_aligned(const void *a, const void *b)
{
	return (((uintptr_t)a | (uintptr_t)b) & (WORD - 1)) == 0;
}

/* A word that may alias anything. */
typedef uint32_t __attribute__((may_alias)) word;

void *
memcpy(void *restrict to, const void *restrict from, size_t n)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (both_aligned(t, f)) {
		for (; n >= WORD; n -= WORD, t += WORD, f += WORD) {
			*(word *)t = *(const word *)f;
		}
	}
	while (n-- > 0) {
		*t++ = *f++;
	}
	return to;
}

void *
memmove(void *to, const void *from, size_t n)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (t <= f || t >= f + n) {
		return memcpy(to, from, n);
	}
	while (n-- > 0) {
		t[n] = f[n];
	}
	return to;
}

void *
memset(void *to, int value, size_t n)
{
	uint8_t *t = to;
	uint32_t four = (uint8_t)value * 0x01010101u;

	if (both_aligned(t, t)) {
		for (; n >= WORD; n -= WORD, t += WORD) {
			*(word *)t = four;
		}
	}
	while (n-- > 0) {
		*t++ = (uint8_t)value;
	}
	return to;
}

int
memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a;
	const uint8_t *y = b;

	for (; n > 0; n--, x++, y++) {
		if (*x != *y) {
			return *x - *y;
		}
	}
	return 0;
}

void *
memchr(const void *in, int value, size_t n)
{
	const uint8_t *at = in;

	for (; n > 0; n--, at++) {
		if (*at == (uint8_t)value) {
			return (void *)(uintptr_t)at;
		}
	}
	return NULL;
}

size_t
strlen(const char *text)
{
	const char *end = text;

	while (*end != '\0') {
		end++;
	}
	return (size_t)(end - text);
}

int
strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int
strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++) {
		if (*a != *b || *a == '\0') {
			return (uint8_t)*a - (uint8_t)*b;
		}
	}
	return 0;
}

char *
strchr(const char *text, int wanted)
{
	for (;; text++) {
		if (*text == (char)wanted) {
			return (char *)(uintptr_t)text;
		}
		if (*text == '\0') {
			return NULL;
		}
	}
}

char *
strcpy(char *restrict to, const char *restrict from)
{
	return memcpy(to, from, strlen(from) + 1);
}

char *
strpbrk(const char *text, const char *wanted)
{
	for (; *text != '\0'; text++) {
		if (strchr(wanted, *text) != NULL) {
			return (char *)(uintptr_t)text;
		}
	}
	return NULL;
}
