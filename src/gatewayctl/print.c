/* SPDX-License-Identifier: BSD-2-Clause */
#include "print.h"

#include <stdlib.h>

#include "text.h"

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

/* rows x n cells, the titles first; a cell for which memory was short is "". */
static char **
make_cells(const struct doc *rows, const struct column *columns, size_t n)
{
	char **cell = calloc((doc_count(rows) + 1) * n, sizeof *cell);

	for (size_t c = 0; cell != NULL && c < n; c++) {
		cell[c] = strdup(columns[c].title);
		for (size_t r = 0; r < doc_count(rows); r++) {
			cell[(r + 1) * n + c] =
			        print_cell(doc_get(doc_at(rows, r), columns[c].key), columns[c].as);
		}
	}
	return cell;
}

void
print_table(FILE *out, const struct doc *rows, const struct column *columns)
{
	size_t n = count_columns(columns);
	size_t lines = doc_count(rows) + 1;
	char **cell = make_cells(rows, columns, n);
	size_t *width = calloc(n, sizeof *width);

	for (size_t i = 0; cell != NULL && width != NULL && i < lines * n; i++) {
		size_t own = cell[i] != NULL ? text_width(cell[i]) : 0;

		width[i % n] = own > width[i % n] ? own : width[i % n];
	}
	for (size_t i = 0; cell != NULL && width != NULL && i < lines * n; i++) {
		put_cell(out, cell[i] != NULL ? cell[i] : "", width[i % n],
		         to_the_right(columns[i % n].as), i % n == n - 1);
	}
	for (size_t i = 0; cell != NULL && i < lines * n; i++) {
		free(cell[i]);
	}
	free(cell);
	free(width);
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
