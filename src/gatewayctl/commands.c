/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of commands. Help is made from it; the manual and the completion
 * are tested against it.
 */
#include "run.h"

#include <limits.h>

const struct option_spec global_options[] = {
	{ "config", 'c', "FILE", "configuration (default " CONF_DEFAULT_FILE ")" },
	{ "output", 'o', "FORMAT", "table (default), yaml or json" },
	{ "socket", 's', "PATH", "control socket, instead of the configuration's" },
	{ "help", 'h', NULL, "show this help, or that of the command" },
	{ "version", 'V', NULL, "show the version" },
	{ NULL },
};

static const struct option_spec init_options[] = {
	{ "name", 'n', "HOST", "a further name or address of this gateway (repeatable)" },
	{ "force-names", 0, NULL, "use the names given and no others" },
	{ "days", 0, "N", "validity of the gateway certificate (default 3650)" },
	{ NULL },
};

static const struct option_spec enroll_options[] = {
	{ "csr", 0, "FILE", "certificate request of the device, PEM or DER; - is stdin" },
	{ "key-out", 0, "FILE", "make a key too, for clients without a secure element" },
	{ "name", 'n', "NAME", "name of the device (default: common name of the request)" },
	{ "group", 'g', "GROUP", "group of the device" },
	{ "label", 'l', "K=V", "a label (repeatable)" },
	{ "days", 0, "N", "validity of the certificate (default 7300)" },
	{ "out", 0, "DIR", "where to write the files (default ./NAME)" },
	{ "replace", 0, NULL, "accept another key for a known name, or a revoked device" },
	{ NULL },
};

static const struct option_spec devices_options[] = {
	{ "pending", 0, NULL, "only devices that wait for approval" },
	{ "live", 0, NULL, "only devices that are connected" },
	{ NULL },
};

static const struct option_spec topics_options[] = {
	{ "publish", 'p', "TOPIC", "what happens when the device publishes to it" },
	{ "subscribe", 0, "FILTER", "what happens when the device subscribes to it" },
	{ "client-id", 0, "ID", "client identifier, for templates with ${client_id}" },
	{ NULL },
};

const struct command commands[] = {
	{ "init", "", 0, 0, "make the CA, the gateway certificate and the register",
	  "Finds the names and addresses of this host and puts them into the gateway\n"
	  "certificate. What is there already stays; the gateway certificate is renewed\n"
	  "when names were added or it ends soon. Run it as root on the gateway host.\n",
	  "gatewayctl init\n"
	  "gatewayctl init --name mqtt.example.org\n",
	  init_options, init_run },
	{ "enroll", "", 0, 0, "make a device's certificate and register the device",
	  "Writes device.crt and ca.crt. The same key again renews the certificate.\n",
	  "gatewayctl enroll --csr board.csr --group sensors\n"
	  "gatewayctl enroll --name pump1 --key-out pump1/device.key --out pump1\n",
	  enroll_options, enroll_run },
	{ "devices", "", 0, 0, "list the devices",
	  "The register, joined with the live sessions when gatewayd is running.\n",
	  "gatewayctl devices\n"
	  "gatewayctl devices --live -o json\n",
	  devices_options, devices_run },
	{ "devices show", "ID", 1, 1, "show everything about a device", NULL,
	  "gatewayctl devices show pump1\n", NULL, devices_show_run },
	{ "devices remove", "ID", 1, 1, "forget a device", NULL,
	  "gatewayctl devices remove pump1\n", NULL, devices_remove_run },
	{ "label", "ID KEY=VALUE...", 2, UINT_MAX, "set labels; KEY= removes one", NULL,
	  "gatewayctl label pump1 floor=2 room=\n", NULL, label_run },
	{ "group", "ID GROUP", 2, 2, "put a device into a group; \"\" takes it out", NULL,
	  "gatewayctl group pump1 pumps\n", NULL, group_run },
	{ "revoke", "ID", 1, 1, "lock a device out",
	  "Takes effect within a second, for the session under way too.\n",
	  "gatewayctl revoke pump1\n", NULL, revoke_run },
	{ "reinstate", "ID", 1, 1, "let a revoked or pending device in", NULL,
	  "gatewayctl reinstate pump1\n", NULL, reinstate_run },
	{ "disconnect", "ID", 1, 1, "close the sessions of a device",
	  "The device may connect again at once; to keep it out, revoke it.\n",
	  "gatewayctl disconnect pump1\n", NULL, disconnect_run },
	{ "status", "", 0, 0, "show the state of gatewayd", NULL,
	  "gatewayctl status\n"
	  "gatewayctl status -o yaml\n",
	  NULL, status_run },
	{ "doctor", "[CHECK]", 0, 1, "look for faults of the gateway itself",
	  "Certificates, clock, files, ports, daemon and broker; nothing is changed. The\n"
	  "exit status is 1 when there is a fault, 0 with warnings only. With CHECK, such\n"
	  "as certificate or certificate.dates (the ids of -o yaml), only these.\n",
	  "gatewayctl doctor\n"
	  "gatewayctl doctor -o json\n"
	  "gatewayctl doctor certificate\n",
	  NULL, doctor_run },
	{ "reload", "", 0, 0, "make gatewayd read its configuration again",
	  "Shows what changed. A file with faults changes nothing.\n", "gatewayctl reload\n",
	  NULL, reload_run },
	{ "config check", "[FILE]", 0, 1, "check a configuration",
	  "Prints every fault as file:line: key: reason.\n",
	  "gatewayctl config check /etc/gateway/gateway.conf.new\n", NULL, config_check_run },
	{ "config show", "", 0, 0, "show every key with its value in force", NULL,
	  "gatewayctl config show\n", NULL, config_show_run },
	{ "topics", "ID", 1, 1, "show the topics of a device, or try one",
	  "Works from configuration and register; gatewayd need not run.\n",
	  "gatewayctl topics pump1\n"
	  "gatewayctl topics pump1 --publish Home\n"
	  "gatewayctl topics pump1 --subscribe 'all/#'\n",
	  topics_options, topics_run },
	{ "help", "[COMMAND]", 0, 2, "show help", NULL,
	  "gatewayctl help enroll\n", NULL, help_run },
	{ NULL },
};
