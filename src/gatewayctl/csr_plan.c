/* SPDX-License-Identifier: BSD-2-Clause */
#include "csr_plan.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "enroll.h"

static const char *const endings[] = { ".csr", ".req", ".pem", ".der" };

/* Length of the file name without its ending; 0: no request. */
static size_t
stem(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		if (n > 4 && name[0] != '.' && strcmp(name + n - 4, endings[i]) == 0) {
			return n - 4;
		}
	}
	return 0;
}

static int
is_request(const struct dirent *entry)
{
	return stem(entry->d_name) > 0;
}

static void __attribute__((format(printf, 2, 3)))
fail(struct csr_item *item, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(item->why, sizeof item->why, format, args);
	va_end(args);
	item->step = CSR_FAIL;
}

static void
read_item(struct csr_item *item, const char *file_name, bool by_file)
{
	struct pki_request_info info;
	struct buf request = { 0 };
	int r = enroll_read(item->file, &request);

	if (r < 0) {
		fail(item, "cannot read it: %s",
		     r == ERR_LIMIT ? "too large for a request" : err_text(r));
	} else if (pki_request_about(buf_span(&request), &info, item->why) < 0) {
		item->step = CSR_FAIL;
	} else {
		memcpy(item->fingerprint, info.fingerprint, sizeof item->fingerprint);
		if (by_file) {
			snprintf(item->name, sizeof item->name, "%.*s", (int)stem(file_name),
			         file_name);
		} else {
			memcpy(item->name, info.name, sizeof item->name);
		}
		if (item->name[0] == '\0') {
			fail(item, "the request has no common name that a device may have; see "
			           "--name-from file");
		}
	}
	buf_release(&request);
}

/* A name that two requests want is nobody's: which of them would be random. */
static void
find_twins(struct csr_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct csr_item *one = &plan->item[i];

		for (size_t j = 0; j < i && one->step != CSR_FAIL; j++) {
			const struct csr_item *other = &plan->item[j];

			if (other->step != CSR_FAIL && strcmp(one->name, other->name) == 0) {
				fail(one, "%.80s has the name %.80s already", other->file, one->name);
			}
		}
	}
}

static int
fill(struct csr_plan *plan, const char *folder, bool by_file, struct dirent **list, size_t count)
{
	plan->item = calloc(count > 0 ? count : 1, sizeof *plan->item);
	if (plan->item == NULL) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		struct csr_item *item = &plan->item[i];

		if (asprintf(&item->file, "%s/%s", folder, list[i]->d_name) < 0) {
			item->file = NULL;
			return -ENOMEM;
		}
		plan->count++;
		read_item(item, list[i]->d_name, by_file);
	}
	return 0;
}

int
csr_plan_make(const char *folder, bool by_file,
              bool (*is_done)(void *owner, const char *name, const char *fingerprint),
              void *owner, struct csr_plan *out)
{
	struct dirent **list;
	int n = scandir(folder, &list, is_request, alphasort);
	int r;

	*out = (struct csr_plan){ .count = 0 };
	if (n < 0) {
		return -errno;
	}
	r = fill(out, folder, by_file, list, (size_t)n);
	for (int i = 0; i < n; i++) {
		free(list[i]);
	}
	free(list);
	if (r < 0) {
		csr_plan_clear(out);
		return r;
	}
	find_twins(out);
	for (size_t i = 0; i < out->count; i++) {
		struct csr_item *item = &out->item[i];

		if (item->step == CSR_WORK && is_done(owner, item->name, item->fingerprint)) {
			item->step = CSR_SKIP;
		}
	}
	return 0;
}

void
csr_plan_clear(struct csr_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		free(plan->item[i].file);
	}
	free(plan->item);
	*plan = (struct csr_plan){ .count = 0 };
}
