/* SPDX-License-Identifier: BSD-2-Clause */
/* One emulated board: the chip, what is around it, its files and its log. */
#ifndef EMULATOR_EMULATOR_H
#define EMULATOR_EMULATOR_H

#include "emulator/options.h"

/*
 * number: 1 and up, of the boards of this run. Runs it to the end and says
 * how it ended, as exit status. SIGINT and SIGTERM end it cleanly.
 */
int emulator_run(const struct options *options, unsigned number);
void emulator_list_faults(void);
/* Every board in a process of its own; the worst of their exit statuses. */
int emulator_run_all(const struct options *options);

#endif
