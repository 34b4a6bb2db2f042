/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include <string.h>

const char *
err_text(int code)
{
	switch (code) {
	case ERR_OK:
		return "success";
#define X(name, number, text) \
	case ERR_##name:      \
		return text;
		ERR_LIST(X)
#undef X
	default:
		/* strerrordesc_np() is thread safe, strerror() is not. */
		if (code < 0 && code > -4096) {
			const char *text = strerrordesc_np(-code);

			if (text != NULL) {
				return text;
			}
		}
		return "unknown error";
	}
}
