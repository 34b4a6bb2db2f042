/* SPDX-License-Identifier: BSD-2-Clause */
#include "print.h"

#include <errno.h>
#include <stdlib.h>

#include "text.h"
#include "wrap.h"

#define WRAP_LEAST 40 /* columns; when fewer are left, the last cell gets lines of its own */
#define WRAP_INDENT 4

char *
print_cell(const struct doc *value, enum print_as as)
{
	char text[TEXT_SIZE], ago[TEXT_SIZE], both[2 * TEXT_SIZE];
	int64_t number = doc_number(value);

	if (doc_kind(value) == DOC_BOOL && as == PRINT_YES_NO) {
		return strdup(doc_text(value)[0] == 't' ? "yes" : "no");
	}
	if (doc_kind(value) != DOC_INT) {
		const char *plain = doc_text(value);

		return text_escape(plain[0] != '\0' ? plain : "-", 0);
	}
	switch (as) {
	case PRINT_BYTES:
		return strdup(text_bytes(number, text));
	case PRINT_DATE:
		return strdup(text_date(number, text));
	case PRINT_DAY:
		return strdup(number == 0 ? "1970-01-01" : text_date(number, text));
	case PRINT_AGO:
		return strdup(text_ago(number, text));
	case PRINT_WHEN:
		if (number <= 0) {
			return strdup("-");
		}
		snprintf(both, sizeof both, "%s (%s)", text_time(number, text),
		         text_ago(number, ago));
		return strdup(both);
	default:
		return strdup(doc_text(value));
	}
}

static bool
to_the_right(enum print_as as)
{
	return as == PRINT_NUMBER || as == PRINT_BYTES;
}

static void
pad(FILE *out, size_t from, size_t to)
{
	for (; from < to; from++) {
		fputc(' ', out);
	}
}

/* One cell and the gap to the next; nothing trails on a line. */
static void
put_cell(FILE *out, const char *cell, size_t width, bool right, bool last)
{
	size_t own = text_width(cell);

	if (right) {
		pad(out, own, width);
	}
	fputs(cell, out);
	if (last) {
		fputc('\n', out);
		return;
	}
	if (!right) {
		pad(out, own, width);
	}
	fputs("  ", out);
}

static size_t
count_columns(const struct column *columns)
{
	size_t n = 0;

	while (columns[n].key != NULL) {
		n++;
	}
	return n;
}

struct table {
	const struct column *columns;
	size_t n;          /* columns */
	size_t *width;
	size_t limit;      /* columns of a line, 0: none */
	struct buf cells;  /* each with a NUL, row by row */
	bool failed;
};

static void
add_cell(struct table *table, size_t column, const char *cell)
{
	size_t own = text_width(cell);

	table->width[column] = own > table->width[column] ? own : table->width[column];
	if (buf_append(&table->cells, span_of(cell, strlen(cell) + 1)) < 0) {
		table->failed = true;
	}
}

struct table *
table_new(const struct column *columns)
{
	struct table *table = calloc(1, sizeof *table);

	if (table == NULL) {
		return NULL;
	}
	table->columns = columns;
	table->n = count_columns(columns);
	table->width = calloc(table->n, sizeof *table->width);
	if (table->width == NULL) {
		free(table);
		return NULL;
	}
	for (size_t c = 0; c < table->n; c++) {
		add_cell(table, c, columns[c].title);
	}
	return table;
}

void
table_add(struct table *table, const struct doc *row)
{
	for (size_t c = 0; c < table->n; c++) {
		char *cell = print_cell(doc_get(row, table->columns[c].key), table->columns[c].as);

		table->failed = table->failed || cell == NULL;
		add_cell(table, c, cell != NULL ? cell : "");
		free(cell);
	}
}

void
table_free(struct table *table)
{
	if (table != NULL) {
		buf_release(&table->cells);
		free(table->width);
		free(table);
	}
}

void
table_wrap(struct table *table, size_t limit)
{
	table->limit = limit;
}

/* The last cell of a line, behind that many columns. */
static void
put_last(const struct table *table, FILE *out, const char *cell, size_t before)
{
	if (table->limit == 0 || before + text_width(cell) <= table->limit) {
		fprintf(out, "%s\n", cell);
	} else if (before + WRAP_LEAST <= table->limit) {
		wrap_text(out, cell, before, table->limit);
	} else {
		fprintf(out, "\n%*s", WRAP_INDENT, "");
		wrap_text(out, cell, WRAP_INDENT, table->limit);
	}
}

int
table_print(struct table *table, FILE *out)
{
	struct span cells = buf_span(&table->cells);
	const char *at = (const char *)cells.ptr, *end = at + cells.len;
	int r = table->failed ? -ENOMEM : 0;
	size_t before = 0;

	for (size_t c = 0; c + 1 < table->n; c++) {
		before += table->width[c] + 2;
	}

	for (size_t i = 0; r == 0 && at < end; i++) {
		size_t c = i % table->n;

		if (c == table->n - 1 && !to_the_right(table->columns[c].as)) {
			put_last(table, out, at, before);
		} else {
			put_cell(out, at, table->width[c], to_the_right(table->columns[c].as),
			         c == table->n - 1);
		}
		at += strlen(at) + 1;
	}
	table_free(table);
	return r;
}

void
print_table(FILE *out, const struct doc *rows, const struct column *columns)
{
	struct table *table = table_new(columns);

	if (table == NULL) {
		return;
	}
	for (size_t r = 0; r < doc_count(rows); r++) {
		table_add(table, doc_at(rows, r));
	}
	if (table_print(table, out) < 0) {
		fputs("(no memory for the table)\n", out);
	}
}

void
print_record(FILE *out, const struct doc *row, const struct column *columns, unsigned indent)
{
	size_t width = 0;

	for (const struct column *c = columns; c->key != NULL; c++) {
		size_t own = text_width(c->title);

		width = own > width ? own : width;
	}
	for (const struct column *c = columns; c->key != NULL; c++) {
		const struct doc *value = doc_get(row, c->key);
		char *cell;

		if (value == NULL && c->optional) {
			continue;
		}
		cell = print_cell(value, c->as);
		pad(out, 0, indent);
		put_cell(out, c->title, width, false, false);
		fprintf(out, "%s\n", cell != NULL ? cell : "");
		free(cell);
	}
}
