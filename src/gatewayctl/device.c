/* SPDX-License-Identifier: BSD-2-Clause */
#include "device.h"

#include <errno.h>
#include <stdlib.h>

#include "pki/pki.h"

static int
take_label(void *owner, struct span name, struct span value)
{
	struct device *device = owner;
	struct device_label *list =
	        reallocarray(device->label, device->labels + 1, sizeof *list);
	struct device_label *label;

	if (list == NULL) {
		return -ENOMEM;
	}
	device->label = list;
	label = &list[device->labels++];
	label->name = strndup((const char *)name.ptr, name.len);
	label->value = strndup((const char *)value.ptr, value.len);
	return label->name != NULL && label->value != NULL ? 0 : -ENOMEM;
}

int
device_load_row(struct reg *reg, const char *name, struct device *out)
{
	int r;

	*out = (struct device){ .labels = 0 };
	r = reg_find(reg, span_str(name), &out->row);
	if (r == 0) {
		r = reg_label_each(reg, span_str(name), take_label, out);
	}
	if (r < 0) {
		device_clear(out);
	}
	return r;
}

int
device_load(struct cli *cli, struct reg *reg, const char *name, struct device *out)
{
	char why[PKI_WHY_SIZE];
	int r = device_load_row(reg, name, out);

	/* Without the CA's certificate only ${issuer_cn} is missing. */
	if (r == 0 && pki_cert_read_file(cli->conf->tls.ca, &out->ca, why) < 0) {
		out->ca = NULL;
	}
	return r;
}

void
device_clear(struct device *device)
{
	for (size_t i = 0; i < device->labels; i++) {
		free(device->label[i].name);
		free(device->label[i].value);
	}
	free(device->label);
	pki_cert_free(device->ca);
	*device = (struct device){ .labels = 0 };
}

static struct span
find_label(void *owner, struct span name)
{
	const struct device *device = owner;

	for (size_t i = 0; i < device->labels; i++) {
		if (span_eq_str(name, device->label[i].name)) {
			return span_str(device->label[i].value);
		}
	}
	return span_of(NULL, 0);
}

static struct span
issuer(const struct device *device)
{
	return device->ca != NULL ? device->ca->cn : span_of(NULL, 0);
}

const struct conf_map *
device_map(const struct cli *cli, struct device *device)
{
	const struct conf_device facts = {
		.identity = span_str(device->row.name),
		.group = span_str(device->row.group),
		.issuer_cn = issuer(device),
		.label = find_label,
		.label_owner = device,
	};

	return conf_map_find(cli->conf, &facts);
}

void
device_vars(const struct cli *cli, struct device *device, const char *client_id,
            struct topic_vars *out)
{
	*out = (struct topic_vars){
		.identity = span_str(device->row.name),
		.cn = span_str(device->row.name),
		.serial = span_str(device->row.serial),
		.fingerprint = span_str(device->row.fingerprint),
		.issuer_cn = issuer(device),
		.group = span_str(device->row.group),
		.gateway = span_str(cli->conf->gateway.name),
		.client_id = span_str(client_id != NULL ? client_id : device->row.name),
		.label = find_label,
		.label_owner = device,
	};
}

struct doc *
device_labels(const struct device *device)
{
	struct doc *doc = doc_map();

	for (size_t i = 0; i < device->labels; i++) {
		doc_set_text(doc, device->label[i].name, device->label[i].value);
	}
	return doc;
}
