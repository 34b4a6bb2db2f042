/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands, one file per noun; each returns an enum cli_exit. */
#ifndef GATEWAYCTL_RUN_H
#define GATEWAYCTL_RUN_H

#include "cli.h"

int init_run(struct cli *cli);
int enroll_run(struct cli *cli);
int provision_run(struct cli *cli);
int devices_run(struct cli *cli);
int devices_show_run(struct cli *cli);
int devices_remove_run(struct cli *cli);
int label_run(struct cli *cli);
int group_run(struct cli *cli);
int strangers_run(struct cli *cli); /* devices --pending */
int expiring_run(struct cli *cli);  /* devices --expiring */
int approve_run(struct cli *cli);
int renew_run(struct cli *cli);
int audit_run(struct cli *cli);
int certificate_show_run(struct cli *cli);
int certificate_renew_run(struct cli *cli);
int certificate_names_run(struct cli *cli);
int certificate_names_add_run(struct cli *cli);
int certificate_names_remove_run(struct cli *cli);
int ca_show_run(struct cli *cli);
int ca_renew_run(struct cli *cli);
int ca_import_run(struct cli *cli);
int crl_show_run(struct cli *cli);
int crl_export_run(struct cli *cli);
int crl_import_run(struct cli *cli);
int fleet_export_run(struct cli *cli);
int fleet_apply_run(struct cli *cli);
int revoke_run(struct cli *cli);
int reinstate_run(struct cli *cli);
int disconnect_run(struct cli *cli);
int status_run(struct cli *cli);
int doctor_run(struct cli *cli);
int reload_run(struct cli *cli);
int config_check_run(struct cli *cli);
int config_show_run(struct cli *cli);
int topics_run(struct cli *cli);
int failures_run(struct cli *cli);
int spool_run(struct cli *cli);
int spool_purge_run(struct cli *cli);
int diagnose_run(struct cli *cli);
int watch_run(struct cli *cli);

/* { address: WORD } or { identity: WORD }: what the word is tells its form. */
void failures_subject(struct doc *args, const char *word);
/* Set "device" of a row: the identity, or (the name) that nobody vouches for. */
void failures_put_device(struct doc *row, const struct doc *failure);

/* "name=value": the name as in ${label.NAME}, the value empty or fit for a topic. */
bool label_valid(const char *text);
/* Set a valid "name=value". */
int label_set(struct reg *reg, const char *name, const char *text) MUST_CHECK;
/* --group and --label of a command: CLI_DONE, or CLI_USAGE after a sentence. */
int group_and_labels_check(struct cli *cli) MUST_CHECK;

#endif
