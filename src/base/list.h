/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An intrusive, circular, doubly linked list. The head is a node of its own;
 * an unlinked node points to itself, so list_remove() may be called twice.
 */
#ifndef GATEWAY_BASE_LIST_H
#define GATEWAY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev;
	struct list *next;
};

/* The struct whose member the pointer points at. */
#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))
#define list_entry(node, type, member) container_of(node, type, member)

/* Safe against removal of the current entry, not of others. */
#define list_each(node, after, head)                                 \
	for ((node) = (head)->next, (after) = (node)->next;          \
	     (node) != (head); (node) = (after), (after) = (node)->next)

static inline void
list_init(struct list *node)
{
	node->prev = node->next = node;
}

static inline bool
list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void
list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void
list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first node, unlinked, or NULL. */
static inline struct list *
list_take(struct list *head)
{
	struct list *node = head->next;

	if (node == head) {
		return NULL;
	}
	list_remove(node);
	return node;
}

#endif
