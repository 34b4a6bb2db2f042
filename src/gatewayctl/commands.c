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
	{ "csr-dir", 0, "DIR", "many requests: every *.csr, *.req, *.pem, *.der there" },
	{ "name-from", 0, "WHAT", "with --csr-dir: cn (default) or file, the name of the file" },
	{ "key-out", 0, "FILE", "make a key too, for clients without a secure element" },
	{ "name", 'n', "NAME", "name of the device (default: common name of the request)" },
	{ "group", 'g', "GROUP", "group of the device" },
	{ "label", 'l', "K=V", "a label (repeatable)" },
	{ "days", 0, "N", "validity of the certificate (default 7300)" },
	{ "out", 0, "DIR", "where to write the files (default ./NAME; --csr-dir: DIR/NAME)" },
	{ "broker", 0, "HOST", "the name by which the sketch calls the gateway" },
	{ "slot", 0, "N", "slot of the key in the crypto chip, 0 to 4 (default 0)" },
	{ "replace", 0, NULL, "accept another key for a known name, or a revoked device" },
	{ NULL },
};

static const struct option_spec provision_options[] = {
	{ "port", 0, "PORT", "serial port of the board in its bootloader, such as /dev/ttyACM0" },
	{ "image", 0, "FILE", "a file with the board's whole flash, instead of --port" },
	{ "wifi-ssid", 0, "NAME", "the WiFi network that the board joins" },
	{ "wifi-pass-file", 0, "FILE", "file with its passphrase; - is stdin" },
	{ "wifi-open", 0, NULL, "the network has no passphrase" },
	{ "host", 0, "NAME", "the name or IPv4 address by which the board calls the gateway" },
	{ "gateway-port", 0, "N", "the gateway's TCP port (default: of its first listener)" },
	{ "name", 'n', "NAME", "name of the device (default: common name of the request)" },
	{ "group", 'g', "GROUP", "group of the device" },
	{ "label", 'l', "K=V", "a label (repeatable)" },
	{ "days", 0, "N", "validity of the certificate (default 7300)" },
	{ "lock-chip", 0, NULL, "let the board lock a new crypto chip, for ever" },
	{ "ecdh", 0, "WHERE", "key agreement in software (default) or in the chip" },
	{ "interval", 0, "S", "seconds between two readings (default 5)" },
	{ "publish-topic", 0, "TOPIC", "topic of the readings (default Home)" },
	{ "subscribe-topic", 0, "TOPIC", "topic of the commands (default inTopic)" },
	{ "replace", 0, NULL, "accept another key for a known name, or a revoked device" },
	{ "dry-run", 0, NULL, "look and check, and change nothing" },
	{ NULL },
};

static const struct option_spec devices_options[] = {
	{ "pending", 0, NULL, "devices that wait for approval, with their keys" },
	{ "live", 0, NULL, "only devices that are connected" },
	{ "expiring", 0, "TIME", "certificates that end within 30d, 8w, 1y, or have ended" },
	{ NULL },
};

static const struct option_spec approve_options[] = {
	{ "name", 'n', "NAME", "name of the device (default: what its certificate says)" },
	{ "group", 'g', "GROUP", "group of the device" },
	{ "label", 'l', "K=V", "a label (repeatable)" },
	{ NULL },
};

static const struct option_spec renew_options[] = {
	{ "days", 0, "N", "validity of the certificate (default 7300)" },
	{ "out", 0, "DIR", "where to write the files (default ./ID)" },
	{ NULL },
};

static const struct option_spec revoke_options[] = {
	{ "reason", 'r', "REASON", "keyCompromise, superseded, cessationOfOperation, ..." },
	{ NULL },
};

static const struct option_spec certificate_options[] = {
	{ "days", 0, "N", "validity of the certificate (default 3650)" },
	{ NULL },
};

static const struct option_spec ca_renew_options[] = {
	{ "days", 0, "N", "validity of the CA, from now on (default 7300)" },
	{ NULL },
};

static const struct option_spec ca_import_options[] = {
	{ "cert", 0, "FILE", "certificate of the CA" },
	{ "key", 0, "FILE", "its key; without it nothing can be signed here" },
	{ NULL },
};

static const struct option_spec crl_export_options[] = {
	{ "days", 0, "N", "days until the next list (default 30)" },
	{ NULL },
};

static const struct option_spec fleet_apply_options[] = {
	{ "dry-run", 0, NULL, "show the difference and change nothing" },
	{ "prune", 0, NULL, "remove devices that the file has not" },
	{ NULL },
};

static const struct option_spec audit_options[] = {
	{ "since", 0, "TIME", "not older than 12h, 7d, 4w" },
	{ NULL },
};

static const struct option_spec topics_options[] = {
	{ "publish", 'p', "TOPIC", "what happens when the device publishes to it" },
	{ "subscribe", 0, "FILTER", "what happens when the device subscribes to it" },
	{ "client-id", 0, "ID", "client identifier, for templates with ${client_id}" },
	{ NULL },
};

static const struct option_spec failures_options[] = {
	{ "limit", 0, "N", "the newest N only" },
	{ NULL },
};

static const struct option_spec spool_purge_options[] = {
	{ "all", 0, NULL, "of all devices" },
	{ "yes", 'y', NULL, "do not ask" },
	{ NULL },
};

static const struct option_spec watch_options[] = {
	{ "failures", 0, NULL, "failed attempts and broken sessions" },
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
	  "Writes device.crt and ca.crt, and for a board the files of its sketch. The same\n"
	  "key again renews the certificate. With --csr-dir a second run skips what is\n"
	  "done.\n",
	  "gatewayctl enroll --csr board.csr --group sensors\n"
	  "gatewayctl enroll --csr-dir requests --out devices --name-from file\n"
	  "gatewayctl enroll --name pump1 --key-out pump1/device.key --out pump1\n",
	  enroll_options, enroll_run },
	{ "provision", "", 0, 0, "enroll a board with firmware-minimal and write its settings",
	  "Reads the certificate request out of the board's flash, signs it, and writes\n"
	  "certificate, network and gateway into the settings page. The board must be in\n"
	  "its bootloader: double-tap the reset button. Given again it renews; what was\n"
	  "broken off is completed. Locking a new chip cannot be undone, hence --lock-chip.\n",
	  "gatewayctl provision --port /dev/ttyACM0 --wifi-ssid home \\\n"
	  "  --wifi-pass-file wifi.txt\n"
	  "gatewayctl provision --port /dev/ttyACM0 --wifi-ssid home \\\n"
	  "  --wifi-pass-file wifi.txt --lock-chip --name pump1 --interval 60\n",
	  provision_options, provision_run },
	{ "devices", "", 0, 0, "list the devices",
	  "The register, joined with the live sessions when gatewayd is running.\n",
	  "gatewayctl devices\n"
	  "gatewayctl devices --live -o json\n"
	  "gatewayctl devices --pending\n"
	  "gatewayctl devices --expiring 30d\n",
	  devices_options, devices_run },
	{ "devices show", "ID", 1, 1, "show everything about a device", NULL,
	  "gatewayctl devices show pump1\n", NULL, devices_show_run },
	{ "devices remove", "ID", 1, 1, "forget a device", NULL,
	  "gatewayctl devices remove pump1\n", NULL, devices_remove_run },
	{ "approve", "FINGERPRINT", 1, 1, "let a device in that waits",
	  "By the fingerprint of its key as `devices --pending` shows it; at least 8\n"
	  "digits.\n",
	  "gatewayctl approve 3f2a9c0177de --name pump7 --group pumps\n", approve_options,
	  approve_run },
	{ "renew", "ID", 1, 1, "make a new certificate for the same key",
	  "Needs no request: a copy of each certificate is kept.\n",
	  "gatewayctl renew pump1 --out pump1\n", renew_options, renew_run },
	{ "label", "ID KEY=VALUE...", 2, UINT_MAX, "set labels; KEY= removes one", NULL,
	  "gatewayctl label pump1 floor=2 room=\n", NULL, label_run },
	{ "group", "ID GROUP", 2, 2, "put a device into a group; \"\" takes it out", NULL,
	  "gatewayctl group pump1 pumps\n", NULL, group_run },
	{ "revoke", "ID", 1, 1, "lock a device out",
	  "Takes effect within a second, for the session under way too. The running gateway\n"
	  "is asked, and its answer shown.\n",
	  "gatewayctl revoke pump1 --reason keyCompromise\n", revoke_options, revoke_run },
	{ "reinstate", "ID", 1, 1, "let a revoked device in again", NULL,
	  "gatewayctl reinstate pump1\n", NULL, reinstate_run },
	{ "disconnect", "ID", 1, 1, "close the sessions of a device",
	  "The device may connect again at once; to keep it out, revoke it.\n",
	  "gatewayctl disconnect pump1\n", NULL, disconnect_run },
	{ "fleet export", "[FILE]", 0, 1, "write all devices as YAML", NULL,
	  "gatewayctl fleet export fleet.yaml\n", NULL, fleet_export_run },
	{ "fleet apply", "FILE", 1, 1, "make the devices as the file says",
	  "All or nothing. Devices that the file has not are left alone, unless --prune.\n",
	  "gatewayctl fleet apply fleet.yaml --dry-run\n", fleet_apply_options, fleet_apply_run },
	{ "audit", "[ID]", 0, 1, "show who changed what", NULL,
	  "gatewayctl audit --since 7d\n"
	  "gatewayctl audit pump1\n",
	  audit_options, audit_run },
	{ "certificate show", "", 0, 0, "show the certificate of the gateway", NULL,
	  "gatewayctl certificate show\n", NULL, certificate_show_run },
	{ "certificate renew", "", 0, 0, "renew the certificate of the gateway",
	  "The key stays, sessions too; gatewayd is told.\n",
	  "gatewayctl certificate renew\n", certificate_options, certificate_renew_run },
	{ "certificate names", "", 0, 0, "show the names that devices may call the gateway", NULL,
	  "gatewayctl certificate names\n", NULL, certificate_names_run },
	{ "certificate names add", "NAME...", 1, UINT_MAX, "add names or addresses", NULL,
	  "gatewayctl certificate names add mqtt.example.org 192.0.2.7\n", certificate_options,
	  certificate_names_add_run },
	{ "certificate names remove", "NAME...", 1, UINT_MAX, "take names or addresses out", NULL,
	  "gatewayctl certificate names remove old.example.org\n", certificate_options,
	  certificate_names_remove_run },
	{ "ca show", "", 0, 0, "show the certificate of the CA", NULL,
	  "gatewayctl ca show\n", NULL, ca_show_run },
	{ "ca renew", "", 0, 0, "let the CA be valid for longer",
	  "Its key and name stay: boards need nothing new, and the certificates that it has\n"
	  "signed stay good. A client that has the file ca.crt wants the new one some day.\n",
	  "gatewayctl ca renew\n", ca_renew_options, ca_renew_run },
	{ "ca import", "", 0, 0, "take over a CA from elsewhere",
	  "Says what will not work with it, and why.\n",
	  "gatewayctl ca import --cert ca.crt --key ca.key\n", ca_import_options,
	  ca_import_run },
	{ "crl export", "[FILE]", 0, 1, "write our CA's list of revoked certificates",
	  "For others who accept certificates of this CA; gatewayd itself needs no list.\n",
	  "gatewayctl crl export /srv/www/ca.crl\n", crl_export_options, crl_export_run },
	{ "crl import", "FILE", 1, 1, "check the list of a CA and let gatewayd use it", NULL,
	  "gatewayctl crl import other-ca.crl\n", NULL, crl_import_run },
	{ "crl show", "[FILE]", 0, 1, "show the lists that gatewayd uses, or those of a file", NULL,
	  "gatewayctl crl show\n", NULL, crl_show_run },
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
	{ "spool", "[ID]", 0, 1, "show what is stored until the broker is back",
	  "How much, how old, and of which devices; counters are since the start of\n"
	  "gatewayd.\n",
	  "gatewayctl spool\n"
	  "gatewayctl spool pump1 -o json\n",
	  NULL, spool_run },
	{ "spool purge", "[ID]", 0, 1, "remove what is stored for a device, or for all",
	  "It was acknowledged to the device and is lost then. What the broker is just\n"
	  "being sent stays.\n",
	  "gatewayctl spool purge pump1\n"
	  "gatewayctl spool purge --all --yes\n",
	  spool_purge_options, spool_purge_run },
	{ "failures", "[ID|ADDRESS]", 0, 1, "list who failed to connect, and why",
	  "Newest first. Attempts that fail the same way are one line with their count and\n"
	  "the time between two of them.\n",
	  "gatewayctl failures\n"
	  "gatewayctl failures --limit 5\n"
	  "gatewayctl failures 192.0.2.7 -o json\n",
	  failures_options, failures_run },
	{ "diagnose", "ID|ADDRESS", 1, 1, "say what is wrong with a device, and what to do",
	  "Its story in the order of time, the most likely cause now, and the remedy.\n",
	  "gatewayctl diagnose pump1\n"
	  "gatewayctl diagnose 192.0.2.7\n",
	  NULL, diagnose_run },
	{ "watch", "[ID]", 0, 1, "show what happens as it happens",
	  "The messages of a device, or what fails. One line for each event, with -o json\n"
	  "one document for each, until Ctrl-C.\n",
	  "gatewayctl watch pump1\n"
	  "gatewayctl watch pump1 -o json\n"
	  "gatewayctl watch --failures\n",
	  watch_options, watch_run },
	{ "help", "[COMMAND]", 0, 3, "show help", NULL,
	  "gatewayctl help enroll\n", NULL, help_run },
	{ NULL },
};
