/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a configuration: no text may crash, hang or leak. */
#include <stdlib.h>

#include "conf/conf_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the texts before a syntax error: a few bytes per bad file. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

/* A report must be whole: printable by whoever gets it. */
static void
report(void *owner, const char *file, int line, const char *key, const char *sentence, bool warning)
{
	unsigned *faults = owner;

	if (file == NULL || line < 0 || key == NULL || sentence[0] == '\0') {
		abort();
	}
	*faults += !warning;
}

static void
visit(void *owner, const char *key, const char *value, bool is_default)
{
	size_t *bytes = owner;

	*bytes += strlen(key) + strlen(value) + is_default;
}

static void
differ(void *owner, const char *key, const char *before, const char *after, bool needs_restart)
{
	size_t *bytes = owner;

	*bytes += strlen(key) + strlen(before) + strlen(after) + needs_restart;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf = NULL, *plain = NULL;
	struct conf_device device = { .identity = span_of(data, size) };
	unsigned faults = 0;
	size_t bytes = 0;
	int result = conf_load_text("fuzz", span_of(data, size), report, &faults, &conf);

	if ((result == 0) != (conf != NULL) || (result == ERR_CONF) != (faults > 0)) {
		abort();
	}
	if (conf == NULL) {
		return 0;
	}
	/* What is accepted keeps the promises that others rely on. */
	if (conf->limits.low_water >= conf->limits.high_water ||
	    conf->upstream.retry_min > conf->upstream.retry_max || conf->listener_count == 0 ||
	    (conf->upstream.path == NULL) == (conf->upstream.address == NULL)) {
		abort();
	}
	conf_each(conf, visit, &bytes);
	if (conf_diff(conf, conf, differ, &bytes) != 0) {
		abort();
	}
	if (conf_default(&plain) == 0) {
		conf_diff(plain, conf, differ, &bytes);
	}
	if (conf_map_find(conf, &device) != NULL) {
		bytes++;
	}
	conf_unref(&plain);
	conf_unref(&conf);
	return 0;
}
