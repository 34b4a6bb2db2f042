/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all contexts share: the session store, the ticket keys, and what has
 * been forgotten. One mutex; nothing under it is slower than a copy of a
 * session or, at a rotation, 80 random bytes.
 *
 * Tickets lie with the peers and cannot be deleted. So every session carries
 * the value that `sequence` had before its certificate was verified, each
 * forget raises the sequence, and a session is void when its number is below
 * the one noted for its key or for all.
 */
#include "tls/tls_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/list.h"

/* A board keeps one session; more per key would let one board that never
 * resumes push out the sessions of all others. */
#define PER_KEY 4
#define VOIDS 1024
#define TICKET_KEYS 3

struct session {
	struct list by_age, by_id, by_key;
	struct pki_cert *cert;
	uint8_t id[SSL_MAX_SSL_SESSION_ID_LENGTH];
	unsigned id_len;
	struct tls_stamp stamp;
	size_t len, der_len;
	uint8_t bytes[]; /* the session, then the certificate */
};

struct voided {
	char fingerprint[PKI_FINGERPRINT_SIZE];
	uint64_t below;
	uint64_t when; /* clock_ms() */
};

struct tls_shared {
	atomic_uint refs;
	pthread_mutex_t lock;
	uint64_t lifetime; /* milliseconds */
	uint64_t sequence;
	uint64_t all_below;
	size_t limit, count;
	size_t buckets; /* of each table, a power of two */
	struct list *ids, *keys;
	struct list age; /* oldest first */
	struct tls_ticket_key ticket[TICKET_KEYS]; /* newest first */
	unsigned voids;
	struct voided voided[VOIDS];
};

/* ---- life ------------------------------------------------------------------------------ */

static struct list *
table_new(size_t buckets)
{
	struct list *table = calloc(buckets, sizeof *table);

	for (size_t i = 0; table != NULL && i < buckets; i++) {
		list_init(&table[i]);
	}
	return table;
}

int
tls_shared_new(unsigned sessions, unsigned lifetime, struct tls_shared **out)
{
	struct tls_shared *shared = calloc(1, sizeof *shared);
	size_t buckets = 16;

	if (shared == NULL) {
		return -ENOMEM;
	}
	while (buckets < sessions) {
		buckets *= 2;
	}
	shared->limit = sessions;
	shared->lifetime = (uint64_t)lifetime * 1000;
	shared->buckets = buckets;
	shared->ids = table_new(buckets);
	shared->keys = table_new(buckets);
	list_init(&shared->age);
	if (shared->ids == NULL || shared->keys == NULL ||
	    pthread_mutex_init(&shared->lock, NULL) != 0) {
		free(shared->ids);
		free(shared->keys);
		free(shared);
		return -ENOMEM;
	}
	atomic_init(&shared->refs, 1);
	*out = shared;
	return 0;
}

void
tls_shared_ref(struct tls_shared *shared)
{
	atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
}

unsigned
tls_shared_lifetime(const struct tls_shared *shared)
{
	return (unsigned)(shared->lifetime / 1000);
}

/* ---- the store; the lock is held ------------------------------------------------------- */

static void
session_free(struct tls_shared *shared, struct session *session)
{
	list_remove(&session->by_age);
	list_remove(&session->by_id);
	list_remove(&session->by_key);
	shared->count--;
	OPENSSL_cleanse(session->bytes, session->len);
	pki_cert_free(session->cert);
	free(session);
}

static void
forget_sessions(struct tls_shared *shared)
{
	while (!list_empty(&shared->age)) {
		session_free(shared, list_entry(shared->age.next, struct session, by_age));
	}
}

/* Identifiers are random bytes of ours, so any eight of them spread well. */
static struct list *
id_bucket(struct tls_shared *shared, struct span id)
{
	uint64_t hash = 0;

	memcpy(&hash, id.ptr, id.len < sizeof hash ? id.len : sizeof hash);
	return &shared->ids[hash & (shared->buckets - 1)];
}

static struct list *
key_bucket(struct tls_shared *shared, const char *fingerprint)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (const char *p = fingerprint; *p != '\0'; p++) {
		hash = (hash ^ (uint8_t)*p) * 1099511628211u;
	}
	return &shared->keys[(hash ^ hash >> 32) & (shared->buckets - 1)];
}

static struct session *
session_find(struct tls_shared *shared, struct span id)
{
	struct list *head = id_bucket(shared, id), *node, *after;

	list_each (node, after, head) {
		struct session *session = list_entry(node, struct session, by_id);

		if (span_eq(span_of(session->id, session->id_len), id)) {
			return session;
		}
	}
	return NULL;
}

/* Free the sessions of a key but for the newest `keep`. */
static void
trim_key(struct tls_shared *shared, const char *fingerprint, unsigned keep)
{
	struct list *head = key_bucket(shared, fingerprint), *node;
	unsigned seen = 0;

	for (node = head->prev; node != head;) {
		struct session *session = list_entry(node, struct session, by_key);

		node = node->prev;
		if (strcmp(session->cert->fingerprint, fingerprint) == 0 && ++seen > keep) {
			session_free(shared, session);
		}
	}
}

static bool
valid(const struct tls_shared *shared, const char *fingerprint, const struct tls_stamp *stamp)
{
	if (stamp->sequence < shared->all_below ||
	    clock_ms() - stamp->born >= shared->lifetime) {
		return false;
	}
	for (unsigned i = 0; i < shared->voids; i++) {
		if (stamp->sequence < shared->voided[i].below &&
		    strcmp(fingerprint, shared->voided[i].fingerprint) == 0) {
			return false;
		}
	}
	return true;
}

/* ---- the store ------------------------------------------------------------------------- */

static struct session *
session_new(struct span id, const struct tls_kept *kept, const struct tls_stamp *stamp)
{
	struct session *session = malloc(sizeof *session + kept->session.len + kept->der.len);

	if (session == NULL) {
		return NULL;
	}
	*session = (struct session){
		.cert = pki_cert_copy(kept->cert),
		.id_len = (unsigned)id.len,
		.stamp = *stamp,
		.len = kept->session.len,
		.der_len = kept->der.len,
	};
	if (session->cert == NULL) {
		free(session);
		return NULL;
	}
	memcpy(session->id, id.ptr, id.len);
	memcpy(session->bytes, kept->session.ptr, kept->session.len);
	memcpy(session->bytes + kept->session.len, kept->der.ptr, kept->der.len);
	return session;
}

void
tls_shared_put(struct tls_shared *shared, struct span id, const struct tls_kept *kept,
               const struct tls_stamp *stamp)
{
	const char *fingerprint = kept->cert->fingerprint;
	struct session *session;

	if (shared->limit == 0 || kept->session.len + kept->der.len > TLS_SESSION_MAX ||
	    id.len == 0 || id.len > sizeof session->id) {
		return;
	}
	session = session_new(id, kept, stamp);
	if (session == NULL) {
		return;
	}
	pthread_mutex_lock(&shared->lock);
	list_append(&shared->age, &session->by_age);
	list_append(id_bucket(shared, id), &session->by_id);
	list_append(key_bucket(shared, fingerprint), &session->by_key);
	shared->count++;
	trim_key(shared, fingerprint, PER_KEY);
	while (shared->count > shared->limit) {
		session_free(shared, list_entry(shared->age.next, struct session, by_age));
	}
	pthread_mutex_unlock(&shared->lock);
}

bool
tls_shared_get(struct tls_shared *shared, struct span id, uint8_t *memory, struct tls_kept *out)
{
	struct session *session;
	struct pki_cert *cert = NULL;

	if (id.len == 0) {
		return false;
	}
	pthread_mutex_lock(&shared->lock);
	session = session_find(shared, id);
	if (session != NULL && !valid(shared, session->cert->fingerprint, &session->stamp)) {
		session_free(shared, session);
	} else if (session != NULL && (cert = pki_cert_copy(session->cert)) != NULL) {
		/* What is used stays: it becomes the youngest. */
		list_remove(&session->by_age);
		list_append(&shared->age, &session->by_age);
		memcpy(memory, session->bytes, session->len + session->der_len);
		*out = (struct tls_kept){ .session = span_of(memory, session->len),
			.der = span_of(memory + session->len, session->der_len), .cert = cert };
	}
	pthread_mutex_unlock(&shared->lock);
	return cert != NULL;
}

void
tls_shared_drop(struct tls_shared *shared, struct span id)
{
	struct session *session;

	if (id.len == 0) {
		return;
	}
	pthread_mutex_lock(&shared->lock);
	session = session_find(shared, id);
	if (session != NULL) {
		session_free(shared, session);
	}
	pthread_mutex_unlock(&shared->lock);
}

size_t
tls_shared_count(struct tls_shared *shared)
{
	size_t count;

	pthread_mutex_lock(&shared->lock);
	count = shared->count;
	pthread_mutex_unlock(&shared->lock);
	return count;
}

/* ---- forgetting ------------------------------------------------------------------------ */

uint64_t
tls_shared_sequence(struct tls_shared *shared)
{
	uint64_t sequence;

	pthread_mutex_lock(&shared->lock);
	sequence = shared->sequence;
	pthread_mutex_unlock(&shared->lock);
	return sequence;
}

bool
tls_shared_valid(struct tls_shared *shared, const char *fingerprint, const struct tls_stamp *stamp)
{
	bool good;

	pthread_mutex_lock(&shared->lock);
	good = valid(shared, fingerprint, stamp);
	pthread_mutex_unlock(&shared->lock);
	return good;
}

static void
forget_all(struct tls_shared *shared)
{
	shared->all_below = ++shared->sequence;
	shared->voids = 0;
	forget_sessions(shared);
}

/* Place for one more, if the notes that outlived every ticket make one. */
static struct voided *
voided_new(struct tls_shared *shared)
{
	uint64_t now = clock_ms();
	unsigned kept = 0;

	for (unsigned i = 0; i < shared->voids && shared->voids == VOIDS; i++) {
		if (now - shared->voided[i].when < shared->lifetime) {
			shared->voided[kept++] = shared->voided[i];
		}
	}
	if (shared->voids == VOIDS) {
		shared->voids = kept;
	}
	return shared->voids < VOIDS ? &shared->voided[shared->voids++] : NULL;
}

void
tls_shared_forget_all(struct tls_shared *shared)
{
	pthread_mutex_lock(&shared->lock);
	forget_all(shared);
	pthread_mutex_unlock(&shared->lock);
}

void
tls_shared_forget(struct tls_shared *shared, const char *fingerprint)
{
	struct voided *voided = NULL;

	if (strlen(fingerprint) >= PKI_FINGERPRINT_SIZE) {
		return; /* no certificate has it */
	}
	pthread_mutex_lock(&shared->lock);
	for (unsigned i = 0; i < shared->voids && voided == NULL; i++) {
		if (strcmp(shared->voided[i].fingerprint, fingerprint) == 0) {
			voided = &shared->voided[i];
		}
	}
	if (voided == NULL) {
		voided = voided_new(shared);
	}
	if (voided == NULL) {
		/* Too many to note each: costs everybody one full handshake. */
		forget_all(shared);
	} else {
		*voided = (struct voided){ .below = ++shared->sequence, .when = clock_ms() };
		memcpy(voided->fingerprint, fingerprint, strlen(fingerprint) + 1);
		trim_key(shared, fingerprint, 0);
	}
	pthread_mutex_unlock(&shared->lock);
}

/* ---- ticket keys ----------------------------------------------------------------------- */

/*
 * A key seals for half the lifetime and opens for one and a half: then its
 * last ticket has ended too, and it is wiped.
 */
static int
rotate(struct tls_shared *shared)
{
	struct tls_ticket_key key = { .born = clock_ms() };
	struct tls_ticket_key *newest = &shared->ticket[0];

	if (newest->born != 0 && key.born - newest->born < shared->lifetime / 2) {
		return 0;
	}
	if (RAND_bytes(key.name, sizeof key.name) != 1 ||
	    RAND_priv_bytes(key.cipher, sizeof key.cipher) != 1 ||
	    RAND_priv_bytes(key.mac, sizeof key.mac) != 1) {
		OPENSSL_cleanse(&key, sizeof key);
		return ERR_CRYPTO;
	}
	key.born += key.born == 0; /* 0 means empty */
	memmove(&shared->ticket[1], &shared->ticket[0], sizeof key * (TICKET_KEYS - 1));
	*newest = key;
	OPENSSL_cleanse(&key, sizeof key);
	for (unsigned i = 1; i < TICKET_KEYS; i++) {
		if (newest->born - shared->ticket[i].born >= shared->lifetime / 2 * 3) {
			OPENSSL_cleanse(&shared->ticket[i], sizeof shared->ticket[i]);
		}
	}
	return 0;
}

int
tls_shared_ticket_key(struct tls_shared *shared, struct tls_ticket_key *out)
{
	int rc;

	pthread_mutex_lock(&shared->lock);
	rc = rotate(shared);
	if (rc == 0) {
		*out = shared->ticket[0];
	}
	pthread_mutex_unlock(&shared->lock);
	return rc;
}

int
tls_shared_ticket_find(struct tls_shared *shared, const uint8_t *name, struct tls_ticket_key *out,
                       bool *newest)
{
	uint64_t now = clock_ms();
	int rc = ERR_NOT_FOUND;

	pthread_mutex_lock(&shared->lock);
	for (unsigned i = 0; i < TICKET_KEYS && rc != 0; i++) {
		const struct tls_ticket_key *key = &shared->ticket[i];

		if (key->born != 0 && now - key->born < shared->lifetime / 2 * 3 &&
		    memcmp(key->name, name, TLS_TICKET_NAME) == 0) {
			*out = *key;
			*newest = i == 0;
			rc = 0;
		}
	}
	pthread_mutex_unlock(&shared->lock);
	return rc;
}

void
tls_shared_free(struct tls_shared *shared)
{
	if (shared == NULL ||
	    atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	forget_sessions(shared);
	OPENSSL_cleanse(shared->ticket, sizeof shared->ticket);
	pthread_mutex_destroy(&shared->lock);
	free(shared->ids);
	free(shared->keys);
	free(shared);
}
