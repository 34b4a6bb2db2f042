/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINK_BYTES (16384 - sizeof(struct chain_link *))

struct chain_link {
	struct chain_link *next;
	uint8_t bytes[LINK_BYTES];
};

static void
free_links(struct chain_link *link)
{
	while (link != NULL) {
		struct chain_link *next = link->next;

		free(link);
		link = next;
	}
}

/* Links for n bytes beyond the last one's room, before any byte is copied. */
static int
make_links(size_t n, struct chain_link **out)
{
	struct chain_link *links = NULL;

	for (size_t made = 0; made < n; made += LINK_BYTES) {
		struct chain_link *link = malloc(sizeof *link);

		if (link == NULL) {
			free_links(links);
			return -ENOMEM;
		}
		link->next = links;
		links = link;
	}
	*out = links;
	return 0;
}

int
chain_append(struct chain *c, struct span s)
{
	size_t room = c->last == NULL ? 0 : LINK_BYTES - c->end;
	struct chain_link *spare = NULL;

	if (s.len > room && make_links(s.len - room, &spare) != 0) {
		return -ENOMEM;
	}
	c->bytes += s.len;
	while (s.len > 0) {
		size_t n;

		if (c->last == NULL || c->end == LINK_BYTES) {
			struct chain_link *link = spare;

			spare = link->next;
			link->next = NULL;
			if (c->last == NULL) {
				c->first = link;
			} else {
				c->last->next = link;
			}
			c->last = link;
			c->end = 0;
		}
		n = LINK_BYTES - c->end < s.len ? LINK_BYTES - c->end : s.len;
		memcpy(c->last->bytes + c->end, s.ptr, n);
		c->end += n;
		s = span_skip(s, n);
	}
	return 0;
}

/* One past the last byte of a link. */
static size_t
end_of(const struct chain *c, const struct chain_link *link)
{
	return link == c->last ? c->end : LINK_BYTES;
}

unsigned
chain_pieces(const struct chain *c, struct iovec *piece, unsigned max, size_t *bytes)
{
	unsigned count = 0;
	size_t start = c->start;

	*bytes = 0;
	for (struct chain_link *l = c->first; l != NULL && count < max; l = l->next) {
		piece[count].iov_base = l->bytes + start;
		piece[count].iov_len = end_of(c, l) - start;
		*bytes += piece[count++].iov_len;
		start = 0;
	}
	return count;
}

void
chain_consume(struct chain *c, size_t n)
{
	c->bytes -= n;
	if (c->bytes == 0) {
		chain_release(c);
		return;
	}
	while (n > 0) {
		struct chain_link *link = c->first;
		size_t held = end_of(c, link) - c->start;

		if (n < held) {
			c->start += n;
			return;
		}
		n -= held;
		c->first = link->next;
		c->start = 0;
		free(link);
	}
}

void
chain_release(struct chain *c)
{
	free_links(c->first);
	*c = (struct chain){ 0 };
}
