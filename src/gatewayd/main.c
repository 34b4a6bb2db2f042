/* SPDX-License-Identifier: BSD-2-Clause */
/* gatewayd: the command line. Everything else is in daemon.c. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "gatewayd/daemon.h"

static const char usage_text[] =
	"Usage: gatewayd [-c FILE] [--check [FILE]]\n"
	"Let devices in by mutual TLS and relay their MQTT to the local broker.\n"
	"\n"
	"  -c, --config FILE   configuration (default " CONF_DEFAULT_FILE ")\n"
	"      --check [FILE]  check the configuration, report every fault, start nothing\n"
	"  -h, --help          this text\n"
	"  -V, --version       the version\n"
	"\n"
	"It stays in the foreground and logs to stderr, or to the journal under systemd.\n"
	"SIGHUP reads the configuration again, SIGTERM and SIGINT end it.\n"
	"\n"
	"Examples:\n"
	"  gatewayctl init                     make a CA and the gateway's certificate first\n"
	"  gatewayd --check                    is the configuration right?\n"
	"  gatewayd -c ./gateway.conf          run with another configuration\n"
	"\n"
	"Manual: gatewayd(8), gateway.conf(5), gatewayctl(1).\n";

enum { OPTION_CHECK = 256 };

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int
check(const char *file)
{
	struct conf *conf;

	if (conf_load(file, true, conf_report_print, stderr, &conf) != 0) {
		fprintf(stderr, "gatewayd: %s is not valid\n", file);
		return EXIT_FAILURE;
	}
	conf_unref(&conf);
	printf("%s: no faults\n", file);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	/* Static: what a failed start leaves behind stays reachable until exit. */
	static struct daemon daemon_state;
	const char *file = CONF_DEFAULT_FILE;
	bool only_check = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case OPTION_CHECK:
			only_check = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("gatewayd " PACKAGE_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs("Try `gatewayd --help'.\n", stderr);
			return 2;
		}
	}
	if (only_check && optind < argc) {
		file = argv[optind++];
	}
	if (optind < argc) {
		fprintf(stderr, "gatewayd: unexpected argument `%s'\nTry `gatewayd --help'.\n",
		        argv[optind]);
		return 2;
	}
	return only_check ? check(file) : daemon_run(&daemon_state, file);
}
