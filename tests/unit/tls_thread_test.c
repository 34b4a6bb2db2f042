/* SPDX-License-Identifier: BSD-2-Clause */
/* Two workers with a shared store, and a third thread that forgets; for the
 * thread sanitizer above all. */
#include "unit/tls_help.h"

#include <pthread.h>

#include <openssl/crypto.h>

#define ROUNDS 12

struct worker {
	struct server server; /* made by the control thread, as at a reload */
	int version;
	unsigned failed, resumed;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct server *s = &w->server;
	struct client c;

	client_start(&c, &world.device, w->version);
	SSL_CTX_set_options(c.context, w->version == TLS1_2_VERSION ? SSL_OP_NO_TICKET : 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		SSL_SESSION *session = c.session;

		if (session != NULL) {
			SSL_SESSION_up_ref(session);
		}
		w->failed += !meet(&c, s, session);
		w->resumed += tls_resumed(s->tls);
		SSL_SESSION_free(session);
	}
	client_stop(&c);
	server_stop(s);
	OPENSSL_thread_stop();
	return NULL;
}

static void
workers_share_a_store(void **state)
{
	struct tls_shared *shared;
	struct worker workers[] = { { .version = TLS1_2_VERSION }, { .version = TLS1_3_VERSION } };
	pthread_t threads[2];

	(void)state;
	assert_int_equal(tls_shared_new(8, 7200, &shared), 0);
	for (unsigned i = 0; i < 2; i++) {
		server_start(&workers[i].server, NULL, shared);
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 200; i++) {
		tls_shared_forget(shared, "0123");
		assert_true(tls_shared_count(shared) <= 8);
	}
	tls_shared_forget_all(shared);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].failed, 0);
		assert_true(workers[i].resumed >= ROUNDS - 2);
	}
	tls_shared_free(shared);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_share_a_store),
	};

	return cmocka_run_group_tests(tests, world_make, world_remove);
}
