/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this folder share and nobody else sees. */
#ifndef GATEWAY_CONF_CONF_INT_H
#define GATEWAY_CONF_CONF_INT_H

#include <stdatomic.h>

#include "conf/conf.h"
#include "conf/schema.h"
#include "conf/source.h"

struct config_setting_t;

/* One line of `config show`, made once when the snapshot is. */
struct conf_entry {
	const char *key, *value;
	const char *secret; /* what decides whether it changed, when value must not tell */
	bool restart;
	bool given;
};

/* Everything a snapshot owns is in its blocks: freed and wiped together. */
struct conf_box {
	struct conf conf; /* first: conf_ref() gets its address */
	atomic_uint refs;
	struct conf_block {
		struct conf_block *next;
		size_t size;
		max_align_t memory[];
	} *block;
	struct conf_entry *entry; /* in the order of the table */
	size_t entry_count;
	const struct conf_entry **sorted; /* the same by key */
};

/* One run of conf_load(). */
struct load {
	struct conf_box *box;
	struct conf *conf; /* of the box */
	struct source source;
	conf_report *report;
	void *owner;
	unsigned *given; /* per schema key: line of the source where it was given; 0: not */
	unsigned faults;
	bool files;
	bool no_memory;
};

/* ---- snapshot.c ---- */
struct conf_box *conf_box_new(void);
/* Zeroed memory that lives as long as the snapshot; NULL sets no_memory. */
void *load_alloc(struct load *load, size_t size);
char *load_strdup(struct load *load, const char *text);
char *load_printf(struct load *load, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- load.c ---- */
/* conf_load() of a text in memory; it cannot include files. For tests. */
int conf_load_text(const char *name, struct span text, conf_report *report, void *owner,
                   struct conf **out) MUST_CHECK;
void load_fault(struct load *load, const char *file, int line, const char *key,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
/* At a line of the source. */
void load_fault_at(struct load *load, unsigned line, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void load_warn_at(struct load *load, unsigned line, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The text of a key for a message, cut when it is longer than size - 1 bytes. */
void conf_key(char *key, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Line of the source where the key was given, 0 when it was not. */
unsigned load_given(const struct load *load, const char *path);

/* ---- parse.c ---- */
#define KEY_SIZE 160 /* longer key texts are cut */
/*
 * Take the members of a group into `base`. `prefix` is how the table names
 * the group ("maps[]."), `shown` how messages do ("maps[sensors].").
 */
void parse_group(struct load *load, const struct config_setting_t *group, const char *prefix,
                 const char *shown, void *base);
/* Every default of the keys with that prefix, not of groups in groups of lists. */
void parse_defaults(struct load *load, const char *prefix, void *base);
/* Is it a list with at most key->max groups? On failure reported. */
bool parse_is_list(struct load *load, const struct config_setting_t *list,
                   const struct schema_key *key, const char *shown);

/* ---- maps.c ---- */
void parse_maps(struct load *load, const struct config_setting_t *list);
void parse_rules(struct load *load, const struct config_setting_t *list,
                 const struct schema_key *key, const char *shown, struct conf_map *map);
void parse_labels(struct load *load, const struct config_setting_t *group, const char *shown,
                  struct conf_map *map);
void conf_default_map(struct load *load);

/* ---- check.c ---- */
void conf_check_all(struct load *load);

/* ---- uplink.c ---- */
/* The keys of uplink; a topic that is "" becomes NULL. */
void conf_check_uplink(struct load *load);

/* ---- show.c ---- */
void conf_show_build(struct load *load);

#endif
