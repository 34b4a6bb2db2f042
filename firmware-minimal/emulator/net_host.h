/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network behind the emulated radio: real sockets, non-blocking, to
 * loopback only. Any other destination is unreachable unless it is mapped.
 */
#ifndef EMULATOR_NET_HOST_H
#define EMULATOR_NET_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "emulator/model.h"

struct net_host;
struct net_host *net_host_new(struct world *world);
void net_host_free(struct net_host *net);
/* "NAME=IP" or "NAME=IP:PORT": what a name resolves to, and where all ports of that address go. */
int net_host_add_name(struct net_host *net, const char *text);
/* "IP:PORT=127.x.y.z:PORT". */
int net_host_add_map(struct net_host *net, const char *text);
/*
 * Is an answer of the real network outstanding? While a connect is under way,
 * for some time after the last data sent, and shortly after data came.
 */
bool net_host_expects(const struct net_host *net);
/* For winc_model_new(); lives as long as net. */
const struct winc_net *net_host_seam(struct net_host *net);

#endif
