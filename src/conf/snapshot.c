/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdlib.h>

#include "conf/conf_int.h"

struct conf_box *
conf_box_new(void)
{
	struct conf_box *box = calloc(1, sizeof *box);

	if (box != NULL) {
		atomic_init(&box->refs, 1);
	}
	return box;
}

static void
box_free(struct conf_box *box)
{
	struct conf_block *block = box->block;

	while (block != NULL) {
		struct conf_block *next = block->next;

		explicit_bzero(block->memory, block->size); /* one of them is the password */
		free(block);
		block = next;
	}
	free(box);
}

static struct conf_box *
box_of(struct conf *conf)
{
	return (struct conf_box *)(void *)((char *)conf - offsetof(struct conf_box, conf));
}

struct conf *
conf_ref(struct conf *conf)
{
	atomic_fetch_add_explicit(&box_of(conf)->refs, 1, memory_order_relaxed);
	return conf;
}

void
conf_unref(struct conf **conf)
{
	struct conf_box *box;

	if (*conf == NULL) {
		return;
	}
	box = box_of(*conf);
	*conf = NULL;
	if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) == 1) {
		box_free(box);
	}
}

void *
load_alloc(struct load *load, size_t size)
{
	struct conf_block *block = calloc(1, sizeof *block + size);

	if (block == NULL) {
		load->no_memory = true;
		return NULL;
	}
	block->size = size;
	block->next = load->box->block;
	load->box->block = block;
	return block->memory;
}

char *
load_strdup(struct load *load, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = load_alloc(load, n);

	if (copy != NULL) {
		memcpy(copy, text, n);
	}
	return copy;
}

char *
load_printf(struct load *load, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n >= 0) {
		text = load_alloc(load, (size_t)n + 1);
	}
	if (text != NULL) {
		va_start(args, format);
		vsnprintf(text, (size_t)n + 1, format, args);
		va_end(args);
	}
	return text;
}
