/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client with the Paho C library: connects, subscribes, publishes one
 * message for each QoS, prints what arrives as "topic payload" lines, and
 * ends when so many have come as asked for. Exit status 0 only then.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <MQTTClient.h>

#define PATIENCE_MS 60000UL

struct job {
	const char *uri, *ca, *certificate, *key;
	int version; /* 3, 4 or 5 */
	bool tls12;  /* else the newest that both sides have */
	const char *publish, *subscribe;
	int messages;
};

static const char usage[] =
	"Usage: paho_c_client URI CA CERTIFICATE KEY 3|4|5 1.2|any PUBLISH SUBSCRIBE MESSAGES\n";

static int
failed(const char *what, int rc)
{
	fprintf(stderr, "%s: %d %s\n", what, rc, MQTTClient_strerror(rc));
	return EXIT_FAILURE;
}

/* Paho C has one set of calls for 5.0 and another for the older versions. */
static int
join(MQTTClient client, const struct job *job)
{
	MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
	MQTTClient_connectOptions old = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
	MQTTResponse response;

	tls.trustStore = job->ca;
	tls.keyStore = job->certificate;
	tls.privateKey = job->key;
	tls.verify = 1;
	tls.sslVersion = job->tls12 ? MQTT_SSL_VERSION_TLS_1_2 : MQTT_SSL_VERSION_DEFAULT;
	old.ssl = v5.ssl = &tls;
	if (job->version < MQTTVERSION_5) {
		old.MQTTVersion = job->version;
		return MQTTClient_connect(client, &old);
	}
	response = MQTTClient_connect5(client, &v5, NULL, NULL);
	return response.reasonCode;
}

static int
subscribe(MQTTClient client, const struct job *job)
{
	MQTTResponse response;

	if (job->version < MQTTVERSION_5) {
		return MQTTClient_subscribe(client, job->subscribe, 2);
	}
	response = MQTTClient_subscribe5(client, job->subscribe, 2, NULL, NULL);
	return response.reasonCode == MQTTREASONCODE_GRANTED_QOS_2 ? MQTTCLIENT_SUCCESS :
	                                                             response.reasonCode;
}

static int
publish(MQTTClient client, const struct job *job, int qos)
{
	MQTTClient_message message = MQTTClient_message_initializer;
	MQTTClient_deliveryToken token;
	char payload[16];
	int rc;

	snprintf(payload, sizeof payload, "qos %d", qos);
	message.payload = payload;
	message.payloadlen = (int)strlen(payload);
	message.qos = qos;
	if (job->version < MQTTVERSION_5) {
		rc = MQTTClient_publishMessage(client, job->publish, &message, &token);
	} else {
		rc = MQTTClient_publishMessage5(client, job->publish, &message, &token).reasonCode;
	}
	if (rc == MQTTCLIENT_SUCCESS && qos > 0) {
		rc = MQTTClient_waitForCompletion(client, token, PATIENCE_MS);
	}
	return rc;
}

static int
receive(MQTTClient client)
{
	MQTTClient_message *message = NULL;
	char *topic = NULL;
	int length;
	int rc = MQTTClient_receive(client, &topic, &length, &message, PATIENCE_MS);

	if (rc != MQTTCLIENT_SUCCESS || message == NULL) {
		return failed("receive", rc);
	}
	printf("%s %.*s\n", topic, message->payloadlen, (const char *)message->payload);
	fflush(stdout);
	MQTTClient_freeMessage(&message);
	MQTTClient_free(topic);
	return EXIT_SUCCESS;
}

static int
work(MQTTClient client, const struct job *job)
{
	int rc = join(client, job);

	if (rc != MQTTCLIENT_SUCCESS) {
		return failed("connect", rc);
	}
	rc = subscribe(client, job);
	if (rc != MQTTCLIENT_SUCCESS) {
		return failed("subscribe", rc);
	}
	puts("subscribed");
	fflush(stdout);
	for (int qos = 0; qos <= 2; qos++) {
		rc = publish(client, job, qos);
		if (rc != MQTTCLIENT_SUCCESS) {
			return failed("publish", rc);
		}
	}
	for (int i = 0; i < job->messages; i++) {
		if (receive(client) != EXIT_SUCCESS) {
			return EXIT_FAILURE;
		}
	}
	rc = job->version < MQTTVERSION_5 ? MQTTClient_disconnect(client, 1000) :
	                                    MQTTClient_disconnect5(client, 1000, 0, NULL);
	return rc == MQTTCLIENT_SUCCESS ? EXIT_SUCCESS : failed("disconnect", rc);
}

int
main(int argc, char **argv)
{
	MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
	MQTTClient client;
	struct job job;
	int rc;

	if (argc != 10) {
		fputs(usage, stderr);
		return 2;
	}
	job = (struct job){ .uri = argv[1], .ca = argv[2], .certificate = argv[3], .key = argv[4],
		.version = atoi(argv[5]), .tls12 = strcmp(argv[6], "1.2") == 0,
		.publish = argv[7], .subscribe = argv[8], .messages = atoi(argv[9]) };
	options.MQTTVersion = job.version;
	rc = MQTTClient_createWithOptions(&client, job.uri, "paho-c", MQTTCLIENT_PERSISTENCE_NONE,
	                                  NULL, &options);
	if (rc != MQTTCLIENT_SUCCESS) {
		return failed("create", rc);
	}
	rc = work(client, &job);
	MQTTClient_destroy(&client);
	return rc;
}
