/* SPDX-License-Identifier: BSD-2-Clause */
/* Defaults that depend on other keys, and checks that need more than one key. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_int.h"

/* ---- derived defaults ------------------------------------------------------------ */

static char *
host_name(struct load *load)
{
	char name[256] = "";

	if (gethostname(name, sizeof name - 1) != 0 || !topic_value_safe(span_str(name))) {
		return load_strdup(load, "gateway");
	}
	return load_strdup(load, name);
}

static void
default_path(struct load *load, char **path, const char *name)
{
	if (*path == NULL) {
		*path = load_printf(load, "%s/pki/%s", load->conf->gateway.state_directory, name);
	}
}

static void
derive_upstream(struct load *load)
{
	struct conf *conf = load->conf;

	if (load_given(load, "upstream.path") == 0 && load_given(load, "upstream.address") == 0) {
		conf->upstream.path = load_strdup(load, "/run/mqtt-upstream/broker.sock");
	}
	if (load_given(load, "upstream.pending") == 0) {
		conf->upstream.pending = load_given(load, "upstream.address") == 0 ? 8 : 64;
	}
}

static void
derive_limits(struct load *load)
{
	struct conf *conf = load->conf;

	if (load_given(load, "limits.packet_memory") == 0) {
		conf->limits.packet_memory =
			conf->limits.packet_size < 131072 ? conf->limits.packet_size : 131072;
	}
	if (load_given(load, "limits.low_water") == 0) {
		conf->limits.low_water = conf->limits.high_water / 4;
	}
}

static void
derive(struct load *load)
{
	struct conf *conf = load->conf;

	if (conf->gateway.name == NULL) {
		conf->gateway.name = host_name(load);
	}
	if (load_given(load, "listeners") == 0) {
		conf->listener = load_alloc(load, sizeof *conf->listener);
		if (conf->listener != NULL) {
			conf->listener_count = 1;
			parse_defaults(load, "listeners[].", conf->listener);
		}
	}
	if (load_given(load, "identity.sources") == 0) {
		conf->identity.source[0] = CONF_SOURCE_SAN_URI;
		conf->identity.source[1] = CONF_SOURCE_SAN_DNS;
		conf->identity.source[2] = CONF_SOURCE_CN;
		conf->identity.source_count = 3;
	}
	default_path(load, &conf->tls.certificate, "gateway.crt");
	default_path(load, &conf->tls.key, "gateway.key");
	default_path(load, &conf->tls.ca, "ca.crt");
	derive_upstream(load);
	derive_limits(load);
	if (load_given(load, "maps") == 0) {
		conf_default_map(load);
	}
}

/* ---- several keys ------------------------------------------------------------------ */

/* Report at whichever of the two the file has. */
static unsigned
line_of(const struct load *load, const char *key, const char *other)
{
	unsigned line = load_given(load, key);

	return line != 0 ? line : load_given(load, other);
}

static void
check_limits(struct load *load)
{
	const struct conf *conf = load->conf;
	char a[VALUE_TEXT_SIZE], b[VALUE_TEXT_SIZE];

	if (conf->limits.low_water >= conf->limits.high_water) {
		load_fault_at(load, line_of(load, "limits.low_water", "limits.high_water"),
		              "limits.low_water", "must be less than limits.high_water (%s), is %s",
		              value_show(conf->limits.high_water, VALUE_BYTES, a),
		              value_show(conf->limits.low_water, VALUE_BYTES, b));
	}
	if (conf->limits.packet_memory > conf->limits.packet_size) {
		load_fault_at(load, line_of(load, "limits.packet_memory", "limits.packet_size"),
		              "limits.packet_memory",
		              "must not be more than limits.packet_size (%s), is %s",
		              value_show(conf->limits.packet_size, VALUE_BYTES, a),
		              value_show(conf->limits.packet_memory, VALUE_BYTES, b));
	}
	if (load_given(load, "limits.connections_per_address") != 0 &&
	    conf->limits.connections_per_address > conf->limits.connections) {
		load_warn_at(load, load_given(load, "limits.connections_per_address"),
		             "limits.connections_per_address",
		             "has no effect: limits.connections is %u", conf->limits.connections);
	}
}

static void
check_client_id(struct load *load)
{
	struct span text = span_str(load->conf->upstream.client_id);
	unsigned line = load_given(load, "upstream.client_id");
	const char *why = NULL;

	if (topic_template_check(text, &why) != 0) {
		load_fault_at(load, line, "upstream.client_id", "%s", why);
	} else if (!topic_template_uses(text, "identity") &&
	           !topic_template_uses(text, "fingerprint")) {
		/* Else one device could take another's session over. */
		load_fault_at(load, line, "upstream.client_id",
		              "must use ${identity} or ${fingerprint}: no two devices may have "
		              "the same client identifier");
	}
}

static void
check_upstream(struct load *load)
{
	const struct conf *conf = load->conf;

	if (load_given(load, "upstream.path") != 0 && load_given(load, "upstream.address") != 0) {
		load_fault_at(load, load_given(load, "upstream.address"), "upstream.address",
		              "upstream.path is given too; choose one of them");
	}
	if (load_given(load, "upstream.port") != 0 && load_given(load, "upstream.address") == 0) {
		load_warn_at(load, load_given(load, "upstream.port"), "upstream.port",
		             "has no effect without upstream.address");
	}
	if (conf->upstream.address != NULL && !value_is_loopback(conf->upstream.address)) {
		load_warn_at(load, load_given(load, "upstream.address"), "upstream.address",
		             "%s is another host: what devices send goes there unencrypted",
		             conf->upstream.address);
	}
	if (conf->upstream.retry_min > conf->upstream.retry_max) {
		char a[VALUE_TEXT_SIZE], b[VALUE_TEXT_SIZE];

		load_fault_at(load, line_of(load, "upstream.retry_min", "upstream.retry_max"),
		              "upstream.retry_min",
		              "must not be more than upstream.retry_max (%s), is %s",
		              value_show(conf->upstream.retry_max, VALUE_MS, a),
		              value_show(conf->upstream.retry_min, VALUE_MS, b));
	}
	check_client_id(load);
}

/* Would binding the one forbid binding the other? "::" takes IPv4 too. */
static bool
collide(const char *a, uint16_t port_a, const char *b, uint16_t port_b)
{
	if (a == NULL || b == NULL || port_a != port_b || port_a == 0) {
		return false;
	}
	return value_same_address(a, b) || value_same_address(a, "::") ||
	       value_same_address(b, "::") ||
	       (value_same_address(a, "0.0.0.0") && strchr(b, ':') == NULL) ||
	       (value_same_address(b, "0.0.0.0") && strchr(a, ':') == NULL);
}

static void
check_listeners(struct load *load)
{
	const struct conf *conf = load->conf;
	unsigned line = load_given(load, "listeners");
	const char *file = conf->file;
	char key[KEY_SIZE];
	int at;

	source_place(&load->source, line, &file, &at);
	for (size_t i = 0; i < conf->listener_count; i++) {
		const struct conf_listener *one = &conf->listener[i];

		for (size_t j = 0; j < i; j++) {
			const struct conf_listener *other = &conf->listener[j];

			if (collide(one->address, one->port, other->address, other->port)) {
				conf_key(key, sizeof key, "listeners[%zu]", i);
				load_fault(load, file, one->line, key,
				           "%s port %u is taken by listeners[%zu]", one->address,
				           one->port, j);
				break;
			}
		}
		if (collide(one->address, one->port, conf->metrics.address, conf->metrics.port)) {
			load_fault_at(load, line_of(load, "metrics.port", "metrics.address"),
			              "metrics.port", "%u is taken by listeners[%zu]",
			              conf->metrics.port, i);
		}
	}
}

static void
check_others(struct load *load)
{
	const struct conf *conf = load->conf;

	if (load_given(load, "gateway.name") != 0 &&
	    !topic_value_safe(span_str(conf->gateway.name))) {
		load_fault_at(load, load_given(load, "gateway.name"), "gateway.name",
		              "cannot stand in a topic level: without + # / $ and control "
		              "characters");
	}
	if (conf->metrics.address != NULL && !value_is_loopback(conf->metrics.address)) {
		load_warn_at(load, load_given(load, "metrics.address"), "metrics.address",
		             "%s is not loopback: whoever reaches it can read the metrics",
		             conf->metrics.address);
	}
	if (load_given(load, "metrics.port") != 0 && conf->metrics.address == NULL) {
		load_warn_at(load, load_given(load, "metrics.port"), "metrics.port",
		             "has no effect without metrics.address");
	}
}

/* ---- files --------------------------------------------------------------------------- */

static void
check_file(struct load *load, const char *key, const char *path, bool folder)
{
	unsigned line = load_given(load, key);
	struct stat st;
	int fd;

	if (path == NULL) {
		return;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (folder ? O_DIRECTORY : 0));
	if (fd < 0 || fstat(fd, &st) != 0) {
		int error = errno;

		load_fault_at(load, line, key, "%s cannot be read: %s%s", path, err_text(-error),
		              line == 0 && error == ENOENT ? "; `gatewayctl init` makes it" : "");
	} else if (!folder && !S_ISREG(st.st_mode)) {
		load_fault_at(load, line, key, "%s is not a regular file", path);
	} else if (strcmp(key, "tls.key") == 0 && (st.st_mode & S_IRWXO) != 0) {
		load_warn_at(load, line, key, "every user of this host can read %s", path);
	}
	if (fd >= 0) {
		close(fd);
	}
}

static void
check_secret(struct load *load)
{
	struct stat st;

	if (load->conf->upstream.password != NULL && stat(load->conf->file, &st) == 0 &&
	    (st.st_mode & S_IROTH) != 0) {
		load_warn_at(load, load_given(load, "upstream.password"), "upstream.password",
		             "every user of this host can read this file");
	}
}

void
conf_check_all(struct load *load)
{
	const struct conf *conf = load->conf;

	derive(load);
	if (load->no_memory) {
		return;
	}
	check_limits(load);
	check_upstream(load);
	conf_check_uplink(load);
	check_listeners(load);
	check_others(load);
	if (load->files) {
		check_file(load, "gateway.state_directory", conf->gateway.state_directory, true);
		check_file(load, "tls.certificate", conf->tls.certificate, false);
		check_file(load, "tls.key", conf->tls.key, false);
		check_file(load, "tls.ca", conf->tls.ca, false);
		check_file(load, "tls.crl", conf->tls.crl, false);
		check_secret(load);
	}
}
