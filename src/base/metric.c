/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/metric.h"

const struct metric_info metric_info[METRIC_COUNT] = {
#define X(name, kind, word, help) [METRIC_##name] = { word, help, #kind },
	METRIC_LIST(X)
#undef X
};
