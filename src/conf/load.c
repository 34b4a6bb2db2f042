/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf_int.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdlib.h>

#define SENTENCE_SIZE 1024

static void
tell(struct load *load, const char *file, int line, const char *key, bool warning,
     const char *format, va_list args)
{
	char sentence[SENTENCE_SIZE];

	if (!warning) {
		load->faults++;
	}
	if (load->report != NULL) {
		vsnprintf(sentence, sizeof sentence, format, args);
		load->report(load->owner, file, line, key, sentence, warning);
	}
}

void
load_fault(struct load *load, const char *file, int line, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(load, file, line, key, false, format, args);
	va_end(args);
}

void
load_fault_at(struct load *load, unsigned line, const char *key, const char *format, ...)
{
	const char *file = load->conf->file;
	va_list args;
	int at;

	source_place(&load->source, line, &file, &at);
	va_start(args, format);
	tell(load, file, at, key, false, format, args);
	va_end(args);
}

void
load_warn_at(struct load *load, unsigned line, const char *key, const char *format, ...)
{
	const char *file = load->conf->file;
	va_list args;
	int at;

	source_place(&load->source, line, &file, &at);
	va_start(args, format);
	tell(load, file, at, key, true, format, args);
	va_end(args);
}

void
conf_key(char *key, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(key, size, format, args);
	va_end(args);
}

unsigned
load_given(const struct load *load, const char *path)
{
	const struct schema_key *key = schema_find(path);

	return key != NULL ? load->given[key - conf_schema] : 0;
}

void
conf_report_print(void *owner, const char *file, int line, const char *key, const char *sentence,
                  bool warning)
{
	FILE *out = owner;

	fprintf(out, "%s:", file);
	if (line > 0) {
		fprintf(out, "%d:", line);
	}
	fprintf(out, " %s%s%s%s\n", key, key[0] != '\0' ? ": " : "", warning ? "warning: " : "",
	        sentence);
}

/* Overwrite the copy of the password that libconfig made. */
static void
wipe_password(const config_t *config)
{
	const char *text;

	if (config_lookup_string(config, "upstream.password", &text)) {
		explicit_bzero((char *)(uintptr_t)text, strlen(text));
	}
}

static bool
parse_source(struct load *load)
{
	config_t config;
	bool parsed;

	config_init(&config);
	parsed = config_read_string(&config, (const char *)buf_span(&load->source.text).ptr);
	if (parsed) {
		parse_group(load, config_root_setting(&config), "", "", load->conf);
	} else {
		int line = config_error_line(&config);
		const char *why = config_error_text(&config);

		load_fault_at(load, line > 0 ? (unsigned)line : 0, "", "%s",
		              why != NULL ? why : "cannot be parsed");
	}
	wipe_password(&config);
	config_destroy(&config);
	return parsed;
}

/* The text is in load->source. What cannot be parsed is not checked further. */
static void
parse_and_check(struct load *load)
{
	if (load->faults > 0 || load->no_memory) {
		return;
	}
	parse_defaults(load, "", load->conf);
	if (!load->no_memory && parse_source(load) && !load->no_memory) {
		conf_check_all(load);
	}
	if (load->faults == 0 && !load->no_memory) {
		conf_show_build(load);
	}
}

static int
load_begin(struct load *load, const char *name)
{
	load->box = conf_box_new();
	load->conf = load->box != NULL ? &load->box->conf : NULL;
	load->given = calloc(conf_schema_count, sizeof *load->given);
	if (load->box == NULL || load->given == NULL) {
		load->no_memory = true;
		return -ENOMEM;
	}
	load->conf->file = load_strdup(load, name);
	return load->no_memory ? -ENOMEM : 0;
}

static int
load_end(struct load *load, struct conf **out)
{
	struct conf *conf = load->conf;

	source_release(&load->source);
	free(load->given);
	if (load->no_memory || load->faults > 0) {
		conf_unref(&conf);
		return load->no_memory ? -ENOMEM : ERR_CONF;
	}
	*out = conf;
	return 0;
}

int
conf_load(const char *file, bool files, conf_report *report, void *owner, struct conf **out)
{
	struct load load = { .report = report, .owner = owner, .files = files };

	if (load_begin(&load, file) == 0) {
		source_read_file(&load.source, load.conf->file, &load);
		parse_and_check(&load);
	}
	return load_end(&load, out);
}

int
conf_load_text(const char *name, struct span text, conf_report *report, void *owner,
               struct conf **out)
{
	struct load load = { .report = report, .owner = owner };

	if (load_begin(&load, name) == 0) {
		source_read_text(&load.source, load.conf->file, text, &load);
		parse_and_check(&load);
	}
	return load_end(&load, out);
}

int
conf_default(struct conf **out)
{
	return conf_load_text("", span_of(NULL, 0), NULL, NULL, out);
}
