/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

#define ASK_MS 15000 /* a reload checks files and rebuilds contexts */

static void
print_note(struct cli *cli, const char *format, va_list args)
{
	char *text = NULL, *safe = NULL;

	if (vasprintf(&text, format, args) >= 0) {
		safe = text_escape(text, 1);
		fprintf(cli->err, "gatewayctl: %s\n", safe != NULL ? safe : "out of memory");
		free(safe);
		free(text);
	}
}

void
cli_note(struct cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_note(cli, format, args);
	va_end(args);
}

int
cli_fail(struct cli *cli, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_note(cli, format, args);
	va_end(args);
	switch (code) {
	case ERR_UNAVAILABLE:
		return CLI_NOT_RUNNING;
	case -EACCES:
	case -EPERM:
		return CLI_NOT_ALLOWED;
	default:
		return CLI_FAILED;
	}
}

int
cli_fail_memory(struct cli *cli)
{
	return cli_fail(cli, -ENOMEM, "out of memory");
}

/* Like conf_report_print, but safe for terminals. */
static void
report(void *owner, const char *file, int line, const char *key, const char *sentence,
       bool warning)
{
	struct cli *cli = owner;
	char at[16] = "";
	char *text = NULL, *safe = NULL;

	if (line > 0) {
		snprintf(at, sizeof at, ":%d", line);
	}
	if (asprintf(&text, "%s%s: %s%s%s%s", file, at, key, key[0] != '\0' ? ": " : "",
	             warning ? "warning: " : "", sentence) >= 0) {
		safe = text_escape(text, 1);
		fprintf(cli->err, "%s\n", safe != NULL ? safe : "out of memory");
		free(safe);
		free(text);
	}
}

int
cli_conf(struct cli *cli)
{
	if (cli->conf != NULL) {
		return 0;
	}
	if (cli->file == NULL && access(CONF_DEFAULT_FILE, F_OK) < 0 && errno == ENOENT) {
		return conf_default(&cli->conf);
	}
	return conf_load(cli->file != NULL ? cli->file : CONF_DEFAULT_FILE, false, report, cli,
	                 &cli->conf);
}

char *
cli_state_path(const struct cli *cli, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", cli->conf->gateway.state_directory, name) >= 0 ? path :
	                                                                              NULL;
}

/*
 * Who changes the register: the user's id, and the name. Under sudo the name
 * of the person, who else would be root; only root's word is taken for it.
 */
static int
name_actor(struct reg *reg)
{
	const char *person = getuid() == 0 ? getenv("SUDO_USER") : NULL;
	const struct passwd *user = person == NULL ? getpwuid(getuid()) : NULL;

	if (person == NULL) {
		person = user != NULL ? user->pw_name : "";
	}
	return reg_actor(reg, (unsigned)getuid(), person);
}

int
cli_register(struct cli *cli, enum reg_mode mode, struct reg **out)
{
	char why[REG_WHY_SIZE];
	char *path;
	int r = cli_conf(cli);

	if (r < 0) {
		return CLI_FAILED;
	}
	path = cli_state_path(cli, "register.db");
	if (path == NULL) {
		return cli_fail_memory(cli);
	}
	r = reg_open(path, mode, out, why);
	free(path);
	if (r == ERR_NOT_FOUND) {
		return cli_fail(cli, r, "%s; `gatewayctl init` makes the register", why);
	}
	if (r < 0) {
		return cli_fail(cli, r, "%s", why);
	}
	r = mode != REG_READ ? name_actor(*out) : 0;
	if (r < 0) {
		reg_close(*out);
		return cli_fail(cli, r, "cannot say who changes the register: %s", err_text(r));
	}
	return 0;
}

int
cli_fail_register(struct cli *cli, struct reg *reg, int code, const char *name)
{
	switch (code) {
	case ERR_NOT_FOUND:
		return cli_fail(cli, code, "there is no device %s in the register", name);
	case ERR_DATABASE:
		return cli_fail(cli, code, "the register: %s", reg_error(reg));
	default:
		return cli_fail(cli, code, "the register: %s: %s", name, err_text(code));
	}
}

/* Where the daemon listens; with a faulty configuration, the usual place. */
static const char *
socket_path(struct cli *cli)
{
	if (cli->socket != NULL) {
		return cli->socket;
	}
	if (cli_conf(cli) < 0) {
		cli_note(cli, "the configuration has faults, trying the usual control socket");
		return GATEWAY_RUNDIR "/control.sock";
	}
	return cli->conf->gateway.control_socket;
}

int
cli_make_folder(struct cli *cli, const char *path, unsigned mode)
{
	char *copy = strdup(path);
	int r = copy != NULL ? 0 : -ENOMEM;

	for (char *slash = copy != NULL ? strchr(copy + 1, '/') : NULL; slash != NULL && r == 0;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = mkdir(copy, 0755) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
	}
	if (r == 0 && mkdir(path, mode) < 0 && errno != EEXIST) {
		r = -errno;
	}
	free(copy);
	return r < 0 ? cli_fail(cli, r, "cannot make the folder %s: %s", path, err_text(r)) :
	               CLI_DONE;
}

int
cli_ask(struct cli *cli, const char *command, const struct doc *args, struct doc **out, char *why,
        char **refusal)
{
	struct ctl_client *client;
	int r = ctl_connect(socket_path(cli), &client, why);

	if (r < 0) {
		return r;
	}
	r = ctl_call(client, command, args, ASK_MS, out, why);
	if (r < 0 && refusal != NULL && ctl_refusal(client)[0] != '\0') {
		*refusal = strdup(ctl_refusal(client));
	}
	ctl_disconnect(client);
	return r;
}

int
cli_watch(struct cli *cli, const char *command, const struct doc *args,
          const struct ctl_watch *watch, char *why)
{
	struct ctl_client *client;
	int r = ctl_connect(socket_path(cli), &client, why);

	if (r == 0) {
		r = ctl_watch(client, command, args, watch, why);
		ctl_disconnect(client);
	}
	return r;
}

int
cli_result(struct cli *cli, struct doc *doc, void (*table)(FILE *out, const struct doc *doc))
{
	struct buf text = { 0 };
	struct span s;
	int r = doc_failed(doc) ? -ENOMEM : 0;

	if (r == 0 && cli->format == CLI_TABLE) {
		table(cli->out, doc);
	} else if (r == 0) {
		r = cli->format == CLI_YAML ? doc_write_yaml(doc, &text) :
		                              doc_write_json(doc, &text);
		s = buf_span(&text);
		if (r == 0 && fwrite(s.ptr, 1, s.len, cli->out) != s.len) {
			r = -errno;
		}
	}
	if (r == 0 && (fflush(cli->out) != 0 || ferror(cli->out))) {
		r = -errno;
	}
	buf_release(&text);
	doc_free(doc);
	return r < 0 ? cli_fail(cli, r, "cannot print the result: %s", err_text(r)) : CLI_DONE;
}
