/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static bool faked;
static uint64_t fake_ms;
static int64_t fake_wall;

uint64_t
clock_ms(void)
{
	struct timespec now;

	if (faked) {
		return fake_ms;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t
clock_wall(void)
{
	return faked ? fake_wall : (int64_t)time(NULL);
}

void
clock_fake(uint64_t ms, int64_t wall)
{
	faked = true;
	fake_ms = ms;
	fake_wall = wall;
}

void
clock_real(void)
{
	faked = false;
}

char *
clock_text(int64_t wall, char *text)
{
	time_t when = (time_t)wall;
	struct tm tm;

	/* Years beyond 9999 would not fit; a certificate cannot carry them. */
	if (gmtime_r(&when, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
	    tm.tm_year < -1900 ||
	    strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
		snprintf(text, CLOCK_TEXT_SIZE, "-");
	}
	return text;
}
