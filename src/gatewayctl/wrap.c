/* SPDX-License-Identifier: BSD-2-Clause */
#include "wrap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "text.h"

#define LEAST_COLUMNS 20 /* for text: below, breaking helps nobody */

size_t
wrap_columns(FILE *out)
{
	struct winsize size;
	int fd = fileno(out);

	if (fd < 0 || !isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) < 0) {
		return 0;
	}
	return size.ws_col;
}

/* Put the words of a text that is safe; it is cut into them. */
static void
put_words(FILE *out, char *text, size_t at, size_t columns)
{
	char *rest = NULL;
	size_t used = 0;

	for (char *word = strtok_r(text, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		size_t own = text_width(word);

		if (used > 0 && at + used + 1 + own > columns) {
			fprintf(out, "\n%*s", (int)at, "");
			used = 0;
		} else if (used > 0) {
			fputc(' ', out);
			used++;
		}
		fputs(word, out);
		used += own;
	}
	fputc('\n', out);
}

void
wrap_text(FILE *out, const char *text, size_t at, size_t columns)
{
	char *safe = text_escape(text, 0);

	if (safe == NULL || columns == 0 || columns < at + LEAST_COLUMNS) {
		fprintf(out, "%s\n", safe != NULL ? safe : "");
	} else {
		put_words(out, safe, at, columns);
	}
	free(safe);
}
