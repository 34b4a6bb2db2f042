/* SPDX-License-Identifier: BSD-2-Clause */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void
usage(FILE *to)
{
	fputs("usage: load --mode MODE --port PORT --certificates FOLDER [OPTION]...\n"
	      "\n"
	      "Modes:\n",
	      to);
	for (const struct mode *mode = modes; mode->name != NULL; mode++) {
		fprintf(to, "  %-7s %s\n", mode->name, mode->help);
	}
	fputs("\n"
	      "Options:\n"
	      "  --certificates FOLDER  dev-0.crt and .key, dev-1.crt and ..., used in turn\n"
	      "  --host ADDRESS         default 127.0.0.1\n"
	      "  --server NAME=PID      a process to look at; up to four times\n"
	      "  --count N              clients (100)\n"
	      "  --flight N             connects under way at once (64)\n"
	      "  --messages N           in all (100000)\n"
	      "  --payload N            bytes, up to 512 (64)\n"
	      "  --window N             messages not yet acknowledged per client (20)\n"
	      "  --quiet N              clients that ping (20)\n"
	      "  --seconds N            give up after (120)\n"
	      "  --tls12                TLS 1.2 instead of 1.3\n"
	      "  --no-tickets           resume by session identifier, with --tls12\n"
	      "\n"
	      "One line of JSON per result goes to standard output.\n",
	      to);
}

static unsigned
number(const char *name, const char *text, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value == 0 || value > most) {
		die("--%s takes a number from 1 to %lu, not %s", name, most, text);
	}
	return (unsigned)value;
}

static void
add_server(struct options *o, char *text)
{
	char *at = strchr(text, '=');

	if (at == NULL || o->servers == SERVERS_MAX) {
		die("--server takes NAME=PID, at most %d times", SERVERS_MAX);
	}
	*at = '\0';
	o->server[o->servers].name = text;
	o->server[o->servers].pid = (pid_t)number("server", at + 1, 1ul << 30);
	o->servers++;
}

static const struct option names[] = {
	{ "mode", required_argument, NULL, 'm' },
	{ "host", required_argument, NULL, 'h' },
	{ "port", required_argument, NULL, 'p' },
	{ "certificates", required_argument, NULL, 'c' },
	{ "server", required_argument, NULL, 's' },
	{ "count", required_argument, NULL, 'n' },
	{ "flight", required_argument, NULL, 'f' },
	{ "messages", required_argument, NULL, 'M' },
	{ "payload", required_argument, NULL, 'P' },
	{ "window", required_argument, NULL, 'w' },
	{ "quiet", required_argument, NULL, 'q' },
	{ "seconds", required_argument, NULL, 't' },
	{ "tls12", no_argument, NULL, '2' },
	{ "no-tickets", no_argument, NULL, 'i' },
	{ "help", no_argument, NULL, 'H' },
	{ NULL, 0, NULL, 0 },
};

static void
set(struct options *o, int option, char *value, const char *name)
{
	switch (option) {
	case 'm': o->mode = value; break;
	case 'h': o->host = value; break;
	case 'c': o->certificates = value; break;
	case 's': add_server(o, value); break;
	case 'p': o->port = (uint16_t)number(name, value, 65535); break;
	case 'n': o->count = number(name, value, 100000); break;
	case 'f': o->flight = number(name, value, 100000); break;
	case 'M': o->messages = number(name, value, 1ul << 30); break;
	case 'P': o->payload = number(name, value, 512); break;
	case 'w': o->window = number(name, value, 60000); break;
	case 'q': o->quiet = number(name, value, 10000); break;
	case 't': o->seconds = number(name, value, 3600); break;
	case '2': o->tls12 = true; break;
	case 'i': o->no_tickets = true; break;
	default:
		usage(option == 'H' ? stdout : stderr);
		exit(option == 'H' ? 0 : 2);
	}
}

int
main(int argc, char **argv)
{
	struct options o = { .host = "127.0.0.1", .count = 100, .flight = 64, .messages = 100000,
		.payload = 64, .window = 20, .quiet = 20, .seconds = 120 };
	struct rlimit files;
	int option, at = 0;

	while ((option = getopt_long(argc, argv, "", names, &at)) != -1) {
		set(&o, option, optarg, names[at].name);
	}
	if (o.mode == NULL || o.port == 0 || o.certificates == NULL || optind != argc) {
		usage(stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (const struct mode *mode = modes; mode->name != NULL; mode++) {
		if (strcmp(mode->name, o.mode) == 0) {
			mode->run(&o);
			return 0;
		}
	}
	die("there is no mode %s", o.mode);
}
