/* SPDX-License-Identifier: BSD-2-Clause */
#include "gatewayd/metrics_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatewayd/daemon.h"
#include "gatewayd/spool_commands.h"

#ifdef HAVE_LIBMICROHTTPD
#include <arpa/inet.h>

#include <microhttpd.h>

struct metrics_http {
	struct MHD_Daemon *mhd;
};

static void
write_causes(const struct daemon *d, FILE *text)
{
	fprintf(text, "# HELP gateway_diagnosed_total connections that ended for that cause, see "
	              "gateway-diagnosis(7)\n# TYPE gateway_diagnosed_total counter\n");
	for (unsigned i = 0; i < CAUSE_COUNT; i++) {
		if (i != CAUSE_NOTHING) {
			fprintf(text, "gateway_diagnosed_total{cause=\"%s\"} %llu\n",
			        diagnose_entry(i)->id,
			        (unsigned long long)episodes_count(d->shared.episodes, i));
		}
	}
}

static void
write_metrics(const struct daemon *d, FILE *text)
{
	struct broker_info broker;

	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		const struct metric_info *i = &metric_info[m];
		const char *suffix = strcmp(i->kind, "counter") == 0 ? "_total" : "";

		fprintf(text, "# HELP gateway_%s%s %s\n# TYPE gateway_%s%s %s\ngateway_%s%s %lld\n",
		        i->name, suffix, i->help, i->name, suffix, i->kind, i->name, suffix,
		        (long long)daemon_metric(d, m));
	}
	broker_read(d->shared.broker, &broker);
	fprintf(text,
	        "# HELP gateway_broker_up whether the last dial to the broker succeeded\n"
	        "# TYPE gateway_broker_up gauge\ngateway_broker_up %d\n",
	        broker.state == BROKER_UP);
	fprintf(text,
	        "# HELP gateway_certificates_expiring enrolled devices whose certificate ends "
	        "within 30 days\n"
	        "# TYPE gateway_certificates_expiring gauge\ngateway_certificates_expiring %lld\n",
	        (long long)atomic_load(&d->expiring));
	if (atomic_load(&d->crl_next_update) != 0) {
		fprintf(text,
		        "# HELP gateway_crl_next_update_seconds when the first revocation list is "
		        "out of date, in seconds since 1970\n"
		        "# TYPE gateway_crl_next_update_seconds gauge\n"
		        "gateway_crl_next_update_seconds %lld\n",
		        (long long)atomic_load(&d->crl_next_update));
	}
	broker_session_metrics(d, text);
	spool_metrics(d->shared.spool, text);
	write_causes(d, text);
	fprintf(text, "# HELP gateway_info version of the gateway\n# TYPE gateway_info gauge\n"
	              "gateway_info{version=\"" PACKAGE_VERSION "\"} 1\n");
}

static enum MHD_Result
respond(struct MHD_Connection *connection, unsigned code, char *text, size_t len,
        enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result rc;

	if (response == NULL) {
		if (mode == MHD_RESPMEM_MUST_FREE) {
			free(text);
		}
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
	                        "text/plain; version=0.0.4; charset=utf-8");
	rc = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return rc;
}

static enum MHD_Result
handle(void *owner, struct MHD_Connection *connection, const char *url, const char *method,
       const char *version, const char *upload, size_t *upload_size, void **state)
{
	static char not_found[] = "Ask for /metrics.\n";
	char *text = NULL;
	size_t len = 0;
	FILE *stream;

	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		return MHD_NO;
	}
	if (strcmp(url, "/metrics") != 0) {
		return respond(connection, MHD_HTTP_NOT_FOUND, not_found, sizeof not_found - 1,
		               MHD_RESPMEM_PERSISTENT);
	}
	stream = open_memstream(&text, &len);
	if (stream == NULL) {
		return MHD_NO;
	}
	write_metrics(owner, stream);
	fclose(stream);
	return respond(connection, MHD_HTTP_OK, text, len, MHD_RESPMEM_MUST_FREE);
}

int
metrics_http_open(const struct daemon *d, struct metrics_http **out, char *why)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(d->conf->metrics.port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(d->conf->metrics.port) };
	bool v6 = inet_pton(AF_INET6, d->conf->metrics.address, &in6.sin6_addr) == 1;
	struct metrics_http *http = calloc(1, sizeof *http);

	if (!v6 && inet_pton(AF_INET, d->conf->metrics.address, &in.sin_addr) != 1) {
		snprintf(why, 256, "metrics.address is no literal IP address");
		free(http);
		return ERR_CONF;
	}
	if (http != NULL) {
		http->mhd = MHD_start_daemon(
		        MHD_USE_INTERNAL_POLLING_THREAD | (v6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL,
		        handle, (void *)(uintptr_t)d, MHD_OPTION_SOCK_ADDR,
		        v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
		        MHD_OPTION_CONNECTION_LIMIT, 16u, MHD_OPTION_CONNECTION_TIMEOUT, 10u,
		        MHD_OPTION_END);
	}
	if (http == NULL || http->mhd == NULL) {
		snprintf(why, 256, "%s port %u cannot be used; is it taken?",
		         d->conf->metrics.address, d->conf->metrics.port);
		free(http);
		return ERR_UNAVAILABLE;
	}
	*out = http;
	return 0;
}

void
metrics_http_close(struct metrics_http *http)
{
	if (http != NULL) {
		MHD_stop_daemon(http->mhd);
		free(http);
	}
}
#else
int
metrics_http_open(const struct daemon *d, struct metrics_http **out, char *why)
{
	(void)d;
	(void)out;
	snprintf(why, 256, "this gatewayd was built without libmicrohttpd; "
	                   "take metrics.address out of the configuration");
	return ERR_UNAVAILABLE;
}

void
metrics_http_close(struct metrics_http *http)
{
	(void)http;
}
#endif
