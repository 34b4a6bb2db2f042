/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands, one file per noun; each returns an enum cli_exit. */
#ifndef GATEWAYCTL_RUN_H
#define GATEWAYCTL_RUN_H

#include "cli.h"

int init_run(struct cli *cli);
int enroll_run(struct cli *cli);
int devices_run(struct cli *cli);
int devices_show_run(struct cli *cli);
int devices_remove_run(struct cli *cli);
int label_run(struct cli *cli);
int group_run(struct cli *cli);
int revoke_run(struct cli *cli);
int reinstate_run(struct cli *cli);
int disconnect_run(struct cli *cli);
int status_run(struct cli *cli);
int doctor_run(struct cli *cli);
int reload_run(struct cli *cli);
int config_check_run(struct cli *cli);
int config_show_run(struct cli *cli);
int topics_run(struct cli *cli);

/* "name=value": the name as in ${label.NAME}, the value empty or fit for a topic. */
bool label_valid(const char *text);

#endif
