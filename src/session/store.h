/* SPDX-License-Identifier: BSD-2-Clause */
/* The subscriptions of persistent sessions, kept in the register for the relay. */
#ifndef GATEWAY_SESSION_STORE_H
#define GATEWAY_SESSION_STORE_H

#include "register/reg.h"
#include "relay/relay.h"

/* A store on that handle, which must outlive it. Same thread as the handle. */
struct relay_store store_of(struct reg *reg);

#endif
