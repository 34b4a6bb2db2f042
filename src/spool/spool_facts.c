/* SPDX-License-Identifier: BSD-2-Clause */
/* What the spool holds and has done, for those who watch it. */
#include "spool/spool_int.h"

static void
count_devices(struct spool *spool, struct spool_totals *out)
{
	const struct list *node, *after;

	list_each(node, after, &spool->all) {
		const struct tally *t = &list_entry(node, struct device, all)->shown;

		out->devices += t->messages > 0;
		if (t->messages > 0 && (out->oldest == 0 || t->oldest < out->oldest)) {
			out->oldest = t->oldest;
		}
	}
}

void
spool_totals(struct spool *spool, struct spool_totals *out)
{
	*out = (struct spool_totals){ 0 };
	pthread_mutex_lock(&spool->lock);
	out->messages = spool->shown_messages;
	out->bytes = spool->shown_bytes;
	out->limit_bytes = spool->limit;
	out->stored = spool->counts.stored;
	out->delivered = spool->counts.delivered;
	out->expired = spool->counts.expired;
	out->dropped = spool->counts.dropped;
	out->refused_full = spool->counts.refused_full;
	out->refused_broker = spool->counts.refused_broker;
	out->purged = spool->counts.purged;
	out->last_error = spool->last_error;
	count_devices(spool, out);
	pthread_mutex_unlock(&spool->lock);
}

void
spool_each(struct spool *spool, void (*each)(void *owner, const struct spool_device *device),
           void *owner)
{
	const struct list *node, *after;

	pthread_mutex_lock(&spool->lock);
	list_each(node, after, &spool->all) {
		const struct device *d = list_entry(node, struct device, all);
		const struct spool_device shown = { d->identity, d->shown.messages, d->shown.bytes,
			d->shown.dropped, d->shown.oldest };

		if (shown.messages > 0 || shown.dropped > 0) {
			each(owner, &shown);
		}
	}
	pthread_mutex_unlock(&spool->lock);
}

uint64_t
spool_refused_by(struct spool *spool, uint8_t reason)
{
	uint64_t n;

	pthread_mutex_lock(&spool->lock);
	n = spool->refused[reason];
	pthread_mutex_unlock(&spool->lock);
	return n;
}
